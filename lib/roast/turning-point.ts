import { withoutSpikes } from './break.js';
import type { Reading } from './reading.js';

/**
 * The turning point: the latest minimum after CHARGE (roast.md "Events").
 *
 * | reading                                          | does                                              |
 * | ------------------------------------------------ | ------------------------------------------------- |
 * | at or below the lowest since CHARGE              | is the new lowest; nothing is known yet           |
 * | above it by the rise, for the second time in row | the lowest is the turning point, if it is more    |
 * |                                                  | than 20 s after CHARGE and 6 s old; in noise that |
 * |                                                  | of the curve, once it is 15 s old                 |
 * | at or below a turning point already told         | as the first row: its successor will supersede it |
 *
 * The lowest counts from CHARGE on: where the temperature rises at once, as in an air roaster, its lowest is at
 * CHARGE, no later reading is below it, and no turning point is invented.
 */
export interface TurningPointSearch {
  readonly chargeMs: number;
  readonly lowest: Reading | null;
  /** The lowest has been told. */
  readonly told: boolean;
  /** Readings in row that are above the lowest by the rise. */
  readonly risen: number;
  /** Time of the last reading that has been looked at. */
  readonly seenMs: number;
}

/** A turning point is later than this after CHARGE. */
const EARLIEST_MS = 20_000;
/** Where nothing has fallen below the first 20 s by then, no turning point comes any more. */
const NONE_AFTER_MS = 120_000;
/** A heavy drum with a slow probe may fall for longer, but not longer than this. */
const LATEST_MS = 300_000;
/** How old the lowest must be before it is told. */
const AGE_MS = 6_000;

/** Where the readings are quiet a rise by their uncertainty is enough: it must last, and a wrong one is superseded. */
const LEAST_RISE_C = 0.1;
/** In noise, and from a probe that gives whole degrees, it takes a rise of 1 °C. */
const UNCERTAIN_RISE_C = 1;

/** How far off both neighbours, and to the same side, a reading is a spike, °C; more in noise. */
const SPIKE_C = 1;
const SPIKE_SIGNIFICANT = 5;

/** With readings less certain than this, °C, the lowest of them is a matter of luck and a parabola finds it better. */
const UNCERTAIN_C = 0.2;
/** It is fitted to the bottom alone, for further up a curve that falls fast and rises slowly is none: so high, °C, */
const ARC_C = 1.5;
/** and so far from the middle at most. */
const LONGEST_MS = 30_000;
/** So much of the rise is waited for. */
const AFTER_MS = 15_000;
export function searchFrom(chargeMs: number): TurningPointSearch {
  return { chargeMs, lowest: null, told: false, risen: 0, seenMs: chargeMs - 1 };
}

/** Nothing is below the first 20 s after CHARGE: no turning point is to be waited for. */
export function airRoast({ chargeMs, lowest }: TurningPointSearch, nowMs: number): boolean {
  return lowest !== null && lowest.timeMs - chargeMs <= EARLIEST_MS && nowMs - chargeMs > EARLIEST_MS;
}

/**
 * Goes on with what has been read since. A reading counts once the next one has come.
 * @param readings of the last minutes, in the order of time
 * @param noiseC standard deviation of single readings, °C
 * @returns the search as it goes on, and the turning point where one has become known
 */
export function follow(
  search: TurningPointSearch,
  readings: readonly Reading[],
  noiseC: number,
): { search: TurningPointSearch; found: Reading | null } {
  let next = search;
  let found: Reading | null = null;
  const uncertainty = Math.max(noiseC, stepOf(readings) / Math.sqrt(12));
  const first = readings.findIndex(({ timeMs }) => timeMs > search.seenMs);
  for (let index = first; index >= 0 && index + 1 < readings.length; index += 1) {
    const reading = readings[index] as Reading;
    const before = readings[index - 1];
    if (before === undefined || !isSpike(before, reading, readings[index + 1] as Reading, noiseC)) {
      const step = take(next, reading, uncertainty);
      next = step.search;
      found = step.found ?? found;
    }
    next = { ...next, seenMs: reading.timeMs };
  }
  if (found === null || uncertainty < UNCERTAIN_C) return { search: next, found };
  const lowest = lowestOfCurve(readings, found, uncertainty);
  const now = (readings.at(-1) as Reading).timeMs;
  if (now - lowest.timeMs >= AFTER_MS) return { search: next, found: lowest };
  return { search: { ...next, told: false }, found: null };
}

