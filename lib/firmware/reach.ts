import type { Link } from '../core/link.js';
import type { Deployment } from './deployment-record.js';
import type { Fleet } from './fleet.js';
import { type Target, targetKey } from './plan.js';
import type { FirmwareStore } from './ports.js';

export interface ReachOptions {
  fleet: Fleet;
  store: Pick<FirmwareStore, 'isOnline'>;
  link: Pick<Link, 'state'>;
}

/** Which controllers can be reached, as far as anybody knows. */
export interface Reach {
  connected(): boolean;
  /** Nobody has said that its controller is away. */
  seemsReachable(deployment: Deployment): boolean;
  /** As `seemsReachable`; asks the store too, where nobody has said anything. */
  isReachable(deployment: Deployment): Promise<boolean>;
  /** A controller is there or away, as someone else has found out. */
  report(controller: Target, online: boolean): void;
  /** Those of these deployments that waited, and need no longer. */
  waitingOf(ids: Iterable<string>): string[];
}

export function createReach({ fleet, store, link }: ReachOptions): Reach {
  const told = new Map<string, boolean>();
  const connected = () => link.state === 'connected';
  const seemsReachable = (deployment: Deployment) => told.get(targetKey(deployment)) !== false;
  return {
    connected,
    seemsReachable,
    async isReachable(deployment) {
      const { storeId, controllerId } = deployment;
      if (!connected()) return false;
      return told.get(targetKey(deployment)) ?? (await store.isOnline(storeId, controllerId)) ?? true;
    },
    report(controller, online) {
      told.set(targetKey(controller), online);
    },
    waitingOf: (ids) =>
      [...ids].filter((id) => {
        const deployment = fleet.deployment(id);
        return deployment?.waiting === true && seemsReachable(deployment);
      }),
  };
}
