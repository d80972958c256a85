import assert from 'node:assert/strict';
import fc from 'fast-check';
import { sql } from 'kysely';
import { newId } from '../../lib/store/ids.js';
import type { SqlValue } from '../../lib/store/store.js';
import { cleanUp, opened, reaches, settingInsert, settings, temporaryUrl } from '../support/store.js';
import { startStoreProcess } from '../support/store-process.js';

describe('the embedded database', () => {
  afterEach(cleanUp);

  it('a transaction of administration and the units of others take turns', async () => {
    const store = await opened();
    const insert = settingInsert(store);
    await store.commit([insert('counter', '0')]);
    const units: Promise<void>[] = [];
    const add = () =>
      store.db.transaction().execute(async (transaction) => {
        units.push(store.commit([insert(newId())]));
        const { value } = await transaction
          .selectFrom('setting')
          .select('value')
          .where('name', '=', 'counter')
          .executeTakeFirstOrThrow();
        await transaction
          .updateTable('setting')
          .set({ value: String(Number(value) + 1) })
          .where('name', '=', 'counter')
          .execute();
      });
    const failing = store.db.transaction().execute(async (transaction) => {
      await transaction.insertInto('setting').values({ name: 'undone', value: '' }).execute();
      throw new Error('on second thoughts');
    });
    await Promise.all([...Array.from({ length: 20 }, add), assert.rejects(failing, /second thoughts/)]);
    await Promise.all(units);
    const found = await settings(store);
    assert.equal(found['counter'], '20');
    assert.equal(Object.keys(found).length, 21);
  });

  it('values of each kind arrive as they were given, in any mixture, beside units that cannot be sent', async () => {
    const store = await opened();
    await sql`create table mixture (number integer primary key, a, b, c)`.execute(store.db);
    const value = fc.oneof(
      fc.constant(null),
      fc.integer(),
      fc.double({ noNaN: true, noDefaultInfinity: true }),
      fc.bigInt({ min: 2n ** 53n, max: 2n ** 62n }),
      fc.string({ unit: 'binary' }),
      fc.uint8Array(),
    );
    const row = fc.tuple(value, value, value);
    const wrongRow = fc.constant<[number, string, number]>([1, 'a', Number.NaN]);
    const unit = fc.array(fc.oneof({ weight: 9, arbitrary: row }, wrongRow), { maxLength: 3 });
    let last = 0;
    let expectedCount = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(unit, { maxLength: 8 }), async (units) => {
        const expected: [number, ...SqlValue[]][] = [];
        await Promise.all(
          units.map(async (rows) => {
            const numbered = rows.map((values): [number, ...SqlValue[]] => [++last, ...values]);
            const commit = store.commit(
              numbered.map((parameters) => ({ sql: 'insert into mixture values (?, ?, ?, ?)', parameters })),
            );
            if (rows.some((values) => Number.isNaN(values[2]))) {
              return assert.rejects(commit, { code: 'store_rejected' });
            }
            expected.push(...numbered);
            return commit;
          }),
        );
        for (const [number, a, b, c] of expected) {
          const { rows } = await sql`
            select 1 from mixture where number = ${number} and a is ${a} and b is ${b} and c is ${c}
          `.execute(store.db);
          assert.equal(rows.length, 1, `${[a, b, c].map(String)}`);
        }
        expectedCount += expected.length;
        const { rows } = await sql<{ count: number }>`select count(*) as count from mixture`.execute(
          store.db,
        );
        assert.equal(rows[0]?.count, expectedCount);
      }),
      { numRuns: 60 },
    );
  });

  it('a full disk rejects nothing: the units wait, and are written in their order once there is room', async () => {
    const store = await opened();
    const insert = settingInsert(store);
    await store.commit([insert('before')]);
    const { rows } = await sql<{ page_count: number }>`pragma page_count`.execute(store.db);
    const pages = rows[0]?.page_count as number;
    const unavailable = reaches(store, 'unavailable');
    await sql`pragma max_page_count = ${sql.raw(String(pages + 2))}`.execute(store.db);
    const written: number[] = [];
    const waiting = Array.from({ length: 40 }, (_, index) =>
      store.commit([insert(`large${index}`, 'x'.repeat(4_000))]).then(() => written.push(index)),
    );
    await unavailable;
    assert.match(String(store.reason), /full/);
    assert.deepEqual(written, []);
    assert.equal(store.pending, 40);

    await sql`pragma max_page_count = 1000000`.execute(store.db);
    await Promise.all(waiting);
    assert.equal(store.state, 'open');
    assert.equal(store.reason, undefined);
    assert.deepEqual(
      written,
      Array.from({ length: 40 }, (_, index) => index),
    );
    assert.equal(Object.keys(await settings(store)).length, 41);
  });

  it('what was sent ahead of a batch that did not fit is not written before it', async () => {
    const store = await opened();
    const insert = settingInsert(store);
    const { rows } = await sql<{ page_count: number }>`pragma page_count`.execute(store.db);
    const unavailable = reaches(store, 'unavailable');
    await sql`pragma max_page_count = ${sql.raw(String((rows[0]?.page_count as number) + 20))}`.execute(
      store.db,
    );
    const written: string[] = [];
    const commit = (name: string, value = '') =>
      store.commit([insert(name, value)]).then(() => written.push(name));
    const all = [commit('large', 'x'.repeat(1_000_000))];
    await new Promise<void>((fulfil) => setImmediate(fulfil));
    const small = Array.from({ length: 300 }, (_, index) => `small${index}`);
    all.push(...small.map((name) => commit(name)));
    await unavailable;
    await settings(store);
    assert.deepEqual(written, []);
    assert.deepEqual(await settings(store), {});
    await sql`pragma max_page_count = 1000000`.execute(store.db);
    await Promise.all(all);
    assert.deepEqual(written, ['large', ...small]);
  });

  it('a lock of another process rejects nothing: the units wait for its end; reading goes on', async () => {
    const url = await temporaryUrl();
    const store = await opened(url, { busyMs: 50 });
    const insert = settingInsert(store);
    const other = startStoreProcess(url);
    await other.ask('lock');
    const waiting = ['a', 'b'].map((name) => store.commit([insert(name)]));
    await reaches(store, 'unavailable');
    assert.match(String(store.reason), /locked by another process/);
    assert.deepEqual(await settings(store), {});
    await other.ask('unlock');
    await Promise.all(waiting);
    assert.equal(store.state, 'open');
    assert.deepEqual(Object.keys(await settings(store)), ['a', 'b']);
  });

  it('a long read does not hold up commits', async () => {
    const store = await opened();
    const insert = settingInsert(store);
    let reading = true;
    const long = sql`
      select count(*) from (with recursive n(i) as (select 1 union all select i + 1 from n where i < 4000000)
      select i from n)
    `
      .execute(store.db)
      .finally(() => {
        reading = false;
      });
    await store.commit([insert('meanwhile')]);
    assert.equal(reading, true);
    await long;
  });
});
