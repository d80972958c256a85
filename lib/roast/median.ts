import type { Reading } from './reading.js';

/** The middle one of three numbers. */
export function medianOf(a: number, b: number, c: number): number {
  return Math.max(Math.min(a, b), Math.min(Math.max(a, b), c));
}

export interface MedianOfThree {
  /**
   * Takes the next reading and gives the one before it, filtered by its two neighbours: no single spike passes. Null
   * for the first two readings and after a gap, for a reading without a neighbour on both sides cannot be judged.
   */
  add(reading: Reading): Reading | null;
  reset(): void;
}

/**
 * Median of three on the readings as they come, with one reading of delay (roast.md "Signal").
 * @param longestGapMs readings further apart are not neighbours
 */
export function medianOfThree(longestGapMs: number): MedianOfThree {
  let before: Reading | null = null;
  let last: Reading | null = null;
  return {
    add(reading) {
      if (last !== null && reading.timeMs - last.timeMs > longestGapMs) before = last = null;
      const filtered =
        before === null || last === null
          ? null
          : { timeMs: last.timeMs, celsius: medianOf(before.celsius, last.celsius, reading.celsius) };
      before = last;
      last = reading;
      return filtered;
    },
    reset() {
      before = last = null;
    },
  };
}
