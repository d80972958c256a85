import type { EventType } from './event.js';
import { inOrder, type ProfileEvent } from './profile.js';
import { RATE_DEFAULTS, type RateSettings, rateOfRise } from './rate-of-rise.js';
import type { Sample } from './reading.js';

/** A part of the roast. */
export interface PhaseFigures {
  readonly durationMs: number;
  /** Of the time from CHARGE to DROP, 0 to 1. */
  readonly share: number;
  /**
   * Rise of the bean temperature from its beginning (of drying: from TP, before which the probe only cools down to the
   * beans) to its end, °C/min; null where one is missing.
   */
  readonly ror: number | null;
}

export interface EventFigures {
  readonly type: EventType;
  readonly timeMs: number;
  /** Since CHARGE, ms; null without CHARGE. */
  readonly sinceChargeMs: number | null;
  readonly bt: number | null;
  readonly et: number | null;
  /** Rate of rise then, °C/min; null until one was known. */
  readonly btRor: number | null;
  readonly etRor: number | null;
}

/** What a roaster compares roasts by. Null where an event that it needs is missing. */
export interface RoastStatistics {
  /** CHARGE to DROP, ms. */
  readonly totalMs: number | null;
  /** CHARGE to DRY_END. */
  readonly drying: PhaseFigures | null;
  /** DRY_END to FCs: browning. */
  readonly maillard: PhaseFigures | null;
  /** FCs to DROP. */
  readonly development: PhaseFigures | null;
  /** Development time ratio: development of the whole, 0 to 1. */
  readonly developmentRatio: number | null;
  readonly events: readonly EventFigures[];
  /** Share of the green weight that is gone, 0 to 1; null where it was not weighed, or came out heavier. */
  readonly weightLoss: number | null;
}

/** What statistics are of: a profile, or a session that is going on. */
export interface RoastRecord {
  readonly samples: readonly Sample[];
  /** One of each type: those that count. */
  readonly events: readonly Pick<ProfileEvent, 'type' | 'timeMs' | 'bt' | 'et'>[];
  readonly greenG: number | null;
  readonly roastedG: number | null;
}

export function roastStatistics(roast: RoastRecord, rates: RateSettings = RATE_DEFAULTS): RoastStatistics {
  const at = new Map(roast.events.map((event) => [event.type, event]));
  const charge = at.get('CHARGE');
  const drop = at.get('DROP');
  const totalMs = charge && drop && drop.timeMs > charge.timeMs ? drop.timeMs - charge.timeMs : null;

  const phase = (from: EventType, to: EventType, lowest: EventType = from): PhaseFigures | null => {
    const begin = at.get(from);
    const end = at.get(to);
    if (begin === undefined || end === undefined || totalMs === null || end.timeMs < begin.timeMs)
      return null;
    const durationMs = end.timeMs - begin.timeMs;
    return { durationMs, share: durationMs / totalMs, ror: meanRise(at.get(lowest), end) };
  };
  const development = phase('FCs', 'DROP');
  return {
    totalMs,
    drying: phase('CHARGE', 'DRY_END', 'TP'),
    maillard: phase('DRY_END', 'FCs'),
    development,
    developmentRatio: development?.share ?? null,
    events: eventFigures(roast, charge?.timeMs ?? null, rates),
    weightLoss: weightLoss(roast),
  };
}

/** °C/min from one event to a later one. */
function meanRise(from: RoastRecord['events'][number] | undefined, to: RoastRecord['events'][number]) {
  if (from?.bt == null || to.bt === null || to.timeMs <= from.timeMs) return null;
  return ((to.bt - from.bt) / (to.timeMs - from.timeMs)) * 60_000;
}

function weightLoss({ greenG, roastedG }: RoastRecord): number | null {
  if (greenG === null || roastedG === null || greenG <= 0 || roastedG <= 0 || roastedG > greenG) return null;
  return (greenG - roastedG) / greenG;
}

function eventFigures(
  { samples, events }: RoastRecord,
  chargeMs: number | null,
  settings: RateSettings,
): EventFigures[] {
  const sorted = inOrder(events);
  const bt = rateOfRise(settings);
  const et = rateOfRise(settings);
  const figures: EventFigures[] = [];
  let next = 0;
  const tell = (untilMs: number) => {
    for (; next < sorted.length && (sorted[next] as ProfileEvent).timeMs < untilMs; next += 1) {
      const { type, timeMs, ...temperatures } = sorted[next] as ProfileEvent;
      figures.push({
        type,
        timeMs,
        sinceChargeMs: chargeMs === null ? null : timeMs - chargeMs,
        bt: temperatures.bt,
        et: temperatures.et,
        btRor: bt.last?.ror ?? null,
        etRor: et.last?.ror ?? null,
      });
    }
  };
  for (const sample of samples) {
    tell(sample.timeMs);
    bt.add(sample.timeMs, sample.bt);
    et.add(sample.timeMs, sample.et);
  }
  tell(Infinity);
  return figures;
}