function take(
  search: TurningPointSearch,
  reading: Reading,
  uncertainty: number,
): { search: TurningPointSearch; found: Reading | null } {
  const { chargeMs, lowest, told } = search;
  const since = reading.timeMs - chargeMs;
  if (lowest === null || reading.celsius <= lowest.celsius) {
    const candidate = lowest !== null && lowest.timeMs - chargeMs > EARLIEST_MS;
    if (since > (candidate ? LATEST_MS : NONE_AFTER_MS)) return { search, found: null };
    return { search: { ...search, lowest: reading, told: false, risen: 0 }, found: null };
  }
  if (told) return { search, found: null };
  const rise = uncertainty >= UNCERTAIN_C ? UNCERTAIN_RISE_C : Math.max(LEAST_RISE_C, uncertainty);
  const risen = reading.celsius >= lowest.celsius + rise ? search.risen + 1 : 0;
  const known =
    risen >= 2 && reading.timeMs - lowest.timeMs >= AGE_MS && lowest.timeMs - chargeMs > EARLIEST_MS;
  return { search: { ...search, risen, told: known }, found: known ? lowest : null };
}

function isSpike(before: Reading, reading: Reading, after: Reading, noiseC: number): boolean {
  const off = Math.max(SPIKE_C, SPIKE_SIGNIFICANT * noiseC);
  const fromBefore = reading.celsius - before.celsius;
  const fromAfter = reading.celsius - after.celsius;
  return fromBefore * fromAfter > 0 && Math.min(Math.abs(fromBefore), Math.abs(fromAfter)) > off;
}

/** The smallest step between readings that follow each other, °C: that of a probe that gives whole degrees is 1. */
function stepOf(readings: readonly Reading[]): number {
  let least = Infinity;
  for (let index = 1; index < readings.length; index += 1) {
    const step = Math.abs((readings[index] as Reading).celsius - (readings[index - 1] as Reading).celsius);
    if (step > 0.001 && step < least) least = step;
  }
  return Number.isFinite(least) ? least : 0;
}

/**
 * Lowest point of the parabola through the bottom of the curve; `lowest` where there is none near.
 * @param lowest the lowest reading
 * @param uncertainty of single readings, °C
 */
export function lowestOfCurve(readings: readonly Reading[], lowest: Reading, uncertainty: number): Reading {
  const filtered = withoutSpikes(readings);
  const low = filtered.filter(
    ({ timeMs, celsius }) =>
      Math.abs(timeMs - lowest.timeMs) <= LONGEST_MS && celsius <= lowest.celsius + 2 * uncertainty,
  );
  const centre = [lowest, ...low].reduce((sum, { timeMs }) => sum + timeMs, 0) / (low.length + 1);
  const bottom = bottomAround(filtered, centre, lowest.celsius + ARC_C + 2 * uncertainty);
  const fitted = parabola(bottom, { timeMs: centre, celsius: lowest.celsius });
  return fitted === null || Math.abs(fitted.timeMs - centre) > LONGEST_MS ? lowest : fitted;
}

/** The readings to either side of `centre` until two in row are above `limitC`. */
function bottomAround(readings: readonly Reading[], centre: number, limitC: number): Reading[] {
  const near = readings.filter(({ timeMs }) => Math.abs(timeMs - centre) <= LONGEST_MS);
  const isHigh = (index: number) =>
    index >= 0 &&
    index + 1 < near.length &&
    near.slice(index, index + 2).every(({ celsius }) => celsius > limitC);
  const middle = near.findIndex(({ timeMs }) => timeMs >= centre);
  let first = middle;
  while (first > 0 && !isHigh(first - 1)) first -= 1;
  let end = middle + 1;
  while (end < near.length && !isHigh(end - 1)) end += 1;
  return near.slice(first, end);
}

function parabola(readings: readonly Reading[], around: Reading): Reading | null {
  const n = readings.length;
  if (n < 5) return null;
  const x = readings.map(({ timeMs }) => (timeMs - around.timeMs) / LONGEST_MS);
  const y = readings.map(({ celsius }) => celsius - around.celsius);
  const mean = (values: number[]) => values.reduce((sum, value) => sum + value, 0) / n;
  const centre = mean(x);
  const u = x.map((value) => value - centre);
  const level = mean(y);
  const m2 = mean(u.map((v) => v * v));
  const m3 = mean(u.map((v) => v ** 3));
  const m4 = mean(u.map((v) => v ** 4));
  const c1 = mean(u.map((v, index) => v * ((y[index] as number) - level)));
  const c2 = mean(u.map((v, index) => v * v * ((y[index] as number) - level)));
  const leading = (c2 - (m3 * c1) / m2) / (m4 - (m3 * m3) / m2 - m2 * m2);
  if (!(leading > 0)) return null;
  const slope = (c1 - leading * m3) / m2;
  const lowest = -slope / (2 * leading);
  return {
    timeMs: around.timeMs + (lowest + centre) * LONGEST_MS,
    celsius: around.celsius + level - leading * (lowest * lowest + m2),
  };
}
