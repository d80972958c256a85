import { medianOf } from './median.js';
import type { Reading } from './reading.js';

/**
 * Where a temperature breaks downwards: two lines that meet, the second falling. The same figure a person draws by eye
 * at CHARGE and DROP, and what the break of a recording is measured by.
 */
export interface Break {
  readonly timeMs: number;
  /** Level at the break, °C. */
  readonly celsius: number;
  /** Slopes of the two lines, °C/min. */
  readonly before: number;
  readonly after: number;
}

/** What a fall must have been to be told from a wobble. */
export interface FallRule {
  /** How far below the break the newest reading must be, °C. */
  readonly depthC: number;
  /** How fast the second line must fall, and by how much its slope must have changed, °C/min. */
  readonly rate: number;
  /** How long ago the break may be, ms. */
  readonly reachMs: number;
  /** How long every reading must have been below the break, ms: a disturbed probe recovers sooner. */
  readonly lastsMs: number;
}

/** The first line is fitted over at least this much. */
const BEFORE_MS = 15_000;
/** Less of it says nothing of how it was before. */
const SHORTEST_BEFORE_MS = 4_000;
/** A fall must stand out from the noise by this many standard deviations. */
const SIGNIFICANT = 5;
/** A reading is below the break where this share of the fall has been gone through. */
const BEGUN = 0.1;
/** Newest reading: how much faster than the last step the next may be before it is taken for a spike. */
const ACCELERATION = 2;

/**
 * Readings without single spikes, as long as what went in: a median of three within, and the newest no further away
 * than twice the last step leads, so that it counts at once where it goes on with a fall.
 */
export function withoutSpikes(readings: readonly Reading[]): Reading[] {
  const filtered = readings.map((reading, index) => {
    const before = readings[index - 1];
    const after = readings[index + 1];
    if (before === undefined || after === undefined) return reading;
    return { timeMs: reading.timeMs, celsius: medianOf(before.celsius, reading.celsius, after.celsius) };
  });
  const newest = filtered.at(-1);
  const last = filtered.at(-2);
  const third = filtered.at(-3);
  if (newest === undefined || last === undefined || third === undefined) return filtered;
  const slope = (last.celsius - third.celsius) / (last.timeMs - third.timeMs);
  const led = last.celsius + ACCELERATION * slope * (newest.timeMs - last.timeMs);
  filtered[filtered.length - 1] = {
    timeMs: newest.timeMs,
    celsius: medianOf(last.celsius, newest.celsius, led),
  };
  return filtered;
}

/**
 * Standard deviation of the noise of single readings, °C: from how far each is from the line between its neighbours.
 * The median of these, so that neither bends nor spikes count. 0 where there are too few to tell.
 */
export function noiseOf(readings: readonly Reading[]): number {
  if (readings.length < 8) return 0;
  const deviations: number[] = [];
  for (let index = 1; index + 1 < readings.length; index += 1) {
    const a = readings[index - 1] as Reading;
    const b = readings[index] as Reading;
    const c = readings[index + 1] as Reading;
    const share = (b.timeMs - a.timeMs) / (c.timeMs - a.timeMs);
    const line = a.celsius + share * (c.celsius - a.celsius);
    // Variance of b and of the two ends, which are weighted by their nearness.
    deviations.push(Math.abs(b.celsius - line) / Math.sqrt(1 + share * share + (1 - share) * (1 - share)));
  }
  deviations.sort((a, b) => a - b);
  return (deviations[Math.floor(deviations.length / 2)] as number) / 0.6745;
}

/** Two lines that meet, and how far the readings are from them. */
interface TwoLines {
  readonly level: number;
  readonly before: number;
  readonly after: number;
  readonly error: number;
}

/**
 * Fits y = level + before·min(x, 0) + after·max(x, 0) by least squares, x in minutes from the break, for any break: what
 * every fit needs is summed up once.
 * @returns the fit of a break at `breakMs`, of which the reading at `split` is the first not before it
 */
