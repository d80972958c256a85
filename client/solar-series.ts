import type { Curve } from './pond-curve.js';
import type { Row } from './solar-fleet.js';
import type { FiguresWire, PointWire } from './solar-wire.js';

export type Span = '1h' | '24h' | '30d';
export type Resolution = 'raw' | '1m' | '1h';

interface SpanRules {
  ms: number;
  resolution: Resolution;
  /** Between two points, ms; 0 for rows, which come as they come. */
  stepMs: number;
  words: string;
  /** The newest points are asked for again so often: live rows are not summed up here. */
  refreshMs: number;
  /** Between two drawings that only move the time axis. */
  moveMs: number;
}

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

/** Each span in the resolution that a screen can show: some hundred points. */
export const SPANS: Readonly<Record<Span, SpanRules>> = {
  '1h': { ms: HOUR, resolution: 'raw', stepMs: 0, words: 'hour', refreshMs: Infinity, moveMs: 5_000 },
  '24h': {
    ...{ ms: 24 * HOUR, resolution: '1m', stepMs: MINUTE, words: '24 hours' },
    ...{ refreshMs: 30_000, moveMs: MINUTE },
  },
  '30d': {
    ...{ ms: 30 * 24 * HOUR, resolution: '1h', stepMs: HOUR, words: '30 days' },
    ...{ refreshMs: 5 * MINUTE, moveMs: 10 * MINUTE },
  },
};

interface Figure {
  mean: number;
  min: number;
  max: number;
}

/** The numbers of an instant, or of a minute or an hour from it on, by name; those of `extra` by dotted names. */
export interface Sample {
  at: number;
  values: ReadonlyMap<string, Figure>;
}

/** In the order of time, each instant once. */
export type Series = readonly Sample[];

const NAMES = ['battery', 'solar_v', 'solar_a', 'water'] as const;

export function sampleOfRow({ at, battery, solarV, solarA, water, extra }: Row): Sample {
  const values = new Map<string, Figure>();
  const add = (name: string, value: unknown) => {
    if (typeof value === 'number') values.set(name, { mean: value, min: value, max: value });
    else if (typeof value === 'object' && value !== null) {
      for (const [key, inner] of Object.entries(value)) add(name === '' ? key : `${name}.${key}`, inner);
    }
  };
  for (const [index, value] of [battery, solarV, solarA, water].entries()) add(NAMES[index] as string, value);
  // As the gateway names them in minutes and hours.
  if (typeof extra === 'number') add('extra', extra);
  else add('', extra);
  return { at, values };
}

export function sampleOfPoint(point: PointWire): Sample {
  const values = new Map<string, Figure>();
  const add = (name: string, figures: FiguresWire | null) => {
    if (figures !== null) values.set(name, figures);
  };
  // What has the name of a reading does not hide it.
  for (const [name, figures] of Object.entries(point.extra)) add(name, figures);
  for (const name of NAMES) add(name, point[name]);
  return { at: Date.parse(point.at), values };
}

/** Takes samples in, whatever order they come in: of two for one instant the newer one counts. */
export function merged(series: Series, samples: readonly Sample[]): Series {
  if (samples.length === 0) return series;
  const [first] = samples;
  const last = series.at(-1);
  if (samples.length === 1 && first !== undefined && (last === undefined || first.at > last.at)) {
    return [...series, first];
  }
  const byInstant = new Map(series.map((sample) => [sample.at, sample]));
  for (const sample of samples) byInstant.set(sample.at, sample);
  return [...byInstant.values()].sort((a, b) => a.at - b.at);
}

export function forgetBefore(series: Series, from: number): Series {
  const first = series.findIndex(({ at }) => at >= from);
  if (first === 0) return series;
  return first === -1 ? [] : series.slice(first);
}

export interface Measurement {
  name: string;
  label: string;
  unit: string;
  icon: string;
  decimals: number;
}

const KNOWN: readonly Measurement[] = [
  { name: 'battery', label: 'Battery', unit: 'V', icon: 'mdi-car-battery', decimals: 2 },
  { name: 'solar_v', label: 'Panel voltage', unit: 'V', icon: 'mdi-solar-panel', decimals: 1 },
  { name: 'solar_a', label: 'Panel current', unit: 'A', icon: 'mdi-current-dc', decimals: 2 },
  { name: 'water', label: 'Water tank', unit: '%', icon: 'mdi-water', decimals: 0 },
  { name: 'temp', label: 'Temperature', unit: '°C', icon: 'mdi-thermometer', decimals: 1 },
  { name: 'vibration', label: 'Vibration', unit: '', icon: 'mdi-vibrate', decimals: 3 },
];

/** Curves beside the ones that the protocol names: a machine may send hundreds of numbers. */
const MOST_OTHERS = 8;

