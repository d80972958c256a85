import type { DeadLetter } from '../core/dead-letter.js';
import type { Refusal } from '../core/envelope.js';
import type { Tally } from './state.js';

/**
 * Dead letters of one message. Each holds the whole payload, so a message of a thousand bad machines could fill the
 * disk: past this many the last one speaks for the rest.
 */
const LETTERS_A_MESSAGE = 16;

/** The refusals of a message as dead letters with its bytes. */
export function refusedLetters(
  arrival: { topic: string; payload: Buffer; receivedAt: number },
  refusals: readonly Refusal[],
): DeadLetter[] {
  const { topic, payload, receivedAt } = arrival;
  const base = { protocol: 'laundry', topic, payload, receivedAt };
  const named = refusals.slice(0, LETTERS_A_MESSAGE).map((refusal) => ({ ...base, ...refusal }));
  const last = named.at(-1);
  const more = refusals.length - named.length;
  if (last !== undefined && more > 0) last.message += `; ${more} more machines of the message were refused`;
  return named;
}

/** What became of a message of which something could be read, for the history of messages. */
export function outcomeOf(tally: Tally, refusals: number): string {
  if (refusals > 0) return 'partly_refused';
  if (tally.changed + tally.renewed > 0) return 'accepted';
  if (tally.stale > 0) return 'stale';
  return tally.duplicate > 0 ? 'duplicate' : 'accepted';
}
