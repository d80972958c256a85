import type { Clock, Timer } from '../core/clock.js';
import { asError } from '../core/errors.js';
import type { Log } from '../core/log.js';
import type { AlarmAction, AlarmRule } from './alarms.js';
import type { DriverReading } from './driver.js';
import type { RoastEvent } from './event.js';
import { type MachineDefinition, rateSettings, sessionSettings, speedOf } from './machine-definition.js';
import { changePace, type Pace, REAL_TIME } from './pace.js';
import type { RoastStore, StoredEvent, StoredSession } from './ports.js';
import { formatAlarm, formatEvent, formatGap, formatPoint, rounded, type ServerMessage } from './protocol.js';
import { type RateOfRise, type RateSettings, rateOfRise } from './rate-of-rise.js';
import { feedRates, type Recording, rebuiltState } from './recording.js';
import type { Ring } from './ring.js';
import {
  IDLE,
  type Point,
  type SessionEffect,
  type SessionInput,
  type SessionPhase,
  type SessionSettings,
  type SessionState,
  sessionTime,
  stepSession,
} from './session.js';
import { createSilence, type Probe } from './silence.js';
import { toldInOrder } from './told-in-order.js';

export interface LiveSessionOptions {
  definition: MachineDefinition;
  store: RoastStore;
  clock: Clock;
  /** A clock that never goes back, ms. */
  steadyNow(): number;
  log: Log;
  /** What was told on the session's clock is added here. */
  ring: Ring;
  listener: {
    /** The session has taken a step, and it is stored. */
    stepped(shown: ShownState): void;
    /** The ring has got this message. */
    told(message: ServerMessage): void;
    /** Whether readings are wanted has changed. */
    sampling(wanted: boolean): void;
    /** A reading was taken. @param turned whether the roast has had its TP */
    read(bt: number | null, turned: boolean): void;
    /** No reading for more than 5 s: of one probe, or of any. */
    silent(of: Probe | 'all'): void;
    /** An alarm asks for it. */
    act(action: AlarmAction): void;
  };
  /** The session that goes on. */
  stored: StoredSession | undefined;
}

/** The session as clients know it: a step is told after it is stored. */
export interface ShownState {
  readonly phase: SessionPhase;
  readonly previous: SessionPhase;
  readonly sessionId: string | null;
}

/** Carries out what a session's steps ask for: stores it, then tells it; and goes on after a restart. */
export class LiveSession {
  readonly #options: LiveSessionOptions;
  readonly #order;
  #settings: SessionSettings;
  #pace: Pace;
  #rateSettings: RateSettings;
  #state: SessionState = IDLE;
  #shown: ShownState = { phase: 'idle', previous: 'idle', sessionId: null };
  #recording: Recording | undefined;
  #rates: { bt: RateOfRise; et: RateOfRise };
  readonly #silence = createSilence();
  #watching: Timer | undefined;
  /** Rows are written in their order: after this one there are all. */
  #lastStored: Promise<void> | undefined;
  #closed = false;

  constructor(options: LiveSessionOptions) {
    this.#options = options;
    this.#order = toldInOrder(options.clock);
    this.#settings = sessionSettings(options.definition);
    this.#pace = changePace(REAL_TIME, speedOf(options.definition), options.steadyNow());
    this.#rateSettings = rateSettings(options.definition);
    this.#rates = this.#newRates();
    if (options.stored !== undefined) this.#goOn(options.stored);
  }

