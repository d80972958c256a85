import { backoffDelay } from '../core/backoff.js';
import type { Clock } from '../core/clock.js';
import { asError, FieldloomError, hasCode } from '../core/errors.js';
import type { Log } from '../core/log.js';
import type {
  CommandRecord,
  CommandStore,
  CommandWrite,
  ExecutionRecord,
  MqttMessageRecord,
} from './ports.js';
import { type CommandEvent, type Effect, type Step, transition } from './transition.js';

/** A command in memory, and what waits to happen to it. */
export interface Driven {
  record: CommandRecord;
  /** False: an acknowledgement has brought it from the store; its clocks are another gateway's, or it has ended. */
  ours: boolean;
  /** The execution that it came with; null where there is none, and after a restart. */
  execution: ExecutionRecord | null;
  /** When its first publish began in this run, epoch ms. */
  begunAt: number | null;
  /** Attempts that the link has and has not answered for. */
  underWay: number;
  /** Overdue, and put aside until the broker is back. */
  aside: boolean;
  readonly events: Waiting[];
  busy: boolean;
}

interface Waiting {
  event: CommandEvent;
  /** Of the history, stored with what the event does. */
  message: MqttMessageRecord | undefined;
  done(): void;
  failed(error: Error): void;
}

export interface DriverOptions {
  store: CommandStore;
  clock: Clock;
  log: Log;
  /** The step is stored. Called once for each, in the order of a command's events. */
  stored(driven: Driven, before: CommandRecord, effects: readonly Effect[]): void;
  /** Another gateway has changed it: `record` is as it is stored now. */
  overtaken(driven: Driven): void;
  /** Nothing of it is under way any more. */
  idle(driven: Driven): void;
}

export interface Driver {
  /**
   * Stores a new command with the other rows of its first write, and what has happened to it before that.
   * @param first as it was asked for
   * @throws FieldloomError conflict where it, or what comes with it, is there already; what the store throws
   */
  create(
    driven: Driven,
    first: CommandRecord,
    effects: readonly Effect[],
    rows: Pick<CommandWrite, 'execution' | 'idempotency'>,
  ): Promise<void>;
  /** Fulfils when what the event does is stored. While the store cannot take it, it is tried again. */
  happen(driven: Driven, event: CommandEvent, message?: MqttMessageRecord): Promise<void>;
  /** Fulfils when nothing is on its way to the store; what still waits there is given up. */
  close(): Promise<void>;
}

const RETRY = { firstMs: 250, maxMs: 2_000, jitter: 0.2 };

export function drivenOf(record: CommandRecord, ours: boolean): Driven {
  return {
    record,
    ours,
    execution: null,
    begunAt: null,
    underWay: 0,
    aside: false,
    events: [],
    busy: false,
  };
}

const linesOf = (effects: readonly Effect[]) =>
  effects.flatMap((effect) => (effect.type === 'record' ? [effect.transition] : []));

/** Events that any gateway may bring. */
const FROM_OUTSIDE: ReadonlySet<CommandEvent['type']> = new Set(['ack', 'cancel']);

/** Any whole number that the databases keep exactly; 0 is kept for what is not stored. */
export const drawRevision = () => 1 + Math.floor(Math.random() * (Number.MAX_SAFE_INTEGER - 1));

