import { type ErrorCode, FieldloomError } from '../core/errors.js';
import type { Answer } from './route.js';

/** The HTTP status of each error code. */
export const STATUS_OF: Readonly<Record<ErrorCode, number>> = {
  invalid_setting: 500,
  missing_setting: 500,
  invalid_input: 400,
  not_found: 404,
  method_not_allowed: 405,
  conflict: 409,
  payload_too_large: 413,
  decompression_failed: 400,
  invalid_utf8: 400,
  invalid_json: 400,
  nesting_too_deep: 400,
  schema_mismatch: 400,
  unsupported_version: 400,
  unexpected_event_type: 400,
  invalid_topic: 400,
  id_mismatch: 400,
  timestamp_in_future: 400,
  invalid_profile: 400,
  invalid_topic_parameter: 400,
  invalid_topic_filter: 400,
  shared_subscription_unsupported: 400,
  not_connected: 503,
  device_refused: 502,
  link_closed: 503,
  publish_refused: 502,
  subscribe_refused: 502,
  queue_full: 503,
  broker_unavailable: 503,
  store_unavailable: 503,
  store_conflict: 409,
  store_rejected: 500,
  store_closed: 503,
  backup_failed: 500,
  migration_failed: 500,
  unauthenticated: 401,
  forbidden: 403,
  too_many_attempts: 429,
  invalid_token: 401,
  token_keys_unavailable: 503,
  unsupported_media_type: 415,
  unprocessable: 422,
  range_not_satisfiable: 416,
  too_many_downloads: 503,
  internal: 500,
};

export interface Problem {
  error: { code: ErrorCode; message: string; details?: Record<string, unknown> };
}

function headersOf(error: FieldloomError, status: number): Record<string, string> {
  if (status === 401) return { 'WWW-Authenticate': 'Bearer' };
  const seconds = error.details?.['retry_after_s'];
  return typeof seconds === 'number' ? { 'Retry-After': String(Math.max(1, Math.ceil(seconds))) } : {};
}

/**
 * The answer to a request that failed (contract.md "REST"). What is not an error of ours, or is our own fault, tells
 * the client nothing of the inside: log it.
 */
export function problem(thrown: unknown): Answer & { body: Problem } {
  const error =
    thrown instanceof FieldloomError && STATUS_OF[thrown.code] !== 500
      ? thrown
      : new FieldloomError(
          thrown instanceof FieldloomError ? thrown.code : 'internal',
          'the gateway failed to answer; its log says why',
        );
  const status = STATUS_OF[error.code];
  const details = {
    ...(error.pointer === undefined ? {} : { pointer: error.pointer }),
    ...error.details,
  };
  return {
    status,
    headers: headersOf(error, status),
    body: {
      error: {
        code: error.code,
        message: error.message,
        ...(Object.keys(details).length === 0 ? {} : { details }),
      },
    },
  };
}
