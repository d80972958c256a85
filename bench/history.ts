import { sql } from 'kysely';
import { silentLog } from '../lib/core/log.js';
import { createTally, HOUR_MS, MINUTE_MS } from '../lib/solar/rollup.js';
import { createRollups } from '../lib/solar/rollups.js';
import { openStore } from '../lib/store/open.js';
import { solarStore } from '../lib/store/solar.js';
import type { Store } from '../lib/store/store.js';
import { makeTelemetry } from '../test/support/solar-rows.js';
import { benchDatabase, type Database } from './harness/databases.js';
import { printTable } from './harness/table.js';

export interface HistoryOptions {
  database: Database;
  rows: number;
  /** Machines that share the rows; by default each has as many as are kept of it, 90 days. */
  machines?: number;
}

type Solar = ReturnType<typeof solarStore>;

const DAY_MS = 24 * HOUR_MS;
const MONTH_MS = 30 * DAY_MS;
const INTERVAL_MS = 30_000;
const KEPT = (90 * DAY_MS) / INTERVAL_MS;
const BEGIN = Date.UTC(2025, 0, 1);
const PAGE = 1_000;
/** In a gateway that runs each machine is rolled up so often. */
const ROUND_MS = 5 * MINUTE_MS;
/** What a person who opens a chart does not feel, ms. */
const REACH_MS = 100;

interface Timed {
  name: string;
  points: number;
  firstMs: number;
  bestMs: number;
}

/** The first time reads from the disk; then the best of three. */
async function timed(name: string, work: () => Promise<number>): Promise<Timed> {
  const times: number[] = [];
  let points = 0;
  for (let time = 0; time < 4; time += 1) {
    const start = performance.now();
    points = await work();
    times.push(performance.now() - start);
  }
  return { name, points, firstMs: times[0] as number, bestMs: Math.min(...times.slice(1)) };
}

/** The hours of one machine for all others too: rolled up are those of one machine alone, that takes long enough. */
async function copyHours({ db }: Store, machine: number): Promise<void> {
  await sql`
    insert into solar_hour (machine, at, fields)
    select m.number, h.at, h.fields from solar_machine m cross join solar_hour h
    where h.machine = ${sql.lit(machine)} and m.number <> h.machine
  `.execute(db);
}

/** @returns ms */
async function rollUp(store: Solar, machines: readonly number[], end: number): Promise<number> {
  const clock = { now: () => end, setTimer: () => ({ cancel() {} }) };
  const rollups = createRollups({ store, clock, log: silentLog });
  for (const machine of machines) rollups.expect(machine, end);
  const start = performance.now();
  await rollups.run();
  const ms = performance.now() - start;
  await rollups.stop();
  return ms;
}

async function fromRows(store: Solar, machine: number, span: { from: number; to: number }): Promise<number> {
  const tally = createTally(HOUR_MS);
  let after: Awaited<ReturnType<Solar['rows']>>[number] | undefined;
  do {
    const page = await store.rows(machine, span, after, PAGE);
    for (const row of page) tally.addRow(row);
    after = page.length === PAGE ? page.at(-1) : undefined;
  } while (after !== undefined);
  return tally.buckets().length;
}

/** The four columns alone: what is in `extra` the three databases read each in their own way. */
async function byDatabase({ db }: Store, machine: number, { from, to }: { from: number; to: number }) {
  const hour = sql`at - at % ${sql.lit(HOUR_MS)}`;
  const figures = ['battery', 'solar_v', 'solar_a', 'water'].map(
    (name) =>
      sql`count(${sql.ref(name)}), min(${sql.ref(name)}), max(${sql.ref(name)}), sum(${sql.ref(name)})`,
  );
  const { rows } = await sql`
    select ${hour} as begin_at, ${sql.join(figures)} from solar_telemetry
    where machine = ${machine} and at >= ${from} and at < ${to} group by ${hour}
  `.execute(db);
  return rows.length;
}

/** A month's curve of one machine out of many rows: from the hours that are kept, and from the rows themselves. */
export async function benchHistory({ database, rows, machines: asked }: HistoryOptions): Promise<void> {
  const machines = asked ?? Math.max(1, Math.round(rows / KEPT));
  const each = Math.ceil(rows / machines);
  const { url, drop } = await benchDatabase(database);
  const opened = await openStore(url);
  const store = solarStore(opened);
  try {
    const numbers: number[] = [];
    for (let machine = 0; machine < machines; machine += 1) {
      const ids = { companyId: '1', machineId: `machine-${machine}` };
      numbers.push((await store.register(ids, BEGIN, INTERVAL_MS)).number);
    }
    const machine = numbers[machines >> 1] as number;
    const begun = performance.now();
    await makeTelemetry(opened, { begin: BEGIN, intervalMs: INTERVAL_MS, each });
    const madeS = (performance.now() - begun) / 1000;
    console.log(
      `${database}: ${each * machines} rows of ${machines} machines, made in ${madeS.toFixed(0)} s`,
    );

    const end = BEGIN + each * INTERVAL_MS;
    const rollMs = await rollUp(store, [machine], end);
    await copyHours(opened, machine);
    await opened.db
      .updateTable('solar_rollup')
      .set({ rolled_until: end - ROUND_MS })
      .where('machine', '!=', machine)
      .execute();
    const roundMs = await rollUp(store, numbers, end);
    console.log(
      `rolled up at ${((rollMs / each) * 1000).toFixed(1)} µs a row; ` +
        `a round over all machines at ${(roundMs / machines).toFixed(1)} ms each\n`,
    );

    const span = { from: Math.max(BEGIN, end - MONTH_MS), to: end };
    const hours = await timed(
      'from the hours',
      async () => (await store.buckets(machine, '1h', { ...span, limit: PAGE })).items.length,
    );
    const summed = await timed('from the rows, by SQL, without extra', () =>
      byDatabase(opened, machine, span),
    );
    const raw = await timed('from the rows, as rollups are made', () => fromRows(store, machine, span));
    const load = await timed('all machines, as a gateway starts', async () => (await store.loadAll()).length);
    const line = ({ name, points, firstMs, bestMs }: Timed, reach = '') => [
      name,
      String(points),
      firstMs.toFixed(1),
      bestMs.toFixed(1),
      reach,
    ];
    printTable(
      ['a month of one machine by the hour', 'points', 'first, ms', 'then, ms', 'reach'],
      [
        line(hours, `< ${REACH_MS}`),
        line(summed),
        line(raw),
        ['ratio of SQL', '', '', (summed.bestMs / hours.bestMs).toFixed(1), ''],
        line(load),
      ],
    );
  } finally {
    await opened.close();
    await drop();
  }
}
