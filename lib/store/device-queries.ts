import { NEVER_RAISED } from '../command/alerts.js';
import type { DeviceQueries } from '../command/ports.js';
import { alertOf, deviceOf, positionColumn, readingOf } from './device-rows.js';
import { pageLimit, pageOf, readCursor } from './page.js';
import type { Store } from './store.js';

/** What pages and REST ask of the devices' rows (lib/command/ports.ts). */
export function deviceQueries({ db }: Pick<Store, 'db'>): DeviceQueries {
  const ofPond = (position: number) => [positionColumn(null), position];
  return {
    async device(device) {
      const row = await db.selectFrom('device').selectAll().where('device', '=', device).executeTakeFirst();
      if (row === undefined) return undefined;
      const { online, lastSeen, startedAt, firmwareVersion, intervalMs } = deviceOf(row);
      return { device, online, lastSeen, startedAt, firmwareVersion, intervalMs };
    },

    async readings(device, position, page) {
      const limit = pageLimit(page);
      let query = db
        .selectFrom('device_reading')
        .selectAll()
        .where('device', '=', device)
        .where('position', 'in', ofPond(position))
        .orderBy('at', 'desc')
        .orderBy('id', 'desc')
        .limit(limit + 1);
      if (page.from !== undefined) query = query.where('at', '>=', page.from);
      if (page.to !== undefined) query = query.where('at', '<', page.to);
      if (page.cursor !== undefined) {
        const [at, id] = readCursor(page.cursor, 'number', 'string');
        // The first condition is what the key can use; the second cuts the rows of that very millisecond.
        query = query.where('at', '<=', at).where((is) => is.or([is('at', '<', at), is('id', '<', id)]));
      }
      const { items, next_cursor } = pageOf(
        await query.execute(),
        limit,
        (row) => {
          const { digest: _, ...reading } = readingOf(row);
          return reading;
        },
        (row) => [Number(row.at), row.id],
      );
      return { items, nextCursor: next_cursor ?? undefined };
    },

    async latest(device, position) {
      const rows = await db
        .selectFrom('device_latest')
        .select(['parameter', 'value', 'at'])
        .where('device', '=', device)
        .where('position', 'in', ofPond(position))
        // The newest comes last and stays.
        .orderBy('at')
        .orderBy('position')
        .execute();
      return Object.fromEntries(
        rows.map(({ parameter, value, at }) => [parameter, { value, at: Number(at) }]),
      );
    },

    async alerts(device, position, { open, limit }) {
      let query = db
        .selectFrom('device_alert')
        .selectAll()
        .where('device', '=', device)
        .where('position', 'in', ofPond(position))
        .where('raised_at', '>', NEVER_RAISED)
        .orderBy('raised_at', 'desc')
        .orderBy('alert_id', 'desc')
        .limit(pageLimit({ limit }));
      if (open) query = query.where('cleared_at', 'is', null);
      return (await query.execute()).map(alertOf);
    },

    async alert(alertId) {
      const row = await db
        .selectFrom('device_alert')
        .selectAll()
        .where('alert_id', '=', alertId)
        .where('raised_at', '>', NEVER_RAISED)
        .executeTakeFirst();
      return row === undefined ? undefined : alertOf(row);
    },
  };
}
