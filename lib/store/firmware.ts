import { DEPLOYMENT_STATES, isTerminal } from '../firmware/deployment-record.js';
import type { FirmwareStore } from '../firmware/ports.js';
import { deadLetterStatement, deadLetters } from './dead-letters.js';
import { type FirmwareQueries, firmwareQueries } from './firmware-queries.js';
import { controllerOf, deploymentOf, withCounts } from './firmware-rows.js';
import { createdLine, firmwareStatements } from './firmware-statements.js';
import type { Statement, Store } from './store.js';

const OPEN_STATES = DEPLOYMENT_STATES.filter((state) => !isTerminal(state));
const OVER = ['COMPLETED', 'ABORTED', 'CANCELLED'];

/**
 * The rows of the firmware protocol: what its rules write and load (lib/firmware/ports.ts), and what REST asks.
 * @param guard makes what drives rollouts void once another gateway does (gateways.ts)
 */
export function firmwareStore(store: Store, guard?: () => Statement): FirmwareStore & FirmwareQueries {
  // Goes first: a unit that is void by it has written nothing that would have to be undone.
  const commit = (unit: readonly Statement[]) =>
    store.commit(guard === undefined ? unit : [guard(), ...unit]);
  const { db } = store;
  const statements = firmwareStatements(store);
  const deadLetter = deadLetterStatement(store);
  const { countEarlier } = deadLetters(store);
  const queries = firmwareQueries(store);

  async function openRolloutIds(): Promise<string[]> {
    const [going, unfinished] = await Promise.all([
      db.selectFrom('firmware_rollout').select('id').where('state', 'not in', OVER).execute(),
      db
        .selectFrom('firmware_count')
        .select('rollout_id as id')
        .distinct()
        .where('state', 'in', OPEN_STATES)
        .where('amount', '>', 0)
        .execute(),
    ]);
    return [...new Set([...going, ...unfinished].map(({ id }) => id))].sort();
  }

  return {
    ...queries,
    countEarlier,

    async loadOpen() {
      const ids = await openRolloutIds();
      if (ids.length === 0) return { rollouts: [], deployments: [] };
      const rows = await db.selectFrom('firmware_rollout').selectAll().where('id', 'in', ids).execute();
      const deployments = [];
      for (const id of ids) deployments.push(...(await this.deploymentsIn(id, OPEN_STATES)));
      return { rollouts: await withCounts(store, rows), deployments };
    },

    async deploymentsIn(rolloutId, states) {
      const rows = await db
        .selectFrom('firmware_deployment')
        .selectAll()
        .where('rollout_id', '=', rolloutId)
        .where('state', 'in', states)
        .where('retried_by', 'is', null)
        .orderBy('position')
        .orderBy('id')
        .execute();
      return rows.map(deploymentOf);
    },

    async unverified(storeId, controllerId) {
      const row = await db
        .selectFrom('firmware_deployment')
        .selectAll()
        .where('controller_id', '=', controllerId)
        .where('store_id', '=', storeId)
        .where('state', '=', 'TIMED_OUT')
        .where('done_at', 'is not', null)
        .orderBy('id', 'desc')
        .limit(1)
        .executeTakeFirst();
      return row && deploymentOf(row);
    },

    async controller(storeId, controllerId) {
      const row = await db
        .selectFrom('firmware_controller')
        .selectAll()
        .where('store_id', '=', storeId)
        .where('controller_id', '=', controllerId)
        .executeTakeFirst();
      return row && controllerOf(row);
    },

    async controllersOf(rolloutId) {
      const rows = await db
        .selectFrom('firmware_deployment as deployment')
        .innerJoin('firmware_controller as controller', (join) =>
          join
            .onRef('controller.store_id', '=', 'deployment.store_id')
            .onRef('controller.controller_id', '=', 'deployment.controller_id'),
        )
        .selectAll('controller')
        .where('deployment.rollout_id', '=', rolloutId)
        .execute();
      return new Map(rows.map((row) => [`${row.store_id}/${row.controller_id}`, controllerOf(row)]));
    },

    async isOnline(storeId, controllerId) {
      // Whether a controller speaks is what its machine states tell.
      const row = await db
        .selectFrom('laundry_controller')
        .select('online')
        .where('store_id', '=', storeId)
        .where('controller_id', '=', controllerId)
        .executeTakeFirst();
      return row && row.online === 1;
    },

    create: (stored, deployments) => commit(statements.create(stored, deployments)),

    saveDeployment: (write) =>
      commit([...statements.deployment(write), ...write.messages.map(statements.message)]),

    saveRollout: ({ rollout, plan, expectedRevision, history }) =>
      commit([statements.updateRollout(rollout, plan, expectedRevision), ...history.map(statements.history)]),

    retry: (retries, at) =>
      commit(
        retries.flatMap(({ old, expectedRevision, next }) => [
          statements.updateDeployment(old, expectedRevision),
          statements.insertDeployment(next),
          ...statements.counts(next.rolloutId, {
            stage: next.stage,
            from: old.state,
            to: next.state,
            stuck: 0,
          }),
          statements.history({
            subjectId: old.id,
            rolloutId: old.rolloutId,
            event: 'retried',
            from: old.state,
            to: old.state,
            detail: next.id,
            at,
          }),
          statements.history(createdLine(next)),
        ]),
      ),

    reportVersion: (storeId, controllerId, version, at) =>
      store.commit(statements.version(storeId, controllerId, version, at)),

    refuse: (letters, message) =>
      store.commit([
        ...letters.map(deadLetter),
        ...(message === undefined ? [] : [statements.message(message)]),
      ]),
  };
}
