/** What a bad network does to messages; shares are from 0 to 1. */
export interface LinkFaults {
  /** Share of messages that never arrive. */
  drop: number;
  /** Share of those that arrive which arrive twice. */
  repeat: number;
  /** Share that arrives late, each by a time between these, ms. */
  delay: number;
  minDelayMs: number;
  maxDelayMs: number;
  /** Share that is held back until the message behind it has gone. */
  reorder: number;
}

export const NO_FAULTS: LinkFaults = {
  drop: 0,
  repeat: 0,
  delay: 0,
  minDelayMs: 0,
  maxDelayMs: 0,
  reorder: 0,
};

/** What becomes of one message. */
export interface Fate {
  dropped: boolean;
  /** Delays of its copies, ms; empty where it is dropped. */
  delaysMs: readonly number[];
  /** It goes after the next message. */
  heldBack: boolean;
}

/**
 * Numbers from 0 to below 1, the same ones for the same seed (mulberry32: a counter of 32 bits, mixed). Good enough for
 * tests, and for nothing secret.
 */
export function seededRandom(seed: number): () => number {
  let counter = seed | 0;
  return () => {
    counter = (counter + 0x6d2b79f5) | 0;
    let mixed = Math.imul(counter ^ (counter >>> 15), counter | 1);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/**
 * Decides what becomes of the next message. It takes the same count of random numbers for each, so that a share that is
 * changed does not change what becomes of the others' dice.
 */
export function decideFate(faults: LinkFaults, random: () => number): Fate {
  const dropped = random() < faults.drop;
  const repeated = random() < faults.repeat;
  const heldBack = random() < faults.reorder;
  const delays = [0, 1].map(() => {
    const late = random() < faults.delay;
    const ms = faults.minDelayMs + random() * (faults.maxDelayMs - faults.minDelayMs);
    return late ? Math.round(ms) : 0;
  });
  if (dropped) return { dropped, delaysMs: [], heldBack: false };
  return { dropped, delaysMs: delays.slice(0, repeated ? 2 : 1), heldBack };
}
