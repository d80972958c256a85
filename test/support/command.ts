import { setImmediate } from 'node:timers/promises';
import type { Arrival } from '../../lib/command/ack-intake.js';
import type { DispatcherLink } from '../../lib/command/dispatcher.js';
import type {
  CommandRecord,
  CommandRequest,
  CommandStore,
  CommandTransition,
  CommandWrite,
  ExecutionRecord,
  IdempotencyRecord,
  MqttMessageRecord,
} from '../../lib/command/ports.js';
import type { DeadLetter } from '../../lib/core/dead-letter.js';
import { FieldloomError } from '../../lib/core/errors.js';
import type { LinkState, PublishOptions } from '../../lib/core/link.js';

/** 2025-08-30T01:00:00Z, the time of the document's sample message. */
export const SEED_TIME = Date.UTC(2025, 7, 30, 1, 0, 0);
export const DEVICE = 'AA:BB:CC:DD:EE:FF';
export const COMMAND_ID = '550e8400-e29b-41d4-a716-446655440010';

/** A command as it is stored first. */
export function command(parts: Partial<CommandRecord> = {}): CommandRecord {
  return {
    id: COMMAND_ID,
    dispatcher: 'ponds',
    device: DEVICE,
    topic: `devices/${DEVICE}/commands`,
    payload: '{}',
    commandType: 'FEED',
    parameters: { action: 'feed', amount: 100 },
    priority: 0,
    terms: { acknowledged: true, ackTimeoutMs: 10_000, maxRetries: 3, executionTimeoutMs: 60_000 },
    status: 'PENDING',
    phase: 'queued',
    reason: null,
    message: null,
    attempts: 0,
    late: false,
    revision: 1,
    waitsForBroker: true,
    expiresAt: null,
    wakeAt: null,
    createdAt: SEED_TIME,
    sentAt: null,
    acknowledgedAt: null,
    completedAt: null,
    executionId: null,
    ...parts,
  };
}

export function execution(parts: Partial<ExecutionRecord> = {}): ExecutionRecord {
  return {
    executionId: 4,
    pondId: 1,
    executionType: 'FEED',
    action: 'FEED',
    priority: 'MANUAL_COMMAND',
    status: 'EXECUTING',
    userId: 7,
    parameters: { feed_amount: 100 },
    createdAt: SEED_TIME,
    completedAt: null,
    ...parts,
  };
}

export function write(parts: Partial<CommandWrite> = {}): CommandWrite {
  return { command: command(), expectedRevision: 0, transitions: [], messages: [], ...parts };
}

/** The protocol's rows in memory, as the port promises them. Each call fulfils a turn later, as a database's would. */
export interface ModelStore extends CommandStore {
  readonly commands: Map<string, CommandRecord>;
  readonly transitions: CommandTransition[];
  readonly messages: MqttMessageRecord[];
  readonly letters: DeadLetter[];
  readonly executions: Map<number, ExecutionRecord>;
  readonly idempotency: Map<string, IdempotencyRecord>;
  /** While it is away, writes wait. */
  away: boolean;
  /** The next write is refused with this. */
  refuseNext: Error | undefined;
  /** The next write is committed and answered as a conflict: its answer was lost. */
  loseNextAnswer: boolean;
  /** Makes up for being away. */
  comeBack(): void;
  /** Forgets the writes that wait, as a kill does. */
  kill(): void;
}

