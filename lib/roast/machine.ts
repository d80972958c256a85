import type { Clock, Timer } from '../core/clock.js';
import { asError } from '../core/errors.js';
import type { Log } from '../core/log.js';
import { type Client, type ClientSocket, type Clients, createClients } from './clients.js';
import { type ControlOutcome, type Controls, createControls } from './controls.js';
import type { DriverReading, RoastDriver } from './driver.js';
import type { EventType, RoastEvent } from './event.js';
import { type ControlLock, createLock } from './lock.js';
import { type MachineDefinition, rateSettings, sessionSettings } from './machine-definition.js';
import type { AppliedControl, ProfileSource, RoastStore, StoredEvent, StoredSession } from './ports.js';
import {
  type ClientMessage,
  formatAck,
  formatAlarm,
  formatConnection,
  formatError,
  formatEvent,
  formatGap,
  formatPoint,
  formatState,
  type LiveErrorCode,
  parseClientMessage,
  rounded,
  type ServerMessage,
} from './protocol.js';
import { type RateOfRise, rateOfRise } from './rate-of-rise.js';
import { feedRates, type Recording, rebuiltState } from './recording.js';
import { createPlayers, type Players } from './replay-players.js';
import { createRing, type Ring } from './ring.js';
import { createSampler, type Sampler } from './sampler.js';
import {
  IDLE,
  type Point,
  type SessionAction,
  type SessionEffect,
  type SessionInput,
  type SessionPhase,
  type SessionState,
  type SessionStep,
  sessionTime,
  stepSession,
} from './session.js';

/** Without a reading for so long clients are told, once (roast.md "Signal"). */
const SILENT_MS = 5_000;
/** What waits for its row waits no longer: a roast goes on while the database is away. */
const STORED_WITHIN_MS = 1_000;

export interface MachineOptions {
  definition: MachineDefinition;
  driver: RoastDriver;
  store: RoastStore;
  profiles: ProfileSource;
  clock: Clock;
  /** A clock that never goes back, ms. */
  steadyNow(): number;
  newId(): string;
  log: Log;
  /** Told of each message to clients, for flows. */
  tell(machineId: string, message: ServerMessage): void;
  /** The session that goes on. */
  stored?: StoredSession | undefined;
}

