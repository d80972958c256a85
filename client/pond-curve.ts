import type { Limits } from '../lib/command/limits.js';
import { type Parameter, valueWords, withUnit } from './pond-parameters.js';
import type { Reading } from './pond-state.js';

interface Line {
  times: number[];
  values: (number | null)[];
}

interface Point {
  time: number;
  value: number;
}

export type CurveSpan = '1h' | '24h';

export const SPAN_MS: Record<CurveSpan, number> = { '1h': 3_600_000, '24h': 86_400_000 };
/** Between two drawings that only move the time axis. */
const STEP_MS: Record<CurveSpan, number> = { '1h': 5000, '24h': 60_000 };

/** What a curve element draws. The same object means: nothing is new. */
export interface Curve {
  /** Epoch ms, ascending. */
  times: readonly number[];
  /** Null where nothing was heard for a while. */
  values: readonly (number | null)[];
  /** Of points that sum up a minute or an hour: a band between their least and their greatest values. */
  low?: readonly (number | null)[];
  high?: readonly (number | null)[];
  from: number;
  to: number;
  limits: Limits | undefined;
  /** The scale begins here, or at what is less. */
  least?: number;
  decimals: number;
  unit: string;
  /** For those who cannot see it: `Oxygen, last 1 h: 5.1 to 7.4 mg/L`. */
  label: string;
}

/** Past so many distances of the readings around without one, the line is broken. */
const GAP_DISTANCES = 4;
const SHORTEST_GAP_MS = 30_000;
/** Of the time axis, each with its least and its greatest value: more than a screen has room for. */
const STRETCHES = 1000;

export function curveOf(
  readings: readonly Reading[],
  parameter: Parameter,
  limits: Limits | undefined,
  span: CurveSpan,
  to: number,
): Curve {
  const from = to - SPAN_MS[span];
  const times: number[] = [];
  const values: number[] = [];
  for (const { at, values: measured } of readings) {
    const value = measured[parameter.name];
    if (value === undefined || at < from) continue;
    times.push(at);
    values.push(value);
  }
  return {
    ...thinned(withGaps(times, values), from, SPAN_MS[span] / STRETCHES),
    from,
    to,
    limits,
    decimals: parameter.decimals,
    unit: parameter.unit,
    label: `${parameter.label}, last ${span === '1h' ? 'hour' : '24 hours'}: ${rangeWords(parameter, values)}`,
  };
}

function rangeWords(parameter: Parameter, values: readonly number[]): string {
  if (values.length === 0) return 'nothing was measured';
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  for (const value of values) {
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  return withUnit(`${valueWords(parameter, low)} to ${valueWords(parameter, high)}`, parameter);
}

/**
 * A null between two readings that lie further apart than the device's rhythm explains: much further than the readings
 * before and after, since a device may measure more often now than yesterday.
 */
function withGaps(times: readonly number[], values: readonly number[]): Line {
  const distance = (index: number) => (times[index] ?? Number.NaN) - (times[index - 1] ?? Number.NaN);
  const withNulls: Line = { times: [], values: [] };
  for (const [index, time] of times.entries()) {
    const around = [distance(index - 1), distance(index + 1)].filter((ms) => !Number.isNaN(ms));
    const explained = Math.max(GAP_DISTANCES * Math.max(0, ...around), SHORTEST_GAP_MS);
    if (around.length > 0 && distance(index) > explained) {
      withNulls.times.push(time - 1);
      withNulls.values.push(null);
    }
    withNulls.times.push(time);
    withNulls.values.push(values[index] ?? null);
  }
  return withNulls;
}

/** Of each stretch of time the least and the greatest value, in their order: what a day of seconds looks like. */
function thinned(line: Line, from: number, stretchMs: number): Line {
  if (line.times.length <= 2 * STRETCHES) return line;
  const thin: Line = { times: [], values: [] };
  let kept: Point[] = [];
  let stretch = Number.NaN;
  const flush = () => {
    const low = kept.reduce((least, one) => (one.value < least.value ? one : least), kept[0] as Point);
    const high = kept.reduce((most, one) => (one.value > most.value ? one : most), kept[0] as Point);
    for (const { time, value } of kept.filter((one) => one === low || one === high)) {
      thin.times.push(time);
      thin.values.push(value);
    }
    kept = [];
  };
  for (const [index, time] of line.times.entries()) {
    const value = line.values[index] ?? null;
    const here = Math.floor((time - from) / stretchMs);
    if (kept.length > 0 && (value === null || here !== stretch)) flush();
    stretch = here;
    if (value !== null) kept.push({ time, value });
    else {
      thin.times.push(time);
      thin.values.push(null);
    }
  }
  if (kept.length > 0) flush();
  return thin;
}

interface Kept {
  readings: readonly Reading[];
  limits: Limits | undefined;
  to: number;
  curve: Curve;
}

export type Curves = (
  key: string,
  readings: readonly Reading[],
  parameter: Parameter,
  limits: Limits | undefined,
  span: CurveSpan,
  now: number,
) => Curve;

/** Curves that are made again only when there are new readings or the time axis has moved by a step. */
export function keptCurves(): Curves {
  const kept = new Map<string, Kept>();
  return (key, readings, parameter, limits, span, now) => {
    const step = STEP_MS[span];
    const to = Math.ceil(now / step) * step;
    const id = `${key}/${parameter.name}/${span}`;
    const old = kept.get(id);
    const same =
      old !== undefined &&
      old.readings === readings &&
      old.to === to &&
      old.limits?.min === limits?.min &&
      old.limits?.max === limits?.max;
    if (same) return old.curve;
    const curve = curveOf(readings, parameter, limits, span, to);
    kept.set(id, { readings, limits, to, curve });
    return curve;
  };
}
