import assert from 'node:assert/strict';
import { HOUR_MS } from '../../lib/solar/rollup.js';
import { solarStore } from '../../lib/store/solar.js';
import { startSolarRetention } from '../../lib/store/solar-retention.js';
import { fakeClock } from '../support/fake-clock.js';
import { makeTelemetry } from '../support/solar-rows.js';
import { cleanUp, opened } from '../support/store.js';

const DAY = 24 * HOUR_MS;
const BEGIN = Date.UTC(2025, 0, 1);
const ROWS = 100_000;
const NOW = BEGIN + 100 * DAY;

describe('old telemetry that goes', function () {
  this.timeout(120_000);
  afterEach(cleanUp);

  it('keeps nobody waiting for long who writes meanwhile, also to the same machine', async () => {
    const database = await opened();
    const store = solarStore(database);
    const { number: machine } = await store.register({ companyId: '1', machineId: 'A' }, BEGIN, 1_000);
    await makeTelemetry(database, { begin: BEGIN, intervalMs: 1_000, each: ROWS });
    await database.db.updateTable('solar_rollup').set({ rolled_until: NOW }).execute();
    const count = async () => {
      const { found } = await database.db
        .selectFrom('solar_telemetry')
        .select((is) => is.fn.countAll<number>().as('found'))
        .where('at', '<', NOW - 90 * DAY)
        .executeTakeFirstOrThrow();
      return Number(found);
    };
    assert.equal(await count(), ROWS);

    const begun = performance.now();
    const retention = startSolarRetention(database, { clock: fakeClock(NOW) });
    let running = true;
    const gone = retention.run().finally(() => {
      running = false;
    });
    let longest = 0;
    let written = 0;
    while (running) {
      const start = performance.now();
      const at = NOW + written;
      const row = { machine, at, id: written, receivedAt: at, battery: 12, solarV: null, solarA: null };
      await store.append({
        row: { ...row, water: null, extra: null },
        ...{ identified: false, digest: null, late: false },
      });
      longest = Math.max(longest, performance.now() - start);
      written += 1;
    }
    await gone;
    const total = performance.now() - begun;
    assert.equal(await count(), 0);
    assert.ok(written >= 50, `${written} messages were written in between`);
    assert.ok(longest < total / 3, `one waited ${longest} ms of ${total} ms`);
    await retention.stop();
  });
});
