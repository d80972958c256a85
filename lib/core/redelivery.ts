import { createHash } from 'node:crypto';
import type { DeadLetter } from './dead-letter.js';

/** Bytes that a resumed connection brought, told apart by digest: enough for one window of messages. */
const REMEMBERED = 65_535;

/** What tells one message from another: where it came, its bytes, and which part of it. */
export type Comparable = Pick<DeadLetter, 'topic' | 'payload' | 'pointer'>;

export interface EarlierLetters {
  /**
   * Dead letters with the same topic, payload and pointer that were received before the instant `before` (epoch ms),
   * counted back one minute from the newest of them.
   */
  countEarlier(letter: Comparable, before: number): Promise<number>;
}

/** SHA-256 of a payload in hex: what tells one dead letter's bytes from another's. */
export function payloadDigest(payload: Buffer): string {
  return createHash('sha256').update(payload).digest('hex');
}

/**
 * Tells a refused message that is sent again after a lost connection from one that is new (ingest.md "Same message
 * twice"). A refused payload has no identity of its own, so on a resumed connection the n-th message of the same bytes
 * is taken for a repetition while n such dead letters are there from before it.
 * @param patiently reads again until it can be read: else a store that is away costs the sender its connection
 * @returns true where the letter is one that is kept already
 */
export function createRedelivery(
  store: EarlierLetters,
  patiently: <T>(read: () => Promise<T>) => Promise<T> = (read) => read(),
): (letter: Comparable, resumedAt: number) => Promise<boolean> {
  const seen = new Map<string, number>();
  return async (letter, resumedAt) => {
    const key = `${resumedAt} ${letter.pointer ?? ''} ${letter.topic} ${payloadDigest(letter.payload)}`;
    // Counted before the first wait: two of the same bytes may be under way at once.
    const before = seen.get(key) ?? 0;
    seen.delete(key);
    seen.set(key, before + 1);
    if (seen.size > REMEMBERED) seen.delete(seen.keys().next().value as string);
    return before < (await patiently(() => store.countEarlier(letter, resumedAt)));
  };
}
