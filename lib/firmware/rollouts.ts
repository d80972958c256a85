import { randomUUID } from 'node:crypto';
import { v7 } from 'uuid';
import type { Clock } from '../core/clock.js';
import type { DeadLetter } from '../core/dead-letter.js';
import { createDeadlines } from '../core/deadlines.js';
import type { Refusal } from '../core/envelope.js';
import { asError, FieldloomError } from '../core/errors.js';
import type { Link } from '../core/link.js';
import type { Log } from '../core/log.js';
import { createRedelivery } from '../core/redelivery.js';
import { whenPossible } from '../core/when-possible.js';
import { type FirmwareCounters, newFirmwareCounters } from './counters.js';
import { type Deployment, isActive, isTerminal, isVerifying, scheduled } from './deployment-record.js';
import type { DeploymentEvent } from './deployment-step.js';
import { createDeployments, type DeploymentChange, type Submitted } from './deployments.js';
import { createFleet, type FleetRollout } from './fleet.js';
import { type Arrival, createInbox } from './inbox.js';
import { parseRolloutRequest, planOf, ROLLOUT_DEFAULTS, type RolloutDefaults } from './plan.js';
import type { FirmwareFiles, FirmwareStore, StoredRollout } from './ports.js';
import { createProgress, type RolloutChange, tickKey } from './progress.js';
import { createReach } from './reach.js';
import { countOfRetry, retriesOf } from './retry.js';
import { type CountChange, draft, isOver, type RolloutEvent } from './rollout.js';
import { createStarter, pumpKey } from './starter.js';

/** What is told when it is committed. */
export interface RolloutsListener {
  deployment?(change: DeploymentChange): void;
  rollout?(change: RolloutChange): void;
  /** A flow is asked whether this stage may start. */
  gate?(entry: StoredRollout, stage: number): void;
  alert?(change: DeploymentChange): void;
  refused?(letter: DeadLetter): void;
}

export interface RolloutsOptions {
  store: FirmwareStore;
  files: FirmwareFiles;
  link: Link;
  clock: Clock;
  log: Log;
  /** Whether a flow answers the gate now. */
  gated(): boolean;
  counters?: FirmwareCounters;
  settings?: Partial<RolloutDefaults> & { /** Before the topics, for example `lms`. */ prefix?: string };
}

export interface Rollouts {
  /** MQTT filters of the messages to be handled. */
  readonly filters: readonly string[];
  readonly counters: FirmwareCounters;
  /** Loads what is stored and goes on with it. What is asked before that waits. */
  start(): Promise<void>;
  /**
   * Takes a message of the action or ack topic. Fulfils when it is a committed event or dead letter: it is the MQTT
   * acknowledgement.
   */
  handle(arrival: Arrival): Promise<void>;
  /** Reads a dead letter again. @returns what is still wrong with it */
  replay(letter: DeadLetter): Promise<Refusal | undefined>;
  /**
   * A new rollout.
   * @param body as of `POST /firmware/rollouts`
   * @param by name of the user; null: a flow
   * @param allowed throws where this user may not have targets in these stores
   * @throws FieldloomError invalid_input
   */
  create(
    body: unknown,
    by: string | null,
    allowed?: (storeIds: readonly string[]) => void,
  ): Promise<StoredRollout>;
  /** @throws FieldloomError not_found; conflict where the rollout's state does not allow it */
  act(rolloutId: string, event: RolloutEvent): Promise<StoredRollout>;
  /**
   * New deployments for those that failed, timed out or were cancelled.
   * @param deploymentIds only these
   * @throws FieldloomError not_found, conflict
   */
  retry(rolloutId: string, deploymentIds?: readonly string[]): Promise<StoredRollout>;
  /** @throws FieldloomError not_found; conflict with its state where it can no longer be cancelled */
  cancelDeployment(deploymentId: string, reason?: string): Promise<Deployment>;
  /** Ends a stuck deployment without the controller's word. @throws FieldloomError not_found, conflict */
  forceDeployment(deploymentId: string, reason?: string): Promise<Deployment>;
  /**
   * What a controller says that it runs (its startup, its heartbeat, a `firmware_version` beside its machine states):
   * it verifies deployments, and tells which controllers need no update.
   */
  reportVersion(storeId: string, controllerId: string, version: string): Promise<void>;
  /** Whether a controller is there, as someone else has found out. */
  reportPresence(storeId: string, controllerId: string, online: boolean): Promise<void>;
  listen(listener: RolloutsListener): () => void;
  count(): { rollouts: number; inProgress: number; scheduled: number };
  close(): Promise<void>;
}

