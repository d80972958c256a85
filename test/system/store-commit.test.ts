import assert from 'node:assert/strict';
import fc from 'fast-check';
import { prepare } from '../../lib/store/prepared.js';
import type { Statement } from '../../lib/store/store.js';
import { cleanUp, opened, settingInsert, settings, temporaryUrl } from '../support/store.js';

describe('committing to the database', () => {
  afterEach(cleanUp);

  it('what is fulfilled is there for a reader at once', async () => {
    const store = await opened();
    const insert = settingInsert(store);
    for (let index = 0; index < 50; index += 1) {
      await store.commit([insert(`n${index}`)]);
      assert.equal(Object.keys(await settings(store)).length, index + 1);
    }
  });

  it('a statement that is refused voids its unit and harms no other of the batch', async () => {
    const store = await opened();
    const insert = settingInsert(store);
    const results = await Promise.allSettled([
      store.commit([insert('a')]),
      store.commit([insert('b'), insert('a')]),
      store.commit([{ sql: 'insert into nowhere values (1)', parameters: [] }]),
      store.commit([insert('c'), { sql: 'no sql at all', parameters: [] }]),
      store.commit([insert('d')]),
    ]);
    assert.deepEqual(
      results.map((result) => (result.status === 'fulfilled' ? 'ok' : result.reason.code)),
      ['ok', 'store_rejected', 'store_rejected', 'store_rejected', 'ok'],
    );
    assert.deepEqual(Object.keys(await settings(store)), ['a', 'd']);
    assert.equal(store.state, 'open');
  });

  it('a parameter that is no value of SQL voids its unit alone', async () => {
    const store = await opened();
    const insert = settingInsert(store);
    const wrong = (value: unknown) =>
      store.commit([insert('x'), { ...insert('y'), parameters: ['y', value as string] }]);
    const results = await Promise.allSettled([
      wrong(undefined),
      wrong(Number.NaN),
      wrong(() => 1),
      wrong({}),
      wrong(true),
      store.commit([insert('good')]),
    ]);
    assert.deepEqual(
      results.map((result) => (result.status === 'fulfilled' ? 'ok' : result.reason.code)),
      [...Array(5).fill('store_rejected'), 'ok'],
    );
    assert.deepEqual(Object.keys(await settings(store)), ['good']);
  });

  it('bytes are stored as they are, also a slice of a larger buffer', async () => {
    const store = await opened();
    const insert = prepare<{ topic_key: string; payload: Uint8Array }>(store.db, (value, db) =>
      db.insertInto('mqtt_retained').values({
        topic_key: value('topic_key'),
        topic: 't',
        qos: 1,
        payload: value('payload'),
        stored_at: 0,
      }),
    );
    const chunk = Buffer.from('....payload....');
    await store.commit([insert({ topic_key: 'slice', payload: chunk.subarray(4, 11) })]);
    await store.commit([insert({ topic_key: 'empty', payload: Buffer.alloc(0) })]);
    const rows = await store.db.selectFrom('mqtt_retained').select('payload').orderBy('topic_key').execute();
    assert.deepEqual(
      rows.map(({ payload }) => Buffer.from(payload).toString()),
      ['', 'payload'],
    );
  });

  it('more different statements than are kept prepared do no harm', async () => {
    const store = await opened();
    const mark = store.dialect === 'postgres' ? '$1' : '?';
    const units = Array.from({ length: 1_200 }, (_, index): Statement[] => [
      {
        sql: `insert into setting (name, value) values (${mark}, '${index % 700}')`,
        parameters: [`n${index}`],
      },
    ]);
    for (const half of [units.slice(0, 700), units.slice(700)]) {
      await Promise.all(half.map((unit) => store.commit(unit)));
    }
    const found = await settings(store);
    assert.equal(Object.keys(found).length, 1_200);
    assert.equal(found['n1199'], String(1_199 % 700));
  });

  it('guarded units end as in a plain model, whatever the order and the batches', async () => {
    const store = await opened();
    const put = prepare<{ name: string; value: string; old: string }>(
      store.db,
      (value, db) =>
        db
          .updateTable('setting')
          .set({ value: value('value') })
          .where('name', '=', value('name'))
          .where('value', '=', value('old')),
      { affects: 1 },
    );
    const insert = settingInsert(store);
    const step = fc.oneof(
      fc
        .record({
          kind: fc.constant('put' as const),
          key: fc.nat(3),
          old: fc.nat(3),
          by: fc.integer({ min: 1, max: 3 }),
        })
        .map(({ by, ...put }) => ({ ...put, value: (put.old + by) % 4 })),
      fc.record({
        kind: fc.constant('insert' as const),
        key: fc.nat(3),
        old: fc.constant(0),
        value: fc.nat(3),
      }),
    );
    const unit = fc.record({
      steps: fc.array(step, { minLength: 1, maxLength: 4 }),
      /** Whether the caller waits before the next unit: then a batch ends here. */
      waits: fc.boolean(),
    });
    let run = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(unit, { maxLength: 25 }), async (units) => {
        run += 1;
        const name = (key: number) => `run${run}-${key}`;
        let model = new Map<string, string>();
        const outcomes: string[] = [];
        const expected: string[] = [];
        const pending: Promise<unknown>[] = [];
        for (const [index, { steps, waits }] of units.entries()) {
          const next = new Map(model);
          let outcome = 'ok';
          for (const { kind, key, old, value } of steps) {
            if (kind === 'insert') {
              if (next.has(name(key))) outcome = 'store_rejected';
            } else if (next.get(name(key)) !== String(old)) outcome = 'store_conflict';
            if (outcome !== 'ok') break;
            next.set(name(key), String(value));
          }
          if (outcome === 'ok') model = next;
          expected.push(outcome);
          const committed = store
            .commit(
              steps.map(({ kind, key, old, value }) =>
                kind === 'insert'
                  ? insert(name(key), String(value))
                  : put({ name: name(key), old: String(old), value: String(value) }),
              ),
            )
            .then(
              () => {
                outcomes[index] = 'ok';
              },
              (error: { code: string }) => {
                outcomes[index] = error.code;
              },
            );
          pending.push(committed);
          if (waits) await committed;
        }
        await Promise.all(pending);
        assert.deepEqual(outcomes, expected);
        const rows = await store.db
          .selectFrom('setting')
          .selectAll()
          .where('name', 'like', `run${run}-%`)
          .execute();
        assert.deepEqual(new Map(rows.map((row) => [row.name, row.value])), new Map([...model].sort()));
      }),
      { numRuns: 60 },
    );
  });

  it('closing fulfils what waits; afterwards a commit is refused', async () => {
    const url = await temporaryUrl();
    const store = await opened(url);
    const insert = settingInsert(store);
    const waiting = Array.from({ length: 100 }, (_, index) => store.commit([insert(`n${index}`)]));
    await store.close();
    await Promise.all(waiting);
    assert.equal(store.state, 'closed');
    await assert.rejects(store.commit([insert('late')]), { code: 'store_closed' });
    assert.equal(Object.keys(await settings(await opened(url))).length, 100);
  });
});