/** One roasting machine: its driver, its session, its clients (roast.md "Sessions"). */
export class RoastMachine {
  readonly clients: Clients;
  readonly lock: ControlLock;
  readonly #options: MachineOptions;
  readonly #ring: Ring = createRing();
  readonly #controls: Controls;
  readonly #players: Players;
  #definition: MachineDefinition;
  #sampler: Sampler;
  #driver: RoastDriver;
  #session: SessionState = IDLE;
  /** As clients know it: a step is told after it is stored. */
  #shown: { phase: SessionPhase; previous: SessionPhase; sessionId: string | null } = {
    phase: 'idle',
    previous: 'idle',
    sessionId: null,
  };
  #recording: Recording | undefined;
  #rates: { bt: RateOfRise; et: RateOfRise };
  readonly #controlValues: Record<string, number> = {};
  #controlNumber = 0;
  #heardMs = 0;
  #silent = false;
  #problem = '';
  #silence: Timer | undefined;
  /** What is still to be told, in its order. */
  #telling: Promise<void> | undefined;
  #closed = false;

  constructor(options: MachineOptions) {
    this.#options = options;
    this.#definition = options.definition;
    this.#driver = options.driver;
    const { clock } = options;
    this.clients = createClients(clock, this.#ring);
    this.lock = createLock(clock, (client) => this.#players.stop(client));
    this.#controls = createControls({
      clock,
      channels: () => this.#driver.channels(),
      write: (channel, value) => this.#sampler.write(channel, value),
    });
    this.#players = createPlayers({
      clock,
      steadyNow: options.steadyNow,
      profiles: options.profiles,
      send: (client, message) => this.clients.sendTo(client, message),
      holdsLock: (client) => this.lock.of(client) === 'yours',
      setControl: (client, channel, value) => void this.#setControl(channel, value, client),
    });
    this.#rates = this.#newRates();
    this.#sampler = this.#newSampler();
    if (options.stored !== undefined) this.#goOn(options.stored);
  }

  get definition(): MachineDefinition {
    return this.#definition;
  }
  get driverState() {
    return { state: this.#sampler.state, name: this.#driver.name, message: this.#sampler.message };
  }
  get phase(): SessionPhase {
    return this.#session.phase;
  }
  get sessionId(): string | null {
    return this.#session.sessionId;
  }
  /** What the session's clock shows, ms. */
  get timeMs(): number {
    return sessionTime(this.#session, this.#options.steadyNow());
  }
  get events(): readonly RoastEvent[] {
    return this.#session.detection.events;
  }
  get recording(): Recording | undefined {
    return this.#recording;
  }
  /** Last applied value of each control. */
  get controlValues(): Readonly<Record<string, number>> {
    return this.#controlValues;
  }
  get channels(): readonly string[] {
    return this.#driver.channels();
  }

  connect(): Promise<void> {
    return this.#sampler.connect();
  }

  async disconnect(): Promise<void> {
    const wasThere = this.#sampler.state !== 'disconnected';
    await this.#sampler.disconnect();
    if (wasThere && this.#sampling()) this.#error('DRIVER_DISCONNECTED', 'the driver was disconnected');
  }

  /** Set up anew; the session goes on. */
  async redefine(definition: MachineDefinition, driver: RoastDriver): Promise<void> {
    const connected = this.#sampler.state !== 'disconnected';
    await this.#sampler.disconnect();
    this.#definition = definition;
    this.#driver = driver;
    this.#rates = this.#newRates();
    this.#sampler = this.#newSampler();
    this.#sampler.sample(this.#sampling());
    if (connected) this.connect().catch(() => {}); // clients are told
  }

  /** A client has connected. @param id the same for a client that comes back */
  join(socket: ClientSocket, id: string): Client {
    const client = this.clients.add(socket, id);
    this.lock.came(id);
    const { state, name, message } = this.driverState;
    client.send(formatConnection(state, name, message));
    const { phase, previous, sessionId } = this.#shown;
    client.send(formatState(phase, previous, sessionId, this.lock.of(id)));
    return client;
  }

  leave(client: Client): void {
    if (!this.clients.remove(client)) return;
    this.lock.gone(client.id);
    if (this.lock.of(client.id) !== 'yours') this.#players.stop(client.id);
  }

  /** A client has said something. It never throws: what is wrong is told to that client. */
  hear(client: Client, bytes: Buffer): void {
    let message: ClientMessage;
    try {
      message = parseClientMessage(bytes);
    } catch (error) {
      client.spoke();
      client.send(formatError('INVALID_MESSAGE', asError(error).message));
      return;
    }
    if (message.type === 'sync') {
      client.sync(message, this.timeMs);
      return;
    }
    client.spoke();
    const controls = message.type === 'replay' ? message.action === 'start' && message.actuate : true;
    if (controls && !this.lock.take(client.id)) {
      client.send(formatError('SESSION_LOCKED', 'another client controls this machine'));
      return;
    }
    this.#obey(client, message);
  }

  /** A flow, or a sensor, says so: it asks for no lock. @returns why it was refused */
  command(input: SessionInput): string | undefined {
    const step = this.#step(input, this.#options.steadyNow());
    return step.refused?.message;
  }

  act(action: SessionAction): string | undefined {
    return this.command({ type: 'action', action, newId: this.#options.newId() });
  }

  /** A flow sets a control. */
  set(channel: string, value: number): Promise<ControlOutcome> {
    return this.#setControl(channel, value);
  }

  async close(code: number, reason: string): Promise<void> {
    this.#closed = true;
    this.#silence?.cancel();
    this.#players.close();
    this.lock.close();
    this.clients.closeAll(code, reason);
    await this.#sampler.disconnect();
    await this.#telling;
  }

  #obey(client: Client, message: Exclude<ClientMessage, { type: 'sync' }>): void {
    switch (message.type) {
      case 'control':
        void this.#setControl(message.channel, message.value, client.id);
        return;
      case 'replay':
        this.#players.hear(client.id, message).catch((error: unknown) => {
          const code =
            (error as { code?: string }).code === 'conflict' ? 'INVALID_STATE_TRANSITION' : 'INVALID_MESSAGE';
          client.send(formatError(code, asError(error).message));
        });
        return;
      default: {
        const refused =
          message.type === 'action'
            ? this.act(message.action)
            : this.command({
                type: 'mark',
                event: message.event,
                ...(message.timeMs !== undefined && { timeMs: message.timeMs }),
              });
        if (refused !== undefined) client.send(formatError('INVALID_STATE_TRANSITION', refused));
      }
    }
  }

  async #setControl(channel: string, value: number, client?: string): Promise<ControlOutcome> {
    const outcome = await this.#controls.set(channel, value);
    if (this.#closed) return outcome;
    if (outcome.applied) {
      this.#controlValues[channel] = outcome.value;
      if (this.#session.phase === 'recording') this.#keepControl(channel, outcome.value);
      this.#say(formatAck(outcome));
    } else {
      const ack = formatAck(outcome);
      if (client === undefined) this.#options.tell(this.#definition.id, ack);
      else this.clients.sendTo(client, ack);
      if (outcome.driverFailed) this.#error('DRIVER_WRITE_FAILED', `${channel}: ${outcome.message}`);
    }
    return outcome;
  }

  #keepControl(channel: string, value: number): void {
    const { sessionId } = this.#session;
    const control: AppliedControl = { timeMs: this.timeMs, channel, value };
    this.#recording?.controls.push(control);
    this.#controlNumber += 1;
    this.#keep(this.#options.store.addControl(sessionId as string, this.#controlNumber, control));
  }

  /** Tells all clients and flows. */
  #say(message: ServerMessage): void {
    this.clients.broadcast(message);
    this.#options.tell(this.#definition.id, message);
  }

  #error(code: LiveErrorCode, text: string): void {
    this.#say(formatError(code, text));
  }

  /** Tells it in its order, and keeps it for those who are away. */
  #tellLater(atMs: number, message: ServerMessage): void {
    this.#ring.add({ atMs, text: JSON.stringify(message), reading: message.type === 'temperature' });
    this.clients.told();
    this.#options.tell(this.#definition.id, message);
  }

  #sampling(): boolean {
    return this.#session.phase === 'monitoring' || this.#session.phase === 'recording';
  }

  #newRates() {
    const settings = rateSettings(this.#definition);
    return { bt: rateOfRise(settings), et: rateOfRise(settings) };
  }

  #newSampler(): Sampler {
    const { clock, steadyNow } = this.#options;
    return createSampler({
      driver: this.#driver,
      intervalMs: this.#definition.samplingMs,
      clock,
      steadyNow,
      listener: {
        state: (state, message) => {
          this.#say(formatConnection(state, this.#driver.name, message));
          if (state === 'reconnecting' && this.#sampling()) this.#error('DRIVER_DISCONNECTED', message);
        },
        reading: (reading) => this.#read(reading),
        failed: (error) => {
          this.#problem = error.message;
        },
      },
    });
  }

  #read({ takenMs, bt, et, extra, events = [] }: DriverReading): void {
    for (const event of events) this.#notice(event);
    if (bt === null && et === null) return;
    this.#heardMs = this.#options.steadyNow();
    this.#silent = false;
    const rateOf = (probe: RateOfRise, celsius: number | null) =>
      rounded(probe.add(takenMs, celsius)?.ror ?? null);
    const btRor = rateOf(this.#rates.bt, bt);
    const etRor = rateOf(this.#rates.et, et);
    this.#step({ type: 'reading', bt: rounded(bt), et: rounded(et), btRor, etRor, extra }, takenMs);
  }

  /** A sensor has noticed an event; outside of a recording nobody asked. */
  #notice(event: EventType): void {
    this.#step({ type: 'mark', event, source: 'detected' }, this.#options.steadyNow());
  }

  #step(input: SessionInput, nowMs: number): SessionStep {
    const before = this.#session;
    const step = stepSession(before, input, nowMs, sessionSettings(this.#definition));
    this.#session = step.state;
    if (before.phase !== step.state.phase) this.#turned(step.state);
    for (const effect of step.effects) this.#carryOut(effect);
    if (input.type === 'reading' && step.effects.length > 0) {
      const turned = this.events.some(({ type }) => type === 'TP' || type === 'DRY_END');
      this.#players.reading(input.bt, turned);
    }
    return step;
  }

  #turned({ phase }: SessionState): void {
    const { clock, steadyNow } = this.#options;
    this.#silence?.cancel();
    this.#silence = undefined;
    if (phase === 'monitoring') this.#rates = this.#newRates();
    if (phase === 'recording') {
      this.#recording = { startedAt: clock.now(), points: [], controls: [] };
      this.#controlNumber = 0;
      for (const [channel, value] of Object.entries(this.#controlValues)) {
        this.#recording.controls.push({ timeMs: 0, channel, value });
      }
    }
    if (phase === 'idle') this.#recording = undefined;
    this.#sampler.sample(this.#sampling());
    if (this.#sampling()) {
      this.#heardMs = steadyNow();
      this.#silent = false;
      this.#watch();
    }
  }

  /** Tells, once, when nothing has been read for long. */
  #watch(): void {
    const { clock, steadyNow } = this.#options;
    const sinceMs = steadyNow() - this.#heardMs;
    if (sinceMs > SILENT_MS && !this.#silent) {
      this.#silent = true;
      this.#error('DRIVER_READ_FAILED', this.#problem || `no reading for ${SILENT_MS / 1000} s`);
      this.#problem = '';
    }
    this.#silence = clock.setTimer(() => this.#watch(), 1_000);
  }

  #carryOut(effect: SessionEffect): void {
    const { store } = this.#options;
    const sessionId = this.#session.sessionId as string;
    switch (effect.type) {
      case 'state':
        this.#inOrder(() => this.#show(effect), this.#store(effect));
        return;
      case 'point':
        if (this.#session.phase === 'recording') {
          this.#recording?.points.push(effect.point);
          this.#keep(store.addPoint(sessionId, effect.point));
        }
        this.#inOrder(() => this.#tellLater(effect.point.timeMs, formatPoint(effect.point)));
        return;
      case 'event': {
        const { event, given } = effect;
        this.#inOrder(
          () => this.#tellLater(event.knownMs, formatEvent(event)),
          store.addEvent(sessionId, { event, given }),
        );
        return;
      }
      case 'alarm':
        this.#inOrder(() =>
          this.#tellLater(effect.timeMs, formatAlarm(effect.rule, effect.timeMs, effect.point)),
        );
        for (const action of effect.rule.actions) {
          if (action.kind === 'control') void this.#setControl(action.channel, action.value);
          else this.#notice(action.event);
        }
    }
  }

  #store({ phase, sessionId }: Extract<SessionEffect, { type: 'state' }>): Promise<void> {
    const { store, clock } = this.#options;
    const { id: machineId } = this.#definition;
    if (sessionId === null || phase === 'idle') return store.leaveSession(machineId);
    if (phase === 'finished') return store.endSession(sessionId, this.timeMs);
    const startedAt = this.#recording?.startedAt ?? clock.now();
    const { leadIn } = this.#session;
    const begun = store.beginSession({ sessionId, machineId, phase, startedAt, leadIn });
    this.#recording?.controls.forEach((control) => {
      this.#controlNumber += 1;
      this.#keep(store.addControl(sessionId, this.#controlNumber, control));
    });
    return begun;
  }

  #show({ phase, previous, sessionId }: Extract<SessionEffect, { type: 'state' }>): void {
    if (this.#shown.sessionId !== sessionId) this.#ring.restart(sessionId);
    this.#shown = { phase, previous, sessionId };
    this.clients.broadcast((client) => formatState(phase, previous, sessionId, this.lock.of(client)));
    this.#options.tell(this.#definition.id, formatState(phase, previous, sessionId, 'free'));
  }

  /** A row that nobody waits for. */
  #keep(stored: Promise<void>): void {
    stored.catch((error: unknown) => {
      if (!this.#closed) this.#options.log.error(`${this.#definition.id}: ${asError(error).message}`);
    });
  }

  /** Tells after all that was to be told before, and, for a while at least, after it is stored. */
  #inOrder(tell: () => void, stored?: Promise<void>): void {
    if (stored === undefined && this.#telling === undefined) {
      tell();
      return;
    }
    if (stored !== undefined) this.#keep(stored);
    const turn: Promise<void> = (this.#telling ?? Promise.resolve())
      .then(() => (stored === undefined ? undefined : this.#within(stored)))
      .then(tell)
      .finally(() => {
        if (this.#telling === turn) this.#telling = undefined;
      });
    this.#telling = turn;
  }

  #within(stored: Promise<void>): Promise<void> {
    return new Promise((resolve) => {
      const timer = this.#options.clock.setTimer(resolve, STORED_WITHIN_MS);
      stored
        .catch(() => {}) // reported by `#keep`
        .finally(() => {
          timer.cancel();
          resolve();
        });
    });
  }

  /** The gateway was away: the session goes on, with a gap. */
  #goOn(stored: StoredSession): void {
    const { clock, steadyNow } = this.#options;
    const { points, events, controls, sessionId, phase, startedAt } = stored;
    const lastMs = Math.max(points.at(-1)?.timeMs ?? 0, events.at(-1)?.event.knownMs ?? 0);
    // The wall clock alone has gone on meanwhile; where it was set back, the session's clock still does not go back.
    const elapsedMs = Math.max(clock.now() - startedAt, lastMs + 1);
    const zeroMs = steadyNow() - elapsedMs;
    this.#session = rebuiltState(stored, zeroMs, sessionSettings(this.#definition));
    this.#shown = { phase, previous: phase, sessionId };
    if (phase !== 'monitoring') {
      this.#recording = { startedAt, points: [...points], controls: [...controls] };
      this.#controlNumber = controls.length;
      for (const { channel, value } of controls) this.#controlValues[channel] = value;
    }
    feedRates(points, zeroMs, this.#rates);
    this.#ring.restart(sessionId);
    this.#refill(points, events);
    if (phase === 'recording' && points.length > 0) {
      const text = JSON.stringify(formatGap(lastMs, elapsedMs, 'restart'));
      this.#ring.add({ atMs: elapsedMs, text, reading: false });
    }
    if (this.#sampling()) {
      this.#sampler.sample(true);
      this.#heardMs = steadyNow();
      this.#watch();
    }
  }

  /** The ring as it was: an event that a reading has shown comes before it, one that was marked then after it. */
  #refill(points: readonly Point[], events: readonly StoredEvent[]): void {
    let next = 0;
    const until = (timeMs: number) => {
      for (; next < events.length; next += 1) {
        const { event, given } = events[next] as StoredEvent;
        if (event.knownMs > timeMs || (given && event.knownMs === timeMs)) return;
        this.#ring.add({ atMs: event.knownMs, text: JSON.stringify(formatEvent(event)), reading: false });
      }
    };
    for (const point of points) {
      until(point.timeMs);
      this.#ring.add({ atMs: point.timeMs, text: JSON.stringify(formatPoint(point)), reading: true });
    }
    until(Infinity);
  }
}
