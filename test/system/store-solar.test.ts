import assert from 'node:assert/strict';
import fc from 'fast-check';
import { FieldloomError } from '../../lib/core/errors.js';
import { silentLog } from '../../lib/core/log.js';
import type { Bucket, MachineRecord, StatusWrite, TelemetryRow } from '../../lib/solar/ports.js';
import { beginOf, createTally, HOUR_MS, MINUTE_MS } from '../../lib/solar/rollup.js';
import { createRollups } from '../../lib/solar/rollups.js';
import { solarStore } from '../../lib/store/solar.js';
import { startSolarRetention } from '../../lib/store/solar-retention.js';
import type { Store } from '../../lib/store/store.js';
import { fakeClock } from '../support/fake-clock.js';
import { IDS, type SolarSite, solarSite } from '../support/solar.js';
import { cleanUp, opened, temporaryUrl } from '../support/store.js';

const NINE = Date.UTC(2025, 5, 2, 9);
const DAY = 24 * HOUR_MS;

const row = (machine: number, at: number, id = 0, parts: Partial<TelemetryRow> = {}): TelemetryRow => ({
  machine,
  at,
  id,
  receivedAt: at + 5,
  battery: 13.5,
  solarV: 21.25,
  solarA: null,
  water: -0.5,
  extra: '{"temp":32.5,"motor":{"rpm":1200}}',
  ...parts,
});
const append = (
  its: TelemetryRow,
  parts: { identified?: boolean; digest?: string; late?: boolean } = {},
) => ({
  row: its,
  identified: false,
  digest: null,
  late: false,
  ...parts,
});

/** What REST says of a machine's series, all pages. */
async function all<T>(read: (cursor?: string) => Promise<{ items: T[]; next_cursor: string | null }>) {
  const items: T[] = [];
  let cursor: string | undefined;
  do {
    const page = await read(cursor);
    items.push(...page.items);
    cursor = page.next_cursor ?? undefined;
  } while (cursor !== undefined);
  return items;
}

/** What the rows say, summed up by nothing but themselves. */
function summed(rows: readonly TelemetryRow[], size: number) {
  const byBegin = new Map<number, Map<string, number[]>>();
  const put = (at: number, name: string, value: unknown) => {
    if (typeof value === 'object' && value !== null) {
      for (const [key, inner] of Object.entries(value)) put(at, `${name}.${key}`, inner);
    }
    if (typeof value !== 'number') return;
    const begin = Math.floor(at / size) * size;
    const fields = byBegin.get(begin) ?? new Map<string, number[]>();
    byBegin.set(begin, fields.set(name, [...(fields.get(name) ?? []), value]));
  };
  for (const { at, battery, solarV, solarA, water, extra } of rows) {
    put(at, 'battery', battery);
    put(at, 'solar_v', solarV);
    put(at, 'solar_a', solarA);
    put(at, 'water', water);
    put(at, 'extra', JSON.parse(extra ?? 'null'));
  }
  return [...byBegin]
    .sort(([a], [b]) => b - a)
    .map(([at, fields]) => ({
      at,
      fields: Object.fromEntries(
        [...fields].map(([name, values]) => [
          name,
          [values.length, Math.min(...values), Math.max(...values), values.reduce((a, b) => a + b, 0)],
        ]),
      ),
    }));
}
const plain = (buckets: readonly Bucket[]) =>
  buckets
    .filter(({ fields }) => fields.size > 0)
    .map(({ at, fields }) => ({ at, fields: Object.fromEntries(fields) }));

