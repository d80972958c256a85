import { rateOfRise } from '../lib/roast/rate-of-rise.js';
import type { RoastProfile } from '../lib/roast/wire.js';
import { RoastTrace, type TraceEvent, type TraceReading } from './roast-trace.js';

/** What of a saved profile is drawn (schemas/roast/profile.schema.json). */
export type DrawnProfile = Pick<RoastProfile, 'samples' | 'events'>;

/** A saved roast as it is drawn: with the rates of rise that the gateway would have told. */
export function traceOfProfile({ samples = [], events = [] }: DrawnProfile): RoastTrace {
  const bt = rateOfRise();
  const et = rateOfRise();
  const known = (value: unknown) => (typeof value === 'number' ? value : null);
  const readings = samples.map((sample): TraceReading => {
    const { timestamp_ms } = sample;
    const [beans, air] = [known(sample.bt), known(sample.et)];
    return {
      timestamp_ms,
      bt: beans,
      et: air,
      bt_ror: bt.add(timestamp_ms, beans)?.ror ?? null,
      et_ror: et.add(timestamp_ms, air)?.ror ?? null,
    };
  });
  const trace = new RoastTrace();
  trace.load(readings, events.map(eventOf), intervalOf(readings));
  return trace;
}

const eventOf = (event: NonNullable<RoastProfile['events']>[number], index: number): TraceEvent => ({
  event_type: event.event_type,
  timestamp_ms: event.timestamp_ms,
  auto_detected: event.auto_detected ?? null,
  bt_at_event: event.bt_at_event ?? null,
  et_at_event: event.et_at_event ?? null,
  number: index + 1,
});

/** Recordings of other programs have intervals of their own. */
function intervalOf(readings: readonly TraceReading[]): number {
  const first = readings[0]?.timestamp_ms ?? 0;
  const last = readings.at(-1)?.timestamp_ms ?? 0;
  return readings.length < 2 ? 1_000 : (last - first) / (readings.length - 1);
}

/** How far a background is moved so that both roasts begin with their CHARGE at the same place, ms. */
export function alignment(trace: RoastTrace, background: RoastTrace): number {
  const { chargeMs } = trace;
  if (chargeMs === null || background.chargeMs === null) return 0;
  return chargeMs - background.chargeMs;
}
