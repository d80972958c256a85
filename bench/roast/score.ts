import { detect, newDetection } from '../../lib/roast/detection.js';
import { type EventType, effectiveEvents, type RoastEvent } from '../../lib/roast/event.js';
import type { Sample } from '../../lib/roast/reading.js';
import type { Recording } from './recordings.js';

/** When a detector says that an event was, and when it knew; ms of the recording. */
export interface Found {
  readonly timeMs: number;
  readonly knownMs: number;
}

export interface Detected {
  readonly charge: Found | null;
  readonly turningPoint: Found | null;
  /** The turning point that was told first, where a later one corrected it. */
  readonly firstTurningPoint: Found | null;
  readonly drop: Found | null;
}

/** A detector under test: the samples in their order, and CHARGE where a person marks it. */
export type Detector = (samples: readonly Sample[], chargeByHand: number | null) => Detected;

export function runDetection(samples: readonly Sample[], chargeByHand: number | null = null): RoastEvent[] {
  let state = newDetection();
  let marked = false;
  for (const sample of samples) {
    if (chargeByHand !== null && !marked && sample.timeMs >= chargeByHand) {
      marked = true;
      const nowMs = sample.timeMs;
      state = detect(state, { type: 'mark', event: 'CHARGE', timeMs: chargeByHand, nowMs }).state;
    }
    state = detect(state, { type: 'sample', sample }).state;
  }
  return [...state.events];
}

export const ours: Detector = (samples, chargeByHand) => {
  const events = runDetection(samples, chargeByHand);
  const effective = effectiveEvents(events);
  const of = (type: EventType) => effective.get(type) ?? null;
  return {
    charge: of('CHARGE'),
    turningPoint: of('TP'),
    firstTurningPoint: events.find(({ type }) => type === 'TP') ?? null,
    drop: of('DROP'),
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
  readonly turningPoint: Accuracy;
  readonly drop: Accuracy;
  /** Recordings without a measured break in which a CHARGE or DROP was seen. */
  readonly names: readonly string[];
}

const EARLY_MS = 10_000;

export function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN;
}

function accuracy(pairs: readonly { reference: number; found: Found | null }[], withinMs: number): Accuracy {
  const count = pairs.length;
  const share = (test: (reference: number, found: Found | null) => boolean) =>
    pairs.filter(({ reference, found }) => test(reference, found)).length / count;
  const late = pairs.flatMap(({ reference, found }) => (found === null ? [] : [found.knownMs - reference]));
  return {
    count,
    within: share((reference, found) => found !== null && Math.abs(found.timeMs - reference) <= withinMs),
    missed: share((_, found) => found === null),
    early: share((reference, found) => found !== null && found.timeMs < reference - EARLY_MS),
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
  const names: string[] = [];
  const pairs = (
    reference: (recording: Recording) => number | null,
    found: (d: Detected) => Found | null,
    withinMs: number,
    kind: string,
  ) =>
    all.flatMap((each) => {
      const time = reference(each.recording);
      if (time === null) return [];
      const got = found(each.found);
      if (got === null || Math.abs(got.timeMs - time) > withinMs) {
        names.push(
          `${kind} ${each.recording.name} ${got === null ? 'missed' : ((got.timeMs - time) / 1000).toFixed(1)}`,
        );
      }
      return [{ reference: time, found: got }];
    });
  const charged = ({ charge }: Recording, { charge: found }: Detected) =>
    found !== null && (charge === null || Math.abs(found.timeMs - charge) <= 5000);
  return {
    charge: accuracy(
      pairs(
        ({ charge }) => charge,
        (d) => d.charge,
        5000,
        'CHARGE',
      ),
      5000,
    ),
    turningPoint: accuracy(
      all
        .filter(({ recording, found }) => charged(recording, found))
        .flatMap(({ recording, found }) => {
          if (recording.turningPoint === null) return [];
          const got = found.turningPoint;
          if (got === null || Math.abs(got.timeMs - recording.turningPoint) > 2000) {
            names.push(
              `TP ${recording.name} ${got === null ? 'missed' : ((got.timeMs - recording.turningPoint) / 1000).toFixed(1)}`,
            );
          }
          return [{ reference: recording.turningPoint, found: got }];
        }),
      2000,
    ),
    drop: accuracy(
      pairs(
        ({ drop }) => drop,
        (d) => d.drop,
        10_000,
        'DROP',
      ),
      10_000,
    ),
    names,
  };
}
