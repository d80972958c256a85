import type { IncomingMessage } from 'node:http';
import { systemClock } from '../../lib/core/clock.js';
import { FieldloomError } from '../../lib/core/errors.js';
import { parseJson } from '../../lib/core/json.js';

/** contract.md "REST": larger bodies are refused with 413. */
export const MAX_BODY_BYTES = 1024 * 1024;

const tooLarge = (maxBytes: number) =>
  new FieldloomError('payload_too_large', `the body is too large: at most ${maxBytes} bytes are accepted`);

/** A body of a few bytes that takes longer is held back on purpose, ms. */
const DEADLINE_MS = 60_000;

function read(request: IncomingMessage, maxBytes: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    const late = systemClock.setTimer(() => request.destroy(), DEADLINE_MS);
    request.on('close', () => late.cancel());
    request.on('end', () => late.cancel());
    request.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size <= maxBytes) chunks.push(chunk);
      else {
        // The rest is read and dropped, so that the client gets to see the answer.
        chunks.length = 0;
        reject(tooLarge(maxBytes));
      }
    });
    request.on('end', () => resolve(Buffer.concat(chunks)));
    request.on('error', reject);
    request.on('aborted', () => reject(new FieldloomError('invalid_input', 'the body ended too early')));
  });
}

/** The text of the body, whatever its type. @throws FieldloomError payload_too_large */
export async function readBody(request: IncomingMessage, maxBytes = MAX_BODY_BYTES): Promise<Buffer> {
  if (Number(request.headers['content-length'] ?? 0) > maxBytes) {
    request.resume();
    throw tooLarge(maxBytes);
  }
  return read(request, maxBytes);
}

type ParsedRequest = IncomingMessage & { _body?: boolean; body?: unknown };

const isJson = (type: string) => type === 'application/json' || type.endsWith('+json');

const hasBody = ({ headers }: IncomingMessage) =>
  headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;

/** @throws FieldloomError unsupported_media_type */
function checkType(request: IncomingMessage, accepted: string, accepts: (type: string) => boolean): void {
  const type = request.headers['content-type']?.split(';')[0]?.trim().toLowerCase() ?? '';
  const refuse = (message: string) => {
    request.resume();
    return new FieldloomError('unsupported_media_type', message);
  };
  if (!accepts(type)) {
    throw refuse(`Content-Type ${type === '' ? 'is missing' : `is ${type}`}: accepted is ${accepted}`);
  }
  if (request.headers['content-encoding'] !== undefined) {
    throw refuse('Content-Encoding is not accepted: send the body as it is');
  }
}

/**
 * The body of a request as JSON; undefined where there is none.
 * @throws FieldloomError unsupported_media_type, payload_too_large, invalid_json, invalid_utf8, nesting_too_deep
 */
export async function readJsonBody(request: ParsedRequest, maxBytes = MAX_BODY_BYTES) {
  if (!hasBody(request)) return undefined;
  checkType(request, 'application/json', isJson);
  // Where the editor's own parser stands before us (both at the root of one server), it has read the body.
  if (request._body === true) return request.body;
  const bytes = await readBody(request, maxBytes);
  return bytes.length === 0 ? undefined : parseJson(bytes, { maxBytes, maxDepth: 64 });
}

/**
 * A file as the body: JSON where its type says so, anything else as its bytes; undefined where there is none.
 * @throws FieldloomError unsupported_media_type, payload_too_large, invalid_json, invalid_utf8, nesting_too_deep
 */
export async function readFileBody(request: ParsedRequest, maxBytes = MAX_BODY_BYTES) {
  if (!hasBody(request)) return undefined;
  let json = false;
  checkType(request, 'the type of a file', (type) => {
    json = isJson(type);
    return type !== '';
  });
  return json ? readJsonBody(request, maxBytes) : readBody(request, maxBytes);
}

/**
 * The fields of a form; of a name that is given twice the last. Empty where there is no body.
 * @throws FieldloomError unsupported_media_type, payload_too_large
 */
export async function readFormBody(
  request: ParsedRequest,
  maxBytes = MAX_BODY_BYTES,
): Promise<Record<string, string>> {
  if (!hasBody(request)) return {};
  const accepted = 'application/x-www-form-urlencoded';
  checkType(request, accepted, (type) => type === accepted);
  const fields =
    request._body === true
      ? Object.entries((request.body ?? {}) as object)
      : [...new URLSearchParams((await readBody(request, maxBytes)).toString())];
  return Object.fromEntries(
    fields.filter((field): field is [string, string] => typeof field[1] === 'string'),
  );
}
