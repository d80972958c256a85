import type { Clock } from '../core/clock.js';
import type { DeadLetter } from '../core/dead-letter.js';
import { asError, hasCode } from '../core/errors.js';
import type { LivenessSettings } from '../core/liveness.js';
import type { LaundryStore, LaundryWrite, MessageRecord } from './ports.js';
import {
  type ControllerEvent,
  type ControllerState,
  type Effects,
  newController,
  recordOf,
  storedController,
  transition,
} from './state.js';

/** An event of one controller, and what is to be written with it. */
export interface ChainInput {
  event: ControllerEvent;
  deadLetters: readonly DeadLetter[];
  /** Line of the message history, once it is known what became of the message. */
  describe?(effects: Effects): MessageRecord;
}

export interface ChainOptions {
  store: LaundryStore;
  clock: Clock;
  settings: LivenessSettings;
  /** When this gateway began to listen, epoch ms: silence before that was ours. */
  listeningSince: number;
  /** Called once for an event, when its row is committed, in the order of events. */
  committed(effects: Effects, input: ChainInput, state: ControllerState): void;
}

interface Task {
  readonly input: ChainInput;
  readonly done: () => void;
  readonly failed: (error: Error) => void;
  /** The last try: what it drew and led to. Place in the order of events. */
  order: number;
  revision: number;
  effects: Effects | undefined;
  state: ControllerState;
}

/**
 * One controller's events, each stored before it is told. Each is judged at once by the state that the ones before
 * it lead to, so that many may be on their way to the store together: their writes form a chain of revisions. Where
 * one fails, those behind it cannot be stored either; when all are answered the state is loaded anew and those that
 * met a conflict are judged again, in their order, before any later one.
 */
export interface Chain {
  /** With everything that is on its way. */
  readonly state: ControllerState;
  /**
   * Fulfils when the event's row is committed and told.
   * @throws what the store rejects with, other than store_conflict
   */
  submit(input: ChainInput): Promise<void>;
}

/** Any whole number that the databases keep exactly; 0 is kept for what is not stored. */
const drawRevision = () => 1 + Math.floor(Math.random() * (Number.MAX_SAFE_INTEGER - 1));

/** @param stored as loaded; undefined where the controller is new */
export function createChain(
  storeId: string,
  controllerId: string,
  stored: Awaited<ReturnType<LaundryStore['load']>>,
  { store, clock, settings, listeningSince, committed }: ChainOptions,
): Chain {
  let state: ControllerState;
  let revision: number;
  let onTheWay = 0;
  /** Something failed: no new write until the state is loaded anew. */
  let broken = false;
  let loading = false;
  let order = 0;
  const conflicting: Task[] = [];
  const waiting: Task[] = [];

  function begin(found: Awaited<ReturnType<LaundryStore['load']>>): void {
    const known =
      found === undefined
        ? newController(storeId, controllerId, settings)
        : storedController(found.controller, found.machines);
    state = transition(known, { type: 'restored' }, listeningSince, settings).state;
    revision = found?.controller.revision ?? 0;
  }

  function run(task: Task): void {
    const { input } = task;
    const result = transition(state, input.event, clock.now(), settings);
    if (input.event.type === 'deadline' && result.effects.liveness === undefined) {
      task.done();
      return;
    }
    const expectedRevision = revision;
    ({ state } = result);
    revision = drawRevision();
    order += 1;
    task.order = order;
    task.revision = revision;
    task.effects = result.effects;
    task.state = state;
    const write: LaundryWrite = {
      expectedRevision,
      controller: recordOf(state, revision),
      machines: result.effects.records,
      changes: result.effects.changes,
      deadLetters: input.deadLetters,
    };
    if (result.effects.liveness !== undefined) {
      write.liveness = { online: state.online, at: state.lastSeen };
    }
    const message = input.describe?.(result.effects);
    if (message !== undefined) write.message = message;
    onTheWay += 1;
    store.save(write).then(
      () => {
        onTheWay -= 1;
        // It was built on those before it: what looked like a conflict of theirs was a commit whose answer was lost.
        for (const earlier of conflicting.splice(0)) succeed(earlier);
        succeed(task);
        recoverWhenQuiet();
      },
      (error: unknown) => {
        onTheWay -= 1;
        broken = true;
        if (hasCode(error, 'store_conflict')) conflicting.push(task);
        else task.failed(asError(error));
        recoverWhenQuiet();
      },
    );
  }

  function succeed(task: Task): void {
    if (task.effects !== undefined) committed(task.effects, task.input, task.state);
    task.done();
  }

  function recoverWhenQuiet(): void {
    if (!broken || onTheWay > 0 || loading) return;
    loading = true;
    store.load(storeId, controllerId).then(recover, (error: unknown) => {
      // The store is closed or refuses: nothing is acknowledged, and the next event tries to load again.
      loading = false;
      for (const task of [...conflicting.splice(0), ...waiting.splice(0)]) task.failed(asError(error));
    });
  }

  function recover(found: Awaited<ReturnType<LaundryStore['load']>>): void {
    begin(found);
    loading = false;
    broken = false;
    const again = conflicting.splice(0).sort((a, b) => a.order - b.order);
    // The last one whose answer was lost has nothing behind it to tell so, but its revision is there.
    const last = again.findIndex((task) => task.revision === revision);
    for (const task of again.splice(0, last + 1)) succeed(task);
    for (const task of [...again, ...waiting.splice(0)]) run(task);
  }

  begin(stored);
  return {
    get state() {
      return state;
    },
    submit(input) {
      return new Promise((resolve, reject) => {
        const task: Task = {
          input,
          done: resolve,
          failed: reject,
          order: 0,
          revision: 0,
          effects: undefined,
          state,
        };
        if (broken) {
          waiting.push(task);
          recoverWhenQuiet();
        } else run(task);
      });
    },
  };
}
