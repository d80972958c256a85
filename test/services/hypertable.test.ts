import assert from 'node:assert/strict';
import { sql } from 'kysely';
import { HOUR_MS } from '../../lib/solar/rollup.js';
import { openStore } from '../../lib/store/open.js';
import { solarStore } from '../../lib/store/solar.js';
import { startSolarRetention } from '../../lib/store/solar-retention.js';
import type { Store } from '../../lib/store/store.js';
import { newDatabase, tell } from '../support/database.js';
import { fakeClock } from '../support/fake-clock.js';
import { serviceUrl } from '../support/services.js';
import { makeTelemetry } from '../support/solar-rows.js';

const DAY = 24 * HOUR_MS;
const BEGIN = Date.UTC(2025, 0, 1);

/**
 * Stands in for TimescaleDB: its catalogue, and its two functions with the parameters of its documentation, which only
 * note how they are called. What the extension itself does of it is not tried here.
 */
const STAND_IN = `
  create schema stand_in;
  create schema timescaledb_information;
  create table stand_in.pg_extension (extname name);
  insert into stand_in.pg_extension values ('timescaledb');
  create table stand_in.call (what text, relation text, time_column text, interval_ms bigint, migrates boolean,
    older_than bigint);
  create table timescaledb_information.hypertables (hypertable_name name);
  create function stand_in.create_hypertable(relation regclass, time_column_name name,
    partitioning_column name = null, chunk_time_interval anyelement = null::bigint, migrate_data boolean = false)
  returns table (hypertable_id int, created bool) language sql as $$
    insert into stand_in.call values ('create', relation, time_column_name, chunk_time_interval, migrate_data);
    insert into timescaledb_information.hypertables values (relation::text);
    select 1, true;
  $$;
  create function stand_in.drop_chunks(relation regclass, older_than bigint = null)
  returns setof text language sql as $$
    insert into stand_in.call values ('drop', relation, null, null, null, older_than);
    select 'chunk';
  $$;
`;

interface Call {
  what: string;
  relation: string;
  time_column: string | null;
  interval_ms: number | null;
  migrates: boolean | null;
  older_than: number | null;
}

describe('telemetry in PostgreSQL', () => {
  let database: { url: string; drop(): Promise<void> };
  let store: Store | undefined;

  beforeEach(async () => {
    database = await newDatabase(serviceUrl('TEST_POSTGRES_URL'));
  });
  afterEach(async () => {
    await store?.close();
    await database.drop();
  });

  it('is a plain table without TimescaleDB, which is asked for nothing', async () => {
    await tell(
      database.url,
      STAND_IN.replace("insert into stand_in.pg_extension values ('timescaledb');", ''),
    );
    await tell(database.url, searchPath());
    store = await openStore(database.url);
    const retention = startSolarRetention(store);
    await retention.run();
    await retention.stop();
    assert.deepEqual(await calls(store), []);
  });

  it('is a hypertable by weeks with it, of which retention drops the chunks that it has emptied', async () => {
    await tell(database.url, STAND_IN);
    await tell(database.url, searchPath());
    store = await openStore(database.url);
    const made = { what: 'create', relation: 'solar_telemetry', time_column: 'at', interval_ms: 7 * DAY };
    assert.deepEqual(await calls(store), [{ ...made, migrates: true, older_than: null }]);

    await solarStore(store).register({ companyId: '1', machineId: 'A' }, BEGIN, 1_000);
    await makeTelemetry(store, { begin: BEGIN, intervalMs: HOUR_MS, each: 5 * 24 });
    await store.db
      .updateTable('solar_rollup')
      .set({ rolled_until: BEGIN + 2 * DAY })
      .execute();
    for (const days of [100, 92]) {
      const retention = startSolarRetention(store, { clock: fakeClock(BEGIN + days * DAY) });
      await retention.run();
      await retention.stop();
    }
    const dropped = (await calls(store)).filter(({ what }) => what === 'drop');
    assert.ok(dropped.length >= 2);
    // Rows that are not rolled up yet stay, and so do their chunks, however old they are.
    for (const { relation, older_than } of dropped) {
      assert.deepEqual([relation, older_than], ['solar_telemetry', BEGIN + 2 * DAY]);
    }
  });

  const searchPath = () =>
    `alter database ${new URL(database.url).pathname.slice(1)} set search_path = public, stand_in, pg_catalog`;

  async function calls({ db }: Store): Promise<Call[]> {
    return (await sql<Call>`select * from stand_in.call`.execute(db)).rows;
  }
});
