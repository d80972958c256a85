import { type Deployment, isActive, isTerminal, takesPlace } from './deployment-record.js';
import { targetKey } from './plan.js';
import type { ControllerRecord, StoredRollout } from './ports.js';
import { isOver, type Rollout, startedStage } from './rollout.js';

/** A rollout in memory, with what it may start next. */
export interface FleetRollout extends StoredRollout {
  rollout: Rollout;
  revision: number;
  /** Deployments that wait for their turn, by stage, oldest first from `heads` on. */
  readonly queues: string[][];
  readonly heads: number[];
  /** Deployments whose controller was busy and is free now: they come first. */
  readonly freed: string[];
  /** Deployments that have not ended. */
  readonly open: Set<string>;
  /** Those of them that take a place, and those that are being started. */
  places: number;
  starting: number;
  /** No start before this instant, where there is a rate. */
  nextStartAt: number;
}

interface FleetController {
  version: string | undefined;
  /** The deployment that it is busy with. */
  active: string | undefined;
  /** Deployments that have not ended. */
  readonly open: Set<string>;
  /** Deployments that wait until it is free. */
  readonly waiting: Set<string>;
}

/** What the gateway knows of all deployments that have not ended: every look-up costs the same with any number. */
export interface Fleet {
  readonly rollouts: ReadonlyMap<string, FleetRollout>;
  deployment(id: string): Deployment | undefined;
  controller(of: { storeId: string; controllerId: string }): FleetController;
  addRollout(stored: StoredRollout, controllers: ReadonlyMap<string, ControllerRecord>): FleetRollout;
  /** Puts a deployment that waits for its turn into the queue of its stage too. */
  add(deployment: Deployment): void;
  /** The deployment as it is now stored; forgets what is over. */
  update(deployment: Deployment): void;
  /** The next deployment to start of the stages that have started, taken out of the queue. */
  take(rollout: FleetRollout): string | undefined;
  /** Waits until its controller is free. */
  block(deployment: Deployment): void;
  /** Its controller is free: those that wait for it may begin. */
  release(deployment: Deployment): void;
  /** Rollouts that are not over; targets that are under way, and those that wait for their turn. */
  count(): { rollouts: number; inProgress: number; scheduled: number };
  /** Forgets a rollout that is over and has no deployment that has not ended. */
  settle(rollout: FleetRollout): void;
}

export function createFleet(): Fleet {
  const rollouts = new Map<string, FleetRollout>();
  const deployments = new Map<string, Deployment>();
  const controllers = new Map<string, FleetController>();

  function controllerOf(of: { storeId: string; controllerId: string }): FleetController {
    const key = targetKey(of);
    let found = controllers.get(key);
    if (found === undefined) {
      found = { version: undefined, active: undefined, open: new Set(), waiting: new Set() };
      controllers.set(key, found);
    }
    return found;
  }

  function release(deployment: Deployment): void {
    const controller = controllerOf(deployment);
    if (controller.active !== deployment.id) return;
    controller.active = undefined;
    for (const id of controller.waiting) {
      const waiting = deployments.get(id);
      if (waiting !== undefined) rollouts.get(waiting.rolloutId)?.freed.push(id);
    }
    controller.waiting.clear();
  }

  function settle(rollout: FleetRollout): void {
    if (isOver(rollout.rollout) && rollout.open.size === 0) rollouts.delete(rollout.plan.id);
  }

  return {
    rollouts,
    deployment: (id) => deployments.get(id),
    controller: controllerOf,

    addRollout(stored, known) {
      const stages = stored.plan.stages.length;
      const rollout: FleetRollout = {
        ...stored,
        queues: Array.from({ length: stages }, () => []),
        heads: Array.from({ length: stages }, () => 0),
        freed: [],
        open: new Set(),
        places: 0,
        starting: 0,
        nextStartAt: 0,
      };
      rollouts.set(stored.plan.id, rollout);
      for (const record of known.values()) {
        const controller = controllerOf(record);
        controller.version = record.version ?? undefined;
        controller.active ??= record.deploymentId ?? undefined;
      }
      return rollout;
    },

    add(deployment) {
      const rollout = rollouts.get(deployment.rolloutId);
      if (rollout === undefined) return;
      deployments.set(deployment.id, deployment);
      rollout.open.add(deployment.id);
      const controller = controllerOf(deployment);
      controller.open.add(deployment.id);
      if (deployment.state === 'SCHEDULED') rollout.queues[deployment.stage]?.push(deployment.id);
      if (takesPlace(deployment)) rollout.places += 1;
      if (isActive(deployment.state)) controller.active = deployment.id;
    },

    update(deployment) {
      const rollout = rollouts.get(deployment.rolloutId);
      const before = deployments.get(deployment.id);
      if (rollout === undefined || before === undefined) return;
      rollout.places += Number(takesPlace(deployment)) - Number(takesPlace(before));
      const controller = controllerOf(deployment);
      if (isActive(deployment.state)) controller.active = deployment.id;
      if (!isTerminal(deployment.state)) {
        deployments.set(deployment.id, deployment);
        return;
      }
      deployments.delete(deployment.id);
      rollout.open.delete(deployment.id);
      controller.open.delete(deployment.id);
      controller.waiting.delete(deployment.id);
      release(deployment);
      settle(rollout);
    },

    take(rollout) {
      const last = startedStage(rollout.rollout);
      for (let freed = rollout.freed.shift(); freed !== undefined; freed = rollout.freed.shift()) {
        if (deployments.get(freed)?.state === 'SCHEDULED') return freed;
      }
      for (let stage = 0; stage <= last; stage += 1) {
        const queue = rollout.queues[stage] as string[];
        for (let head = rollout.heads[stage] as number; head < queue.length; head += 1) {
          rollout.heads[stage] = head + 1;
          const id = queue[head] as string;
          if (deployments.get(id)?.state === 'SCHEDULED') return id;
        }
      }
      return undefined;
    },

    settle,
    release,

    count() {
      const sum = { rollouts: 0, inProgress: 0, scheduled: 0 };
      for (const { rollout } of rollouts.values()) {
        if (!isOver(rollout)) sum.rollouts += 1;
        for (const { states } of rollout.counts) {
          sum.inProgress += states.SENT + states.IN_PROGRESS + states.CANCELLING;
          sum.scheduled += states.SCHEDULED;
        }
      }
      return sum;
    },

    block(deployment) {
      controllerOf(deployment).waiting.add(deployment.id);
    },
  };
}
