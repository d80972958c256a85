import { prepare } from './prepared.js';
import type { Store } from './store.js';

/** One batch each, oldest first; the answer is how many went. `before` is epoch ms. */
export interface CommandRetention {
  /** Commands that were made before and have ended, with their history and their execution. */
  deleteEnded(before: number): Promise<number>;
  deleteIdempotency(before: number): Promise<number>;
}

/**
 * Of rows whose ids are not in the order of time: a command's id may be chosen by who asks for it.
 * @param batch rows of one delete: others wait for no more than this
 */
export function commandRetention(store: Store, batch: number): CommandRetention {
  const { db } = store;
  const deleteCommand = prepare<{ id: string }>(db, (value) =>
    db.deleteFrom('device_command').where('id', '=', value('id')),
  );
  const deleteHistory = prepare<{ id: string }>(db, (value) =>
    db.deleteFrom('device_command_transition').where('command_id', '=', value('id')),
  );
  const deleteExecution = prepare<{ execution_id: number }>(db, (value) =>
    db.deleteFrom('automation_execution').where('execution_id', '=', value('execution_id')),
  );
  const deleteKey = prepare<{ user_id: number; idempotency_key: string }>(db, (value) =>
    db
      .deleteFrom('command_idempotency')
      .where('user_id', '=', value('user_id'))
      .where('idempotency_key', '=', value('idempotency_key')),
  );
  return {
    async deleteEnded(before) {
      const rows = await db
        .selectFrom('device_command')
        .select(['id', 'execution_id'])
        .where('created_at', '<', before)
        .where('phase', '=', 'ended')
        .orderBy('created_at')
        .limit(batch)
        .execute();
      if (rows.length === 0) return 0;
      const unit = rows.flatMap(({ id, execution_id }) => [
        ...(execution_id === null ? [] : [deleteExecution({ execution_id: Number(execution_id) })]),
        deleteHistory({ id }),
        deleteCommand({ id }),
      ]);
      await store.commit(unit);
      return rows.length;
    },

    async deleteIdempotency(before) {
      const rows = await db
        .selectFrom('command_idempotency')
        .select(['user_id', 'idempotency_key'])
        .where('created_at', '<', before)
        .orderBy('created_at')
        .limit(batch)
        .execute();
      if (rows.length > 0) await store.commit(rows.map(deleteKey));
      return rows.length;
    },
  };
}
