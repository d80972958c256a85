import type { Reading } from './reading.js';

/** Readings that are looked at, at most: more of them tell no more, and each new one costs their square. */
const MOST = 40;

/**
 * The median of the slopes between all pairs of readings (Theil and Sen), °C/min: up to a quarter of the readings may
 * be anything. Null with fewer than four readings.
 * @param readings in the order of time, the newest last
 */
export function robustSlope(readings: readonly Reading[]): number | null {
  if (readings.length < 4) return null;
  const stride = Math.ceil(readings.length / MOST);
  const taken: Reading[] = [];
  for (let index = readings.length - 1; index >= 0; index -= stride) taken.push(readings[index] as Reading);
  const slopes = new Float64Array((taken.length * (taken.length - 1)) / 2);
  let count = 0;
  for (let late = 0; late < taken.length; late += 1) {
    const newer = taken[late] as Reading;
    for (let early = late + 1; early < taken.length; early += 1) {
      const older = taken[early] as Reading;
      slopes[count] = (newer.celsius - older.celsius) / (newer.timeMs - older.timeMs);
      count += 1;
    }
  }
  slopes.sort();
  const middle = count >> 1;
  const upper = slopes[middle] as number;
  const median = count % 2 === 1 ? upper : (upper + (slopes[middle - 1] as number)) / 2;
  return median * 60_000;
}
