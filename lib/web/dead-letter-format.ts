import type { DeadLetter } from '../core/dead-letter.js';

/** A dead letter as REST names it (contract.md "REST"). */
export function formatDeadLetter(letter: DeadLetter & { id: string }) {
  return {
    id: letter.id,
    received_at: new Date(letter.receivedAt).toISOString(),
    protocol: letter.protocol,
    topic: letter.topic,
    code: letter.code,
    message: letter.message,
    ...(letter.pointer === undefined ? {} : { pointer: letter.pointer }),
    payload_base64: letter.payload.toString('base64'),
  };
}
