import { sql } from 'kysely';
import type { BusyMinute } from '../laundry/busy-curve.js';
import type { MachineStatus } from '../laundry/ports.js';
import { inPieces } from './in-pieces.js';
import type { Store } from './store.js';

/** A controller that was not heard for too long. Times are epoch ms. */
export interface OfflineController {
  storeId: string;
  controllerId: string;
  lastSeen: number;
  machines: number;
}

export interface LaundryTotals {
  stores: string[];
  controllers: number;
  offlineControllers: number;
  /** By what is shown of a machine: nobody knows while its controller is offline. */
  machines: Record<MachineStatus | 'unknown', number>;
}

export interface LaundryOverview {
  /** @param storeIds of these stores alone; undefined: of all */
  totals(storeIds: readonly string[] | undefined): Promise<LaundryTotals>;
  /** Those that went last come first. */
  offline(storeIds: readonly string[], limit: number): Promise<OfflineController[]>;
  /** What happened to busy machines since `from`, by minute, in no order. */
  busyMinutes(storeIds: readonly string[], from: number): Promise<BusyMinute[]>;
}

/** Sums over many stores, for a page that shows all of them at a glance. */
export function laundryOverview({ db }: Pick<Store, 'db'>): LaundryOverview {
  return {
    async totals(storeIds) {
      let controllers = db
        .selectFrom('laundry_controller')
        .select(['store_id', 'online'])
        .select((is) => is.fn.countAll<number>().as('count'))
        .groupBy(['store_id', 'online'])
        .orderBy('store_id');
      let machines = db
        .selectFrom('laundry_machine as machine')
        .innerJoin('laundry_controller as controller', (join) =>
          join
            .onRef('controller.store_id', '=', 'machine.store_id')
            .onRef('controller.controller_id', '=', 'machine.controller_id'),
        )
        .select(['controller.online', 'machine.status'])
        .select((is) => is.fn.countAll<number>().as('count'))
        .groupBy(['controller.online', 'machine.status']);
      if (storeIds !== undefined) {
        if (storeIds.length === 0) return NOTHING;
        controllers = controllers.where('store_id', 'in', storeIds);
        machines = machines.where('machine.store_id', 'in', storeIds);
      }
      const [rows, states] = [await controllers.execute(), await machines.execute()];
      const sums = { busy: 0, idle: 0, unknown: 0 };
      for (const { online, status, count } of states) {
        sums[online === 1 ? (status as MachineStatus) : 'unknown'] += Number(count);
      }
      const sum = (wanted: (online: boolean) => boolean) =>
        rows.reduce((total, { online, count }) => total + (wanted(online === 1) ? Number(count) : 0), 0);
      return {
        stores: [...new Set(rows.map(({ store_id }) => store_id))],
        controllers: sum(() => true),
        offlineControllers: sum((online) => !online),
        machines: sums,
      };
    },

    async offline(storeIds, limit) {
      const found = await inPieces(storeIds, async (piece) => {
        const rows = await db
          .selectFrom('laundry_controller as controller')
          .leftJoin('laundry_machine as machine', (join) =>
            join
              .onRef('controller.store_id', '=', 'machine.store_id')
              .onRef('controller.controller_id', '=', 'machine.controller_id'),
          )
          .select(['controller.store_id', 'controller.controller_id', 'controller.last_seen'])
          .select((is) => is.fn.count<number>('machine.relay_id').as('machines'))
          .where('controller.store_id', 'in', piece)
          .where('controller.online', '=', 0)
          .groupBy(['controller.store_id', 'controller.controller_id', 'controller.last_seen'])
          .orderBy('controller.last_seen', 'desc')
          .limit(limit)
          .execute();
        return rows.map((row) => ({
          storeId: row.store_id,
          controllerId: row.controller_id,
          lastSeen: Number(row.last_seen),
          machines: Number(row.machines),
        }));
      });
      return found.sort((a, b) => b.lastSeen - a.lastSeen).slice(0, limit);
    },

    busyMinutes: (storeIds, from) =>
      inPieces(storeIds, async (piece) => {
        const minute = sql<number>`last_updated - last_updated % 60000`;
        const changes = await db
          .selectFrom('laundry_state_change')
          .select([minute.as('minute')])
          .select([
            sql<number>`sum(case when status = 'busy' then 1 else 0 end)`.as('begun'),
            sql<number>`sum(case when previous_status = 'busy' then 1 else 0 end)`.as('ended'),
          ])
          .where('store_id', 'in', piece)
          .where('last_updated', '>=', from)
          .groupBy(minute)
          .execute();
        const heard = sql<number>`controller.last_seen - controller.last_seen % 60000`;
        const departures = await db
          .selectFrom('laundry_controller as controller')
          .innerJoin('laundry_machine as machine', (join) =>
            join
              .onRef('controller.store_id', '=', 'machine.store_id')
              .onRef('controller.controller_id', '=', 'machine.controller_id'),
          )
          .select([heard.as('minute')])
          .select((is) => is.fn.countAll<number>().as('lost'))
          .where('controller.store_id', 'in', piece)
          .where('controller.online', '=', 0)
          .where('controller.last_seen', '>=', from)
          .where('machine.status', '=', 'busy')
          .groupBy(heard)
          .execute();
        return [
          ...changes.map((row) => ({
            minute: Number(row.minute),
            more: Number(row.begun) - Number(row.ended),
            lost: 0,
          })),
          ...departures.map((row) => ({ minute: Number(row.minute), more: 0, lost: Number(row.lost) })),
        ];
      }),
  };
}

const NOTHING: LaundryTotals = {
  stores: [],
  controllers: 0,
  offlineControllers: 0,
  machines: { busy: 0, idle: 0, unknown: 0 },
};
