import { asError, FieldloomError } from '../core/errors.js';
import type { Gateways } from '../core/gateways.js';
import type { Link } from '../core/link.js';
import { createOverheard } from '../core/overheard.js';
import { createTaskHolder, type TaskRow } from '../core/task-holder.js';
import { newFirmwareCounters } from './counters.js';
import { type Arrival, firmwareFilters } from './inbox.js';
import type { FirmwareStore } from './ports.js';
import { isOver } from './rollout.js';
import { createRollouts, type Rollouts, type RolloutsListener, type RolloutsOptions } from './rollouts.js';

export interface SharedRolloutsOptions extends RolloutsOptions {
  gateways: Gateways;
  task: TaskRow;
  /** The store, whose writes are void (store_conflict) once the task has another term. */
  storeAt(term: number): FirmwareStore;
  /** The link, which sends nothing once `may` says no. */
  gate(may: () => boolean): Link & { release(): void };
}

/** The rollouts as this gateway drives them, for one term. */
interface Run {
  rollouts: Rollouts;
  link: { release(): void };
}

const NOBODY = { rollouts: 0, inProgress: 0, scheduled: 0 };

/**
 * The rollouts of several gateways on one store: one of them drives them all, until its lease is over or a person's
 * action comes to another one, which then drives them. Each change of hands raises the term, and no write of an
 * earlier term counts. What controllers say is heard by all; the gateway that drives answers for it.
 */
export function createSharedRollouts(options: SharedRolloutsOptions): Rollouts {
  const { gateways, task, store, files, clock, log } = options;
  const filters = firmwareFilters(options.settings?.prefix);
  const overheard = createOverheard<Arrival>(clock);
  const listeners = new Set<RolloutsListener>();
  const counters = newFirmwareCounters();
  let started: Promise<void> | undefined;
  let stopHolding: (() => void) | undefined;
  let closed = false;
  let leave = () => {};
  const leaving = new Promise<void>((resolve) => {
    leave = resolve;
  });
  /** The lease and the term of what is sent. */
  let current: { lease: string; term: number } | undefined;
  const holder = createTaskHolder<Run>({
    ...{ gateways, task, begin },
    able: () => options.link.state === 'connected',
    async end({ rollouts, link }) {
      current = undefined;
      if (!closed) log.info('firmware: another gateway drives the rollouts from now on');
      await rollouts.close();
      link.release();
    },
  });

  async function begin(lease: string, term: number): Promise<Run> {
    current = { lease, term };
    const link = options.gate(() => current?.term === term && gateways.lease === lease && gateways.holds());
    const rollouts = createRollouts({ ...options, store: options.storeAt(term), link, counters });
    for (const listener of listeners) rollouts.listen(listener);
    log.info('firmware: this gateway drives the rollouts');
    await rollouts.start();
    return { rollouts, link };
  }

  /** What was heard before the rollouts were ours, and while they were being loaded. */
  async function settle(wanted: boolean): Promise<Rollouts | undefined> {
    const run = await holder.settle(wanted);
    if (run === undefined) return undefined;
    const resumedAt = clock.now();
    for (const arrival of overheard.take()) {
      await run.rollouts.handle({ ...arrival, resumedAt, again: true });
    }
    return run.rollouts;
  }

  async function look(): Promise<void> {
    try {
      await settle(false);
    } catch (error) {
      if (!closed) log.warn(`firmware: who drives the rollouts is not known: ${asError(error).message}`);
    }
  }

  const stopLooking = gateways.onLook(() => {
    if (started !== undefined) void look();
  });

  async function join(): Promise<void> {
    stopHolding = files.holdBack?.(needed);
    await Promise.race([gateways.joined, leaving]);
    await look();
  }

  function start(): Promise<void> {
    started ??= join();
    return started;
  }

  /** Why an image may not be removed. */
  async function needed(imageId: string): Promise<string | undefined> {
    const { rollouts } = await store.loadOpen();
    const found = rollouts.find(({ plan, rollout }) => plan.image.imageId === imageId && !isOver(rollout));
    return found && `rollout ${found.plan.id} is ${found.rollout.state}`;
  }

  /** @throws FieldloomError store_unavailable where this gateway cannot drive them now */
  async function drive(): Promise<Rollouts> {
    await start();
    const driven = await settle(true);
    if (driven !== undefined) return driven;
    throw new FieldloomError('store_unavailable', 'another gateway is taking the rollouts over: try again');
  }

  return {
    filters,
    counters,
    start,
    async handle(arrival) {
      if (closed) throw new FieldloomError('link_closed', 'the firmware backend is closed');
      await start();
      const { held } = holder;
      if (held === undefined) overheard.add(arrival);
      else await held.rollouts.handle(arrival);
    },
    replay: async (letter) => (await drive()).replay(letter),
    create: async (body, by, allowed) => (await drive()).create(body, by, allowed),
    act: async (rolloutId, event) => (await drive()).act(rolloutId, event),
    retry: async (rolloutId, deploymentIds) => (await drive()).retry(rolloutId, deploymentIds),
    cancelDeployment: async (id, reason) => (await drive()).cancelDeployment(id, reason),
    forceDeployment: async (id, reason) => (await drive()).forceDeployment(id, reason),
    async reportVersion(storeId, controllerId, version) {
      await start();
      const { held } = holder;
      if (held !== undefined) await held.rollouts.reportVersion(storeId, controllerId, version);
      else await store.reportVersion(storeId, controllerId, version, clock.now());
    },
    /** Each gateway hears of some controllers only: the store, which knows of all, is asked instead. */
    async reportPresence() {},
    listen(listener) {
      listeners.add(listener);
      const stop = holder.held?.rollouts.listen(listener);
      return () => {
        listeners.delete(listener);
        stop?.();
      };
    },
    count: () => holder.held?.rollouts.count() ?? NOBODY,
    async close() {
      closed = true;
      leave();
      stopLooking();
      stopHolding?.();
      await holder.close();
    },
  };
}
