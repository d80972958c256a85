import { prepare } from './prepared.js';
import type { Store } from './store.js';

/**
 * Deletes rollouts that have ended long ago, with all that belongs to them; what runs on the controllers stays known.
 * @param batch deployments of one delete: others wait for no more than this
 * @returns one batch, of the rollout that ended first; its answer is how many deployments and rollouts went. `before`
 *   is epoch ms
 */
export function firmwareRetention(store: Store, batch: number): (before: number) => Promise<number> {
  const { db } = store;
  const deleteHistory = prepare<{ id: string }>(db, (value) =>
    db.deleteFrom('firmware_history').where('subject_id', '=', value('id')),
  );
  const deleteDeployment = prepare<{ id: string }>(db, (value) =>
    db.deleteFrom('firmware_deployment').where('id', '=', value('id')),
  );
  const deleteParts = (['firmware_count', 'firmware_rollout_store'] as const).map((table) =>
    prepare<{ id: string }>(db, (value) => db.deleteFrom(table).where('rollout_id', '=', value('id'))),
  );
  const deleteRollout = prepare<{ id: string }>(db, (value) =>
    db.deleteFrom('firmware_rollout').where('id', '=', value('id')),
  );
  return async (before) => {
    const rollout = await db
      .selectFrom('firmware_rollout')
      .select('id')
      .where('ended_at', '<', before)
      .orderBy('ended_at')
      .limit(1)
      .executeTakeFirst();
    if (rollout === undefined) return 0;
    const deployments = await db
      .selectFrom('firmware_deployment')
      .select('id')
      .where('rollout_id', '=', rollout.id)
      .limit(batch)
      .execute();
    if (deployments.length > 0) {
      await store.commit(deployments.flatMap((row) => [deleteHistory(row), deleteDeployment(row)]));
      return deployments.length;
    }
    const parts = deleteParts.map((remove) => remove(rollout));
    await store.commit([deleteHistory(rollout), ...parts, deleteRollout(rollout)]);
    return 1;
  };
}
