import type { Request } from './route.js';

/** What a GET of something that lies as bytes is answered with (RFC 9110, 13 and 14). */
export type Selected =
  | { status: 200 | 206; start: number; length: number; headers: Record<string, string> }
  | { status: 304; headers: Record<string, string> }
  | { status: 416; headers: Record<string, string> };

export interface Content {
  /** Bytes, above 0. */
  size: number;
  /** Strong entity tag, with its quotes. */
  etag: string;
  /** Epoch ms. */
  lastModified: number;
}

/** `bytes=5-`, `bytes=5-9`, `bytes=-4`. */
const ONE_RANGE = /^\s*bytes\s*=\s*(?:(\d{1,15})-(\d{1,15})?|-(\d{1,15}))\s*$/i;

/** First and last byte; `unsatisfiable`; undefined where the header is none that we follow. */
function rangeOf(header: string | undefined, size: number): [number, number] | 'unsatisfiable' | undefined {
  const parts = header === undefined ? null : ONE_RANGE.exec(header);
  // Several ranges, other units and nonsense may be answered whole.
  if (parts === null) return undefined;
  const [, first, last, suffix] = parts;
  if (suffix !== undefined) {
    return Number(suffix) === 0 ? 'unsatisfiable' : [Math.max(0, size - Number(suffix)), size - 1];
  }
  const start = Number(first);
  if (last !== undefined && Number(last) < start) return undefined;
  return start >= size ? 'unsatisfiable' : [start, Math.min(Number(last ?? size), size - 1)];
}

const wholeSeconds = (ms: number) => Math.floor(ms / 1000) * 1000;

function text(headers: Request['headers'], name: string): string | undefined {
  const value = headers[name];
  return typeof value === 'string' ? value : undefined;
}

function isUnchanged(headers: Request['headers'], { etag, lastModified }: Content): boolean {
  const tags = text(headers, 'if-none-match');
  if (tags !== undefined) {
    return tags.split(',').some((tag) => ['*', etag].includes(tag.trim().replace(/^W\//, '')));
  }
  return wholeSeconds(lastModified) <= Date.parse(text(headers, 'if-modified-since') ?? '');
}

/** Whether what the client has a part of is what we have. */
function isSame(condition: string | undefined, { etag, lastModified }: Content): boolean {
  if (condition === undefined) return true;
  const tag = condition.trim();
  return tag.includes('"') ? tag === etag : Date.parse(tag) === wholeSeconds(lastModified);
}

/** What of `content` a request asks for. */
export function selectBytes(headers: Request['headers'], content: Content): Selected {
  const { size, etag, lastModified } = content;
  const common = {
    ETag: etag,
    'Last-Modified': new Date(lastModified).toUTCString(),
    'Accept-Ranges': 'bytes',
  };
  if (isUnchanged(headers, content)) return { status: 304, headers: common };
  const range = isSame(text(headers, 'if-range'), content)
    ? rangeOf(text(headers, 'range'), size)
    : undefined;
  if (range === 'unsatisfiable') {
    return { status: 416, headers: { ...common, 'Content-Range': `bytes */${size}` } };
  }
  const [start, end] = range ?? [0, size - 1];
  const length = end - start + 1;
  return {
    status: range === undefined ? 200 : 206,
    start,
    length,
    headers: {
      ...common,
      'Content-Length': String(length),
      ...(range !== undefined && { 'Content-Range': `bytes ${start}-${end}/${size}` }),
    },
  };
}
