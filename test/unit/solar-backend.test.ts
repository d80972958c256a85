import assert from 'node:assert/strict';
import { setImmediate } from 'node:timers/promises';
import type { Append } from '../../lib/solar/ports.js';
import { deadLetters } from '../../lib/store/dead-letters.js';
import { solarStore } from '../../lib/store/solar.js';
import type { Store } from '../../lib/store/store.js';
import { type FakeClock, fakeClock } from '../support/fake-clock.js';
import { changesOf, IDS, type SolarSite, STATUS, solarSite, TELEMETRY, WILL } from '../support/solar.js';
import { cleanUp, opened } from '../support/store.js';

const SECOND = 1_000;

describe('the solar backend', () => {
  let clock: FakeClock;
  let database: Store;
  let site: SolarSite;
  beforeEach(async () => {
    clock = fakeClock();
    database = await opened();
    site = await solarSite(database, clock);
  });
  afterEach(async () => {
    await site.backend.close();
    await cleanUp();
  });

  const number = (ids = IDS) => site.backend.machine(ids)?.number ?? Number.NaN;
  const rows = async (ids = IDS) => (await site.store.telemetry(number(ids), { limit: 1000 })).items;
  /** Lets what time has caused reach the store. */
  const settled = async () => {
    for (let turn = 0; turn < 3; turn += 1) {
      await database.commit([]);
      await setImmediate();
    }
  };
  const advance = async (ms: number) => {
    clock.advance(ms);
    await settled();
  };
  const shown = () => changesOf(site.told).map(({ status }) => status);
  /** Ends it without a word, as a kill does (its timers stand still), and starts another on the same store. */
  const restart = async () => {
    clock = fakeClock(clock.now());
    site = await solarSite(database, clock);
  };

  it('keeps each telemetry message as a row, and tells of it when it is committed', async () => {
    const handled = site.say('telemetry', TELEMETRY);
    assert.equal(site.told.telemetry.length, 0);
    await handled;
    await site.say('telemetry', TELEMETRY);
    const found = await rows();
    assert.equal(found.length, 2, 'the same values twice are two messages');
    assert.deepEqual(
      found.reverse(),
      site.told.telemetry.map(({ row }) => ({ ...row })),
    );
    assert.equal(site.told.arrived.length, 2);
    assert.deepEqual({ ...site.backend.machine(IDS)?.latest }, found[1]);
  });

  it('keeps the machines of companies apart that have the same id', async () => {
    const other = { companyId: '2', machineId: 'A' };
    await Promise.all([
      site.say('telemetry', { battery: 1 }),
      site.say('telemetry', { battery: 2 }, { ids: other }),
    ]);
    assert.deepEqual([(await rows())[0]?.battery, (await rows(other))[0]?.battery], [1, 2]);
    assert.equal(site.backend.machines('2').length, 1);
  });

  it('keeps what it refuses as a dead letter, once also where it is sent again', async () => {
    await site.say('telemetry', '{"battery":"full"}');
    assert.deepEqual(site.told.refused[0]?.pointer, '/battery');
    await site.say('telemetry', '{"battery":"full"}', { resumedAt: clock.now() + 1 });
    assert.equal(await deadLetters(database).count('solar'), 1);
    await site.backend.handle({ topic: 'company/1/x', payload: Buffer.from('{}'), receivedAt: clock.now() });
    assert.equal(site.told.refused.at(-1)?.code, 'invalid_topic');
  });

  it('replays a dead letter without a word that the machine is there', async () => {
    await site.say('telemetry', '{"battery":"full"}');
    const letter = site.told.refused[0];
    assert.ok(letter);
    assert.equal((await site.backend.replay(letter)).refusal?.code, 'schema_mismatch');
    const good = { ...letter, payload: Buffer.from('{"battery":12}') };
    assert.equal((await site.backend.replay(good)).refusal, undefined);
    assert.equal((await rows()).length, 1);
    assert.equal(site.backend.machine(IDS)?.presence, 'new');
    await site.backend.replay(good);
    assert.equal((await rows()).length, 1, 'the same letter twice is one row');
  });

  describe('knows a repeated message', () => {
    it('that says its time or its number, whenever it comes again', async () => {
      for (const message of [
        { timestamp: '2024-01-15T08:59:59Z', battery: 12 },
        { message_id: 'm1', battery: 12 },
        { message_id: 'm2', timestamp: '2024-01-15T08:00:00Z', battery: 12 },
        { timestamp: 17, battery: 12 },
      ]) {
        const before = site.told.telemetry.length;
        await site.say('telemetry', message);
        await advance(3_600 * SECOND);
        await restart();
        await site.say('telemetry', message);
        assert.equal(site.told.telemetry.length, 0, JSON.stringify(message));
        await site.say('telemetry', { ...message, battery: 13 });
        assert.equal(site.told.telemetry.length, 1);
        assert.equal(before, 0);
        site.told.telemetry.length = 0;
      }
      assert.equal((await rows()).length, 8);
    });

    it('by its bytes, where it may have come over an earlier connection, as often as there are rows', async () => {
      await site.say('telemetry', { battery: 11 });
      await advance(26 * SECOND);
      await site.say('telemetry', TELEMETRY);
      await site.say('telemetry', TELEMETRY);
      await site.say('telemetry', { battery: 12 });
      await restart();
      const resumedAt = clock.now() + 5 * SECOND;
      await advance(6 * SECOND);
      for (let time = 0; time < 3; time += 1) await site.say('telemetry', TELEMETRY, { resumedAt });
      await site.say('telemetry', { battery: 12 }, { resumedAt });
      await site.say('telemetry', { battery: 11 }, { resumedAt });
      assert.deepEqual(
        site.told.telemetry.map(({ row }) => row.battery),
        [13.5, 11],
        'a third equal one is new, and so is one of long before',
      );
      assert.equal((await rows()).length, 6);
    });

    it('but not one that says the same when nothing can come again any more', async () => {
      await site.say('telemetry', TELEMETRY);
      await restart();
      const resumedAt = clock.now() + SECOND;
      await advance(2 * SECOND);
      await site.say('telemetry', { battery: 12 }, { resumedAt });
      await site.say('telemetry', TELEMETRY);
      assert.deepEqual(
        (await rows()).map(({ battery }) => battery),
        [13.5, 12, 13.5],
      );
    });

    it('also where the first is still on its way', async () => {
      await site.say('telemetry', { battery: 10 });
      await advance(SECOND);
      const first = site.say('telemetry', TELEMETRY);
      await advance(SECOND);
      const second = site.say('telemetry', TELEMETRY, { resumedAt: clock.now() });
      await Promise.all([first, second]);
      assert.equal((await rows()).length, 2);
    });

    it('that the broker has kept, at each start', async () => {
      await site.say('telemetry', TELEMETRY, { retain: true });
      await restart();
      await site.say('telemetry', TELEMETRY, { retain: true });
      assert.equal((await rows()).length, 1);
      assert.equal(site.backend.machine(IDS)?.presence, 'new', 'it says nothing of whether it is there');
    });
  });

  describe('follows the status', () => {
    it('as it is said, and keeps what has changed', async () => {
      await site.say('status', STATUS);
      await site.say('status', STATUS.replace('150.5', '151'));
      await site.say('status', '{"status":"Charging"}');
      assert.equal(site.told.status.length, 3, 'each message is told');
      assert.deepEqual(
        changesOf(site.told).map(({ status, previousStatus }) => [previousStatus, status]),
        [
          [null, 'Running'],
          ['Running', 'Charging'],
        ],
      );
      assert.equal(site.told.status[1]?.machine.reported?.energy, 151);
      const stored = await site.store.machineOf(IDS);
      assert.deepEqual(stored?.reported, {
        status: 'Charging',
        energy: null,
        water: null,
        area: null,
        others: null,
      });
      assert.equal((await site.store.statusHistory(number())).items.length, 2);
    });

    it('of a machine that sends telemetry alone: it is online', async () => {
      await site.say('telemetry', TELEMETRY);
      await settled();
      assert.deepEqual(shown(), ['online']);
    });

    it('to offline 5 s after its last will, at the time of the will', async () => {
      await site.say('status', STATUS);
      await advance(SECOND);
      const at = clock.now();
      await site.say('status', WILL);
      await advance(4_900);
      assert.deepEqual(shown(), ['Running']);
      await advance(350);
      assert.deepEqual(shown(), ['Running', 'offline']);
      assert.equal(changesOf(site.told)[1]?.at, at);
      await site.say('status', WILL);
      await advance(10 * SECOND);
      assert.equal(shown().length, 2);
      await advance(SECOND);
      await site.say('status', STATUS);
      assert.deepEqual(shown(), ['Running', 'offline', 'Running']);
      assert.equal(changesOf(site.told)[2]?.restarted, false);
    });

    it('through a clean restart as one event with a mark', async () => {
      await site.say('status', STATUS);
      await advance(SECOND);
      await site.say('status', WILL);
      await advance(4 * SECOND);
      await site.say('status', STATUS);
      await advance(20 * SECOND);
      const [, back, ...others] = changesOf(site.told);
      assert.deepEqual([back?.status, back?.previousStatus, back?.restarted], ['Running', 'Running', true]);
      assert.deepEqual(others, []);
      assert.equal(site.backend.counters.restarts, 1);
    });

    it('through a restart of the gateway within those 5 s', async () => {
      await site.say('status', STATUS);
      await site.say('status', WILL);
      await advance(2 * SECOND);
      await restart();
      await advance(3_500);
      assert.deepEqual(shown(), ['offline']);
    });

    it('in the order of arrival, however long each is on its way', async () => {
      await Promise.all([
        site.say('status', WILL),
        site.say('status', '{"status":"Idle"}'),
        site.say('status', WILL),
        site.say('status', STATUS),
      ]);
      await advance(10 * SECOND);
      assert.equal((await site.store.machineOf(IDS))?.presence, 'online');
      assert.equal(shown().at(-1), 'Running');
    });

    it('back by telemetry that comes after the will', async () => {
      await site.say('status', STATUS);
      await Promise.all([site.say('status', WILL), site.say('telemetry', TELEMETRY)]);
      await settled();
      await advance(10 * SECOND);
      assert.deepEqual(shown(), ['Running', 'Running']);
      assert.equal(changesOf(site.told)[1]?.restarted, true);
    });

    it('to stale after three intervals of silence, which is not offline, and back', async () => {
      await site.say('status', STATUS);
      for (let count = 0; count < 8; count += 1) {
        await advance(10 * SECOND);
        await site.say('telemetry', TELEMETRY);
      }
      const last = clock.now();
      await advance(29 * SECOND);
      assert.deepEqual(shown(), ['Running']);
      await advance(2 * SECOND);
      assert.deepEqual(shown(), ['Running', 'stale']);
      assert.equal(changesOf(site.told)[1]?.at, last, 'since its last word');
      await site.say('telemetry', TELEMETRY);
      await settled();
      assert.deepEqual(shown(), ['Running', 'stale', 'Running']);
    });

    it('not to stale after its very first word, long after the gateway has started', async () => {
      clock.advance(3_600 * SECOND);
      await site.say('status', STATUS);
      await advance(80 * SECOND);
      assert.deepEqual(shown(), ['Running']);
      assert.equal(site.backend.machine(IDS)?.lastSeen, clock.now() - 80 * SECOND);
    });

    it('not to stale for a rhythm that was only that of the past it has told, as fast as it goes', async () => {
      await site.say('status', STATUS);
      for (let row = 0; row < 30; row += 1) {
        const timestamp = new Date(clock.now() - (row + 2) * 600 * SECOND).toISOString();
        await site.say('telemetry', { battery: row, timestamp });
        await advance(SECOND);
      }
      await site.say('telemetry', TELEMETRY);
      await advance(80 * SECOND);
      assert.deepEqual(shown(), ['Running']);
    });

    it('not to stale for the silence of the gateway itself, nor once it has said offline', async () => {
      await site.say('status', STATUS);
      await site.backend.close();
      await advance(3_600 * SECOND);
      await restart();
      await advance(80 * SECOND);
      assert.deepEqual(shown(), []);
      await site.say('status', WILL);
      await advance(3_600 * SECOND);
      assert.deepEqual(shown(), ['offline']);
    });

    it('that the broker has kept, where it came while the gateway was away', async () => {
      await site.say('status', STATUS);
      await restart();
      await site.say('status', STATUS, { retain: true });
      assert.equal(site.told.status.length, 0);
      await site.say('status', '{"status":"Charging"}', { retain: true });
      assert.deepEqual(shown(), ['Charging']);
      await site.say('status', WILL, { retain: true });
      assert.deepEqual(shown(), ['Charging', 'offline']);
    });

    it('with another gateway on the same store: nobody’s word is lost', async () => {
      const other = await solarSite(database, clock);
      await site.say('status', STATUS);
      await other.say('status', '{"status":"Charging"}');
      await site.say('status', '{"status":"Idle"}');
      const { items } = await site.store.statusHistory(number());
      assert.deepEqual(items.map(({ status }) => status).sort(), ['Charging', 'Idle', 'Running']);
      assert.equal((await site.store.machineOf(IDS))?.reported?.status, 'Idle');
      await other.backend.close();
    });
  });

  it('remembers over a kill when machines were last heard', async () => {
    await site.say('telemetry', TELEMETRY);
    await settled();
    await advance(30 * SECOND);
    await site.say('telemetry', TELEMETRY);
    const last = clock.now();
    await restart();
    assert.equal(site.backend.machine(IDS)?.lastSeen, last);
  });

  describe('has a minute rolled up again', () => {
    const minute = (at: number) => Math.floor(at / 60_000) * 60_000;
    const marked = async () => (await site.store.marks(10)).map((mark) => mark.minute);

    it('where a message is older than a minute when it comes', async () => {
      const at = clock.now() - 61 * SECOND;
      await site.say('telemetry', { timestamp: clock.now() - 59 * SECOND, battery: 1 });
      assert.deepEqual(await marked(), []);
      await site.say('telemetry', { timestamp: at, battery: 1 });
      assert.deepEqual(await marked(), [minute(at)]);
      assert.equal(site.backend.counters.late, 1);
    });

    it('where a row was so long on its way into the store that its rollup may have missed it', async () => {
      let letGo = () => {};
      const held = new Promise<void>((resolve) => {
        letGo = resolve;
      });
      const store = solarStore(database);
      const slow = { ...store, append: (append: Append) => held.then(() => store.append(append)) };
      const other = await solarSite(database, clock, {}, slow);
      const at = clock.now();
      const handled = other.say('telemetry', TELEMETRY);
      await settled();
      await advance(100 * SECOND);
      letGo();
      await handled;
      assert.deepEqual(await marked(), [minute(at)]);
      await other.backend.close();
    });

    it('where it is sent again after a kill that came between a row and its mark', async () => {
      const message = { timestamp: clock.now(), battery: 1 };
      await site.say('telemetry', message);
      await advance(100 * SECOND);
      await site.say('telemetry', message);
      assert.deepEqual(await marked(), [minute(message.timestamp)]);
    });
  });

  it('waits with what comes before it has loaded, and takes nothing once it is closed', async () => {
    await site.backend.close();
    await assert.rejects(site.say('telemetry', TELEMETRY), { code: 'link_closed' });
  });
});