/** The backend of firmware updates (protocols.md "Firmware"; seed: firmware-update). */
export function createRollouts(options: RolloutsOptions): Rollouts {
  const { store, files, link, clock, log } = options;
  const defaults = { ...ROLLOUT_DEFAULTS, ...options.settings };
  const fleet = createFleet();
  const listeners = new Set<RolloutsListener>();
  const counters = options.counters ?? newFirmwareCounters();
  const deadlines = createDeadlines<string>(clock, due);
  const deployments = createDeployments({
    ...{ store, files, link, clock, log, fleet, deadlines, committed },
    isDeciding: (entry) => progress.isDeciding(entry),
    prefix: options.settings?.prefix ?? '',
  });
  const progress = createProgress({
    ...{ store, clock, deadlines, gated: options.gated, stepped },
    decided: (entry) => starter.pump(entry),
  });
  const { isDeciding } = progress;
  const reach = createReach({ fleet, store, link });
  const { connected, seemsReachable } = reach;
  const starter = createStarter({
    ...{ fleet, deployments, clock, log, deadlines, connected, seemsReachable, isDeciding },
  });
  const inbox = createInbox({
    ...{ store, clock, fleet, deployments, counters },
    isRepeated: createRedelivery(store),
    prefix: options.settings?.prefix ?? '',
    refused: (letter) => tell('refused', letter),
  });
  const disposals: (() => void)[] = [];
  let ready: Promise<void> | undefined;
  let closed = false;

  function tell<Name extends keyof RolloutsListener>(
    name: Name,
    ...values: Parameters<Required<RolloutsListener>[Name]>
  ): void {
    for (const listener of listeners) {
      try {
        (listener[name] as ((...values: unknown[]) => void) | undefined)?.(...values);
      } catch (error) {
        log.error(`firmware: a listener failed: ${asError(error).message}`);
      }
    }
  }

  const background = (work: Promise<unknown>, what: string) => {
    work.catch((error: unknown) => {
      if (!closed) log.warn(`firmware: ${what}: ${asError(error).message}`);
    });
  };

  function committed(change: DeploymentChange, count: CountChange | undefined): void {
    const { deployment, previous, effects } = change;
    counters.events[effects.note] = (counters.events[effects.note] ?? 0) + 1;
    const entry = fleet.rollouts.get(deployment.rolloutId);
    if (entry !== undefined && count !== undefined) {
      background(progress.submit(entry, { type: 'counted', change: count }), `rollout ${entry.plan.id}`);
    }
    if (!effects.silent) tell('deployment', change);
    if (effects.alert !== undefined) tell('alert', change);
    const endedNow = isTerminal(deployment.state) && !isTerminal(previous.state);
    if (entry !== undefined) starter.pump(entry);
    // Whoever waits for this controller may begin.
    if (endedNow) starter.pumpFreed();
  }

  function stepped(change: RolloutChange): void {
    const { entry, effects } = change;
    tell('rollout', change);
    if (effects.askGate !== undefined) tell('gate', entry, effects.askGate);
    if (effects.cancelAll) cancelAll(entry);
    fleet.settle(entry);
  }

  function cancelAll(entry: FleetRollout): void {
    const reason = `the rollout is ${entry.rollout.state}`;
    for (const id of [...entry.open]) {
      const deployment = fleet.deployment(id);
      if (deployment === undefined || deployment.state === 'CANCELLING' || isVerifying(deployment)) continue;
      background(deployments.submit(id, { type: 'cancel', reason }), `deployment ${id}`);
    }
  }

  function due(key: string): void {
    const [kind, id = ''] = key.includes(':') ? key.split(':') : ['deployment', key];
    if (kind === 'deployment') {
      const deployment = fleet.deployment(key);
      if (deployment !== undefined) background(tick(deployment), `deployment ${key}`);
      return;
    }
    const entry = fleet.rollouts.get(id);
    if (entry === undefined) return;
    if (key === tickKey(id)) background(progress.submit(entry, { type: 'tick' }), `rollout ${id}`);
    if (key === pumpKey(id)) starter.pump(entry);
  }

  async function tick(deployment: Deployment): Promise<void> {
    const reachable = await reach.isReachable(deployment);
    await deployments.submit(deployment.id, { type: 'tick', reachable });
  }

  /** Those that waited for the connection, or for their controller. */
  function goOn(ids: Iterable<string>): void {
    for (const id of reach.waitingOf(ids)) {
      background(deployments.submit(id, { type: 'reachable' }), `deployment ${id}`);
    }
  }

  function onState(): void {
    if (!connected()) return;
    for (const entry of fleet.rollouts.values()) {
      goOn(entry.open);
      starter.pump(entry);
    }
  }

  /** Why an image may not be removed. */
  async function needed(imageId: string): Promise<string | undefined> {
    await start();
    for (const { plan, rollout } of fleet.rollouts.values()) {
      if (plan.image.imageId === imageId && !isOver(rollout)) return `rollout ${plan.id} is ${rollout.state}`;
    }
    return undefined;
  }

  async function load(): Promise<void> {
    const release = files.holdBack?.(needed);
    if (release !== undefined) disposals.push(release);
    const found = await whenPossible(() => store.loadOpen(), {
      what: 'firmware: the stored rollouts',
      clock,
      log,
      closed: () => closed,
    });
    for (const stored of found.rollouts) fleet.addRollout(stored, await store.controllersOf(stored.plan.id));
    for (const deployment of found.deployments) {
      fleet.add(deployment);
      deadlines.set(deployment.id, deployment.wakeAt);
    }
    disposals.push(link.onState(onState));
    for (const entry of [...fleet.rollouts.values()]) {
      const { rollout, plan } = entry;
      deadlines.set(tickKey(plan.id), rollout.wakeAt);
      if (rollout.state === 'ABORTED' || rollout.state === 'CANCELLED') cancelAll(entry);
      await progress.submit(entry, { type: 'restored' });
      starter.pump(entry);
    }
    onState();
  }

  function start(): Promise<void> {
    ready ??= load();
    return ready;
  }

  /** The rollout in memory; one that is over is loaded again. @throws FieldloomError not_found */
  async function entryOf(rolloutId: string): Promise<FleetRollout> {
    await start();
    const known = fleet.rollouts.get(rolloutId);
    if (known !== undefined) return known;
    const stored = await store.rollout(rolloutId);
    if (stored === undefined) throw new FieldloomError('not_found', `there is no rollout ${rolloutId}`);
    const controllers = await store.controllersOf(rolloutId);
    return fleet.rollouts.get(rolloutId) ?? fleet.addRollout(stored, controllers);
  }

  async function actOn(entry: FleetRollout, event: RolloutEvent): Promise<StoredRollout> {
    const { refused } = await progress.submit(entry, event);
    fleet.settle(entry);
    if (refused === undefined) return entry;
    throw new FieldloomError('conflict', refused, { details: { state: entry.rollout.state } });
  }

  async function ask(deploymentId: string, event: DeploymentEvent): Promise<Deployment> {
    await start();
    const done = await deployments.submit(deploymentId, event);
    if (done === undefined) throw new FieldloomError('not_found', `there is no deployment ${deploymentId}`);
    const { deployment, effects } = done as Submitted;
    if (effects.refused === undefined) return deployment;
    throw new FieldloomError('conflict', effects.refused, { details: { state: deployment.state } });
  }

  return {
    filters: inbox.filters,
    counters,
    start,

    async handle(arrival) {
      if (closed) throw new FieldloomError('link_closed', 'the firmware backend is closed');
      await start();
      await inbox.take(arrival);
    },

    async replay(letter) {
      await start();
      return inbox.replay(letter);
    },

    async create(body, by, allowed) {
      await start();
      const request = parseRolloutRequest(body, defaults);
      allowed?.([...new Set(request.targets.map(({ storeId }) => storeId))]);
      const image = await files.image(request.imageId);
      if (image === undefined) {
        throw new FieldloomError('invalid_input', `/image_id: there is no image ${request.imageId}`, {
          pointer: '/image_id',
        });
      }
      const now = clock.now();
      const plan = planOf(request, image, { id: v7(), createdAt: now, createdBy: by });
      const targets = request.targets.map((target, position) =>
        scheduled({ ...target, id: v7(), rolloutId: plan.id, position, correlationId: randomUUID() }, now),
      );
      const stored = { plan, rollout: draft(plan.id, plan.stages), revision: 1 };
      await store.create(stored, targets);
      const entry = fleet.addRollout(stored, await store.controllersOf(plan.id));
      for (const deployment of targets) fleet.add(deployment);
      if (!request.start) return entry;
      return actOn(entry, { type: 'start' });
    },

    act: async (rolloutId, event) => actOn(await entryOf(rolloutId), event),

    async retry(rolloutId, deploymentIds) {
      const entry = await entryOf(rolloutId);
      if (entry.rollout.state === 'DRAFT') {
        throw new FieldloomError('conflict', 'the rollout is DRAFT: start it', {
          details: { state: 'DRAFT' },
        });
      }
      const ended = await store.deploymentsIn(rolloutId, ['FAILED', 'TIMED_OUT', 'CANCELLED']);
      const now = clock.now();
      const retries = retriesOf(ended, deploymentIds, now);
      if (retries === undefined) {
        fleet.settle(entry);
        const text = 'there is no such deployment that has failed, timed out or been cancelled';
        throw new FieldloomError('conflict', text, { details: { state: entry.rollout.state } });
      }
      await store.retry(retries, now);
      const changes = retries.map(countOfRetry);
      const current = fleet.rollouts.get(rolloutId) ?? entry;
      for (const { next } of retries) fleet.add(next);
      return actOn(current, { type: 'retried', changes });
    },

    cancelDeployment: (id, reason) => ask(id, { type: 'cancel', ...(reason !== undefined && { reason }) }),
    forceDeployment: (id, reason) => ask(id, { type: 'force', ...(reason !== undefined && { reason }) }),

    async reportVersion(storeId, controllerId, version) {
      await start();
      const controller = fleet.controller({ storeId, controllerId });
      const isNews = controller.version !== version;
      if (isNews) {
        await store.reportVersion(storeId, controllerId, version, clock.now());
        controller.version = version;
      }
      const { active } = controller;
      if (active !== undefined && isActive(fleet.deployment(active)?.state ?? 'SCHEDULED')) {
        await deployments.submit(active, { type: 'version', version });
      } else if (isNews) {
        const late = await store.unverified(storeId, controllerId);
        if (late !== undefined) await deployments.submit(late.id, { type: 'version', version });
      }
    },

    async reportPresence(storeId, controllerId, online) {
      await start();
      reach.report({ storeId, controllerId }, online);
      if (online) goOn(fleet.controller({ storeId, controllerId }).open);
    },

    listen(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },

    count: fleet.count,

    async close() {
      closed = true;
      for (const dispose of disposals) dispose();
      deadlines.stop();
      await deployments.idle();
    },
  };
}
