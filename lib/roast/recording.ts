import type { AlarmRule } from './alarms.js';
import { effectiveEvents, type RoastEvent } from './event.js';
import type { AppliedControl, StoredSession } from './ports.js';
import { inOrder, NO_NOTES, type Profile, type ProfileNotes } from './profile.js';
import type { rateOfRise } from './rate-of-rise.js';
import {
  IDLE,
  type Point,
  type SessionInput,
  type SessionSettings,
  type SessionState,
  startRecording,
  stepSession,
} from './session.js';

/** An alarm that has fired, on the session's clock, and what was read then. */
export interface FiredAlarm {
  readonly rule: AlarmRule;
  readonly timeMs: number;
  readonly point: Point | null;
}

/** What of a recording is in memory: all of it. Times are on the session's clock. */
export interface Recording {
  readonly startedAt: number;
  readonly points: Point[];
  readonly controls: AppliedControl[];
  /** Those that have fired. */
  readonly alarms: FiredAlarm[];
}

/** Two readings further apart than this have a gap between them, ms; or than three intervals. */
const GAP_MS = 5_000;

/** Where there are no readings. */
export function gapsOf(points: readonly Point[], samplingMs: number): { fromMs: number; toMs: number }[] {
  const longest = Math.max(GAP_MS, 3 * samplingMs);
  const gaps: { fromMs: number; toMs: number }[] = [];
  for (let index = 1; index < points.length; index += 1) {
    const fromMs = (points[index - 1] as Point).timeMs;
    const toMs = (points[index] as Point).timeMs;
    if (toMs - fromMs > longest) gaps.push({ fromMs, toMs });
  }
  return gaps;
}

/**
 * The state in which a stored session was when the gateway ended: its readings and marks, taken again in their order.
 * What an alarm did then it does not do again, for effects are left alone; that it fired is known.
 * @param zeroMs where its clock is at 0 on the steady clock of this process
 */
export function rebuiltState(
  stored: StoredSession,
  zeroMs: number,
  settings: SessionSettings,
): { state: SessionState; alarms: FiredAlarm[] } {
  const { sessionId, phase, leadIn, endedMs } = stored;
  const alarms: FiredAlarm[] = [];
  if (phase === 'monitoring') return { state: { ...IDLE, phase, sessionId, zeroMs }, alarms };
  let state = startRecording(sessionId, 0, leadIn);
  const step = (input: SessionInput, nowMs: number) => {
    const stepped = stepSession(state, input, nowMs, settings);
    state = stepped.state;
    for (const effect of stepped.effects) if (effect.type === 'alarm') alarms.push(effect);
  };
  const marks = stored.events.filter(({ given }) => given).map(({ event }) => event);
  let next = 0;
  const markUntil = (timeMs: number) => {
    for (; next < marks.length && (marks[next] as RoastEvent).knownMs < timeMs; next += 1) {
      const { type, timeMs: at, knownMs, source } = marks[next] as RoastEvent;
      step({ type: 'mark', event: type, timeMs: at, source }, knownMs);
    }
  };
  for (const { timeMs, ...values } of stored.points) {
    markUntil(timeMs);
    step({ type: 'reading', ...values }, timeMs);
  }
  markUntil(Infinity);
  // The record is what was told; where the computation has changed since, it stays as it was.
  const events = stored.events.map(({ event }) => event);
  return { state: { ...state, phase, zeroMs, endedMs, detection: { ...state.detection, events } }, alarms };
}

/** What the rates of rise of a recording that goes on stand on. @param zeroMs as of `rebuiltState` */
export function feedRates(
  points: readonly Point[],
  zeroMs: number,
  rates: { bt: ReturnType<typeof rateOfRise>; et: ReturnType<typeof rateOfRise> },
): void {
  const recent = points.slice(-1_000);
  for (const { timeMs, bt, et } of recent) {
    rates.bt.add(zeroMs + timeMs, bt);
    rates.et.add(zeroMs + timeMs, et);
  }
}

/** What a person says of a roast that is to be saved. */
export interface RoastRemarks {
  readonly name: string;
  readonly notes: Partial<ProfileNotes>;
  readonly greenG: number | null;
  readonly roastedG: number | null;
}

/** A finished recording as a profile. */
export function profileOfRecording(
  { startedAt, points, controls }: Recording,
  events: readonly RoastEvent[],
  remarks: RoastRemarks,
): Profile {
  const names = [...new Set(points.flatMap(({ extra }) => Object.keys(extra)))].sort();
  return {
    title: remarks.name,
    startedAt,
    unit: 'C',
    samples: points.map(({ timeMs, bt, et }) => ({ timeMs, bt, et })),
    events: inOrder(
      [...effectiveEvents(events).values()].map(({ type, timeMs, source, bt, et }) => ({
        type,
        timeMs,
        source,
        bt,
        et,
      })),
    ),
    controls: controls.map(({ timeMs, channel, value }) => ({ timeMs, channel, value, label: '' })),
    extraChannels: names.map((name) => ({
      name,
      samples: points
        .filter(({ extra }) => Object.hasOwn(extra, name))
        .map(({ timeMs, extra }) => ({ timeMs, value: extra[name] ?? null })),
    })),
    notes: { ...NO_NOTES, ...remarks.notes },
    greenG: remarks.greenG,
    roastedG: remarks.roastedG,
    artisan: null,
  };
}
