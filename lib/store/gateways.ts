import type { LeaseStore } from '../core/gateways.js';
import type { TaskRow } from '../core/task-holder.js';
import { prepare } from './prepared.js';
import type { Statement, Store } from './store.js';
import type { GatewayTaskTable } from './tables.js';

/** The rows of the gateways on this database. They pass by the commits: a lease must not wait behind a backlog. */
export function leaseStore({ db }: Pick<Store, 'db'>): LeaseStore {
  return {
    async add(row) {
      await db.insertInto('gateway').values(row).execute();
    },
    async renew({ id, beat }) {
      const { numUpdatedRows } = await db
        .updateTable('gateway')
        .set({ beat: beat + 1 })
        .where('id', '=', id)
        .where('beat', '=', beat)
        .executeTakeFirst();
      return numUpdatedRows === 1n;
    },
    async all() {
      const rows = await db.selectFrom('gateway').selectAll().execute();
      return rows.map(({ id, name, beat }) => ({ id, name, beat: Number(beat) }));
    },
    async remove({ id, beat }) {
      const { numDeletedRows } = await db
        .deleteFrom('gateway')
        .where('id', '=', id)
        .where('beat', '=', beat)
        .executeTakeFirst();
      return numDeletedRows === 1n;
    },
  };
}

export interface GuardedTask extends TaskRow {
  /** Makes a unit of a commit void (store_conflict) once the task has another term. Goes before its other statements. */
  guard(term: number): Statement;
}

/** What only one gateway at a time may drive. */
export function taskRow({ db }: Pick<Store, 'db'>, task: string): GuardedTask {
  const mark = prepare<Pick<GatewayTaskTable, 'task' | 'term' | 'mark'>>(
    db,
    (value) =>
      db
        .updateTable('gateway_task')
        .set({ mark: value('mark') })
        .where('task', '=', value('task'))
        .where('term', '=', value('term')),
    { affects: 1 },
  );
  return {
    async read() {
      const row = await db
        .selectFrom('gateway_task')
        .select(['lease', 'term'])
        .where('task', '=', task)
        .executeTakeFirst();
      return row && { lease: row.lease, term: Number(row.term) };
    },
    async take(lease, term) {
      if (term === 0) {
        await db.insertInto('gateway_task').values({ task, lease, term: 1, mark: 0 }).execute();
        return true;
      }
      const { numUpdatedRows } = await db
        .updateTable('gateway_task')
        .set({ lease, term: term + 1 })
        .where('task', '=', task)
        .where('term', '=', term)
        .executeTakeFirst();
      return numUpdatedRows === 1n;
    },
    guard: (term) => mark({ task, term, mark: Math.floor(Math.random() * Number.MAX_SAFE_INTEGER) }),
  };
}
