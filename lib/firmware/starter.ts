import type { Clock } from '../core/clock.js';
import type { Deadlines } from '../core/deadlines.js';
import { asError } from '../core/errors.js';
import type { Log } from '../core/log.js';
import { type Deployment, isActive } from './deployment-record.js';
import type { Deployments } from './deployments.js';
import type { Fleet, FleetRollout } from './fleet.js';
import { maySend } from './rollout.js';

export interface StarterOptions {
  fleet: Fleet;
  deployments: Deployments;
  clock: Clock;
  log: Log;
  deadlines: Deadlines<string>;
  connected(): boolean;
  isDeciding(rollout: FleetRollout): boolean;
  /** Nobody has said that its controller is away. */
  seemsReachable(deployment: Deployment): boolean;
}

export interface Starter {
  /** Starts what may be started now: stages, places, rate and busy controllers decide. */
  pump(rollout: FleetRollout): void;
  /** Starts what has waited for a controller that is free now. */
  pumpFreed(): void;
}

/** The deadline key at which a rollout with a rate may start more. */
export const pumpKey = (rolloutId: string) => `pump:${rolloutId}`;

/** A rate that could not be used up for a while is made up for within this time, ms. */
const CATCH_UP_MS = 1_000;
/** A start that failed by another gateway's doing, or the store's, is tried again after this time, ms. */
const AGAIN_MS = 5_000;

/** Decides whose turn it is. */
export function createStarter(options: StarterOptions): Starter {
  const { fleet, deployments, clock, log, deadlines } = options;

  const pumpLater = ({ plan }: FleetRollout, at: number) => deadlines.set(pumpKey(plan.id), at);

  function pump(rollout: FleetRollout): void {
    const { plan } = rollout;
    while (options.connected() && maySend(rollout.rollout) && !options.isDeciding(rollout)) {
      if (rollout.places + rollout.starting >= plan.maxInProgress) return;
      const now = clock.now();
      if (plan.ratePerMinute !== null && rollout.nextStartAt > now) {
        pumpLater(rollout, rollout.nextStartAt);
        return;
      }
      const id = fleet.take(rollout);
      const deployment = id === undefined ? undefined : fleet.deployment(id);
      if (deployment === undefined) return;
      if (!isFree(rollout, deployment)) continue;
      if (plan.ratePerMinute !== null) {
        rollout.nextStartAt = Math.max(rollout.nextStartAt, now - CATCH_UP_MS) + 60_000 / plan.ratePerMinute;
      }
      begin(rollout, deployment);
    }
  }

  /** False: its controller is busy, it waits. With `supersede` the other rollouts give the controller up. */
  function isFree({ plan }: FleetRollout, deployment: Deployment): boolean {
    const controller = fleet.controller(deployment);
    if (plan.supersede) {
      for (const id of controller.open) {
        const other = fleet.deployment(id);
        if (other === undefined || other.rolloutId === plan.id) continue;
        // Of two that supersede, the later rollout wins.
        if (fleet.rollouts.get(other.rolloutId)?.plan.supersede && other.id > deployment.id) continue;
        submit(id, { type: 'cancel', supersededBy: deployment.id, reason: `superseded by ${plan.id}` });
      }
    }
    if (controller.active === undefined) return true;
    fleet.block(deployment);
    return false;
  }

  function submit(id: string, event: Parameters<Deployments['submit']>[1]) {
    return deployments.submit(id, event).catch((error: unknown) => {
      log.warn(`firmware: deployment ${id}: ${asError(error).message}`);
      return undefined;
    });
  }

  function begin(rollout: FleetRollout, deployment: Deployment): void {
    const controller = fleet.controller(deployment);
    // Taken at once, so that no other deployment is begun while this one is on its way to the store.
    controller.active = deployment.id;
    rollout.starting += 1;
    const reachable = options.seemsReachable(deployment);
    void submit(deployment.id, { type: 'start', installed: controller.version, reachable }).then((done) => {
      rollout.starting -= 1;
      if (done === undefined || done.deployment.state === 'SCHEDULED') {
        // It did not begin: its turn comes again.
        fleet.release(deployment);
        rollout.freed.push(deployment.id);
        if (done === undefined) pumpLater(rollout, clock.now() + AGAIN_MS);
      }
      if (done === undefined || isActive(done.deployment.state)) return;
      pump(rollout);
      pumpFreed();
    });
  }

  function pumpFreed(): void {
    for (const rollout of fleet.rollouts.values()) if (rollout.freed.length > 0) pump(rollout);
  }

  return { pump, pumpFreed };
}
