import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLog } from '../lib/core/log.js';
import { createTally, HOUR_MS } from '../lib/solar/rollup.js';
import { createRollups } from '../lib/solar/rollups.js';
import { openStore } from '../lib/store/open.js';
import { solarStore } from '../lib/store/solar.js';
import { printTable } from './harness/table.js';

export interface HistoryOptions {
  rows: number;
  machines: number;
}

const MONTH_MS = 30 * 24 * HOUR_MS;
const INTERVAL_MS = 30_000;
const PAGE = 1_000;
/** What a person who opens a chart does not feel, ms. */
const REACH_MS = 100;

/** Times a piece of work, the best of three: the first one reads from the disk. */
async function bestOf(work: () => Promise<number>): Promise<{ ms: number; count: number }> {
  let best = { ms: Infinity, count: 0 };
  for (let time = 0; time < 3; time += 1) {
    const start = performance.now();
    const count = await work();
    best = { ms: Math.min(best.ms, performance.now() - start), count };
  }
  return best;
}

/** A month's curve of one machine out of many rows: from the hours that are kept, and from the rows themselves. */
export async function benchHistory({ rows, machines }: HistoryOptions): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'fieldloom-bench-'));
  const database = await openStore(`sqlite:${join(directory, 'fieldloom.db')}`);
  const store = solarStore(database);
  try {
    const each = Math.floor(rows / machines);
    const begin = Date.UTC(2025, 0, 1);
    const end = begin + each * INTERVAL_MS;
    let id = 0;
    const numbers: number[] = [];
    for (let machine = 0; machine < machines; machine += 1) {
      const ids = { companyId: '1', machineId: `machine-${machine}` };
      numbers.push((await store.register(ids, begin, INTERVAL_MS)).number);
    }
    // As they come in a plant: all machines side by side.
    for (let from = 0; from < each; from += PAGE) {
      const appends: Promise<void>[] = [];
      for (let index = from; index < Math.min(each, from + PAGE); index += 1) {
        const at = begin + index * INTERVAL_MS;
        for (const machine of numbers) {
          id += 1;
          const row = {
            ...{
              machine,
              at,
              id,
              receivedAt: at,
              battery: 12 + (id % 997) / 500,
              solarV: 20,
              solarA: 4.5,
              water: 80,
            },
            extra: JSON.stringify({ temp: 30 + (id % 991) / 100, vibration: 0.01 }),
          };
          appends.push(store.append({ row, identified: false, digest: null, late: false }));
        }
      }
      await Promise.all(appends);
    }
    const clock = { now: () => end + HOUR_MS, setTimer: () => ({ cancel() {} }) };
    const rollups = createRollups({ store, clock, log: silentLog });
    for (const machine of numbers) rollups.expect(machine, end);
    const rolling = performance.now();
    await rollups.run();
    const rollMs = performance.now() - rolling;
    await rollups.stop();

    const machine = numbers[machines >> 1] as number;
    const span = { from: Math.max(begin, end - MONTH_MS), to: end };
    const hours = await bestOf(
      async () => (await store.buckets(machine, '1h', { ...span, limit: PAGE })).items.length,
    );
    const raw = await bestOf(async () => {
      const tally = createTally(HOUR_MS);
      let after: Awaited<ReturnType<typeof store.rows>>[number] | undefined;
      do {
        const page = await store.rows(machine, span, after, PAGE);
        for (const row of page) tally.addRow(row);
        after = page.length === PAGE ? page.at(-1) : undefined;
      } while (after !== undefined);
      return tally.buckets().length;
    });
    printTable(
      ['a month of one machine by the hour', 'points', 'ms', 'reach'],
      [
        ['from the hours', String(hours.count), hours.ms.toFixed(1), `< ${REACH_MS}`],
        ['from the rows', String(raw.count), raw.ms.toFixed(1), ''],
        ['ratio', '', (raw.ms / hours.ms).toFixed(1), ''],
      ],
    );
    const perRow = (rollMs / (each * machines)) * 1000;
    console.log(
      `${each * machines} rows of ${machines} machines; rolled up at ${perRow.toFixed(1)} µs a row`,
    );
  } finally {
    await database.close();
    await rm(directory, { recursive: true, force: true });
  }
}
