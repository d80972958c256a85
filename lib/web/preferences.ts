import { FieldloomError } from '../core/errors.js';
import type { Request } from './route.js';

type Headers = Request['headers'];

const one = (headers: Headers, name: string): string | undefined => {
  const value = headers[name];
  return Array.isArray(value) ? value.join(', ') : value;
};

/** Longer than this no client is kept waiting, s. */
const LONGEST_WAIT_S = 60;

/**
 * Seconds of `Prefer: wait=15` (RFC 7240), at most 60; undefined where it is absent. A preference that makes no sense
 * is ignored, as the RFC wants it.
 */
export function preferredWait(headers: Headers): number | undefined {
  for (const preference of (one(headers, 'prefer') ?? '').split(/[,;]/)) {
    const seconds = /^\s*wait\s*=\s*"?(\d{1,9})"?\s*$/i.exec(preference)?.[1];
    if (seconds !== undefined) return Math.min(Number(seconds), LONGEST_WAIT_S);
  }
  return undefined;
}

/** `Idempotency-Key`; undefined where it is absent. @throws FieldloomError unprocessable */
export function idempotencyKey(headers: Headers): string | undefined {
  const key = one(headers, 'idempotency-key');
  if (key === undefined) return undefined;
  if (/^[\x21-\x7e]{1,255}$/.test(key)) return key;
  throw new FieldloomError(
    'unprocessable',
    'Idempotency-Key: accepted are 1 to 255 visible ASCII characters without spaces, such as a UUID',
  );
}