describe('solar machines in the store', () => {
  afterEach(cleanUp);

  const register = async (store: Store, ids = IDS) => solarStore(store).register(ids, NINE, 30_000);

  it('have a number each, the same for whoever asks', async () => {
    const url = await temporaryUrl();
    const [one, two] = [solarStore(await opened(url)), solarStore(await opened(url))];
    const ids = { companyId: '1', machineId: 'ä B' };
    const [a, b] = await Promise.all([one.register(ids, NINE, 30_000), two.register(ids, NINE, 30_000)]);
    assert.equal(a.number, b.number);
    const other = await two.register({ companyId: '2', machineId: 'ä B' }, NINE, 30_000);
    const cased = await two.register({ companyId: '1', machineId: 'Ä B' }, NINE, 30_000);
    assert.equal(new Set([a.number, other.number, cased.number]).size, 3);
    assert.deepEqual((await one.companiesWith('ä B')).sort(), ['1', '2']);
  });

  it('keep their rows as they are, and give them newest first, page by page', async () => {
    const database = await opened();
    const store = solarStore(database);
    const { number } = await register(database);
    const rows = Array.from({ length: 25 }, (_, index) =>
      row(number, NINE + Math.floor(index / 4), index, { extra: index % 2 ? null : '{"ä":[1,"x",null]}' }),
    );
    await Promise.all(rows.map((each) => store.append(append(each))));
    const other = await register(database, { companyId: '2', machineId: 'A' });
    await store.append(append(row(other.number, NINE + 1, 1)));
    const found = await all((cursor) => store.telemetry(number, { limit: 4, ...(cursor && { cursor }) }));
    assert.deepEqual(found, [...rows].reverse());
    const span = await store.telemetry(number, { from: NINE + 1, to: NINE + 2 });
    assert.deepEqual(span.items, rows.slice(4, 8).reverse());
    assert.deepEqual(await store.newestOf(number), rows.at(-1));
    assert.deepEqual((await store.loadAll()).map(({ newestAt }) => newestAt).sort(), [NINE + 1, NINE + 6]);
    assert.deepEqual(await store.rowsBefore(number, { after: NINE, before: NINE + 2 }, 2), [
      rows[7],
      rows[6],
    ]);
    await assert.rejects(store.telemetry(number, { cursor: 'x' }), { code: 'invalid_input' });
  });

  it('take an identified message once', async () => {
    const database = await opened();
    const store = solarStore(database);
    const { number } = await register(database);
    const timed = append(row(number, NINE, -5), { identified: true });
    const numbered = append(row(number, NINE, -6), { identified: true, digest: 'd'.repeat(64), late: true });
    await store.append(timed);
    await store.append(numbered);
    await assert.rejects(store.append(timed), { code: 'store_conflict' });
    await assert.rejects(store.append({ ...numbered, row: row(number, NINE + 9, -6) }), {
      code: 'store_conflict',
    });
    assert.equal((await store.telemetry(number)).items.length, 2);
    assert.equal((await store.marks(10)).length, 1);
  });

  it('change their status by compare-and-set, and remember how it changed', async () => {
    const database = await opened();
    const store = solarStore(database);
    const machine = await register(database);
    const next: MachineRecord = {
      ...machine,
      revision: 77,
      presence: 'online',
      reported: { status: 'Running', energy: 150.5, water: 25, area: null, others: '{"fw":"2"}' },
      reportedAt: NINE,
      since: NINE,
      leftAt: NINE + 1,
      lastSeen: NINE,
      intervalMs: 60_000,
    };
    const change = { ...IDS, status: 'Running', previousStatus: null, at: NINE, restarted: true };
    const write: StatusWrite = { expectedRevision: machine.revision, machine: next, change };
    await store.saveStatus(write);
    await assert.rejects(store.saveStatus(write), { code: 'store_conflict' });
    assert.deepEqual(await store.load(IDS), next);
    await store.saveSeen([{ number: machine.number, lastSeen: NINE + 5, intervalMs: 61_000 }]);
    await store.saveSeen([{ number: machine.number, lastSeen: NINE + 4, intervalMs: 62_000 }]);
    assert.deepEqual(await store.load(IDS), { ...next, lastSeen: NINE + 5, intervalMs: 61_000 });
    const { items } = await store.statusHistory(machine.number);
    assert.deepEqual(
      items.map(({ id: _, ...stored }) => stored),
      [{ status: 'Running', previousStatus: null, at: NINE, restarted: true }],
    );
    assert.deepEqual(
      (await store.machinesOf('1')).items.map(({ machineId }) => machineId),
      ['A'],
    );
    assert.deepEqual((await store.machinesOf('2')).items, []);
  });

  describe('are summed up', () => {
    const rollupsOf = (store: Parameters<typeof createRollups>[0]['store'], now: number) =>
      createRollups({ store, clock: fakeClock(now), log: silentLog });

    it('by minutes and hours, the running ones too, and the same before and after', async () => {
      const database = await opened();
      const store = solarStore(database);
      const { number } = await register(database);
      const rows = Array.from({ length: 300 }, (_, index) =>
        row(number, NINE + index * 30_000, index, {
          battery: 12 + (index % 7) / 4,
          solarA: index % 3 ? null : 2,
        }),
      );
      await Promise.all(rows.map((each) => store.append(append(each))));
      const now = NINE + 300 * 30_000;
      const check = async () => {
        for (const [resolution, size] of [
          ['1m', MINUTE_MS],
          ['1h', HOUR_MS],
        ] as const) {
          const found = await all((cursor) =>
            store.buckets(number, resolution, { limit: 7, ...(cursor && { cursor }) }),
          );
          assert.deepEqual(plain(found), summed(rows, size), resolution);
        }
      };
      await check();
      const rollups = rollupsOf(store, now);
      rollups.expect(number, now);
      await rollups.run();
      assert.equal((await store.rollupState(number))?.rolledUntil, now - 2 * MINUTE_MS);
      await check();
      const half = await store.buckets(number, '1h', { from: NINE + HOUR_MS + 1, to: NINE + HOUR_MS + 2 });
      assert.deepEqual(
        plain(half.items),
        summed(rows, HOUR_MS).slice(1, 2),
        'the hour that from falls into, whole',
      );
      await rollups.stop();
    });

    it('again where a row comes late, and where its machine is silent otherwise', async () => {
      const database = await opened();
      const store = solarStore(database);
      const { number } = await register(database);
      const early = [row(number, NINE, 1), row(number, NINE + 90_000, 2)];
      await Promise.all(early.map((each) => store.append(append(each))));
      const now = NINE + HOUR_MS;
      const rollups = rollupsOf(store, now);
      rollups.expect(number, now);
      await rollups.run();
      const late = [row(number, NINE + 1_000, -1, { battery: 1 }), row(number, NINE + 600_000, -2)];
      for (const each of late) await store.append(append(each, { identified: true, late: true }));
      await rollups.run();
      assert.deepEqual(await store.marks(10), []);
      for (const [resolution, size] of [
        ['1m', MINUTE_MS],
        ['1h', HOUR_MS],
      ] as const) {
        assert.deepEqual(
          plain((await store.buckets(number, resolution)).items),
          summed(
            [...early, late[0] as TelemetryRow, late[1] as TelemetryRow].sort((a, b) => a.at - b.at),
            size,
          ),
        );
      }
      await rollups.stop();
    });

    it('by two gateways at once, while rows go on coming late', async () => {
      const database = await opened();
      const store = solarStore(database);
      const { number } = await register(database);
      const now = NINE + HOUR_MS;
      const gateways = [rollupsOf(store, now), rollupsOf(store, now)];
      const rows: TelemetryRow[] = [];
      const put = async (its: TelemetryRow, late: boolean) => {
        rows.push(its);
        await store.append(append(its, { late }));
      };
      for (let index = 0; index < 60; index += 1) await put(row(number, NINE + index * 40_000, index), false);
      for (let turn = 0; turn < 8; turn += 1) {
        for (const rollups of gateways) rollups.expect(number, now);
        await Promise.all([
          ...gateways.map((rollups) => rollups.run()),
          put(row(number, NINE + turn * 100_000, 1_000 + turn, { battery: turn }), true),
        ]);
      }
      for (const rollups of gateways) await rollups.run();
      assert.deepEqual(await store.marks(10), []);
      const inOrder = [...rows].sort((a, b) => a.at - b.at || a.id - b.id);
      for (const [resolution, size] of [
        ['1m', MINUTE_MS],
        ['1h', HOUR_MS],
      ] as const) {
        const found = plain((await store.buckets(number, resolution, { limit: 1000 })).items);
        assert.deepEqual(sorted(found), sorted(summed(inOrder, size)), resolution);
      }
      for (const rollups of gateways) await rollups.stop();
    });

    it('with 256 names at most, each of 128 characters, and sums that the databases can keep', async () => {
      const database = await opened();
      const store = solarStore(database);
      const { number } = await register(database);
      const extra = Object.fromEntries(
        Array.from({ length: 300 }, (_, index) => [`${'ä'.repeat(60)}${index}`, 1e308]),
      );
      const text = JSON.stringify({ ['x'.repeat(200)]: 1, ...extra });
      for (const id of [1, 2]) await store.append(append(row(number, NINE, id, { extra: text })));
      const rollups = rollupsOf(store, NINE + HOUR_MS);
      rollups.expect(number, NINE);
      await rollups.run();
      const [bucket] = (await store.buckets(number, '1m')).items;
      assert.equal(bucket?.fields.size, 256);
      assert.deepEqual(bucket?.fields.get(`extra.${'ä'.repeat(60)}7`), [2, 1e308, 1e308, Number.MAX_VALUE]);
      await rollups.stop();
    });
  });

  it('go when they are old, and only what is rolled up', async () => {
    const database = await opened();
    const store = solarStore(database);
    const { number } = await register(database);
    const old = Array.from({ length: 1_200 }, (_, index) => row(number, NINE + index * 1_000, index));
    await Promise.all(old.map((each) => store.append(append(each))));
    const kept = row(number, NINE + 5 * DAY, 1);
    await store.append(append(kept));
    const clock = fakeClock(NINE + 5 * DAY + HOUR_MS);
    const settings = { rawMs: 2 * DAY, minuteMs: 3 * DAY, hourMs: 4 * DAY };
    const retention = startSolarRetention(database, { settings, clock });
    assert.equal((await retention.run()).solar_telemetry, 0, 'not rolled up yet');
    const rollups = createRollups({ store, clock, log: silentLog });
    rollups.expect(number, kept.at);
    await rollups.run();
    const deleted = await retention.run();
    assert.deepEqual(deleted, {
      solar_telemetry: 1_200,
      solar_minute: 20,
      solar_hour: 1,
      solar_status_change: 0,
      solar_message: 0,
    });
    assert.deepEqual((await store.telemetry(number)).items, [kept]);
    await retention.stop();
    await rollups.stop();
    assert.throws(() => startSolarRetention(database, { settings: { rawMs: 500 * DAY }, clock }), {
      code: 'invalid_setting',
    });
  });

  it('are one row a message and sums of just these rows, whatever the order, lateness and crash', async function () {
    this.timeout(120_000);
    const database = await opened();
    let machine = 0;
    type Step =
      | { do: 'send'; ago: number; value: number; identified: boolean }
      | { do: 'repeat'; pick: number }
      | { do: 'advance'; seconds: number }
      | { do: 'roll up' | 'kill' | 'kill in the rollup' };
    const step: fc.Arbitrary<Step> = fc.oneof(
      {
        weight: 6,
        arbitrary: fc.record({
          do: fc.constant('send' as const),
          ago: fc.constantFrom(0, 0, 1, 50, 70, 200, 4_000, 9_000),
          value: fc.integer({ min: -8, max: 8 }),
          identified: fc.boolean(),
        }),
      },
      { weight: 2, arbitrary: fc.record({ do: fc.constant('repeat' as const), pick: fc.nat() }) },
      {
        weight: 3,
        arbitrary: fc.record({
          do: fc.constant('advance' as const),
          seconds: fc.constantFrom(1, 20, 61, 400),
        }),
      },
      {
        weight: 2,
        arbitrary: fc.record({
          do: fc.constantFrom('roll up' as const, 'kill' as const, 'kill in the rollup' as const),
        }),
      },
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
        machine += 1;
        const ids = { companyId: 'p', machineId: String(machine) };
        let clock = fakeClock(NINE);
        let broken = false;
        const base = solarStore(database);
        const store = {
          ...base,
          async saveRollup(write: Parameters<typeof base.saveRollup>[0]) {
            if (broken) throw new FieldloomError('store_closed', 'killed');
            await base.saveRollup(write);
          },
        };
        let site: SolarSite = await solarSite(database, clock, {}, store);
        let sites = [site];
        const sent: { message: object; unique: boolean }[] = [];
        let expected = 0;
        const kill = async () => {
          clock = fakeClock(clock.now());
          broken = false;
          site = await solarSite(database, clock, {}, store);
          sites = [...sites, site];
        };
        for (const next of steps) {
          if (next.do === 'advance') clock.advance(next.seconds * 1000);
          else if (next.do === 'roll up') await site.backend.rollUp();
          else if (next.do === 'kill') await kill();
          else if (next.do === 'kill in the rollup') {
            broken = true;
            await site.backend.rollUp().catch(() => {});
            await kill();
          } else if (next.do === 'send') {
            // A value of its own tells a message from others that are sent in the same moment.
            const content = { battery: next.value, extra: { deep: [next.value / 4], number: sent.length } };
            const timestamp = clock.now() - next.ago * 1000;
            const message = next.identified ? { ...content, timestamp } : content;
            sent.push({ message, unique: next.identified });
            expected += 1;
            await site.say('telemetry', message, { ids });
          } else if (next.do === 'repeat') {
            const again = sent[next.pick % Math.max(1, sent.length)];
            if (again === undefined) continue;
            // What says no time of its own is known for the last seconds before a connection.
            const last = sent.at(-1) === again;
            if (!again.unique && !last) continue;
            clock.advance(1);
            await kill();
            await site.say('telemetry', again.message, { ids, resumedAt: clock.now() });
          }
        }
        const number = site.backend.machine(ids)?.number;
        if (number === undefined) return;
        const check = async () => {
          const rows = await all((cursor) =>
            store.telemetry(number, { limit: 1000, ...(cursor && { cursor }) }),
          );
          assert.equal(rows.length, expected);
          for (const [resolution, size] of [
            ['1m', MINUTE_MS],
            ['1h', HOUR_MS],
          ] as const) {
            const found = plain((await store.buckets(number, resolution, { limit: 1000 })).items);
            const tally = createTally(size);
            for (const each of [...rows].reverse()) tally.addRow(each);
            assert.deepEqual(sorted(found), sorted(summed(rows, size)), resolution);
            assert.deepEqual(sorted(plain(tally.buckets().reverse())), sorted(found));
          }
        };
        await site.backend.rollUp();
        await check();
        clock.advance(20 * MINUTE_MS);
        await site.backend.rollUp();
        assert.deepEqual(await store.marks(10), []);
        await check();
        assert.equal(beginOf(NINE, HOUR_MS), NINE);
        for (const each of sites) await each.backend.close();
      }),
      { numRuns: database.dialect === 'sqlite' ? 150 : 25 },
    );
  });
});

const sorted = (buckets: { at: number; fields: Record<string, unknown> }[]) =>
  buckets.map(({ at, fields }) => ({ at, fields: Object.fromEntries(Object.entries(fields).sort()) }));
