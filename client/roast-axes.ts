import { rateIn, type TemperatureUnit, temperatureIn } from './roast-units.js';

export type Range = [from: number, to: number];

const MINUTE = 60_000;
/** A roast usually fits into this; the axis does not move before it is over. */
const USUAL_MS = 12 * MINUTE;
const BEFORE_CHARGE_MS = MINUTE;
/** Without a CHARGE the last minutes are shown. */
const MONITORED_MS = 5 * MINUTE;
/** Room that the newest reading has to the right. */
const AHEAD_MS = 30_000;

/** What the time axis is chosen by; ms on the session's clock. */
export interface TimeSpan {
  firstMs: number | null;
  lastMs: number;
  chargeMs: number | null;
  /** Where a background ends, on the same clock. */
  backgroundEndMs: number | null;
  /** It is over: nothing is kept free for what comes. */
  ended: boolean;
  /** The clock is that of a recording, which begins at 0. */
  recording: boolean;
}

/** The time axis: from a minute before CHARGE to the end of the usual roast, growing by whole minutes. */
export function timeRange(span: TimeSpan): Range {
  const { firstMs, lastMs, chargeMs, backgroundEndMs, ended, recording } = span;
  const last = Number.isFinite(lastMs) ? lastMs : 0;
  if (chargeMs === null) {
    if (!recording) return [Math.max(firstMs ?? 0, last - MONITORED_MS), Math.max(last, MONITORED_MS)];
    return [0, Math.max(last + AHEAD_MS, MONITORED_MS)];
  }
  const from = Math.max(Math.min(firstMs ?? chargeMs, chargeMs), chargeMs - BEFORE_CHARGE_MS);
  if (ended) return [from, Math.max(last, backgroundEndMs ?? 0, chargeMs + MINUTE)];
  const wanted = Math.max(last + AHEAD_MS, chargeMs + USUAL_MS, backgroundEndMs ?? 0);
  return [from, chargeMs + Math.ceil((wanted - chargeMs) / MINUTE) * MINUTE];
}

const STEPS_MS = [15_000, 30_000, MINUTE, 2 * MINUTE, 5 * MINUTE, 10 * MINUTE];

/** Marks of the time axis: round times since CHARGE, no closer than `least`. @param zeroMs CHARGE, or where the clock begins */
export function timeMarks([from, to]: Range, zeroMs: number, least: number): number[] {
  const step = STEPS_MS.find((each) => each >= least) ?? (STEPS_MS.at(-1) as number);
  const marks: number[] = [];
  for (let mark = Math.ceil((from - zeroMs) / step); mark * step <= to - zeroMs; mark += 1) {
    marks.push(zeroMs + mark * step);
  }
  return marks;
}

/** °C: where most of a roast is; a colder or hotter one makes room for itself. */
const USUAL_C: Range = [50, 250];

/** The temperature axis. @param lowest @param highest of what is drawn, °C; null where nothing is */
export function temperatureRange(lowest: number | null, highest: number | null): Range {
  const from = lowest === null ? USUAL_C[0] : Math.min(USUAL_C[0], Math.floor(lowest / 10) * 10);
  const to = highest === null ? USUAL_C[1] : Math.max(USUAL_C[1], Math.ceil((highest + 5) / 10) * 10);
  return [Math.max(from, -20), to];
}

/** °C/min: what lies below is the plunge after CHARGE, which nobody steers by. */
const USUAL_RATE: Range = [-5, 25];
const HIGHEST_RATE = 60;

/** The axis of the rate of rise. @param highest after TP, °C/min */
export function rateRange(highest: number | null): Range {
  const to = highest === null ? USUAL_RATE[1] : Math.max(USUAL_RATE[1], Math.ceil((highest + 2) / 5) * 5);
  return [USUAL_RATE[0], Math.min(to, HIGHEST_RATE)];
}

/** Marks at round figures of the unit that is shown; their places stay Celsius. */
export function temperatureMarks([from, to]: Range, unit: TemperatureUnit): number[] {
  const step = unit === 'C' ? 25 : 50;
  return roundMarks(temperatureIn(from, unit), temperatureIn(to, unit), step).map((mark) =>
    unit === 'C' ? mark : (mark - 32) / 1.8,
  );
}

export function rateMarks([from, to]: Range, unit: TemperatureUnit): number[] {
  const step = unit === 'C' ? 5 : 10;
  return roundMarks(rateIn(from, unit), rateIn(to, unit), step).map((mark) =>
    unit === 'C' ? mark : mark / 1.8,
  );
}

function roundMarks(from: number, to: number, step: number): number[] {
  const marks: number[] = [];
  for (let mark = Math.ceil(from / step); mark * step <= to + 1e-9; mark += 1) marks.push(mark * step + 0); // no minus zero
  return marks;
}

/** Lowest and highest of a column, from a time on; null where nothing is there. */
export function extent(
  times: readonly number[],
  values: readonly (number | null)[],
  fromMs = -Infinity,
): [lowest: number | null, highest: number | null] {
  let lowest = Infinity;
  let highest = -Infinity;
  for (let index = 0; index < values.length; index += 1) {
    const value = values[index];
    if (value == null || (times[index] as number) < fromMs) continue;
    if (value < lowest) lowest = value;
    if (value > highest) highest = value;
  }
  return lowest === Infinity ? [null, null] : [lowest, highest];
}
