import { silentLog } from '../../lib/core/log.js';
import type { Client, ClientSocket } from '../../lib/roast/clients.js';
import type { RoastDriver } from '../../lib/roast/driver.js';
import { createFlowDriver, type FlowDriver } from '../../lib/roast/flow-driver.js';
import { RoastMachine } from '../../lib/roast/machine.js';
import type { MachineConfig } from '../../lib/roast/machine-definition.js';
import type { RoastStore, StoredMachine, StoredSession } from '../../lib/roast/ports.js';
import type { Profile } from '../../lib/roast/profile.js';
import type { ServerMessage } from '../../lib/roast/protocol.js';
import { type FakeClock, fakeClock } from './fake-clock.js';

type Writable<T> = { -readonly [K in keyof T]: T[K] extends readonly (infer I)[] ? I[] : T[K] };

/** A store in memory that keeps what it was told. */
export function memoryRoastStore() {
  const machines = new Map<string, StoredMachine>();
  const sessions = new Map<string, Writable<StoredSession> & { machineId: string }>();
  const change = (id: string, values: Partial<StoredMachine>) => {
    const known = machines.get(id);
    if (known !== undefined) machines.set(id, { ...known, ...values });
  };
  const sessionOf = (id: string) => {
    const found = sessions.get(id);
    if (found === undefined) throw new Error(`there is no session ${id}`);
    return found;
  };
  const store: RoastStore = {
    machines: async () => [...machines.values()],
    async addMachine(definition) {
      machines.set(definition.id, { definition, connected: false, sessionId: null, createdAt: 0 });
    },
    updateMachine: async (definition) => change(definition.id, { definition }),
    async removeMachine(id) {
      machines.delete(id);
    },
    setConnected: async (id, connected) => change(id, { connected }),
    session: async (id) => structuredClone(sessions.get(id)),
    async beginSession({ sessionId, machineId, phase, startedAt, leadIn }) {
      const rest = { points: [], events: [], controls: [], endedMs: null };
      sessions.set(sessionId, { sessionId, machineId, phase, startedAt, leadIn: [...leadIn], ...rest });
      change(machineId, { sessionId });
    },
    async endSession(sessionId, endedMs) {
      Object.assign(sessionOf(sessionId), { phase: 'finished', endedMs });
    },
    leaveSession: async (id) => change(id, { sessionId: null }),
    async addPoint(sessionId, point) {
      sessionOf(sessionId).points.push(point);
    },
    async addEvent(sessionId, event) {
      sessionOf(sessionId).events.push(event);
    },
    async addControl(sessionId, _number, control) {
      sessionOf(sessionId).controls.push(control);
    },
  };
  return { store, sessions };
}

/** Lets everything that is ready happen. */
export async function settled(): Promise<void> {
  for (let turn = 0; turn < 3; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}

/** One end of a WebSocket that a test holds. */
export class FakeWatcher implements ClientSocket {
  readonly got: ServerMessage[] = [];
  bufferedAmount = 0;
  closed: number | undefined;
  pings = 0;
  client: Client | undefined;
  /** Told of each text as it comes. */
  onText: ((text: string) => void) | undefined;

  send(text: string, sent: (error?: Error | null) => void): void {
    if (this.closed !== undefined) return;
    this.got.push(JSON.parse(text) as ServerMessage);
    this.onText?.(text);
    queueMicrotask(() => sent());
  }
  ping(): void {
    this.pings += 1;
  }
  close(code: number): void {
    this.closed = code;
  }
  terminate(): void {
    this.closed = 1006;
  }
  /** Messages of one type. */
  of<T extends ServerMessage['type']>(type: T): Extract<ServerMessage, { type: T }>[] {
    return this.got.filter((message) => message.type === type) as Extract<ServerMessage, { type: T }>[];
  }
}

export interface MachineBench {
  clock: FakeClock;
  machine: RoastMachine;
  flow: FlowDriver;
  /** Controls that left by wires. */
  written: [string, number][];
  memory: ReturnType<typeof memoryRoastStore>;
  /** What flows were told. */
  told: ServerMessage[];
  watch(id?: string): FakeWatcher;
  say(watcher: FakeWatcher, message: unknown): Promise<void>;
  /** A reading, after `ms`. */
  read(bt: number | null, et?: number | null, ms?: number): Promise<void>;
  /** Ends the gateway and starts another `awayMs` later. */
  restart(awayMs: number): Promise<MachineBench>;
}

export interface BenchOptions {
  config?: MachineConfig;
  driver?: (flow: FlowDriver) => RoastDriver;
  profiles?: Record<string, Profile>;
  clock?: FakeClock;
  memory?: ReturnType<typeof memoryRoastStore>;
  stored?: StoredSession;
}

let ids = 0;

/** A machine on a fake clock, fed by hand. */
export async function machineBench(options: BenchOptions = {}): Promise<MachineBench> {
  const { config = {}, profiles = {}, clock = fakeClock(), memory = memoryRoastStore(), stored } = options;
  const written: [string, number][] = [];
  const told: ServerMessage[] = [];
  const flow = createFlowDriver((channel, value) => written.push([channel, value]));
  const definition = {
    ...{ id: 'm1', name: 'Drum', companyId: null },
    ...{ driver: 'flow' as const, samplingMs: 1000, config },
  };
  await memory.store.addMachine(definition);
  // Each process has a steady clock of its own.
  const begin = clock.now() - 5_000;
  const machine = new RoastMachine({
    definition,
    driver: options.driver?.(flow) ?? flow,
    store: memory.store,
    profiles: { profile: async (id) => profiles[id] },
    clock,
    steadyNow: () => clock.now() - begin,
    newId: () => {
      ids += 1;
      return `session-${ids}`;
    },
    log: silentLog,
    tell: (_id, message) => told.push(message),
    stored,
  });
  machine.connect().catch(() => {}); // a driver that fails is what some tests are about
  await settled();
  const bench: MachineBench = {
    clock,
    machine,
    flow,
    written,
    memory,
    told,
    watch(id = `client-${told.length}-${Math.random()}`) {
      const watcher = new FakeWatcher();
      watcher.client = machine.join(watcher, id);
      return watcher;
    },
    async say(watcher, message) {
      const text = typeof message === 'string' ? message : JSON.stringify(message);
      machine.hear(watcher.client as Client, Buffer.from(text));
      await settled();
    },
    async read(bt, et = 200, ms = 1000) {
      clock.advance(ms);
      flow.take({ takenMs: clock.now() - begin, bt, et, extra: {} });
      await settled();
    },
    async restart(awayMs) {
      const { sessionId } = machine;
      clock.advance(awayMs);
      const session = sessionId === null ? undefined : await memory.store.session(sessionId);
      return machineBench({ ...options, clock, memory, ...(session && { stored: session }) });
    },
  };
  return bench;
}

export const command = (action: string, more: object = {}) => ({ type: 'command', action, ...more });
