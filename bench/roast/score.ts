import { detect, newDetection } from '../../lib/roast/detection.js';
import { type EventType, effectiveEvents, type RoastEvent } from '../../lib/roast/event.js';
import type { Sample } from '../../lib/roast/reading.js';
import { percentile } from '../harness/percentile.js';
import type { Recording } from './recordings.js';

/** When a detector says that an event was, and when it knew; ms of the recording. */
export interface Found {
  readonly timeMs: number;
  readonly knownMs: number;
}

export interface Detected {
  readonly charge: Found | null;
  readonly turningPoint: Found | null;
  readonly drop: Found | null;
}

/** A detector under test: the samples in their order, and CHARGE where a person marks it. */
export type Detector = (samples: readonly Sample[], chargeByHand: number | null) => Detected;

/** Replays samples through the detection. */
export function replay(samples: readonly Sample[], chargeByHand: number | null = null): RoastEvent[] {
  let state = newDetection();
  let marked = chargeByHand === null;
  for (const sample of samples) {
    if (!marked && chargeByHand !== null && sample.timeMs >= chargeByHand) {
      marked = true;
      const nowMs = sample.timeMs;
      state = detect(state, { type: 'mark', event: 'CHARGE', timeMs: chargeByHand, nowMs }).state;
    }
    state = detect(state, { type: 'sample', sample }).state;
  }
  return [...state.events];
}

export const ours: Detector = (samples, chargeByHand) => {
  const events = replay(samples, chargeByHand);
  const effective = effectiveEvents(events);
  const of = (type: EventType) => effective.get(type) ?? null;
  const drop = of('DROP');
  // That the beans are out is known by the first event; one more corrects its time.
  const told = events.find(({ type }) => type === 'DROP');
  return {
    charge: of('CHARGE'),
    turningPoint: of('TP'),
    drop: drop && { timeMs: drop.timeMs, knownMs: told?.knownMs ?? drop.knownMs },
  };
};

/** Shares of the recordings that have the event, and the 95th percentile of how late it was known, s. */
export interface Accuracy {
  readonly count: number;
  readonly within: number;
  readonly missed: number;
  readonly early: number;
  readonly knownAfterS: number;
}

export interface Score {
  readonly charge: Accuracy;
  /** Of the recordings whose CHARGE is right or was marked. */
  readonly turningPoint: Accuracy;
  /** The same, against the lowest point of the curve. */
  readonly turningCurve: Accuracy;
  readonly drop: Accuracy;
}

export const CHARGE_WITHIN_MS = 5_000;
export const TP_WITHIN_MS = 2_000;
export const DROP_WITHIN_MS = 10_000;
const EARLY_MS = 10_000;

interface Pair {
  readonly reference: number;
  readonly found: Found | null;
}

function accuracy(pairs: readonly Pair[], withinMs: number): Accuracy {
  const share = (test: (pair: Pair) => boolean) => pairs.filter(test).length / pairs.length;
  const late = pairs.flatMap(({ reference, found }) => (found === null ? [] : [found.knownMs - reference]));
  return {
    count: pairs.length,
    within: share(({ reference, found }) => found !== null && Math.abs(found.timeMs - reference) <= withinMs),
    missed: share(({ found }) => found === null),
    early: share(({ reference, found }) => found !== null && found.timeMs < reference - EARLY_MS),
    knownAfterS: percentile(late, 0.95) / 1000,
  };
}

/** @param change what is done to each recording before it is replayed */
export function score(
  recordings: readonly Recording[],
  detector: Detector,
  change: (recording: Recording) => readonly Sample[],
): Score {
  const all = recordings.map((recording) => ({
    recording,
    found: detector(change(recording), recording.chargeByHand),
  }));
  const pairs = (
    event: 'charge' | 'turningPoint' | 'drop',
    counts: (recording: Recording, found: Detected) => boolean = () => true,
    reference: keyof Pick<Recording, 'charge' | 'turningPoint' | 'turningCurve' | 'drop'> = event,
  ): Pair[] =>
    all.flatMap(({ recording, found }) => {
      const time = recording[reference];
      return time === null || !counts(recording, found) ? [] : [{ reference: time, found: found[event] }];
    });
  const charged = ({ charge }: Recording, found: Detected) =>
    found.charge !== null && (charge === null || Math.abs(found.charge.timeMs - charge) <= CHARGE_WITHIN_MS);
  return {
    charge: accuracy(pairs('charge'), CHARGE_WITHIN_MS),
    turningPoint: accuracy(pairs('turningPoint', charged), TP_WITHIN_MS),
    turningCurve: accuracy(pairs('turningPoint', charged, 'turningCurve'), TP_WITHIN_MS),
    drop: accuracy(pairs('drop'), DROP_WITHIN_MS),
  };
}
