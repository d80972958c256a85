import { hasCode } from '../core/errors.js';
import type { MachineIds, RollupStore, SolarStore } from '../solar/ports.js';
import { beginOf, MINUTE_MS } from '../solar/rollup.js';
import { deadLetters } from './dead-letters.js';
import { numberSequence } from './number-sequence.js';
import { type SolarQueries, solarQueries } from './solar-queries.js';
import { bucketOf, machineOf, machineRow, telemetryOf } from './solar-rows.js';
import { solarStatements } from './solar-statements.js';
import type { SolarMachineTable } from './solar-tables.js';
import type { Store } from './store.js';

/** A new machine is rolled up from so long before its first message, ms: what is older comes marked. */
const FIRST_ROLLUP_MS = 10 * MINUTE_MS;

/** Machines of one write: others wait for no more than this. */
const SEEN_AT_ONCE = 500;

/** The rows of solar machines, as their rules write and load them (lib/solar/ports.ts), and what REST asks. */
export function solarStore(store: Store): SolarStore & RollupStore & SolarQueries {
  const { db } = store;
  const statements = solarStatements(store);
  const nextNumber = numberSequence(store, 'solar_machine');
  const { countEarlier, add } = deadLetters(store);

  const queries = solarQueries(store);
  const load = (ids: MachineIds) => queries.machineOf(ids);

  return {
    ...queries,
    countEarlier,
    load,

    async loadAll() {
      // Not max(): for that MySQL and MariaDB read every row of each machine.
      const rows = await db
        .selectFrom('solar_machine as m')
        .selectAll('m')
        .select((is) =>
          is
            .selectFrom('solar_telemetry as t')
            .select('t.at')
            .whereRef('t.machine', '=', 'm.number')
            .orderBy('t.machine', 'desc')
            .orderBy('t.at', 'desc')
            .limit(1)
            .as('newest_at'),
        )
        .execute();
      return rows.map(({ newest_at, ...row }) => ({
        ...machineOf(row as SolarMachineTable),
        newestAt: newest_at === null ? undefined : Number(newest_at),
      }));
    },

    async register(ids, now, intervalMs) {
      const known = await load(ids);
      if (known !== undefined) return known;
      const machine = {
        ...ids,
        number: await nextNumber(),
        revision: 1,
        presence: 'new' as const,
        reported: null,
        reportedAt: null,
        since: now,
        leftAt: null,
        lastSeen: 0,
        intervalMs,
      };
      const rolledUntil = beginOf(now - FIRST_ROLLUP_MS, MINUTE_MS);
      try {
        await store.commit(statements.register(machineRow(machine), rolledUntil));
        return machine;
      } catch (error) {
        if (!hasCode(error, 'store_conflict')) throw error;
        const found = await load(ids);
        if (found === undefined) throw error;
        return found;
      }
    },

    append: (append) => store.commit(statements.append(append)),
    mark: (machine, at) => store.commit([statements.mark(machine, at)]),

    async rowsBefore(machine, { after, before }, limit, ids) {
      let query = db
        .selectFrom('solar_telemetry')
        .selectAll()
        .where('machine', '=', machine)
        .where('at', '>', after)
        .where('at', '<', before)
        .orderBy('at', 'desc')
        .orderBy('id', 'desc')
        .limit(limit);
      if (ids !== undefined) query = query.where('id', '>=', ids.first).where('id', '<=', ids.last);
      return (await query.execute()).map(telemetryOf);
    },

    saveStatus: (write) => store.commit(statements.status(write)),

    async saveSeen(machines) {
      for (let from = 0; from < machines.length; from += SEEN_AT_ONCE) {
        await store.commit(machines.slice(from, from + SEEN_AT_ONCE).map(statements.seen));
      }
    },

    refuse: (letters) => add(...letters),

    async rollupState(machine) {
      const row = await db
        .selectFrom('solar_rollup')
        .selectAll()
        .where('machine', '=', machine)
        .executeTakeFirst();
      return row && { rolledUntil: Number(row.rolled_until), revision: Number(row.revision) };
    },

    async marks(limit) {
      const rows = await db
        .selectFrom('solar_rollup_mark')
        .selectAll()
        .orderBy('minute')
        .orderBy('machine')
        .orderBy('token')
        .limit(limit)
        .execute();
      return rows.map(({ machine, minute, token }) => ({
        machine: Number(machine),
        minute: Number(minute),
        token: Number(token),
      }));
    },

    async rows(machine, { from, to }, after, limit) {
      let query = db
        .selectFrom('solar_telemetry')
        .selectAll()
        .where('machine', '=', machine)
        .where('at', '>=', after?.at ?? from)
        .where('at', '<', to)
        .orderBy('at')
        .orderBy('id')
        .limit(limit);
      if (after !== undefined) {
        query = query.where((is) => is.or([is('at', '>', after.at), is('id', '>', after.id)]));
      }
      return (await query.execute()).map(telemetryOf);
    },

    async minutes(machine, from, to) {
      const rows = await db
        .selectFrom('solar_minute')
        .select(['at', 'fields'])
        .where('machine', '=', machine)
        .where('at', '>=', from)
        .where('at', '<', to)
        .execute();
      return rows.map(bucketOf);
    },

    saveRollup: (write) => store.commit(statements.rollup(write)),
  };
}
