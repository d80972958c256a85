import type { IncomingMessage, ServerResponse } from 'node:http';
import { systemClock } from '../../lib/core/clock.js';
import { FieldloomError } from '../../lib/core/errors.js';
import type { AnswerStream } from '../../lib/web/route.js';

/** A client that sends or takes nothing for so long is given up: it must not hold files and places for ever. */
const IDLE_MS = 60_000;
/** How long what a refused client still sends is read and dropped, so that it gets to see the answer. */
const LINGER_MS = 5_000;

type RawRequest = IncomingMessage & { _body?: boolean };

/**
 * The body of a request as it comes; the sender is held back while nobody takes it.
 * @throws FieldloomError unsupported_media_type where the bytes are not the file itself
 */
export function bodyStream(request: RawRequest): AsyncIterable<Uint8Array> {
  const type = request.headers['content-type'] ?? '';
  const encoding = request.headers['content-encoding'] ?? 'identity';
  const refuse = (found: string) =>
    new FieldloomError('unsupported_media_type', `${found}: accepted is the file itself as the body`);
  if (/^\s*multipart\//i.test(type)) throw refuse(`Content-Type is ${type.split(';')[0]}`);
  if (encoding.trim().toLowerCase() !== 'identity') throw refuse(`Content-Encoding is ${encoding}`);
  // Where the editor's own parser stands before us (both at the root of one server), it has read the body.
  if (request._body === true) throw refuse(`Content-Type ${type} was read by another handler`);
  return pieces(request);
}

async function* pieces(request: RawRequest): AsyncGenerator<Uint8Array> {
  const idle = () => request.destroy(new Error('the client sent nothing for a minute'));
  // Left open by whoever stops half-way: the refusal still has to go out on the same connection.
  const source = request.iterator({ destroyOnReturn: false })[Symbol.asyncIterator]();
  try {
    for (;;) {
      const timer = systemClock.setTimer(idle, IDLE_MS);
      const next = await source.next().finally(() => timer.cancel());
      if (next.done === true) return;
      yield next.value as Uint8Array;
    }
  } catch (error) {
    throw new FieldloomError('invalid_input', 'the body ended too early', { cause: error });
  } finally {
    await source.return?.();
  }
}

/**
 * Drops what a client still sends after its request was answered, for a few seconds; then the connection is ended.
 * (Ended at once, the client's system would throw the answer away unread.)
 */
export function dropBody(request: IncomingMessage): void {
  if (request.complete) return;
  const timer = systemClock.setTimer(() => request.destroy(), LINGER_MS);
  for (const over of ['end', 'close']) request.once(over, () => timer.cancel());
  request.on('error', () => {}); // it may well go away
  request.resume();
}

/** Sends the body of an answer whose head has been set, and closes it however that ends. */
export async function sendStream(
  response: ServerResponse,
  stream: AnswerStream,
  withBody: boolean,
): Promise<void> {
  try {
    if (withBody) await stream.send((piece) => write(response, piece));
    response.end();
  } catch {
    // The head has told the length: a body that ends before it is how the client sees the failure.
    response.destroy();
  } finally {
    await stream.close();
  }
}

function write(response: ServerResponse, piece: Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    const gone = () => over(new Error('the client went away'));
    // A client that takes nothing is cut off, not waited for.
    const timer = systemClock.setTimer(() => response.destroy(), IDLE_MS);
    response.once('close', gone);
    function over(error?: Error | null) {
      timer.cancel();
      response.off('close', gone);
      if (error) reject(error);
      else resolve();
    }
    if (response.destroyed) gone();
    else response.write(piece, over);
  });
}