export function modelStore(): ModelStore {
  const commands = new Map<string, CommandRecord>();
  const transitions: CommandTransition[] = [];
  const messages: MqttMessageRecord[] = [];
  const letters: DeadLetter[] = [];
  const executions = new Map<number, ExecutionRecord>();
  const idempotency = new Map<string, IdempotencyRecord>();
  let waiting: (() => void)[] = [];

  function commit(write: () => void): Promise<void> {
    return new Promise((resolve, reject) => {
      const perform = () => {
        const refusal = store.refuseNext;
        const lost = store.loseNextAnswer;
        store.refuseNext = undefined;
        store.loseNextAnswer = false;
        try {
          if (refusal !== undefined) throw refusal;
          write();
          if (lost) throw new FieldloomError('store_conflict', 'the row is there already');
          resolve();
        } catch (error) {
          reject(error as Error);
        }
      };
      if (store.away) waiting.push(perform);
      else queueMicrotask(perform);
    });
  }

  const keyOf = (record: IdempotencyRecord) => `${record.userId} ${record.key}`;

  function save(write: CommandWrite): void {
    const { command, expectedRevision, execution, executionEnd, idempotency: asked } = write;
    const taken =
      (commands.get(command.id)?.revision ?? 0) !== expectedRevision ||
      (asked !== undefined && idempotency.has(keyOf(asked))) ||
      (execution !== undefined && executions.has(execution.executionId));
    if (taken) throw new FieldloomError('store_conflict', 'another revision is stored');
    commands.set(command.id, command);
    if (asked !== undefined) idempotency.set(keyOf(asked), asked);
    if (execution !== undefined) executions.set(execution.executionId, execution);
    const stored = executionEnd && executions.get(executionEnd.executionId);
    if (stored !== undefined) executions.set(stored.executionId, { ...stored, ...executionEnd });
    transitions.push(...write.transitions);
    messages.push(...write.messages);
  }

  const store: ModelStore = {
    commands,
    transitions,
    messages,
    letters,
    executions,
    idempotency,
    away: false,
    refuseNext: undefined,
    loseNextAnswer: false,
    comeBack() {
      store.away = false;
      for (const perform of waiting.splice(0)) perform();
    },
    kill() {
      waiting = [];
    },
    loadOpen: async (dispatcher) =>
      [...commands.values()].filter((each) => each.dispatcher === dispatcher && each.phase !== 'ended'),
    load: async (id) => commands.get(id),
    openDispatchers: async (node) => [
      ...new Set(
        [...commands.values()]
          .filter(({ phase, dispatcher }) => phase !== 'ended' && dispatcher.split('@')[0] === node)
          .map(({ dispatcher }) => dispatcher),
      ),
    ],
    async takeOver(from, dispatcher) {
      for (const [id, each] of commands) {
        if (each.phase === 'ended' || !from.includes(each.dispatcher)) continue;
        commands.set(id, { ...each, dispatcher, revision: each.revision + 1 });
      }
    },
    save: (each) => commit(() => save(each)),
    note: (lines, some) =>
      commit(() => {
        transitions.push(...lines);
        messages.push(...some);
      }),
    refuse: (some, message) =>
      commit(() => {
        letters.push(...some);
        if (message !== undefined) messages.push(message);
      }),
    countEarlier: async (letter, before) =>
      letters.filter(
        (kept) =>
          kept.topic === letter.topic && kept.payload.equals(letter.payload) && kept.receivedAt < before,
      ).length,
  };
  return store;
}

export interface Publish {
  topic: string;
  payload: string;
  options: PublishOptions;
  /** The broker has it (PUBCOMP). */
  confirm(): void;
  fail(error: Error): void;
}

/** A link whose other end is the test. */
export interface TestLink extends DispatcherLink {
  readonly publishes: Publish[];
  connect(): void;
  disconnect(): void;
}

/**
 * `confirms`: the broker confirms every publish by itself; `onPublish`: called at the moment of each.
 */
export function testLink({
  confirms = false,
  connected = true,
  onPublish = (_: Publish) => {},
} = {}): TestLink {
  const listeners = new Set<(state: LinkState) => void>();
  let state: LinkState = connected ? 'connected' : 'disconnected';
  const become = (next: LinkState) => {
    state = next;
    for (const listener of listeners) listener(state);
  };
  const publishes: Publish[] = [];
  return {
    publishes,
    get state() {
      return state;
    },
    onState(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    publish(topic, payload, options) {
      if (options.wait === false && state !== 'connected') {
        return Promise.reject(new FieldloomError('not_connected', 'no broker'));
      }
      return new Promise((confirm, fail) => {
        const publish = { topic, payload: String(payload), options, confirm, fail };
        publishes.push(publish);
        onPublish(publish);
        if (confirms) confirm();
      });
    },
    connect: () => become('connected'),
    disconnect: () => become('disconnected'),
  };
}

/** Lets everything happen that waits for nothing but its turn. */
export async function settle(): Promise<void> {
  await setImmediate();
  await setImmediate();
}

export const ackTopic = (device = DEVICE) => `devices/${device}/ack`;

/** An acknowledgement as it comes from a link. */
export function ack(content: object | string, device = DEVICE, receivedAt = SEED_TIME): Arrival {
  const payload = Buffer.from(typeof content === 'string' ? content : JSON.stringify(content));
  return { topic: ackTopic(device), payload, receivedAt };
}

export const FEED: CommandRequest = {
  id: COMMAND_ID,
  device: DEVICE,
  commandType: 'FEED',
  parameters: { amount: 100 },
  values: { pond_position: 1 },
};
