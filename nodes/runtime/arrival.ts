import type { NodeMessage } from 'node-red';
import { FieldloomError } from '../../lib/core/errors.js';

/** What a message of a wire carries, as bytes. Node-RED's `mqtt in` makes an object of JSON by itself. */
function bytesOf(payload: unknown): Buffer {
  if (Buffer.isBuffer(payload)) return payload;
  if (typeof payload === 'string') return Buffer.from(payload);
  if (payload !== null && typeof payload === 'object') return Buffer.from(JSON.stringify(payload));
  throw new FieldloomError(
    'invalid_input',
    `msg.payload is ${payload === null ? 'null' : typeof payload}: accepted is a Buffer, a string or an object`,
  );
}

/**
 * A message of a wire, for example of an `mqtt in` node, as one that came over MQTT.
 * @throws FieldloomError invalid_input
 */
export function arrivalOf({ topic, payload, retain }: NodeMessage & Record<string, unknown>) {
  if (typeof topic !== 'string' || topic === '') {
    throw new FieldloomError('invalid_input', 'msg.topic is missing: accepted is the topic of the message');
  }
  return { topic, payload: bytesOf(payload), receivedAt: Date.now(), retain: retain === true };
}
