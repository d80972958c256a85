import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { Access } from '../../lib/access/access.js';
import { commandQueries } from '../../lib/store/command-queries.js';
import { deadLetters } from '../../lib/store/dead-letters.js';
import { deviceQueries } from '../../lib/store/device-queries.js';
import { firmwareImageRows } from '../../lib/store/firmware-images.js';
import { firmwareQueries } from '../../lib/store/firmware-queries.js';
import { laundryQueries } from '../../lib/store/laundry-queries.js';
import { ponds } from '../../lib/store/pond.js';
import { roastStore } from '../../lib/store/roast.js';
import { roastProfiles } from '../../lib/store/roast-profiles.js';
import { solarQueries } from '../../lib/store/solar-queries.js';
import type { SqlValue, Store } from '../../lib/store/store.js';
import { CONTROLLER_ID, STORE_ID } from './seed.js';

/** A frozen database is `<FOLDER>/<version>.db.gz`, and beside it `<version>.json` with what was read from it. */
export const FOLDER = 'test/fixtures/schemas';
/** Released versions, of each of which a database is frozen. */
export const VERSIONS = readdirSync(FOLDER).flatMap((name) => /^(.*)\.db\.gz$/.exec(name)?.[1] ?? []);
export const COMPANY = 'sunny';
export const MACHINE = 'cleaner-1';
export const DEVICE = 'AA:BB:CC:DD:EE:FF';
export const OWNER = { name: 'ann', password: 'frozen with the schema' };
export { CONTROLLER_ID, STORE_ID };

export interface Frozen {
  /** Every table, index and trigger as SQLite tells it. */
  schema: string[];
  migrations: string[];
  /** Rows of each table. */
  counts: Record<string, number>;
  rows: Awaited<ReturnType<typeof readAll>>;
}

/** What JSON keeps of a value: the frozen answers went through a file. */
const plain = <T>(value: T): T => JSON.parse(JSON.stringify(value)) as T;

/** What each protocol reads from the database, by the queries that REST and pages use. */
export async function readAll(store: Store) {
  const access = await Access.open(store);
  try {
    const [machine] = (await solarQueries(store).machinesOf(COMPANY)).items;
    const number = machine?.number ?? 0;
    const [rollout] = (await firmwareQueries(store).rollouts()).items;
    const rolloutId = rollout?.plan.id ?? '';
    const deployments = (await firmwareQueries(store).deployments(rolloutId)).items;
    const [pond] = (await ponds(store).page()).items;
    const roaster = (await roastStore(store).machines())[0];
    const profiles = (await roastProfiles(store).page()).items;
    const all = { from: 0, to: Number.MAX_SAFE_INTEGER };
    return plain({
      laundry: {
        machines: await laundryQueries(store).machinesOf(STORE_ID),
        history: (await laundryQueries(store).history(STORE_ID)).items,
      },
      access: {
        clients: (await access.listClients()).map(({ principal }) => principal),
        users: await access.listUsers(),
        login: await access.verifyUser(OWNER.name, OWNER.password, '127.0.0.1'),
      },
      ponds: { pond, executions: (await commandQueries(store).executionsOf(pond?.pondId ?? 0)).items },
      devices: {
        device: await deviceQueries(store).device(DEVICE),
        readings: (await deviceQueries(store).readings(DEVICE, 1, { ...all, limit: 100 })).items,
        latest: await deviceQueries(store).latest(DEVICE, 1),
        alerts: await deviceQueries(store).alerts(DEVICE, 1, { open: false, limit: 100 }),
      },
      firmware: {
        images: (await firmwareImageRows(store).page({ limit: 100 })).items,
        rollout,
        deployments,
        history: Object.fromEntries(await firmwareQueries(store).history([rolloutId])),
      },
      solar: {
        machine,
        telemetry: (await solarQueries(store).telemetry(number, all)).items,
        status: (await solarQueries(store).statusHistory(number, all)).items,
      },
      roast: {
        roaster,
        session: await roastStore(store).session(roaster?.sessionId ?? ''),
        profiles,
        profile: await roastProfiles(store).profile(profiles[0]?.id ?? '', null),
      },
      refused: (await deadLetters(store).page()).items.map(({ payload, ...letter }) => ({
        ...letter,
        payload: createHash('sha256').update(payload).digest('hex'),
      })),
    });
  } finally {
    access.close();
  }
}

function inFile<T>(file: string, read: (all: <R>(sql: string) => R[]) => T): T {
  const db = new DatabaseSync(file, { readOnly: true });
  try {
    return read(<R>(sql: string) => db.prepare(sql).all() as R[]);
  } finally {
    db.close();
  }
}

const OBJECTS = "from sqlite_master where name not like 'sqlite_%' order by type, name";

/** Every table and index of a database file as SQLite tells it; Fieldloom's code is not asked. */
export const schemaOf = (file: string): string[] =>
  inFile(file, (all) => all<{ sql: string }>(`select sql ${OBJECTS}`).map(({ sql }) => sql));

/** As `schemaOf`, with the migrations that were run and how many rows each table has. */
export const outline = (file: string): Omit<Frozen, 'rows'> => ({
  schema: schemaOf(file),
  ...inFile(file, (all) => ({
    migrations: all<{ name: string }>('select name from schema_migration order by name').map(
      ({ name }) => name,
    ),
    counts: Object.fromEntries(
      all<{ type: string; name: string }>(`select type, name ${OBJECTS}`)
        .filter(({ type }) => type === 'table')
        .map(({ name }) => [
          name,
          Number(all<{ rows: number }>(`select count(*) as rows from "${name}"`)[0]?.rows),
        ]),
    ),
  })),
});

/** All rows of a table of a database file. */
export const rowsOf = (file: string, table: string): Record<string, SqlValue>[] =>
  inFile(file, (all) => all<Record<string, SqlValue>>(`select * from "${table}"`));

/** What was there is there, with the same value; a later version may add to it. */
export function assertKept(now: unknown, before: unknown, path: string): void {
  if (typeof before !== 'object' || before === null) {
    assert.deepEqual(now, before, path);
    return;
  }
  assert.ok(typeof now === 'object' && now !== null, path);
  if (Array.isArray(before)) assert.equal((now as unknown[]).length, before.length, path);
  for (const [name, value] of Object.entries(before)) {
    assertKept((now as Record<string, unknown>)[name], value, `${path}/${name}`);
  }
}
