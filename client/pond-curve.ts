import { type Limits, type Parameter, valueWords, withUnit } from './pond-parameters.js';
import type { Reading } from './pond-state.js';

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
  from: number;
  to: number;
  limits: Limits | undefined;
  decimals: number;
  unit: string;
  /** For those who cannot see it: `Oxygen, last 1 h: 5.1 to 7.4 mg/L`. */
  label: string;
}

/** Past so many usual distances without a reading, the line is broken. */
const GAP_DISTANCES = 4;

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
  const broken = withGaps(times, values);
  return {
    ...broken,
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

/** A null between two readings that lie further apart than this device's own rhythm explains. */
function withGaps(
  times: readonly number[],
  values: readonly number[],
): { times: number[]; values: (number | null)[] } {
  const distances = times.slice(1).map((time, index) => time - (times[index] ?? time));
  const usual = distances.toSorted((a, b) => a - b)[Math.floor(distances.length / 2)] ?? 0;
  const longest = Math.max(usual * GAP_DISTANCES, 1000);
  const withNulls: { times: number[]; values: (number | null)[] } = { times: [], values: [] };
  for (const [index, time] of times.entries()) {
    const before = times[index - 1];
    if (before !== undefined && time - before > longest) {
      withNulls.times.push(before + 1);
      withNulls.values.push(null);
    }
    withNulls.times.push(time);
    withNulls.values.push(values[index] ?? null);
  }
  return withNulls;
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
