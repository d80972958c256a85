import { FieldloomError } from '../core/errors.js';
import { type AlarmRule, type AlarmState, evaluateAlarms, NO_ALARMS } from './alarms.js';
import {
  DETECTION_DEFAULTS,
  type DetectionInput,
  type DetectionSettings,
  type DetectionState,
  detect,
  leadInWith,
  newDetection,
} from './detection.js';
import { type EventType, effectiveEvents, type RoastEvent } from './event.js';
import type { Sample } from './reading.js';

/**
 * A roast session (seed: roast-protocol, `state` and `command`; roast.md "Sessions").
 *
 * | phase      | start_monitoring | start_recording | stop_recording | mark_event | reset   | a reading                      |
 * | ---------- | ---------------- | --------------- | -------------- | ---------- | ------- | ------------------------------ |
 * | idle       | monitoring       | refused         | refused        | refused    | refused | nothing                        |
 * | monitoring | refused          | recording       | refused        | refused    | idle    | is told                        |
 * | recording  | refused          | refused         | finished       | an event   | idle    | is told, kept; events, alarms  |
 * | finished   | refused          | refused         | refused        | refused    | idle    | nothing                        |
 *
 * What is refused changes nothing. Monitoring has a clock of its own; the recording starts another, at 0.
 */
export type SessionPhase = 'idle' | 'monitoring' | 'recording' | 'finished';
export type SessionAction = 'start_monitoring' | 'start_recording' | 'stop_recording' | 'reset';

const MOVES: Readonly<Record<SessionPhase, Partial<Record<SessionAction, SessionPhase>>>> = {
  idle: { start_monitoring: 'monitoring' },
  monitoring: { start_recording: 'recording', reset: 'idle' },
  recording: { stop_recording: 'finished', reset: 'idle' },
  finished: { reset: 'idle' },
};

export interface SessionSettings {
  readonly detection: DetectionSettings;
  readonly alarms: readonly AlarmRule[];
  /** The recording starts with CHARGE. */
  readonly chargeAtStart: boolean;
}

export const SESSION_DEFAULTS: SessionSettings = {
  detection: DETECTION_DEFAULTS,
  alarms: [],
  chargeAtStart: false,
};

/** One moment as it is told and kept. Temperatures °C, rates °C/min. */
export interface Point extends Sample {
  readonly btRor: number | null;
  readonly etRor: number | null;
  readonly extra: Readonly<Record<string, number | null>>;
}

export interface SessionState {
  readonly phase: SessionPhase;
  /** Names the clock of all times; null while idle. */
  readonly sessionId: string | null;
  /** Where this clock is at 0, ms of the steady clock. */
  readonly zeroMs: number;
  /** What this clock shows since the recording has ended. */
  readonly endedMs: number | null;
  /** Time of the last reading, on the session's clock. */
  readonly lastMs: number;
  /** Readings of the last minutes of monitoring. */
  readonly leadIn: readonly Sample[];
  readonly detection: DetectionState;
  readonly alarms: AlarmState;
}

/** Times of inputs are ms of the steady clock, but for `timeMs` of a mark. */
export type SessionInput =
  /** @property newId of the clock that this may start */
  | { readonly type: 'action'; readonly action: SessionAction; readonly newId: string }
  | {
      readonly type: 'mark';
      readonly event: EventType;
      /** On the session's clock; now where it is left out. */
      readonly timeMs?: number;
      /** `detected`: by a sensor, not by a person. */
      readonly source?: RoastEvent['source'];
    }
  | ({ readonly type: 'reading' } & Omit<Point, 'timeMs'>);

/** To be stored and told, in this order. Times are on the session's clock. */
export type SessionEffect =
  | {
      readonly type: 'state';
      readonly phase: SessionPhase;
      readonly previous: SessionPhase;
      readonly sessionId: string | null;
    }
  /** `given`: somebody said so; else it was computed from the readings. */
  | { readonly type: 'event'; readonly event: RoastEvent; readonly given: boolean }
  | {
      readonly type: 'alarm';
      readonly rule: AlarmRule;
      readonly timeMs: number;
      readonly point: Point | null;
    }
  | { readonly type: 'point'; readonly point: Point };

export interface SessionStep {
  readonly state: SessionState;
  readonly effects: readonly SessionEffect[];
  /** Why nothing changed: a move that this phase does not have. */
  readonly refused?: FieldloomError;
}

export const IDLE: SessionState = {
  phase: 'idle',
  sessionId: null,
  zeroMs: 0,
  endedMs: null,
  lastMs: -Infinity,
  leadIn: [],
  detection: newDetection(),
  alarms: NO_ALARMS,
};

/** What the session's clock shows, ms. */
export function sessionTime({ phase, zeroMs, endedMs }: SessionState, nowMs: number): number {
  if (phase === 'idle') return 0;
  return endedMs ?? Math.max(0, Math.round(nowMs - zeroMs));
}

/**
 * One step. Pure: the same inputs at the same times give the same states, which is how a recording goes on after a
 * restart.
 * @param nowMs steady clock: of a reading, when it was taken
 */
export function stepSession(
  state: SessionState,
  input: SessionInput,
  nowMs: number,
  settings: SessionSettings = SESSION_DEFAULTS,
): SessionStep {
  switch (input.type) {
    case 'action':
      return move(state, input.action, input.newId, nowMs, settings);
    case 'mark':
      return mark(state, input, nowMs, settings);
    case 'reading':
      return read(state, input, nowMs, settings);
  }
}

