import { FieldloomError } from '../core/errors.js';

/** contract.md "REST": lists answer 100 items, at most 1000. */
const DEFAULT_LIMIT = 100;
const MAX_LIMIT = 1000;

function refuse(name: string, value: string, accepted: string): never {
  throw new FieldloomError('invalid_input', `${name}=${value}: accepted is ${accepted}`, {
    details: { parameter: name },
  });
}

/** A query parameter; undefined where it is missing or empty. */
export function textParameter(query: URLSearchParams, name: string): string | undefined {
  const value = query.get(name);
  return value === null || value === '' ? undefined : value;
}

/** @throws FieldloomError invalid_input */
export function integerParameter(
  query: URLSearchParams,
  name: string,
  [low, high]: readonly [number, number],
): number | undefined {
  const value = textParameter(query, name);
  if (value === undefined) return undefined;
  const number = Number(value);
  if (!/^-?\d+$/.test(value) || number < low || number > high) {
    refuse(name, value, `a whole number from ${low} to ${high}`);
  }
  return number;
}

/** @throws FieldloomError invalid_input */
export function booleanParameter(query: URLSearchParams, name: string): boolean | undefined {
  const value = textParameter(query, name);
  if (value === undefined) return undefined;
  if (value === 'true' || value === '1') return true;
  if (value === 'false' || value === '0') return false;
  return refuse(name, value, 'true or false');
}

export function limitParameter(query: URLSearchParams): number {
  return integerParameter(query, 'limit', [1, MAX_LIMIT]) ?? DEFAULT_LIMIT;
}

/** An instant as epoch milliseconds. @throws FieldloomError invalid_input */
export function instantParameter(query: URLSearchParams, name: string): number | undefined {
  // A + of the offset that was not percent-encoded arrives as a space.
  const value = textParameter(query, name)?.replace(/ (?=\d\d:?\d\d$)/, '+');
  if (value === undefined) return undefined;
  const ms = /^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d))?$/i.test(value)
    ? Date.parse(value)
    : Number.NaN;
  if (Number.isNaN(ms)) refuse(name, value, 'an instant such as 2024-01-15T09:00:00Z');
  return ms;
}

/** A span of time whose ends may be left out. @throws FieldloomError invalid_input where it ends before it begins */
export function spanParameters(query: URLSearchParams): { from?: number; to?: number } {
  const from = instantParameter(query, 'from');
  const to = instantParameter(query, 'to');
  if (from !== undefined && to !== undefined && to < from) {
    refuse('to', query.get('to') ?? '', `an instant not before from=${query.get('from')}`);
  }
  return { ...(from !== undefined && { from }), ...(to !== undefined && { to }) };
}
