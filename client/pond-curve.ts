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

/** Past so many distances of the readings around without one, the line is broken. */
const GAP_DISTANCES = 4;
const SHORTEST_GAP_MS = 30_000;

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

/**
 * A null between two readings that lie further apart than the device's rhythm explains: much further than the readings
 * before and after, since a device may measure more often now than yesterday.
 */
function withGaps(
  times: readonly number[],
  values: readonly number[],
): { times: number[]; values: (number | null)[] } {
  const distance = (index: number) => (times[index] ?? Number.NaN) - (times[index - 1] ?? Number.NaN);
  const withNulls: { times: number[]; values: (number | null)[] } = { times: [], values: [] };
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
