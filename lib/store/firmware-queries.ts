import type { SelectQueryBuilder } from 'kysely';
import type { Deployment, DeploymentState } from '../firmware/deployment-record.js';
import type { HistoryRecord, StoredRollout } from '../firmware/ports.js';
import { deploymentOf, historyOf, withCounts } from './firmware-rows.js';
import type { FirmwareRolloutTable } from './firmware-tables.js';
import { type Page, type PageRequest, pageLimit, pageOf, readCursor } from './page.js';
import type { Store } from './store.js';
import type { Tables } from './tables.js';

export interface RolloutFilter extends PageRequest {
  /** Only rollouts all of whose targets are in these stores; undefined: all. */
  stores?: readonly string[];
}

export interface DeploymentFilter extends PageRequest {
  state?: DeploymentState;
  stage?: number;
}

export interface FirmwareQueries {
  /** Newest first. @throws FieldloomError invalid_input */
  rollouts(filter?: RolloutFilter): Promise<Page<StoredRollout>>;
  rollout(rolloutId: string): Promise<StoredRollout | undefined>;
  /** The stores that a rollout has targets in. */
  storesOf(rolloutId: string): Promise<string[]>;
  /** In the order of the targets; of a target that was retried the newest last. @throws FieldloomError invalid_input */
  deployments(rolloutId: string, filter?: DeploymentFilter): Promise<Page<Deployment>>;
  deployment(deploymentId: string): Promise<Deployment | undefined>;
  /** What happened to deployments or rollouts, oldest first, by their ids. */
  history(subjectIds: readonly string[]): Promise<Map<string, HistoryRecord[]>>;
}

type OfRollouts<Row> = SelectQueryBuilder<Tables & { rollout: FirmwareRolloutTable }, 'rollout', Row>;

/** Rollouts all of whose targets are in these stores; undefined: all. */
export function onlyIn<Row>(stores: readonly string[] | undefined, query: OfRollouts<Row>): OfRollouts<Row> {
  if (stores === undefined) return query;
  return query.where(({ not, exists, selectFrom }) => {
    const foreign = selectFrom('firmware_rollout_store as target')
      .select('target.store_id')
      .whereRef('target.rollout_id', '=', 'rollout.id');
    return not(exists(stores.length === 0 ? foreign : foreign.where('target.store_id', 'not in', stores)));
  });
}

export function firmwareQueries(store: Pick<Store, 'db'>): FirmwareQueries {
  const { db } = store;
  return {
    async rollouts(filter = {}) {
      const { stores, cursor } = filter;
      const limit = pageLimit(filter);
      let query = onlyIn(stores, db.selectFrom('firmware_rollout as rollout'))
        .selectAll()
        .orderBy('id', 'desc')
        .limit(limit + 1);
      if (cursor !== undefined) query = query.where('id', '<', readCursor(cursor, 'string')[0]);
      const { items, next_cursor } = pageOf(
        await query.execute(),
        limit,
        (row) => row,
        ({ id }) => [id],
      );
      return { items: await withCounts(store, items), next_cursor };
    },

    async rollout(rolloutId) {
      const rows = await db.selectFrom('firmware_rollout').selectAll().where('id', '=', rolloutId).execute();
      return (await withCounts(store, rows))[0];
    },

    async storesOf(rolloutId) {
      const rows = await db
        .selectFrom('firmware_rollout_store')
        .select('store_id')
        .where('rollout_id', '=', rolloutId)
        .execute();
      return rows.map(({ store_id }) => store_id);
    },

    async deployments(rolloutId, filter = {}) {
      const { state, stage, cursor } = filter;
      const limit = pageLimit(filter);
      let query = db
        .selectFrom('firmware_deployment')
        .selectAll()
        .where('rollout_id', '=', rolloutId)
        .orderBy('position')
        .orderBy('id')
        .limit(limit + 1);
      if (state !== undefined) query = query.where('state', '=', state);
      if (stage !== undefined) query = query.where('stage', '=', stage);
      if (cursor !== undefined) {
        const [position, id] = readCursor(cursor, 'number', 'string');
        // The first condition is what the index can use; the second cuts what was seen of that very target.
        query = query
          .where('position', '>=', position)
          .where((is) => is.or([is('position', '>', position), is('id', '>', id)]));
      }
      return pageOf(await query.execute(), limit, deploymentOf, (row) => [row.position, row.id]);
    },

    async deployment(deploymentId) {
      const row = await db
        .selectFrom('firmware_deployment')
        .selectAll()
        .where('id', '=', deploymentId)
        .executeTakeFirst();
      return row && deploymentOf(row);
    },

    async history(subjectIds) {
      if (subjectIds.length === 0) return new Map();
      const rows = await db
        .selectFrom('firmware_history')
        .selectAll()
        .where('subject_id', 'in', subjectIds)
        .orderBy('id')
        .execute();
      const found = new Map<string, HistoryRecord[]>(subjectIds.map((id) => [id, []]));
      for (const row of rows) found.get(row.subject_id)?.push(historyOf(row));
      return found;
    },
  };
}
