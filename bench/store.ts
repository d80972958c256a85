import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import type { LaundryWrite } from '../lib/laundry/ports.js';
import { laundryStore } from '../lib/store/laundry.js';
import { openStore } from '../lib/store/open.js';
import { prepare } from '../lib/store/prepared.js';
import type { Statement, Store } from '../lib/store/store.js';
import { newDatabase } from '../test/support/database.js';

/**
 * What the store takes: units of three small statements a second, a laundry's saves a second and their cost on the
 * main thread, a lone commit's latency. `node dist/bench/store.js [folder or URL of a database server] [units]`
 */
const UNITS = Number(process.argv[3] ?? 300_000);
/** Units that wait at once: what an MQTT connection leaves unacknowledged is bounded likewise. */
const WINDOW = 4_000;

/** Calls `one` for each index, with at most WINDOW of its promises pending; answers the units a second. */
async function stream(count: number, one: (index: number) => Promise<void>): Promise<number> {
  const start = performance.now();
  let next = 0;
  await new Promise<void>((fulfil, reject) => {
    let done = 0;
    const settled = () => {
      done += 1;
      if (done === count) fulfil();
      else if (next < count) one(next++).then(settled, reject);
    };
    while (next < Math.min(WINDOW, count)) one(next++).then(settled, reject);
  });
  return count / ((performance.now() - start) / 1000);
}

function smallUnits(store: Store): (index: number) => readonly Statement[] {
  const insert = prepare<{ id: string; at: number }>(store.db, (value, db) =>
    db.insertInto('message').values({
      id: value('id'),
      protocol: 'bench',
      direction: 'in',
      topic: 'bench',
      outcome: 'accepted',
      correlation_id: null,
      at: value('at'),
    }),
  );
  return (index) =>
    [0, 1, 2].map((part) =>
      insert({ id: `small-${String(index).padStart(9, '0')}-${part}`, at: 1_700_000_000_000 }),
    );
}

/** Each write changes one of four machines of one of `controllers` controllers, four to a store. */
function laundryWrites(controllers: number): (index: number) => LaundryWrite {
  const stores = Array.from({ length: Math.ceil(controllers / 4) }, () => randomUUID());
  const ids = Array.from({ length: controllers }, () => randomUUID());
  return (index) => {
    const at = Date.now();
    const turn = Math.floor(index / controllers);
    const storeId = stores[Math.floor((index % controllers) / 4)] as string;
    const controllerId = ids[index % controllers] as string;
    const status = turn % 2 === 0 ? 'busy' : 'idle';
    const machine = { relayId: turn % 4, machineType: 'washer', status, lastUpdated: at } as const;
    return {
      expectedRevision: turn,
      controller: {
        storeId,
        controllerId,
        revision: turn + 1,
        lastSeen: at,
        intervalMs: 30_000,
        online: true,
      },
      machines: [{ ...machine, since: at, busyMs: 1_000, cycles: 3 }],
      changes: [
        { storeId, controllerId, ...machine, previousStatus: 'idle', durationMs: 30_000, receivedAt: at },
      ],
      deadLetters: [],
    };
  };
}

/** A figure counts only where every row is there. */
async function expectRows(store: Store, table: 'message' | 'laundry_state_change', rows: number) {
  const { found } = await store.db
    .selectFrom(table)
    .select((is) => is.fn.countAll<number>().as('found'))
    .executeTakeFirstOrThrow();
  if (Number(found) !== rows) throw new Error(`${table} has ${found} rows instead of ${rows}`);
}

async function newBenchDatabase(where: string): Promise<{ url: string; drop(): Promise<void> }> {
  if (where.includes('://')) return newDatabase(where);
  const folder = await mkdtemp(join(where, 'fieldloom-bench-'));
  return {
    url: `sqlite:${join(folder, 'bench.db')}`,
    drop: () => rm(folder, { recursive: true, force: true }),
  };
}

async function main(): Promise<void> {
  const { url, drop } = await newBenchDatabase(process.argv[2] ?? tmpdir());
  const store = await openStore(url);
  const report = (name: string, value: number, unit: string) =>
    console.log(`${name.padEnd(52)} ${value.toFixed(value < 100 ? 2 : 0).padStart(9)} ${unit}`);
  try {
    const unit = smallUnits(store);
    const latencies: number[] = [];
    for (let index = 0; index < 200; index += 1) {
      const start = performance.now();
      await store.commit(unit(UNITS + index));
      latencies.push(performance.now() - start);
    }
    latencies.sort((a, b) => a - b);
    report('one commit alone, median', latencies[100] as number, 'ms');
    report('units of 3 inserts', await stream(UNITS, (index) => store.commit(unit(index))), 'a second');

    await expectRows(store, 'message', 3 * (UNITS + latencies.length));

    const laundry = laundryStore(store);
    for (const controllers of [50, 1_000]) {
      const write = laundryWrites(controllers);
      const writes = Array.from({ length: UNITS }, (_, index) => write(index));
      let spent = 0;
      const before = performance.eventLoopUtilization();
      const rate = await stream(UNITS, (index) => {
        const start = performance.now();
        const saved = laundry.save(writes[index] as LaundryWrite);
        spent += performance.now() - start;
        return saved;
      });
      const busy = performance.eventLoopUtilization(before);
      report(`laundry saves of 3 statements, ${controllers} controllers`, rate, 'a second');
      report('  main thread: the call of save', (spent / UNITS) * 1000, 'microseconds');
      report('  main thread: all, message passing included', (busy.active / UNITS) * 1000, 'microseconds');
    }
    await expectRows(store, 'laundry_state_change', 2 * UNITS);
  } finally {
    await store.close();
    await drop();
  }
}

main().catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});
