import assert from 'node:assert/strict';
import { setImmediate } from 'node:timers/promises';
import { createElsewhere } from '../../lib/solar/elsewhere.js';
import { deadLetters } from '../../lib/store/dead-letters.js';
import { solarStore } from '../../lib/store/solar.js';
import type { Store } from '../../lib/store/store.js';
import { type FakeClock, fakeClock } from '../support/fake-clock.js';
import { changesOf, IDS, type SolarSite, STATUS, solarSite, TELEMETRY, WILL } from '../support/solar.js';
import { cleanUp, opened } from '../support/store.js';

const MINUTE = 60_000;

describe('the solar backends of several gateways', () => {
  let clock: FakeClock;
  let database: Store;
  let a: SolarSite;
  let b: SolarSite;

  const gateway = (name: string, isFirst: boolean) => {
    const store = solarStore(database);
    return solarSite(database, clock, {}, store, createElsewhere(store, { isFirst: () => isFirst }, name));
  };
  beforeEach(async () => {
    clock = fakeClock();
    database = await opened();
    a = await gateway('a', true);
    b = await gateway('b', false);
  });
  afterEach(async () => {
    await a.backend.close();
    await b.backend.close();
    await cleanUp();
  });

  const settled = async () => {
    for (let turn = 0; turn < 5; turn += 1) {
      await database.commit([]);
      await setImmediate();
    }
  };
  const pass = async (ms: number) => {
    for (let left = ms; left > 0; left -= 1_000) {
      clock.advance(1_000);
      await settled();
    }
  };
  const presence = async () => (await a.store.load(IDS))?.presence;
  const shown = (site: SolarSite) => changesOf(site.told).map(({ status }) => status);

  it('do not call a machine silent that speaks to the other one', async () => {
    await a.say('telemetry', TELEMETRY);
    await b.say('telemetry', TELEMETRY);
    for (let count = 0; count < 20; count += 1) {
      await pass(20_000);
      await b.say('telemetry', TELEMETRY);
    }
    assert.equal(await presence(), 'online');
    assert.ok(!shown(a).includes('stale'));
    await pass(5 * MINUTE);
    assert.equal(await presence(), 'stale');
    assert.equal([...shown(a), ...shown(b)].filter((status) => status === 'stale').length, 1, 'told once');
  });

  it('tell a change of status that both have heard once, and both know it', async () => {
    await Promise.all([a.say('status', STATUS), b.say('status', STATUS)]);
    await settled();
    assert.deepEqual([...shown(a), ...shown(b)], ['Running']);
    assert.deepEqual(
      [a, b].map(({ backend }) => backend.machine(IDS)?.presence),
      ['online', 'online'],
    );
    await Promise.all([a.say('status', WILL), b.say('status', WILL)]);
    await pass(10_000);
    assert.equal(await presence(), 'offline');
  });

  it('keep a refused status that both have heard once', async () => {
    await Promise.all([a.say('status', '{"status":5}'), b.say('status', '{"status":5}')]);
    assert.equal(await deadLetters(database).count('solar'), 1);
  });

  it('take for repeated only what the same gateway had stored before it was killed', async () => {
    await a.say('telemetry', TELEMETRY);
    await settled();
    clock.advance(1_000);
    await b.say('telemetry', TELEMETRY);
    await settled();
    clock.advance(30_000);
    await b.say('telemetry', TELEMETRY);
    await settled();
    clock.advance(1_000);
    const again = await gateway('a', true);
    const resumedAt = clock.now();
    clock.advance(10);
    // The broker sends again what a had stored and not acknowledged, and then what had waited for it.
    await again.say('telemetry', TELEMETRY, { resumedAt });
    await again.say('telemetry', TELEMETRY, { resumedAt });
    const { number = 0 } = (await a.store.load(IDS)) ?? {};
    assert.equal((await a.store.telemetry(number, { limit: 100 })).items.length, 4);
    await again.backend.close();
  });
});