function twoLinesThrough(readings: readonly Reading[]): (breakMs: number, split: number) => TwoLines {
  const { timeMs: begin, celsius: base } = readings[0] as Reading;
  // Sums of the first so many readings: of x, x², y, xy; y² of all.
  const count = readings.length;
  const [x1, x2, y1, xy] = [0, 0, 0, 0].map(() => new Float64Array(count + 1)) as [
    Float64Array,
    Float64Array,
    Float64Array,
    Float64Array,
  ];
  let yy = 0;
  readings.forEach(({ timeMs, celsius }, index) => {
    const x = (timeMs - begin) / 60_000;
    const y = celsius - base;
    x1[index + 1] = (x1[index] as number) + x;
    x2[index + 1] = (x2[index] as number) + x * x;
    y1[index + 1] = (y1[index] as number) + y;
    xy[index + 1] = (xy[index] as number) + x * y;
    yy += y * y;
  });
  /** The same sums, with x from `b`, of the readings from one index to another. */
  const sums = (from: number, to: number, b: number) => {
    const of = (all: Float64Array) => (all[to] as number) - (all[from] as number);
    const [n, x, y] = [to - from, of(x1), of(y1)];
    return { x: x - n * b, xx: of(x2) - 2 * b * x + n * b * b, xy: of(xy) - b * y };
  };
  return (breakMs, split) => {
    const b = (breakMs - begin) / 60_000;
    const p = sums(0, split, b);
    const q = sums(split, count, b);
    const y = y1[count] as number;
    const level =
      (y - (p.x * p.xy) / p.xx - (q.x * q.xy) / q.xx) / (count - (p.x * p.x) / p.xx - (q.x * q.x) / q.xx);
    const before = (p.xy - p.x * level) / p.xx;
    const after = (q.xy - q.x * level) / q.xx;
    return { level: level + base, before, after, error: yy - level * y - before * p.xy - after * q.xy };
  };
}

/**
 * The break from which the readings now fall, if there is one that obeys the rule.
 * @param filtered as `withoutSpikes` gives them, in the order of time, the newest last
 * @param noiseC as `noiseOf` gives it
 */
export function findFall(filtered: readonly Reading[], rule: FallRule, noiseC: number): Break | null {
  const newest = filtered.at(-1);
  if (newest === undefined) return null;
  const depth = Math.max(rule.depthC, SIGNIFICANT * noiseC);
  const from = newest.timeMs - rule.reachMs - BEFORE_MS;
  const window = filtered.filter((reading) => reading.timeMs >= from);
  const highest = window.reduce((most, { celsius }) => Math.max(most, celsius), -Infinity);
  // Cheap and nearly always true: nothing has fallen that far.
  if (highest - newest.celsius < depth * 0.8) return null;

  const earliest = Math.max(newest.timeMs - rule.reachMs, (window[0] as Reading).timeMs + SHORTEST_BEFORE_MS);
  let best: Break | null = null;
  let least = Infinity;
  const fit = twoLinesThrough(window);
  const consider = (timeMs: number, split: number) => {
    if (timeMs < earliest) return;
    const { level, before, after, error } = fit(timeMs, split);
    if (!(error < least)) return;
    least = error;
    best = { timeMs, celsius: level, before, after };
  };
  for (let index = 2; index + 1 < window.length; index += 1) {
    const { timeMs } = window[index] as Reading;
    consider((timeMs + (window[index - 1] as Reading).timeMs) / 2, index);
    consider(timeMs, index);
  }
  return best !== null && obeys(best, window, rule, depth) ? best : null;
}

function obeys(found: Break, window: readonly Reading[], rule: FallRule, depth: number): boolean {
  const newest = window[window.length - 1] as Reading;
  const fall = found.celsius - newest.celsius;
  if (fall < depth || found.after > -rule.rate || found.after - found.before > -rule.rate) return false;
  const begun = found.celsius - fall * BEGUN;
  const above = window.findLastIndex(({ timeMs, celsius }) => timeMs <= found.timeMs || celsius > begun);
  const first = window[above + 1];
  return first !== undefined && newest.timeMs - first.timeMs >= rule.lastsMs;
}
