import { constants } from 'node:fs';
import { type FileHandle, open, readFile, rename, writeFile } from 'node:fs/promises';
import type { Clock } from '../core/clock.js';
import { asError } from '../core/errors.js';
import { urlProblem } from './agent-judge.js';
import type { Interruption } from './agent-ports.js';
import { responseProblem, startOf, validatorOf, wasClosedEarly } from './download-response.js';
import { writeWhole } from './write-whole.js';

export interface DownloadRequest {
  url: string;
  /** Bytes that the file must have. */
  size: number;
  /** Where it grows; what is known of it lies beside it, in `<path>.json`. */
  path: string;
  /** As in AgentTerms: redirects obey it too. */
  allowedHosts: readonly string[];
  signal: AbortSignal;
  clock: Clock;
  /** The connection is given up where nothing comes for so long, ms. */
  idleMs: number;
  onProgress(bytes: number): void;
}

export type DownloadOutcome =
  /** `pieced`: more than one answer went into the file. */
  { outcome: 'complete'; pieced: boolean } | Interruption | { outcome: 'refused'; errors: string[] };

/** What lies beside a file that grows. */
interface Grown {
  /** For If-Range; null where the server gave none that is good for it. */
  validator: string | null;
  /** Answers that went into it. */
  pieces: number;
}

const MOST_REDIRECTS = 5;

/** What the disk says where no further try helps. */
const HOPELESS = ['ENOSPC', 'EDQUOT', 'EROFS', 'EACCES', 'EPERM', 'EFBIG', 'EISDIR', 'ENOTDIR'];

/** What has been decided of an answer is thrown to where the connection is closed. */
class Decided extends Error {
  constructor(readonly outcome: DownloadOutcome) {
    super('decided');
  }
}

const refused = (error: string) => new Decided({ outcome: 'refused', errors: [error] });

/** Where a file has come so far. */
async function readGrown(path: string): Promise<Grown> {
  try {
    const { validator, pieces } = JSON.parse(await readFile(`${path}.json`, 'utf8')) as Grown;
    return { validator, pieces };
  } catch {
    return { validator: null, pieces: 0 };
  }
}

/** At once or not at all: half of it would be worth nothing. */
async function writeGrown(path: string, grown: Grown): Promise<void> {
  await writeFile(`${path}.json.new`, JSON.stringify(grown));
  await rename(`${path}.json.new`, `${path}.json`);
}

/**
 * One try to bring a file here, or the rest of it: what an earlier one has brought is asked for no more (Range, with
 * If-Range where the server tells versions apart). A server that does not follow begins anew. Never rejects.
 */
export async function download(request: DownloadRequest): Promise<DownloadOutcome> {
  const { path, size } = request;
  let handle: FileHandle | undefined;
  let progressed = false;
  try {
    // Not `a`: where the server begins anew, so does the file.
    handle = await open(path, constants.O_RDWR | constants.O_CREAT, 0o600);
    let { size: have } = await handle.stat();
    const grown = await readGrown(path);
    if (have > size || grown.pieces === 0) {
      await handle.truncate(0);
      have = 0;
    }
    if (have < size) {
      const file = handle;
      const result = await transfer(request, file, have, grown, () => {
        progressed = true;
      });
      grown.pieces = result.pieces;
    }
    await handle.sync();
    return { outcome: 'complete', pieced: grown.pieces > 1 };
  } catch (error) {
    if (error instanceof Decided) return error.outcome;
    const { code } = error as NodeJS.ErrnoException;
    if (code !== undefined && HOPELESS.includes(code)) {
      return { outcome: 'refused', errors: [`the file cannot be written: ${asError(error).message}`] };
    }
    const cause = (error as Error).cause;
    const reason = asError(cause instanceof Error ? cause : error).message;
    return { outcome: 'interrupted', reason, progressed };
  } finally {
    await handle?.close();
  }
}

async function transfer(
  { url, size, path, allowedHosts, signal, clock, idleMs, onProgress }: DownloadRequest,
  handle: FileHandle,
  have: number,
  grown: Grown,
  progressed: () => void,
): Promise<{ pieces: number }> {
  const silence = new AbortController();
  const ended = AbortSignal.any([signal, silence.signal]);
  const idle = () => silence.abort(new Error(`nothing came for ${Math.round(idleMs / 1000)} s`));
  /** No step of the exchange may take longer than the idle time. */
  async function step<T>(promise: Promise<T>): Promise<T> {
    const timer = clock.setTimer(idle, idleMs);
    try {
      return await promise;
    } finally {
      timer.cancel();
    }
  }

  const headers: Record<string, string> = { 'Accept-Encoding': 'identity' };
  if (have > 0) {
    headers['Range'] = `bytes=${have}-`;
    if (grown.validator !== null) headers['If-Range'] = grown.validator;
  }
  const response = await follow(url, allowedHosts, headers, ended, step);
  try {
    const problem = responseProblem(response, have, size, clock.now());
    if (problem !== undefined) {
      // The part that is here is none of the server's file: the next try begins anew.
      if (response.status === 416) await handle.truncate(0);
      throw new Decided(problem);
    }
    let position = startOf(response);
    const pieces = position === 0 ? 1 : grown.pieces + 1;
    if (position === 0) await handle.truncate(0);
    // Before the first byte: a restart must know what the bytes on the disk are of.
    await writeGrown(path, { validator: position === 0 ? validatorOf(response) : grown.validator, pieces });
    onProgress(position);

    const reader = (response.body as ReadableStream<Uint8Array>).getReader();
    for (;;) {
      const { done, value } = await step(reader.read());
      if (done) break;
      if (position + value.length > size) {
        throw refused(`the server sends more than ${size} bytes, which the command says`);
      }
      await writeWhole(handle, value, position);
      position += value.length;
      progressed();
      onProgress(position);
    }
    if (position < size) {
      if (wasClosedEarly(response)) throw new Error(`the connection was closed after ${position} bytes`);
      throw refused(`the file has ${position} bytes: the command says ${size}`);
    }
    return { pieces };
  } catch (error) {
    // What stopped it says more than that it was stopped.
    throw silence.signal.aborted ? silence.signal.reason : error;
  } finally {
    // Whatever is left of the answer is not wanted; nothing of it is to hold the connection.
    silence.abort();
    await response.body?.cancel().catch(() => {});
  }
}

/** Asks, and goes where it is sent on to. @throws Decided for a place that is not allowed */
async function follow(
  first: string,
  allowedHosts: readonly string[],
  headers: Record<string, string>,
  signal: AbortSignal,
  step: <T>(promise: Promise<T>) => Promise<T>,
): Promise<Response> {
  let url = first;
  for (let hop = 0; ; hop += 1) {
    const problem = urlProblem(url, allowedHosts);
    if (problem !== undefined) throw refused(hop === 0 ? problem : `after a redirect ${problem}`);
    const response = await step(fetch(url, { headers, signal, redirect: 'manual' }));
    const location = response.headers.get('location');
    if (![301, 302, 303, 307, 308].includes(response.status) || location === null) return response;
    await response.body?.cancel();
    if (hop === MOST_REDIRECTS) throw refused(`the server redirects more than ${MOST_REDIRECTS} times`);
    const next = URL.canParse(location, url) ? new URL(location, url).href : location;
    if (url.startsWith('https:') && next.startsWith('http:')) {
      throw refused('the server redirects from https to http: accepted is https');
    }
    url = next;
  }
}
