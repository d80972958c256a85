import type { Clock } from '../core/clock.js';
import type { Deadlines } from '../core/deadlines.js';
import { asError, hasCode } from '../core/errors.js';
import type { FleetRollout } from './fleet.js';
import type { FirmwareStore, HistoryRecord } from './ports.js';
import { type Rollout, type RolloutEffects, type RolloutEvent, transition } from './rollout.js';

/** A step of a rollout, told when it is committed. */
export interface RolloutChange {
  entry: FleetRollout;
  previous: Rollout;
  event: RolloutEvent['type'];
  effects: RolloutEffects;
  at: number;
}

export interface ProgressOptions {
  store: FirmwareStore;
  clock: Clock;
  deadlines: Deadlines<string>;
  /** Whether a flow decides about the stages now. */
  gated(): boolean;
  /** Called after each step: what has changed is stored. */
  stepped(change: RolloutChange): void;
  /** Called when a rollout has decided: no step of it is on its way any more. */
  decided(entry: FleetRollout): void;
}

/** Takes rollouts forward, one event of a rollout after the other. */
export interface Progress {
  /** Fulfils when the event has been taken, and stored where it has changed anything but counts. */
  submit(entry: FleetRollout, event: RolloutEvent): Promise<RolloutEffects>;
  /** A step of it is on its way to the store: what it may do next is not known yet. */
  isDeciding(entry: FleetRollout): boolean;
}

interface Task {
  event: RolloutEvent;
  done(effects: RolloutEffects): void;
  failed(error: Error): void;
}

const MOST_TRIES = 20;

export const tickKey = (rolloutId: string) => `rollout:${rolloutId}`;

export function createProgress(options: ProgressOptions): Progress {
  const { store, clock, deadlines } = options;
  const queues = new WeakMap<FleetRollout, { tasks: Task[]; running: boolean }>();

  const queueOf = (entry: FleetRollout) => {
    let queue = queues.get(entry);
    if (queue === undefined) {
      queue = { tasks: [], running: false };
      queues.set(entry, queue);
    }
    return queue;
  };

  async function persist(entry: FleetRollout, given: RolloutEvent): Promise<RolloutEffects> {
    let event = given;
    for (let tries = 0; ; tries += 1) {
      const now = clock.now();
      const previous = entry.rollout;
      const step = judge(entry, event, now);
      if (!step.effects.changed) {
        entry.rollout = step.rollout;
        return step.effects;
      }
      const { rollout } = step;
      const line: HistoryRecord = {
        subjectId: rollout.id,
        rolloutId: rollout.id,
        event: event.type,
        from: previous.state,
        to: rollout.state,
        detail: JSON.stringify({ stage: rollout.stage, phase: rollout.phase, reason: rollout.reason }),
        at: now,
      };
      const write = { plan: entry.plan, rollout, expectedRevision: entry.revision, history: [line] };
      try {
        await store.saveRollout(write);
      } catch (error) {
        if (!hasCode(error, 'store_conflict') || tries >= MOST_TRIES) throw error;
        await reload(entry);
        // The store has counted it already.
        if (event.type === 'counted' || event.type === 'retried') event = { type: 'restored' };
        continue;
      }
      entry.revision += 1;
      entry.rollout = rollout;
      deadlines.set(tickKey(rollout.id), rollout.wakeAt);
      options.stepped({ entry, previous, event: event.type, effects: step.effects, at: now });
      return step.effects;
    }
  }

  const judge = (entry: FleetRollout, event: RolloutEvent, now: number) =>
    transition(entry.rollout, event, now, { stages: entry.plan.stages, gated: options.gated() });

  /** After another gateway's write. What the store counts already is not to be counted again. */
  async function reload(entry: FleetRollout): Promise<void> {
    const found = await store.rollout(entry.plan.id);
    if (found === undefined) return;
    entry.rollout = found.rollout;
    entry.revision = found.revision;
    const queue = queueOf(entry);
    const counted = queue.tasks.filter(({ event }) => event.type === 'counted');
    queue.tasks = queue.tasks.filter(({ event }) => event.type !== 'counted');
    for (const { done } of counted) done({ changed: false });
  }

  async function drain(entry: FleetRollout): Promise<void> {
    const queue = queueOf(entry);
    if (queue.running) return;
    queue.running = true;
    for (let task = queue.tasks.shift(); task !== undefined; task = queue.tasks.shift()) {
      const previous = entry.rollout;
      const step = judge(entry, task.event, clock.now());
      // Counts alone are stored with the deployments: thousands of them need not wait for anything.
      if (!step.effects.changed) {
        entry.rollout = step.rollout;
        if (step.rollout !== previous) {
          const { type } = task.event;
          if (step.rollout.wakeAt !== previous.wakeAt)
            deadlines.set(tickKey(entry.plan.id), step.rollout.wakeAt);
          options.stepped({ entry, previous, event: type, effects: step.effects, at: clock.now() });
        }
        task.done(step.effects);
        continue;
      }
      try {
        task.done(await persist(entry, task.event));
      } catch (error) {
        task.failed(asError(error));
      }
    }
    queue.running = false;
    options.decided(entry);
  }

  function submit(entry: FleetRollout, event: RolloutEvent): Promise<RolloutEffects> {
    return new Promise((resolve, reject) => {
      queueOf(entry).tasks.push({ event, done: resolve, failed: reject });
      void drain(entry);
    });
  }

  return { submit, isDeciding: (entry) => queueOf(entry).running };
}