  get state(): SessionState {
    return this.#state;
  }
  get shown(): ShownState {
    return this.#shown;
  }
  /** What the session's clock shows, ms. */
  get timeMs(): number {
    return sessionTime(this.#state, this.#now());
  }
  get recording(): Recording | undefined {
    return this.#recording;
  }
  /** Alarms that have fired, and whose value has not been back since. */
  get standingAlarms(): readonly AlarmRule[] {
    return this.#settings.alarms.filter(({ id }) => this.#state.alarms[id]?.armed === false);
  }
  get sampling(): boolean {
    return this.#state.phase === 'monitoring' || this.#state.phase === 'recording';
  }

  redefine(definition: MachineDefinition): void {
    this.#pace = changePace(this.#pace, speedOf(definition), this.#options.steadyNow());
    this.#settings = sessionSettings(definition);
    const { windowS, mode } = rateSettings(definition);
    // Rates begin anew only where they are taken otherwise: they need half a window before they are known.
    if (windowS === this.#rateSettings.windowS && mode === this.#rateSettings.mode) return;
    this.#rateSettings = { windowS, mode };
    this.#rates = this.#newRates();
  }

  /** @param nowMs the machine's own time. @returns why it was refused */
  step(input: SessionInput, nowMs: number = this.#now()): string | undefined {
    const before = this.#state.phase;
    const { state, effects, refused } = stepSession(this.#state, input, nowMs, this.#settings);
    this.#state = state;
    if (before !== state.phase) this.#turned();
    for (const effect of effects) this.#carryOut(effect);
    return refused?.message;
  }

  /** Its time is the steady clock's. */
  take({ takenMs: takenSteadyMs, bt, et, extra }: DriverReading): void {
    const takenMs = this.#pace.at(takenSteadyMs);
    // What was read before this clock began says nothing of its rates.
    if ((bt === null && et === null) || !this.sampling || takenMs < this.#state.zeroMs) return;
    this.#silence.heard(bt, et, this.#options.steadyNow());
    const rateOf = (probe: RateOfRise, celsius: number | null) =>
      rounded(probe.add(takenMs, celsius)?.ror ?? null);
    const btRor = rateOf(this.#rates.bt, bt);
    const etRor = rateOf(this.#rates.et, et);
    this.step({ type: 'reading', bt: rounded(bt), et: rounded(et), btRor, etRor, extra }, takenMs);
  }

  /** A control was set. */
  keepControl(channel: string, value: number): void {
    const { phase, sessionId } = this.#state;
    if (phase !== 'recording' || this.#recording === undefined) return;
    const control = { timeMs: this.timeMs, channel, value };
    const number = this.#recording.controls.push(control);
    this.#keep(this.#options.store.addControl(sessionId as string, number, control));
  }

  /** Fulfils when all is told and written, or the database takes too long. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#watching?.cancel();
    this.#order.add(() => {}, this.#lastStored);
    await this.#order.done();
  }

  /** The machine's own time, ms. */
  #now(): number {
    return this.#pace.at(this.#options.steadyNow());
  }

  #newRates() {
    return { bt: rateOfRise(this.#rateSettings), et: rateOfRise(this.#rateSettings) };
  }

  #turned(): void {
    const { clock, listener } = this.#options;
    switch (this.#state.phase) {
      case 'monitoring':
        this.#rates.bt.reset();
        this.#rates.et.reset();
        break;
      case 'recording':
        this.#recording = { startedAt: clock.now(), points: [], controls: [], alarms: [] };
        break;
      case 'idle':
        this.#recording = undefined;
    }
    listener.sampling(this.sampling);
    this.#listen();
  }

  /** From now on a reading is expected, or none is. */
  #listen(): void {
    this.#watching?.cancel();
    this.#silence.begin(this.#options.steadyNow());
    if (this.sampling) this.#watch();
  }

  #watch(): void {
    const { clock, steadyNow, listener } = this.#options;
    const silent = this.#silence.due(steadyNow());
    if (silent !== undefined) listener.silent(silent);
    this.#watching = clock.setTimer(() => this.#watch(), 1_000);
  }

  #carryOut(effect: SessionEffect): void {
    const { store, listener } = this.#options;
    const sessionId = this.#state.sessionId as string;
    switch (effect.type) {
      case 'state': {
        const stored = this.#store(effect);
        this.#keep(stored);
        this.#order.add(() => this.#show(effect), stored);
        return;
      }
      case 'point': {
        const { point } = effect;
        if (this.#state.phase === 'recording') {
          this.#recording?.points.push(point);
          this.#keep(store.addPoint(sessionId, point));
        }
        // A reading does not wait for its row: the curve is as late as it may be already.
        this.#order.add(() => this.#tell(point.timeMs, formatPoint(point)));
        const turned = this.#state.detection.events.some(({ type }) => type === 'TP' || type === 'DRY_END');
        listener.read(point.bt, turned);
        return;
      }
      case 'event': {
        const { event, given } = effect;
        const stored = store.addEvent(sessionId, { event, given });
        this.#keep(stored);
        this.#order.add(() => this.#tell(event.knownMs, formatEvent(event)), stored);
        return;
      }
      case 'alarm': {
        const { rule, timeMs, point } = effect;
        this.#recording?.alarms.push({ rule, timeMs, point });
        this.#order.add(() => this.#tell(timeMs, formatAlarm(rule, timeMs, point)));
        for (const action of rule.actions) listener.act(action);
      }
    }
  }

  #store({ phase, sessionId }: Extract<SessionEffect, { type: 'state' }>): Promise<void> {
    const { store, clock, definition } = this.#options;
    const { id: machineId } = definition;
    if (sessionId === null || phase === 'idle') return store.leaveSession(machineId);
    if (phase === 'finished') return store.endSession(sessionId, this.timeMs);
    const startedAt = this.#recording?.startedAt ?? clock.now();
    return store.beginSession({ sessionId, machineId, phase, startedAt, leadIn: this.#state.leadIn });
  }

  /** A row that nobody waits for, or that is waited for elsewhere. */
  #keep(stored: Promise<void>): void {
    this.#lastStored = stored;
    stored.catch((error: unknown) => {
      const { log, definition } = this.#options;
      if (!this.#closed) log.error(`${definition.id}: ${asError(error).message}`);
    });
  }

  #show({ phase, previous, sessionId }: Extract<SessionEffect, { type: 'state' }>): void {
    const { ring, listener } = this.#options;
    if (this.#shown.sessionId !== sessionId) ring.restart(sessionId);
    this.#shown = { phase, previous, sessionId };
    listener.stepped(this.#shown);
  }

  #tell(atMs: number, message: ServerMessage): void {
    const { ring, listener } = this.#options;
    ring.add({ atMs, text: JSON.stringify(message), reading: message.type === 'temperature' });
    listener.told(message);
  }

  /** The gateway was away: the session goes on, with a gap. */
  #goOn(stored: StoredSession): void {
    const { clock, ring } = this.#options;
    const { points, events, controls, sessionId, phase, startedAt } = stored;
    const lastMs = Math.max(points.at(-1)?.timeMs ?? 0, events.at(-1)?.event.knownMs ?? 0);
    // The wall clock alone has gone on meanwhile; where it was set back, the session's clock still does not go back.
    const elapsedMs = Math.max(clock.now() - startedAt, lastMs + 1);
    const zeroMs = this.#now() - elapsedMs;
    const { state, alarms } = rebuiltState(stored, zeroMs, this.#settings);
    this.#state = state;
    this.#shown = { phase, previous: phase, sessionId };
    if (phase !== 'monitoring') {
      this.#recording = { startedAt, points: [...points], controls: [...controls], alarms };
    }
    feedRates(points, zeroMs, this.#rates);
    ring.restart(sessionId);
    this.#refill(points, events);
    if (phase === 'recording' && points.length > 0) {
      const text = JSON.stringify(formatGap(lastMs, elapsedMs, 'restart'));
      ring.add({ atMs: elapsedMs, text, reading: false });
    }
    this.#listen();
  }

  /** The ring as it was: an event that a reading has shown comes before it, one that was marked then after it. */
  #refill(points: readonly Point[], events: readonly StoredEvent[]): void {
    const { ring } = this.#options;
    let next = 0;
    const add = (event: RoastEvent) =>
      ring.add({ atMs: event.knownMs, text: JSON.stringify(formatEvent(event)), reading: false });
    const until = (timeMs: number) => {
      for (; next < events.length; next += 1) {
        const { event, given } = events[next] as StoredEvent;
        if (event.knownMs > timeMs || (given && event.knownMs === timeMs)) return;
        add(event);
      }
    };
    for (const point of points) {
      until(point.timeMs);
      ring.add({ atMs: point.timeMs, text: JSON.stringify(formatPoint(point)), reading: true });
    }
    until(Infinity);
  }
}
