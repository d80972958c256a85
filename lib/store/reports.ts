import type { MachineStatus, MachineType, ReportQueue } from '../laundry/ports.js';
import { insertOnce, placeholders, prepare } from './prepared.js';
import type { Store } from './store.js';
import type { LaundryReportTable } from './tables.js';

const COLUMNS = ['id', 'reporter', 'relay_id', 'machine_type', 'status', 'last_updated'] as const;

/** One reporter's queue on disk. @param reporter its name, `<storeId>/<controllerId>` */
export function reportQueue(store: Store, reporter: string): ReportQueue {
  const { db } = store;
  const insert = prepare<LaundryReportTable>(db, (value) =>
    insertOnce(store, 'laundry_report', placeholders<'laundry_report'>(value, COLUMNS), ['id']),
  );
  const removal = prepare<{ id: string }>(db, (value) =>
    db.deleteFrom('laundry_report').where('id', '=', value('id')).where('reporter', '=', reporter),
  );
  return {
    async all() {
      const rows = await db
        .selectFrom('laundry_report')
        .selectAll()
        .where('reporter', '=', reporter)
        .orderBy('id')
        .execute();
      return rows.map((row) => ({
        id: row.id,
        relayId: row.relay_id,
        machineType: row.machine_type as MachineType,
        status: row.status as MachineStatus,
        lastUpdated: row.last_updated,
      }));
    },
    add: (reports) =>
      store.commit(
        reports.map((report) =>
          insert({
            id: report.id,
            reporter,
            relay_id: report.relayId,
            machine_type: report.machineType,
            status: report.status,
            last_updated: report.lastUpdated,
          }),
        ),
      ),
    remove: (ids) => store.commit(ids.map((id) => removal({ id }))),
  };
}
