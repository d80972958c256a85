import type { Reading } from './reading.js';

/** The least-squares line through the readings of the last so many ms, kept up to date in O(1) a reading. */
export interface MovingFit {
  /** Takes a reading that is later than the one before. */
  add(reading: Reading): void;
  /** From the oldest reading in the window to the newest, ms. */
  readonly spanMs: number;
  /** °C/min; null with fewer than three readings. */
  slope(): number | null;
  reset(): void;
}

/**
 * Sums are kept relative to an origin within the window, and are formed anew from the readings each time the window has
 * been filled once more: so rounding cannot add up. That is O(1) a reading on average.
 * @param windowMs readings as old as this, counted from the newest, still belong to the window
 */
export function movingFit(windowMs: number): MovingFit {
  let readings: Reading[] = [];
  /** Index of the oldest reading of the window; those before it are dropped when the sums are formed anew. */
  let first = 0;
  let origin: Reading = { timeMs: 0, celsius: 0 };
  let sinceRenewed = 0;
  // x in windows, y in °C, both from the origin.
  let [n, sx, sy, sxx, sxy] = [0, 0, 0, 0, 0];

  function include({ timeMs, celsius }: Reading, sign: 1 | -1): void {
    const x = (timeMs - origin.timeMs) / windowMs;
    const y = celsius - origin.celsius;
    n += sign;
    sx += sign * x;
    sy += sign * y;
    sxx += sign * x * x;
    sxy += sign * x * y;
  }

  function renew(): void {
    readings = readings.slice(first);
    first = 0;
    sinceRenewed = 0;
    [n, sx, sy, sxx, sxy] = [0, 0, 0, 0, 0];
    origin = readings.at(-1) ?? origin;
    for (const reading of readings) include(reading, 1);
  }

  return {
    add(reading) {
      readings.push(reading);
      include(reading, 1);
      while ((readings[first] as Reading).timeMs < reading.timeMs - windowMs) {
        include(readings[first] as Reading, -1);
        first += 1;
      }
      sinceRenewed += 1;
      if (sinceRenewed >= n) renew();
    },
    get spanMs() {
      const newest = readings.at(-1);
      return newest === undefined ? 0 : newest.timeMs - (readings[first] as Reading).timeMs;
    },
    slope() {
      if (n < 3) return null;
      return ((n * sxy - sx * sy) / (n * sxx - sx * sx)) * (60_000 / windowMs);
    },
    reset() {
      readings = [];
      first = 0;
      renew();
    },
  };
}
