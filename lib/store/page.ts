import { FieldloomError } from '../core/errors.js';

export const DEFAULT_LIMIT = 100;
export const LARGEST_LIMIT = 1_000;

export interface PageRequest {
  /** 1 to 1,000, default 100. */
  limit?: number;
  /** `next_cursor` of the page before. */
  cursor?: string;
}

export interface Page<T> {
  items: T[];
  /** Null on the last page. */
  next_cursor: string | null;
}

/** @throws FieldloomError invalid_input */
export function pageLimit({ limit = DEFAULT_LIMIT }: PageRequest): number {
  if (Number.isInteger(limit) && limit >= 1 && limit <= LARGEST_LIMIT) return limit;
  throw new FieldloomError('invalid_input', `limit is ${limit}: accepted is 1 to ${LARGEST_LIMIT}`);
}

/**
 * A cursor is the key of the last row seen, not a number of rows: pages neither repeat nor skip a row when others
 * are written in between.
 */
export function writeCursor(key: readonly (string | number)[]): string {
  return Buffer.from(JSON.stringify(key)).toString('base64url');
}

/** @throws FieldloomError invalid_input */
export function readCursor<K extends readonly ('string' | 'number')[]>(
  cursor: string,
  ...types: K
): { [I in keyof K]: K[I] extends 'string' ? string : number } {
  let key: unknown;
  try {
    key = JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8'));
  } catch {
    key = undefined;
  }
  if (
    Array.isArray(key) &&
    key.length === types.length &&
    types.every((type, at) => typeof key[at] === type)
  ) {
    return key as never;
  }
  throw new FieldloomError('invalid_input', 'cursor is not one that a list has answered (next_cursor)');
}

/** Cuts what was read, one row more than `limit`, to a page. */
export function pageOf<R, T>(
  rows: R[],
  limit: number,
  itemOf: (row: R) => T,
  keyOf: (row: R) => (string | number)[],
): Page<T> {
  const last = rows[limit - 1];
  return {
    items: rows.slice(0, limit).map(itemOf),
    next_cursor: rows.length > limit && last !== undefined ? writeCursor(keyOf(last)) : null,
  };
}
