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

/** No bean temperature goes there and back within three readings. */
const IMPOSSIBLE_C = 10;

/**
 * Median of three on the readings as they come, with one reading of delay (roast.md "Signal"). Between two spikes the
 * median would be a spike: a reading that goes on from the last filtered one is kept where the median would leap.
 * @param longestGapMs readings further apart are not neighbours
 */
export function medianOfThree(longestGapMs: number): MedianOfThree {
  let before: Reading | null = null;
  let last: Reading | null = null;
  let filtered: number | null = null;

  function filter(a: number, b: number, c: number): number {
    const median = medianOf(a, b, c);
    if (filtered === null || Math.abs(median - filtered) <= IMPOSSIBLE_C) return median;
    return Math.abs(b - filtered) <= IMPOSSIBLE_C ? b : median;
  }

  return {
    add(reading) {
      if (last !== null && reading.timeMs - last.timeMs > longestGapMs) this.reset();
      if (before !== null && last !== null) filtered = filter(before.celsius, last.celsius, reading.celsius);
      const result = filtered === null || last === null ? null : { timeMs: last.timeMs, celsius: filtered };
      before = last;
      last = reading;
      return result;
    },
    reset() {
      before = last = filtered = null;
    },
  };
}