function refuse(state: SessionState, message: string): SessionStep {
  return { state, effects: [], refused: new FieldloomError('conflict', message) };
}

function move(
  state: SessionState,
  action: SessionAction,
  newId: string,
  nowMs: number,
  settings: SessionSettings,
): SessionStep {
  const phase = MOVES[state.phase][action];
  if (phase === undefined) {
    const accepted = Object.keys(MOVES[state.phase]).join(' or ');
    return refuse(state, `${action} while ${state.phase}: accepted is ${accepted}`);
  }
  const next = moved(state, phase, newId, nowMs);
  const effects: SessionEffect[] = [
    { type: 'state', phase, previous: state.phase, sessionId: next.sessionId },
  ];
  if (phase !== 'recording' || !settings.chargeAtStart) return { state: next, effects };
  const charged = mark(next, { event: 'CHARGE', timeMs: 0 }, nowMs, settings);
  return { state: charged.state, effects: [...effects, ...charged.effects] };
}

function moved(state: SessionState, phase: SessionPhase, newId: string, nowMs: number): SessionState {
  switch (phase) {
    case 'idle':
      return IDLE;
    case 'monitoring':
      return { ...IDLE, phase, sessionId: newId, zeroMs: nowMs };
    case 'recording': {
      const shiftMs = Math.round(nowMs - state.zeroMs);
      const leadIn = state.leadIn.map((sample) => ({ ...sample, timeMs: sample.timeMs - shiftMs }));
      return startRecording(newId, nowMs, leadIn);
    }
    case 'finished':
      return { ...state, phase, endedMs: sessionTime(state, nowMs) };
  }
}

/** A recording at its very start. @param leadIn readings before it, on its clock */
export function startRecording(sessionId: string, zeroMs: number, leadIn: readonly Sample[]): SessionState {
  return { ...IDLE, phase: 'recording', sessionId, zeroMs, leadIn, detection: newDetection(leadIn) };
}

function mark(
  state: SessionState,
  input: Pick<Extract<SessionInput, { type: 'mark' }>, 'event' | 'timeMs' | 'source'>,
  nowMs: number,
  settings: SessionSettings,
): SessionStep {
  if (state.phase !== 'recording') {
    return refuse(state, `mark_event while ${state.phase}: accepted is mark_event while recording`);
  }
  const now = sessionTime(state, nowMs);
  const timeMs = Math.round(input.timeMs ?? now);
  if (timeMs < 0 || timeMs > now) {
    return refuse(state, `timestamp_ms is ${timeMs}: accepted is 0 to ${now}, the time since the start`);
  }
  const known = detected(
    state,
    { type: 'mark', event: input.event, timeMs, nowMs: now, source: input.source ?? 'marked' },
    settings,
    true,
  );
  return alarmed(known.state, known.effects, now, null, settings);
}

/** Detection's step, its events in whole ms of a clock that begins at 0. */
function detected(
  state: SessionState,
  input: DetectionInput,
  { detection: settings }: SessionSettings,
  given: boolean,
): SessionStep {
  const before = state.detection.events.length;
  const { state: next } = detect(state.detection, input, settings);
  const events = next.events.map((event, index) => (index < before ? event : onSessionClock(event)));
  return {
    state: { ...state, detection: { ...next, events } },
    effects: events.slice(before).map((event) => ({ type: 'event', event, given })),
  };
}

const onSessionClock = (event: RoastEvent): RoastEvent => ({
  ...event,
  timeMs: Math.max(0, Math.round(event.timeMs)),
  knownMs: Math.max(0, Math.round(event.knownMs)),
});

function read(
  state: SessionState,
  input: Extract<SessionInput, { type: 'reading' }>,
  nowMs: number,
  settings: SessionSettings,
): SessionStep {
  const none = { state, effects: [] };
  if (state.phase !== 'monitoring' && state.phase !== 'recording') return none;
  const timeMs = Math.round(nowMs - state.zeroMs);
  // A reading that was taken before the clock began, or not after the last one, is of no use to anybody.
  if (timeMs < 0 || timeMs <= state.lastMs) return none;
  const { type: _, ...values } = input;
  const point: Point = { timeMs, ...values };
  const sample: Sample = { timeMs, bt: point.bt, et: point.et };
  const next = { ...state, lastMs: timeMs };
  if (state.phase === 'monitoring') {
    const leadIn = leadInWith(state.leadIn, sample);
    return { state: { ...next, leadIn }, effects: [{ type: 'point', point }] };
  }
  const found = detected(next, { type: 'sample', sample }, settings, false);
  const step = alarmed(found.state, found.effects, timeMs, point, settings);
  // The reading comes last: who has it has everything that came with it.
  return { state: step.state, effects: [...step.effects, { type: 'point', point }] };
}

function alarmed(
  state: SessionState,
  effects: readonly SessionEffect[],
  timeMs: number,
  point: Point | null,
  { alarms: rules }: SessionSettings,
): SessionStep {
  if (rules.length === 0) return { state, effects };
  const events = new Map<EventType, number>();
  for (const [type, event] of effectiveEvents(state.detection.events)) events.set(type, event.timeMs);
  const { state: alarms, fired } = evaluateAlarms(rules, state.alarms, {
    timeMs,
    values: {
      bt: point?.bt ?? null,
      et: point?.et ?? null,
      bt_ror: point?.btRor ?? null,
      et_ror: point?.etRor ?? null,
    },
    events,
  });
  return {
    state: { ...state, alarms },
    effects: [...effects, ...fired.map((rule): SessionEffect => ({ type: 'alarm', rule, timeMs, point }))],
  };
}
