import type { Bucket, MachineIds, MachineRecord, StatusChange, TelemetryRow } from '../solar/ports.js';
import { beginOf, createTally, HOUR_MS, MINUTE_MS } from '../solar/rollup.js';
import { type Page, type PageRequest, pageLimit, pageOf, readCursor } from './page.js';
import { bucketOf, changeOf, machineOf, telemetryOf } from './solar-rows.js';
import type { Store } from './store.js';

export interface SeriesFilter extends PageRequest {
  /** `from` inclusive, `to` exclusive, epoch ms. */
  from?: number;
  to?: number;
}

/** Sizes of summed-up points, as REST names them. */
export const RESOLUTIONS = { '1m': MINUTE_MS, '1h': HOUR_MS } as const;
export type Resolution = keyof typeof RESOLUTIONS;

export type StoredChange = Omit<StatusChange, keyof MachineIds> & { id: string };

/** What REST and pages ask of solar machines. Every query stays within the key's range of its machine or company. */
export interface SolarQueries {
  machineOf(ids: MachineIds): Promise<MachineRecord | undefined>;
  /** A company's machines in the order of their ids. @throws FieldloomError invalid_input */
  machinesOf(companyId: string, page?: PageRequest): Promise<Page<MachineRecord>>;
  /** Companies that have a machine, with how many, in the order of their ids. */
  companies(): Promise<{ companyId: string; machines: number }[]>;
  /** Companies that have a machine of this id, at most 100. */
  companiesWith(machineId: string): Promise<string[]>;
  newestOf(machine: number): Promise<TelemetryRow | undefined>;
  /** Rows, newest first. @throws FieldloomError invalid_input */
  telemetry(machine: number, filter?: SeriesFilter): Promise<Page<TelemetryRow>>;
  /**
   * Minutes or hours, newest first, the running one too: what is not rolled up yet is summed up here. One that `from`
   * falls into is whole. @throws FieldloomError invalid_input
   */
  buckets(machine: number, resolution: Resolution, filter?: SeriesFilter): Promise<Page<Bucket>>;
  /** Newest first. @throws FieldloomError invalid_input */
  statusHistory(machine: number, filter?: SeriesFilter): Promise<Page<StoredChange>>;
}

const TABLE = { '1m': 'solar_minute', '1h': 'solar_hour' } as const;
/** Rows read at once: summing them up holds up the event loop for some milliseconds. */
const PAGE = 1_000;
/** A rollup may come in between two reads so often; more is no accident, and the next request will do. */
const TRIES = 10;
const END_OF_TIME = Number.MAX_SAFE_INTEGER;