/** What there is to draw: the readings of the protocol always, of the others those that the machine sends. */
export function measurementsOf(all: readonly Series[]): { shown: Measurement[]; more: number } {
  const found = new Set<string>();
  for (const series of all)
    for (const { values } of series) for (const name of values.keys()) found.add(name);
  const known = KNOWN.filter(({ name }, index) => index < NAMES.length || found.has(name));
  const others = [...found].filter((name) => !KNOWN.some((one) => one.name === name)).sort();
  const named = others.slice(0, MOST_OTHERS).map((name) => ({
    ...{ name, label: name, unit: '', icon: 'mdi-chart-line', decimals: 2 },
  }));
  return { shown: [...known, ...named], more: others.length - named.length };
}

/** Past so many distances of the points around without one, the line is broken. */
const GAP_DISTANCES = 4;
const SHORTEST_GAP_MS = 30_000;

/**
 * One measurement over the last hour, day or month. Minutes and hours are drawn in their middle, with the band between
 * their least and their greatest value.
 * @param newest the machine's last row, which is drawn at once, before its minute is summed up
 */
export function curveOf(
  series: Series,
  newest: Sample | undefined,
  { name, label, unit, decimals }: Measurement,
  span: Span,
  to: number,
): Curve {
  const { ms, stepMs, words } = SPANS[span];
  const from = to - ms;
  const points: { at: number; figure: Figure }[] = [];
  for (const { at, values } of series) {
    const figure = values.get(name);
    if (figure === undefined || at + stepMs < from) continue;
    // The running minute has its middle still to come.
    const middle = at + stepMs / 2;
    points.push({
      at: newest !== undefined && newest.at >= at ? Math.min(middle, newest.at) : middle,
      figure,
    });
  }
  const last = newest?.values.get(name);
  if (newest !== undefined && last !== undefined && newest.at >= (points.at(-1)?.at ?? from)) {
    if (points.at(-1)?.at === newest.at) points.pop();
    points.push({ at: newest.at, figure: last });
  }
  const [low, high] = rangeOf(points.map(({ figure }) => figure));
  const range =
    low === undefined ? 'nothing was measured' : `${low.toFixed(decimals)} to ${high?.toFixed(decimals)}`;
  const drawn = withGaps(points, stepMs);
  const of = (part: keyof Figure) => drawn.map(({ figure }) => figure?.[part] ?? null);
  return {
    times: drawn.map(({ at }) => at),
    values: of('mean'),
    ...(stepMs > 0 && { low: of('min'), high: of('max') }),
    from,
    to,
    limits: undefined,
    decimals,
    unit,
    label: `${label}, last ${words}: ${range}${low === undefined || unit === '' ? '' : ` ${unit}`}`,
  };
}

function rangeOf(figures: readonly Figure[]): [number | undefined, number | undefined] {
  if (figures.length === 0) return [undefined, undefined];
  let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const { min, max } of figures) {
    low = Math.min(low, min);
    high = Math.max(high, max);
  }
  return [low, high];
}

/** A break between two points that lie much further apart than those around them. */
function withGaps(
  points: readonly { at: number; figure: Figure }[],
  stepMs: number,
): { at: number; figure: Figure | undefined }[] {
  const distance = (index: number) =>
    (points[index]?.at ?? Number.NaN) - (points[index - 1]?.at ?? Number.NaN);
  return points.flatMap((point, index) => {
    const around = [distance(index - 1), distance(index + 1)].filter((ms) => !Number.isNaN(ms));
    const explained = Math.max(GAP_DISTANCES * Math.max(0, ...around), SHORTEST_GAP_MS, 2 * stepMs);
    const isGap = around.length > 0 && distance(index) > explained;
    return isGap ? [{ at: point.at - 1, figure: undefined }, point] : [point];
  });
}

interface Kept {
  series: Series;
  newest: Sample | undefined;
  to: number;
  curve: Curve;
}

export type Curves = (
  key: string,
  series: Series,
  newest: Sample | undefined,
  measurement: Measurement,
  span: Span,
  now: number,
) => Curve;

/** Curves that are made again only when there are new points or the time axis has moved. */
export function keptCurves(): Curves {
  const kept = new Map<string, Kept>();
  return (key, series, newest, measurement, span, now) => {
    const step = SPANS[span].moveMs;
    const to = Math.ceil(now / step) * step;
    const id = `${key}/${measurement.name}/${span}`;
    const old = kept.get(id);
    if (old !== undefined && old.series === series && old.newest === newest && old.to === to)
      return old.curve;
    // Only one machine is open at a time.
    if (old === undefined && kept.size > 100) kept.clear();
    const curve = curveOf(series, newest, measurement, span, to);
    kept.set(id, { series, newest, to, curve });
    return curve;
  };
}
