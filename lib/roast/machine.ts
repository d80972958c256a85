import type { Clock } from '../core/clock.js';
import { asError, hasCode } from '../core/errors.js';
import type { Log } from '../core/log.js';
import type { AlarmAction, AlarmRule } from './alarms.js';
import { type Client, type ClientSocket, type Clients, createClients } from './clients.js';
import { type ControlOutcome, type Controls, createControls } from './controls.js';
import type { RoastDriver } from './driver.js';
import type { EventType, RoastEvent } from './event.js';
import { LiveSession } from './live-session.js';
import { type ControlLock, createLock } from './lock.js';
import { type MachineDefinition, speedOf } from './machine-definition.js';
import type { ProfileSource, RoastStore, StoredSession } from './ports.js';
import {
  type ClientMessage,
  formatAck,
  formatConnection,
  formatError,
  formatState,
  type LiveErrorCode,
  parseClientMessage,
  type ServerMessage,
} from './protocol.js';
import type { Recording } from './recording.js';
import { createPlayers, type Players } from './replay-players.js';
import { createRing } from './ring.js';
import { createSampler, type Sampler } from './sampler.js';
import type { SessionAction, SessionInput, SessionPhase } from './session.js';

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
  readonly #session: LiveSession;
  readonly #controls: Controls;
  readonly #players: Players;
  readonly #controlValues: Record<string, number> = {};
  #definition: MachineDefinition;
  #driver: RoastDriver;
  #sampler: Sampler;
  /** Why the last read failed. */
  #problem = '';
  /** It is told once that readings do not come, until one does. */
  #outageTold = false;
  #closed = false;

  constructor(options: MachineOptions) {
    this.#options = options;
    this.#definition = options.definition;
    this.#driver = options.driver;
    const { definition, store, clock, steadyNow, log, stored } = options;
    const ring = createRing();
    this.clients = createClients(clock, ring);
    this.lock = createLock(clock, (client) => {
      this.#players.stop(client);
      this.#tellClientsState();
    });
    this.#controls = createControls({
      clock,
      channels: () => this.#driver.channels(),
      write: (channel, value) => this.#sampler.write(channel, value),
    });
    this.#players = createPlayers({
      clock,
      steadyNow,
      profile: (id) => options.profiles.profile(id, definition.companyId),
      send: (client, message) => this.clients.sendTo(client, message),
      holdsLock: (client) => this.lock.of(client) === 'yours',
      setControl: (client, channel, value) => void this.#setControl(channel, value, client),
    });
    this.#sampler = this.#newSampler();
    for (const { channel, value } of stored?.controls ?? []) this.#controlValues[channel] = value;
    this.#session = new LiveSession({
      ...{ definition, store, clock, steadyNow, log, ring, stored },
      listener: {
        stepped: ({ phase }) => {
          // A recording begins with the controls as they are.
          if (phase === 'recording') this.#keepControls();
          this.#tellClientsState();
          this.tellState();
        },
        told: (message) => {
          this.clients.told();
          this.#tell(message);
        },
        sampling: (wanted) => {
          this.#outageTold = false;
          this.#sampler.sample(wanted);
        },
        read: (bt, turned) => {
          this.#outageTold = false;
          this.#players.reading(bt, turned);
        },
        silent: (of) => {
          const { state } = this.#sampler;
          const none = of === 'all' ? 'no reading for 5 s' : `${of}: no reading for 5 s`;
          const why = state === 'connected' ? this.#problem || none : `the driver is ${state}`;
          // One probe of two is no outage: the others go on.
          if (of === 'all') this.#outage('DRIVER_READ_FAILED', why);
          else this.#error('DRIVER_READ_FAILED', why);
          this.#problem = '';
        },
        act: (action) => this.#act(action),
      },
    });
    this.#sampler.sample(this.#session.sampling);
  }

  get definition(): MachineDefinition {
    return this.#definition;
  }
  get driverState() {
    return { state: this.#sampler.state, name: this.#driver.name, message: this.#sampler.message };
  }
  get phase(): SessionPhase {
    return this.#session.state.phase;
  }
  get sessionId(): string | null {
    return this.#session.state.sessionId;
  }
  /** What the session's clock shows, ms. */
  get timeMs(): number {
    return this.#session.timeMs;
  }
  get events(): readonly RoastEvent[] {
    return this.#session.state.detection.events;
  }
  get recording(): Recording | undefined {
    return this.#session.recording;
  }
  get standingAlarms(): readonly AlarmRule[] {
    return this.#session.standingAlarms;
  }
  /** Last applied value of each control; of those that nobody has set, what the driver says. */
  get controlValues(): Readonly<Record<string, number>> {
    return { ...this.#controlValues, ...this.#driver.values?.() };
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
    if (wasThere && this.#session.sampling)
      this.#outage('DRIVER_DISCONNECTED', 'the driver was disconnected');
  }

  /**
   * Set up anew; the session goes on.
   * @param driver undefined where the one that it has stays: what is only looked at differently needs no new connection
   */
  async redefine(definition: MachineDefinition, driver: RoastDriver | undefined): Promise<void> {
    if (driver === undefined) {
      this.#definition = definition;
      this.#session.redefine(definition);
      return;
    }
    const connected = this.#sampler.state !== 'disconnected';
    await this.#sampler.disconnect();
    this.#definition = definition;
    this.#driver = driver;
    this.#session.redefine(definition);
    this.#sampler = this.#newSampler();
    this.#sampler.sample(this.#session.sampling);
    if (connected) this.connect().catch(() => {}); // clients are told
  }

  /** A client has connected. @param id the same for a client that comes back */
  join(socket: ClientSocket, id: string): Client {
    const client = this.clients.add(socket, id);
    this.lock.came(id);
    const { state, name, message } = this.driverState;
    client.send(formatConnection(state, name, message));
    client.send(this.#stateFor(id));
    return client;
  }

  leave(client: Client): void {
    if (!this.clients.remove(client)) return;
    this.lock.gone(client.id);
    // Who holds the lock may be back soon, and finds the replay where it is by then.
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
    // A replay only shows, unless it is to move the controls.
    const controls = message.type !== 'replay' || (message.action === 'start' && message.actuate);
    const wasFree = this.lock.of(client.id) === 'free';
    if (controls && !this.lock.take(client.id)) {
      client.send(formatError('SESSION_LOCKED', 'another client controls this machine'));
      return;
    }
    const before = this.phase;
    this.#obey(client, message);
    // A step of the session tells who holds the lock by itself.
    if (controls && wasFree && this.phase === before) this.#tellClientsState();
  }

  /** A flow or a sensor says so: they ask for no lock. @returns why it was refused */
  command(input: SessionInput): string | undefined {
    return this.#session.step(input);
  }

  act(action: SessionAction): string | undefined {
    return this.#session.step({ type: 'action', action, newId: this.#options.newId() });
  }

  /** A flow sets a control. */
  set(channel: string, value: number): Promise<ControlOutcome> {
    return this.#setControl(channel, value);
  }

  /** Tells flows the state of the session, without a step of it. */
  tellState(): void {
    const { phase, previous, sessionId } = this.#session.shown;
    this.#tell(formatState(phase, previous, sessionId, 'free'));
  }

  async close(code: number, reason: string): Promise<void> {
    this.#closed = true;
    this.#players.close();
    this.lock.close();
    this.clients.closeAll(code, reason);
    await this.#sampler.disconnect();
    await this.#session.close();
  }

  #stateFor(client: string): ServerMessage {
    const { phase, previous, sessionId } = this.#session.shown;
    return formatState(phase, previous, sessionId, this.lock.of(client));
  }

  #tellClientsState(): void {
    this.clients.broadcast((client) => this.#stateFor(client));
  }

  #obey(client: Client, message: Exclude<ClientMessage, { type: 'sync' }>): void {
    switch (message.type) {
      case 'control':
        void this.#setControl(message.channel, message.value, client.id);
        return;
      case 'replay':
        this.#players.hear(client.id, message).catch((error: unknown) => {
          const code = hasCode(error, 'conflict') ? 'INVALID_STATE_TRANSITION' : 'INVALID_MESSAGE';
          client.send(formatError(code, asError(error).message));
        });
        return;
      case 'action':
        this.#answer(client, this.act(message.action));
        return;
      case 'mark': {
        const { event, timeMs } = message;
        const at = timeMs === undefined ? {} : { timeMs };
        this.#answer(client, this.command({ type: 'mark', event, ...at }));
      }
    }
  }

  #answer(client: Client, refused: string | undefined): void {
    if (refused !== undefined) client.send(formatError('INVALID_STATE_TRANSITION', refused));
  }

  async #setControl(channel: string, value: number, client?: string): Promise<ControlOutcome> {
    const outcome = await this.#controls.set(channel, value);
    if (this.#closed) return outcome;
    const ack = formatAck(outcome);
    if (outcome.applied) {
      this.#controlValues[channel] = outcome.value;
      this.#session.keepControl(channel, outcome.value);
      // Readers see where the controls are, too.
      this.clients.broadcast(ack);
    } else if (client !== undefined) this.clients.sendTo(client, ack);
    this.#tell(ack);
    if (outcome.driverFailed) this.#error('DRIVER_WRITE_FAILED', `${channel}: ${outcome.message}`);
    return outcome;
  }

  #keepControls(): void {
    for (const [channel, value] of Object.entries(this.controlValues)) {
      this.#session.keepControl(channel, value);
    }
  }

  #act(action: AlarmAction): void {
    if (action.kind === 'control') void this.#setControl(action.channel, action.value);
    else this.#notice(action.event);
  }

  /** A sensor or an alarm has noticed an event; outside of a recording nobody asked. */
  #notice(event: EventType): void {
    this.#session.step({ type: 'mark', event, source: 'detected' });
  }

  #tell(message: ServerMessage): void {
    this.#options.tell(this.#definition.id, message);
  }

  #outage(code: LiveErrorCode, text: string): void {
    if (this.#outageTold) return;
    this.#outageTold = true;
    this.#error(code, text);
  }

  #error(code: LiveErrorCode, text: string): void {
    const message = formatError(code, text);
    this.clients.broadcast(message);
    this.#tell(message);
  }

  #newSampler(): Sampler {
    const { clock, steadyNow } = this.#options;
    return createSampler({
      driver: this.#driver,
      intervalMs: this.#definition.samplingMs / speedOf(this.#definition),
      clock,
      steadyNow,
      listener: {
        state: (state, text) => {
          const message = formatConnection(state, this.#driver.name, text);
          this.clients.broadcast(message);
          this.#tell(message);
          if (state === 'reconnecting' && this.#session.sampling) this.#outage('DRIVER_DISCONNECTED', text);
        },
        reading: (reading) => {
          this.#problem = reading.problem ?? '';
          for (const event of reading.events ?? []) this.#notice(event);
          this.#session.take(reading);
        },
        failed: (error) => {
          this.#problem = error.message;
        },
      },
    });
  }
}
