import { extent, type Range, rateRange, temperatureRange, timeRange } from './roast-axes.js';
import { alignment } from './roast-profile-trace.js';
import type { RoastTrace } from './roast-trace.js';
import type { TemperatureUnit } from './roast-units.js';

/** Another roast that is drawn underneath. */
export interface RoastBackground {
  /** Undefined while it is on its way. */
  trace: RoastTrace | undefined;
  name: string;
  /** Where a replay of it is, ms from its first reading. */
  replayMs?: number | undefined;
}

/** All that is drawn. */
export interface RoastPicture {
  trace: RoastTrace;
  background?: RoastBackground | undefined;
  unit: TemperatureUnit;
  /** The trace is of a recording; else of monitoring, whose last minutes are shown. */
  recording: boolean;
  ended: boolean;
}

/** The background where there is nothing else to draw. */
function alone({ trace, background }: RoastPicture): RoastTrace | undefined {
  return trace.times.length === 0 ? background?.trace : undefined;
}

/** Where the time axis says 0:00, ms on the clock of the trace. */
export function zeroOf(picture: RoastPicture): number {
  return (alone(picture) ?? picture.trace).chargeMs ?? 0;
}

/** How far the background is moved, ms. */
export function shiftOf({ trace, background }: RoastPicture): number {
  return background?.trace === undefined ? 0 : alignment(trace, background.trace);
}

/** Where a replay of the background is, ms on the clock of the trace; undefined without one. */
export function replayAt(picture: RoastPicture): number | undefined {
  const { background } = picture;
  if (background?.trace === undefined || background.replayMs === undefined) return undefined;
  return background.replayMs + (background.trace.times[0] ?? 0) + shiftOf(picture);
}

export function timeRangeOf(picture: RoastPicture): Range {
  const { trace, background, recording, ended } = picture;
  const only = alone(picture);
  const shown = only ?? trace;
  const endMs = background?.trace?.lastMs;
  return timeRange({
    firstMs: shown.times[0] ?? null,
    lastMs: shown.lastMs,
    chargeMs: shown.chargeMs,
    backgroundEndMs: endMs !== undefined && recording ? endMs + shiftOf(picture) : null,
    ended: ended || only !== undefined,
    recording: recording || only !== undefined,
  });
}

export function temperatureRangeOf({ trace, background }: RoastPicture): Range {
  const traces = background?.trace === undefined ? [trace] : [trace, background.trace];
  const known = traces
    .flatMap(({ times, bt, et }) => [...extent(times, bt), ...extent(times, et)])
    .filter((value) => value !== null);
  if (known.length === 0) return temperatureRange(null, null);
  return temperatureRange(Math.min(...known), Math.max(...known));
}

/** After TP the window of the rate still holds the plunge for a while, ms. */
const SETTLED_MS = 30_000;

export function rateRangeOf({ trace: { times, btRor, events } }: RoastPicture): Range {
  const turned = events.get('TP')?.timeMs;
  return rateRange(turned === undefined ? null : extent(times, btRor, turned + SETTLED_MS)[1]);
}
