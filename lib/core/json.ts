import { isUtf8 } from 'node:buffer';
import { FieldloomError } from './errors.js';

export interface JsonLimits {
  /** Bytes; ingest.md "Bad input". */
  maxBytes: number;
  maxDepth: number;
}

export const MESSAGE_LIMITS: JsonLimits = { maxBytes: 256 * 1024, maxDepth: 64 };

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const isOpening = (byte: number) => byte === 0x7b || byte === 0x5b;
const isClosing = (byte: number) => byte === 0x7d || byte === 0x5d;

/** What decoding puts where bytes are no UTF-8; a text may also have it by itself. */
const REPLACEMENT = '\ufffd';

/** A text with no more brackets than that cannot be nested deeper: quick to tell, and true of nearly all. */
function hasMoreBrackets(text: string, than: number): boolean {
  let count = 0;
  for (const opening of ['{', '[']) {
    for (let at = text.indexOf(opening); at >= 0; at = text.indexOf(opening, at + 1)) {
      count += 1;
      if (count > than) return true;
    }
  }
  return false;
}

/** Depth of brackets outside of strings: known before anything is built from the text. */
function nesting(bytes: Uint8Array): number {
  let depth = 0;
  let deepest = 0;
  let inString = false;
  for (let index = 0; index < bytes.length; index += 1) {
    const byte = bytes[index] as number;
    if (inString) {
      if (byte === BACKSLASH) index += 1;
      else if (byte === QUOTE) inString = false;
    } else if (byte === QUOTE) inString = true;
    else if (isOpening(byte)) {
      depth += 1;
      if (depth > deepest) deepest = depth;
    } else if (isClosing(byte)) depth -= 1;
  }
  return deepest;
}

/**
 * Parses the bytes of a message from outside.
 * @throws FieldloomError payload_too_large, invalid_utf8, nesting_too_deep or invalid_json
 */
export function parseJson(bytes: Buffer, limits: JsonLimits = MESSAGE_LIMITS): unknown {
  if (bytes.length > limits.maxBytes) {
    throw new FieldloomError(
      'payload_too_large',
      `payload has ${bytes.length} bytes; at most ${limits.maxBytes} are accepted`,
    );
  }
  const text = bytes.toString('utf8');
  if (text.includes(REPLACEMENT) && !isUtf8(bytes)) {
    throw new FieldloomError('invalid_utf8', 'payload is not UTF-8');
  }
  if (hasMoreBrackets(text, limits.maxDepth) && nesting(bytes) > limits.maxDepth) {
    throw new FieldloomError(
      'nesting_too_deep',
      `payload is nested more than ${limits.maxDepth} levels deep`,
    );
  }
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new FieldloomError('invalid_json', `payload is not JSON: ${(error as Error).message}`, {
      cause: error,
    });
  }
}
