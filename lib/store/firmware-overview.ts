import { sql } from 'kysely';
import type { StoredRollout } from '../firmware/ports.js';
import type { RolloutStateName } from '../firmware/rollout.js';
import { onlyIn } from './firmware-queries.js';
import { withCounts } from './firmware-rows.js';
import type { Store } from './store.js';

export interface FirmwareOverview {
  /** Rollouts by state. @param stores only those all of whose targets are in these; undefined: all */
  states(stores: readonly string[] | undefined): Promise<Partial<Record<RolloutStateName, number>>>;
  /** Those that have not ended, and those that stopped by themselves since then; newest first. @param since epoch ms */
  calling(stores: readonly string[] | undefined, since: number, limit: number): Promise<StoredRollout[]>;
  /** Controllers whose part has ended since then, by state and by minute, in no order. @param since epoch ms */
  ended(
    stores: readonly string[] | undefined,
    since: number,
  ): Promise<{ minute: number; state: string; count: number }[]>;
}

/** What a page that shows all rollouts at a glance asks. */
export function firmwareOverview(store: Pick<Store, 'db'>): FirmwareOverview {
  const { db } = store;
  return {
    async states(stores) {
      const rows = await onlyIn(stores, db.selectFrom('firmware_rollout as rollout'))
        .select('rollout.state')
        .select((is) => is.fn.countAll<number>().as('count'))
        .groupBy('rollout.state')
        .execute();
      return Object.fromEntries(rows.map(({ state, count }) => [state, Number(count)]));
    },

    async calling(stores, since, limit) {
      const rows = await onlyIn(stores, db.selectFrom('firmware_rollout as rollout'))
        .selectAll('rollout')
        .where((is) =>
          is.or([
            is('rollout.state', 'in', ['RUNNING', 'PAUSED', 'WAITING_APPROVAL']),
            is.and([is('rollout.state', '=', 'ABORTED'), is('rollout.ended_at', '>=', since)]),
          ]),
        )
        .orderBy('rollout.id', 'desc')
        .limit(limit)
        .execute();
      return withCounts(store, rows);
    },

    async ended(stores, since) {
      const minute = sql<number>`deployment.ended_at - deployment.ended_at % 60000`;
      // Only what still ran then can have ended since: the others are not looked through.
      const rows = await onlyIn(stores, db.selectFrom('firmware_rollout as rollout'))
        .innerJoin('firmware_deployment as deployment', 'deployment.rollout_id', 'rollout.id')
        .where((is) => is.or([is('rollout.ended_at', 'is', null), is('rollout.ended_at', '>=', since)]))
        .where('deployment.ended_at', '>=', since)
        .select([minute.as('minute'), 'deployment.state'])
        .select((is) => is.fn.countAll<number>().as('count'))
        .groupBy([minute, 'deployment.state'])
        .execute();
      return rows.map(({ minute: at, state, count }) => ({
        minute: Number(at),
        state,
        count: Number(count),
      }));
    },
  };
}
