import { FieldloomError } from '../../lib/core/errors.js';

/**
 * What a message of a wire carries, as bytes. Node-RED's `mqtt in` makes an object of JSON by itself.
 * @throws FieldloomError invalid_input
 */
export function bytesOf(payload: unknown): Buffer {
  if (Buffer.isBuffer(payload)) return payload;
  if (typeof payload === 'string') return Buffer.from(payload);
  if (payload !== null && typeof payload === 'object') return Buffer.from(JSON.stringify(payload));
  throw new FieldloomError(
    'invalid_input',
    `msg.payload is ${payload === null ? 'null' : typeof payload}: accepted is a Buffer, a string or an object`,
  );
}
