import type { DownloadOutcome } from './download.js';

/** Worth another try, beside every 5xx. */
const PASSING = [408, 425, 429];
/** A gateway that is starting may not know its paths yet; a file that is gone stays so. */
const TRIES_NOT_FOUND = 5;

const numberOf = (text: string | null) =>
  text !== null && /^\d{1,15}$/.test(text) ? Number(text) : undefined;

/** Seconds or a date (RFC 9110, 10.2.3); ms. */
function retryAfter(response: Response, now: number): number | undefined {
  const text = response.headers.get('retry-after');
  const seconds = numberOf(text);
  if (seconds !== undefined) return seconds * 1000;
  const at = Date.parse(text ?? '');
  return Number.isNaN(at) ? undefined : Math.max(0, at - now);
}

/** `bytes 5-9/10` of an answer. */
function contentRange(response: Response): { start: number; total: number | undefined } | undefined {
  const parts = /^bytes (\d{1,15})-\d{1,15}\/(\d{1,15}|\*)$/.exec(
    response.headers.get('content-range') ?? '',
  );
  return parts === null ? undefined : { start: Number(parts[1]), total: numberOf(parts[2] ?? null) };
}

/** Where the bytes of an accepted answer begin. */
export const startOf = (response: Response): number =>
  response.status === 206 ? (contentRange(response)?.start ?? 0) : 0;

/** What If-Range may name: a strong entity tag, else the time of the last change; null where there is neither. */
export function validatorOf(response: Response): string | null {
  const tag = response.headers.get('etag');
  return tag?.startsWith('"') ? tag : response.headers.get('last-modified');
}

/** An answer without a length ends with its connection: nobody can say whether it was whole. */
export const wasClosedEarly = (response: Response): boolean =>
  !response.headers.has('content-length') && !response.headers.has('transfer-encoding');

const refused = (error: string): DownloadOutcome => ({ outcome: 'refused', errors: [error] });

/**
 * Why the body of an answer is not wanted, or undefined.
 * @param have bytes that are here already: asked was for the rest
 * @param size bytes that the command says
 */
export function responseProblem(
  response: Response,
  have: number,
  size: number,
  now: number,
): DownloadOutcome | undefined {
  const { status, headers } = response;
  if (status === 416 && have > 0) {
    return { outcome: 'interrupted', reason: 'the server has no such range', progressed: false };
  }
  if (status >= 500 || PASSING.includes(status)) {
    const retryAfterMs = retryAfter(response, now);
    return {
      outcome: 'interrupted',
      reason: `the server answers ${status}`,
      progressed: false,
      ...(retryAfterMs !== undefined && { retryAfterMs }),
    };
  }
  if (status === 404) {
    return {
      outcome: 'interrupted',
      reason: 'the server answers 404',
      progressed: false,
      tries: TRIES_NOT_FOUND,
    };
  }
  if (status !== 200 && status !== 206) return refused(`the server answers ${status}`);
  const encoding = headers.get('content-encoding') ?? 'identity';
  if (encoding !== 'identity') return refused(`the server sends the file packed (${encoding})`);
  if (status === 206) {
    const range = contentRange(response);
    if (have === 0 || range === undefined || range.start !== have) {
      return refused('the server sends a part of the file that was not asked for');
    }
    return range.total === undefined || range.total === size ? undefined : wrongLength(range.total, size);
  }
  const length = numberOf(headers.get('content-length'));
  return length === undefined || length === size ? undefined : wrongLength(length, size);
}

const wrongLength = (found: number, size: number) =>
  refused(`the server's file has ${found} bytes: the command says ${size}`);