/** Lets the events of one command happen one after another, each stored before the next is judged. */
export function createDriver({ store, clock, log, stored, overtaken, idle }: DriverOptions): Driver {
  let closed = false;
  let onTheWay = 0;
  let quiet: (() => void) | undefined;
  /** Who waits for the next try. */
  const sleepers = new Set<() => void>();

  function sleep(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const wake = () => {
        timer.cancel();
        sleepers.delete(wake);
        resolve();
      };
      const timer = clock.setTimer(wake, ms);
      sleepers.add(wake);
    });
  }

  function enter(driven: Driven): void {
    driven.busy = true;
    onTheWay += 1;
  }

  function leave(driven: Driven): void {
    driven.busy = false;
    onTheWay -= 1;
    idle(driven);
    if (onTheWay === 0) quiet?.();
  }

  async function drain(driven: Driven): Promise<void> {
    for (let next = driven.events.shift(); next !== undefined; next = driven.events.shift()) {
      try {
        await perform(driven, next);
        next.done();
      } catch (error) {
        next.failed(asError(error));
      }
    }
    leave(driven);
  }

  /** Judged anew where another write came first. */
  async function perform(driven: Driven, { event, message }: Waiting): Promise<void> {
    for (let attempt = 0; ; attempt += 1) {
      if (closed) throw new FieldloomError('link_closed', 'the dispatcher is closed');
      const before = driven.record;
      const step = transition(before, event, clock.now());
      if (step.command === before && step.effects.length === 0 && message === undefined) return;
      const revision = drawRevision();
      try {
        await write(before, step, revision, message);
        if (step.command !== before) driven.record = { ...step.command, revision };
      } catch (error) {
        if (closed || hasCode(error, 'store_closed')) throw error;
        if (!hasCode(error, 'store_conflict')) {
          log.error(`Command ${before.id} could not be stored, tried again: ${asError(error).message}`);
        }
        if (!(await reload(driven, revision, attempt))) {
          // What happens by itself is for the gateway to see to that has taken the command over.
          if (driven.record.dispatcher !== before.dispatcher && !FROM_OUTSIDE.has(event.type)) return;
          continue;
        }
      }
      stored(driven, before, step.effects);
      return;
    }
  }

  function write(
    before: CommandRecord,
    step: Step,
    revision: number,
    message: MqttMessageRecord | undefined,
  ): Promise<void> {
    const transitions = linesOf(step.effects);
    const messages = message === undefined ? [] : [message];
    const { command } = step;
    if (command === before) {
      const nothing = transitions.length === 0 && messages.length === 0;
      return nothing ? Promise.resolve() : store.note(transitions, messages);
    }
    const change: CommandWrite = {
      command: { ...command, revision },
      expectedRevision: before.revision,
      transitions,
      messages,
    };
    const { executionId, status, phase, completedAt } = command;
    if (executionId !== null && phase === 'ended' && status !== before.status) {
      change.executionEnd = {
        executionId,
        status: status === 'COMPLETED' ? 'COMPLETED' : 'FAILED',
        completedAt,
      };
    }
    return store.save(change);
  }

  /** @returns true where our write is stored: its answer had been lost */
  async function reload(driven: Driven, revision: number, attempt: number): Promise<boolean> {
    if (attempt > 0) await sleep(backoffDelay(attempt, RETRY));
    const found = await store.load(driven.record.id).catch((error: unknown) => {
      if (hasCode(error, 'store_closed')) throw error;
      log.warn(`Command ${driven.record.id} cannot be read: ${asError(error).message}`);
      return driven.record;
    });
    if (found === undefined) throw new FieldloomError('not_found', `there is no command ${driven.record.id}`);
    const known = driven.record.revision;
    driven.record = found;
    if (found.revision === revision) return true;
    if (found.revision !== known) overtaken(driven);
    return false;
  }

  return {
    async create(driven, first, effects, rows) {
      enter(driven);
      const { record: command } = driven;
      const transitions = linesOf(effects);
      try {
        await store.save({ ...rows, command, expectedRevision: 0, transitions, messages: [] });
      } catch (error) {
        try {
          await isStored(command, error);
        } catch (refusal) {
          for (const { failed } of driven.events.splice(0)) failed(asError(refusal));
          leave(driven);
          throw refusal;
        }
      }
      stored(driven, first, effects);
      void drain(driven);
    },
    happen(driven, event, message) {
      return new Promise((done, failed) => {
        driven.events.push({ event, message, done, failed });
        if (driven.busy) return;
        enter(driven);
        void drain(driven);
      });
    },
    async close() {
      closed = true;
      for (const wake of sleepers) wake();
      if (onTheWay === 0) return;
      await new Promise<void>((resolve) => {
        quiet = resolve;
      });
    },
  };

  /** A conflict may be our own commit whose answer was lost. */
  async function isStored(record: CommandRecord, failure: unknown): Promise<void> {
    if (!hasCode(failure, 'store_conflict')) throw failure;
    const found = await store.load(record.id);
    if (found?.revision === record.revision) return;
    const what = found === undefined ? 'the idempotency key or the execution' : `command ${record.id}`;
    throw new FieldloomError('conflict', `${what} is there already`);
  }
}