export function solarQueries({ db }: Pick<Store, 'db'>): SolarQueries {
  function series(
    table: 'solar_telemetry' | 'solar_minute' | 'solar_hour',
    machine: number,
    from: number,
    to: number,
  ) {
    return db
      .selectFrom(table as 'solar_telemetry')
      .where('machine', '=', machine)
      .where('at', '>=', from)
      .where('at', '<', to);
  }

  async function rollupOf(machine: number) {
    const row = await db
      .selectFrom('solar_rollup')
      .selectAll()
      .where('machine', '=', machine)
      .executeTakeFirst();
    return { until: Number(row?.rolled_until ?? 0), revision: String(row?.revision) };
  }

  /** What is stored with what is not rolled up yet: only where nothing was rolled up while it was read. */
  async function bucketsOf(
    machine: number,
    resolution: Resolution,
    from: number,
    to: number,
    limit: number,
  ): Promise<Bucket[] | undefined> {
    const size = RESOLUTIONS[resolution];
    const before = await rollupOf(machine);
    const stored = await series(TABLE[resolution], machine, from, to)
      .select(['at', 'fields' as never])
      .orderBy('at', 'desc')
      .limit(limit)
      .execute();
    const tally = createTally(size);
    for (const row of stored as never[]) tally.addBucket(bucketOf(row));
    const tailFrom = Math.max(from, before.until);
    const tailTo = to === END_OF_TIME ? to : beginOf(to - 1, size) + size;
    let after = { at: tailFrom, id: -END_OF_TIME };
    for (let more = tailFrom < tailTo; more; ) {
      const { at, id } = after;
      const rows = await series('solar_telemetry', machine, at, tailTo)
        .selectAll()
        .where((is) => is.or([is('at', '>', at), is('id', '>', id)]))
        .orderBy('at')
        .orderBy('id')
        .limit(PAGE)
        .execute();
      for (const row of rows) tally.addRow(telemetryOf(row));
      more = rows.length === PAGE;
      const last = rows.at(-1);
      if (last !== undefined) after = { at: Number(last.at), id: Number(last.id) };
    }
    if ((await rollupOf(machine)).revision !== before.revision) return undefined;
    return tally.buckets().reverse().slice(0, limit);
  }

  return {
    async machineOf({ companyId, machineId }) {
      const row = await db
        .selectFrom('solar_machine')
        .selectAll()
        .where('company_id', '=', companyId)
        .where('machine_id', '=', machineId)
        .executeTakeFirst();
      return row === undefined ? undefined : machineOf(row);
    },

    async machinesOf(companyId, page = {}) {
      const limit = pageLimit(page);
      let query = db
        .selectFrom('solar_machine')
        .selectAll()
        .where('company_id', '=', companyId)
        .orderBy('machine_id')
        .limit(limit + 1);
      if (page.cursor !== undefined) {
        query = query.where('machine_id', '>', readCursor(page.cursor, 'string')[0]);
      }
      return pageOf(await query.execute(), limit, machineOf, ({ machine_id }) => [machine_id]);
    },

    async companies() {
      const rows = await db
        .selectFrom('solar_machine')
        .select(['company_id', (is) => is.fn.countAll().as('machines')])
        .groupBy('company_id')
        .orderBy('company_id')
        .execute();
      return rows.map(({ company_id, machines }) => ({ companyId: company_id, machines: Number(machines) }));
    },

    async companiesWith(machineId) {
      const rows = await db
        .selectFrom('solar_machine')
        .select('company_id')
        .where('machine_id', '=', machineId)
        .limit(100)
        .execute();
      return rows.map(({ company_id }) => company_id);
    },

    async newestOf(machine) {
      const row = await db
        .selectFrom('solar_telemetry')
        .selectAll()
        .where('machine', '=', machine)
        .orderBy('at', 'desc')
        .orderBy('id', 'desc')
        .limit(1)
        .executeTakeFirst();
      return row === undefined ? undefined : telemetryOf(row);
    },

    async telemetry(machine, filter = {}) {
      const { from = 0, to = END_OF_TIME, cursor } = filter;
      const limit = pageLimit(filter);
      let query = series('solar_telemetry', machine, from, to)
        .selectAll()
        .orderBy('at', 'desc')
        .orderBy('id', 'desc')
        .limit(limit + 1);
      if (cursor !== undefined) {
        const [at, id] = readCursor(cursor, 'number', 'number');
        // The first condition is what the key can use; the second cuts the rows of that very millisecond.
        query = query.where('at', '<=', at).where((is) => is.or([is('at', '<', at), is('id', '<', id)]));
      }
      return pageOf(await query.execute(), limit, telemetryOf, (row) => [Number(row.at), Number(row.id)]);
    },

    async buckets(machine, resolution, filter = {}) {
      const limit = pageLimit(filter);
      const from = beginOf(filter.from ?? 0, RESOLUTIONS[resolution]);
      let to = filter.to ?? END_OF_TIME;
      if (filter.cursor !== undefined) to = Math.min(to, readCursor(filter.cursor, 'number')[0]);
      let found: Bucket[] | undefined;
      for (let tries = 0; found === undefined && tries < TRIES; tries += 1) {
        found = await bucketsOf(machine, resolution, from, to, limit + 1);
      }
      return pageOf(
        found ?? [],
        limit,
        (bucket) => bucket,
        ({ at }) => [at],
      );
    },

    async statusHistory(machine, filter = {}) {
      const { from = 0, to = END_OF_TIME, cursor } = filter;
      const limit = pageLimit(filter);
      let query = db
        .selectFrom('solar_status_change')
        .selectAll()
        .where('machine', '=', machine)
        .where('at', '>=', from)
        .where('at', '<', to)
        .orderBy('at', 'desc')
        .orderBy('id', 'desc')
        .limit(limit + 1);
      if (cursor !== undefined) {
        const [at, id] = readCursor(cursor, 'number', 'string');
        query = query.where('at', '<=', at).where((is) => is.or([is('at', '<', at), is('id', '<', id)]));
      }
      return pageOf(await query.execute(), limit, changeOf, (row) => [Number(row.at), row.id]);
    },
  };
}
