/**
 * Every error that leaves the library carries one of these codes. The list is part of the outside contract
 * (REST answers, dead letters and the `error.code` a Catch node sees), so a test pins it.
 */
export const ERROR_CODES = [
  // settings and use
  'invalid_setting',
  'missing_setting',
  'invalid_input',
  'not_found',
  'method_not_allowed',
  'conflict',
  // messages (dead letters)
  'payload_too_large',
  'decompression_failed',
  'invalid_utf8',
  'invalid_json',
  'nesting_too_deep',
  'schema_mismatch',
  'unsupported_version',
  'unexpected_event_type',
  'invalid_topic',
  'id_mismatch',
  'timestamp_in_future',
  // roast profiles
  'invalid_profile',
  // topics
  'invalid_topic_parameter',
  'invalid_topic_filter',
  'shared_subscription_unsupported',
  // links
  'not_connected',
  'device_refused',
  'link_closed',
  'publish_refused',
  'subscribe_refused',
  'queue_full',
  'broker_unavailable',
  // store
  'store_unavailable',
  'store_conflict',
  'store_rejected',
  'store_closed',
  'backup_failed',
  'migration_failed',
  // access
  'unauthenticated',
  'forbidden',
  'too_many_attempts',
  'invalid_token',
  'token_keys_unavailable',
  // HTTP
  'unsupported_media_type',
  'unprocessable',
  'range_not_satisfiable',
  'too_many_downloads',
  'internal',
] as const;

export type ErrorCode = (typeof ERROR_CODES)[number];

export interface ErrorDetails {
  /** JSON pointer (RFC 6901) to the part of the input that is wrong. */
  pointer?: string;
  /** Further facts for a program: must be JSON. */
  details?: Record<string, unknown>;
  cause?: unknown;
}

/** An error with a stable code. Its message is for people and says what was found and what is accepted. */
export class FieldloomError extends Error {
  readonly code: ErrorCode;
  readonly pointer: string | undefined;
  readonly details: Record<string, unknown> | undefined;

  constructor(code: ErrorCode, message: string, { pointer, details, cause }: ErrorDetails = {}) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'FieldloomError';
    this.code = code;
    this.pointer = pointer;
    this.details = details;
  }
}

/** True where `error` is ours and carries `code`. */
export function hasCode(error: unknown, code: ErrorCode): error is FieldloomError {
  return error instanceof FieldloomError && error.code === code;
}

/** Any thrown value as an Error, so that a rejected non-error keeps its text. */
export function asError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown));
}
