import { gunzip, inflate } from 'node:zlib';
import { FieldloomError } from '../core/errors.js';

/** Bytes that a compressed payload may have unpacked (protocols.md "Laundry"). */
export const UNPACKED_BYTES = 1024 * 1024;

/** Payloads unpacked at once: past it they wait, so that many bombs at once cost no more memory than four. */
const AT_ONCE = 4;

type Unpacker = typeof gunzip;

/** Gzip begins with 1f 8b; zlib with 78 and a checksum over two bytes. Raw deflate has no mark of its own. */
function unpackerOf(payload: Buffer): Unpacker | undefined {
  const [first, second] = payload;
  if (first === 0x1f && second === 0x8b) return gunzip;
  if (first === 0x78 && second !== undefined && (first * 256 + second) % 31 === 0) return inflate;
  return undefined;
}

/** True where the first bytes say gzip or zlib; no JSON text begins so. */
export function isPacked(payload: Buffer): boolean {
  return unpackerOf(payload) !== undefined;
}

let running = 0;
const waiting: (() => void)[] = [];

function next(): void {
  running -= 1;
  waiting.shift()?.();
}

/**
 * The content of a packed payload.
 * @throws FieldloomError payload_too_large where it would have more than 1 MiB: unpacking stops there, however much
 *   is still to come; decompression_failed where it is damaged
 */
export function unpack(payload: Buffer): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const run = () => {
      running += 1;
      const unpacker = unpackerOf(payload) ?? gunzip;
      unpacker(payload, { maxOutputLength: UNPACKED_BYTES }, (error, content) => {
        next();
        if (error === null) resolve(content);
        else reject(refusalOf(error));
      });
    };
    if (running < AT_ONCE) run();
    else waiting.push(run);
  });
}

function refusalOf(error: NodeJS.ErrnoException): FieldloomError {
  if (error.code === 'ERR_BUFFER_TOO_LARGE') {
    return new FieldloomError(
      'payload_too_large',
      `payload has more than ${UNPACKED_BYTES} bytes when unpacked; at most ${UNPACKED_BYTES} are accepted`,
      { cause: error },
    );
  }
  return new FieldloomError('decompression_failed', `payload cannot be unpacked: ${error.message}`, {
    cause: error,
  });
}
