import { parseInstant } from '../core/instant.js';

/** Epoch seconds have ten digits until the year 2286; what has more are milliseconds. */
const MILLISECONDS_FROM = 1e11;

/**
 * A time as devices write it: ISO 8601 with its offset, or epoch seconds or milliseconds as a number.
 * @returns epoch milliseconds UTC; undefined where it is none
 */
export function readInstant(value: string | number): number | undefined {
  if (typeof value === 'string') return parseInstant(value);
  if (!Number.isFinite(value) || value < 0) return undefined;
  const ms = Math.round(value < MILLISECONDS_FROM ? value * 1000 : value);
  return ms <= LATEST ? ms : undefined;
}

/** The last instant that a Date can hold. */
const LATEST = 8.64e15;
