import { prepare } from './prepared.js';
import type { Statement, Store } from './store.js';

export interface RoastRetentionSettings {
  /** How long a recording that no machine has any more is kept, ms, from its start. What was saved as a profile stays. */
  recordingMs: number;
}

/** Rows of one delete: others wait for no more than this. */
const BATCH = 500;

/**
 * What retention deletes of roasts: recordings that were left long ago.
 * @returns one run; its answer is the number of rows deleted, by table
 */
export function roastRetention(store: Store, settings: RoastRetentionSettings) {
  const { db } = store;
  const session = prepare<{ id: string }>(db, (value) =>
    db.deleteFrom('roast_session').where('id', '=', value('id')),
  );
  const events = prepare<{ id: string }>(db, (value) =>
    db.deleteFrom('roast_event').where('session_id', '=', value('id')),
  );
  const controls = prepare<{ id: string }>(db, (value) =>
    db.deleteFrom('roast_control').where('session_id', '=', value('id')),
  );
  const point = prepare<{ session_id: string; at_ms: number }>(db, (value) =>
    db
      .deleteFrom('roast_point')
      .where('session_id', '=', value('session_id'))
      .where('at_ms', '=', value('at_ms')),
  );

  async function deletePoints(id: string, stopped: () => boolean): Promise<number> {
    let deleted = 0;
    while (!stopped()) {
      const rows = await db
        .selectFrom('roast_point')
        .select(['session_id', 'at_ms'])
        .where('session_id', '=', id)
        .limit(BATCH)
        .execute();
      if (rows.length === 0) break;
      await store.commit(
        rows.map((row): Statement => point({ session_id: row.session_id, at_ms: Number(row.at_ms) })),
      );
      deleted += rows.length;
    }
    return deleted;
  }

  return async (now: number, stopped: () => boolean) => {
    const kept = await db.selectFrom('roast_machine').select('session_id').execute();
    const current = new Set(kept.map(({ session_id }) => session_id));
    const old = await db
      .selectFrom('roast_session')
      .select('id')
      .where('started_at', '<', now - settings.recordingMs)
      .orderBy('id')
      .execute();
    const deleted = { roast_session: 0, roast_point: 0 };
    for (const { id } of old) {
      if (stopped()) break;
      if (current.has(id)) continue;
      deleted.roast_point += await deletePoints(id, stopped);
      // The session itself goes last: a run that was cut short finds it again.
      if (stopped()) break;
      await store.commit([events({ id }), controls({ id }), session({ id })]);
      deleted.roast_session += 1;
    }
    return deleted;
  };
}
