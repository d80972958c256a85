import assert from 'node:assert/strict';
import { deadLetters } from '../../lib/store/dead-letters.js';
import { laundryStore } from '../../lib/store/laundry.js';
import { RETENTION, type RetentionSettings, startRetention } from '../../lib/store/retention.js';
import type { Store } from '../../lib/store/store.js';
import { fakeClock } from '../support/fake-clock.js';
import { cleanUp, later, opened } from '../support/store.js';

const START = Date.UTC(2024, 0, 15);
const DAY = 86_400_000;

const letter = (receivedAt: number, protocol = 'laundry', bytes = 10) => ({
  protocol,
  topic: '/stores/x',
  code: 'invalid_json' as const,
  message: 'payload is not JSON',
  payload: Buffer.alloc(bytes, '{'),
  receivedAt,
});

describe('dead letters in the store', () => {
  afterEach(cleanUp);

  it('are kept byte for byte and can be read one by one', async () => {
    const letters = deadLetters(await opened());
    const given = { ...letter(START), pointer: '/payload', payload: Buffer.from([0xff, 0x00, 0x7b]) };
    await letters.add(given);
    const [kept] = (await letters.page()).items;
    assert.deepEqual(kept, { ...given, id: kept?.id });
    assert.deepEqual(await letters.get(kept?.id as string), kept);
    await assert.rejects(letters.get('unknown'), { code: 'not_found' });
  });

  it('come newest first, by protocol and since an instant, in pages', async () => {
    const letters = deadLetters(await opened());
    for (let index = 0; index < 10; index += 1) {
      await letters.add(letter(START + index, index % 2 === 0 ? 'laundry' : 'solar'));
    }
    const times = (page: { items: { receivedAt: number }[] }) =>
      page.items.map(({ receivedAt }) => receivedAt - START);
    const first = await letters.page({ protocol: 'laundry', limit: 2 });
    assert.deepEqual(times(first), [8, 6]);
    const second = await letters.page({ protocol: 'laundry', limit: 2, cursor: first.next_cursor as string });
    assert.deepEqual(times(second), [4, 2]);
    assert.deepEqual(times(await letters.page({ since: START + 7 })), [9, 8, 7]);
    assert.equal(await letters.count(), 10);
    assert.equal(await letters.count('solar'), 5);
  });

  it('of large payloads come in shorter pages, one letter at least', async () => {
    const letters = deadLetters(await opened());
    const megabytes = [1, 9, 3, 3, 3];
    for (const size of megabytes) await letters.add(letter(START, 'laundry', size * 1024 * 1024));
    const pages: number[][] = [];
    let cursor: string | null | undefined;
    while (cursor !== null) {
      const page = await letters.page(cursor === undefined ? {} : { cursor });
      pages.push(page.items.map(({ payload }) => payload.length / 1024 / 1024));
      cursor = page.next_cursor;
    }
    assert.deepEqual(pages, [[3, 3], [3], [9], [1]]);
  });

  it('are removed once, after a replay', async () => {
    const letters = deadLetters(await opened());
    await letters.add(letter(START));
    const [kept] = (await letters.page()).items;
    assert.equal(await letters.remove(kept?.id as string), true);
    assert.equal(await letters.remove(kept?.id as string), false);
    assert.equal(await letters.count(), 0);
  });
});

describe('retention', () => {
  afterEach(cleanUp);

  async function started(store: Store, clock = fakeClock(START), settings: Partial<RetentionSettings> = {}) {
    const retention = startRetention(store, { clock, settings });
    later(() => retention.stop());
    return retention;
  }

  it('deletes messages, changes and dead letters at their own ages, and nothing younger', async () => {
    const store = await opened();
    const laundry = laundryStore(store);
    const change = (receivedAt: number) => ({
      storeId: 's',
      controllerId: 'c',
      relayId: 1,
      machineType: null,
      status: 'busy' as const,
      previousStatus: null,
      durationMs: null,
      lastUpdated: receivedAt,
      receivedAt,
    });
    const message = (at: number) => ({
      direction: 'in' as const,
      topic: 't',
      outcome: 'accepted',
      correlationId: null,
      at,
    });
    const controller = { storeId: 's', controllerId: 'c', lastSeen: 0, intervalMs: 1, online: true };
    // Ages in days; oldest first, as they would have come.
    const ages = [401, 399, 91, 89, 8, 6];
    for (const [index, age] of ages.entries()) {
      const at = START - age * DAY;
      await laundry.save({
        expectedRevision: index,
        controller: { ...controller, revision: index + 1 },
        machines: [],
        changes: [change(at)],
        deadLetters: [letter(at)],
        liveness: { online: true, at },
        message: message(at),
      });
    }
    const retention = await started(store);
    await retention.run();
    const left = async (
      table: 'message' | 'laundry_state_change' | 'laundry_liveness' | 'dead_letter',
      column: string,
    ) => {
      const rows = await store.db
        .selectFrom(table)
        .select(column as 'id')
        .orderBy('id')
        .execute();
      return rows.map((row) => (START - Number((row as Record<string, unknown>)[column])) / DAY);
    };
    assert.deepEqual(await left('message', 'at'), [6]);
    assert.deepEqual(await left('laundry_state_change', 'received_at'), [399, 91, 89, 8, 6]);
    assert.deepEqual(await left('laundry_liveness', 'at'), [399, 91, 89, 8, 6]);
    assert.deepEqual(await left('dead_letter', 'received_at'), [89, 8, 6]);
  });

  it('keeps all dead letters together under a bound of bytes: the oldest go', async () => {
    const store = await opened();
    const letters = deadLetters(store);
    for (let index = 0; index < 1_200; index += 1) letters.add(letter(START + index, 'laundry', 100));
    await letters.add(letter(START + 1_200, 'laundry', 100));
    const retention = await started(store, fakeClock(START + 2_000), { deadLetterBytes: 25_050 });
    await retention.run();
    assert.equal(await letters.count(), 250);
    const { items } = await letters.page({ limit: 1_000 });
    assert.equal(items.at(-1)?.receivedAt, START + 951);
    const all = await started(store, fakeClock(START + 2_000), { deadLetterBytes: 0 });
    await all.run();
    assert.equal(await letters.count(), 0);
  });

  it('runs again by itself, and no more once stopped', async () => {
    const store = await opened();
    const letters = deadLetters(store);
    const clock = fakeClock(START + 30 * DAY);
    await letters.add(letter(START + 30 * DAY));
    const retention = await started(store, clock);
    await waitFor(() => clock.timers === 1);
    assert.equal(await letters.count(), 1);
    clock.shift(100 * DAY);
    clock.advance(RETENTION.everyMs);
    await waitFor(() => clock.timers === 1);
    assert.equal(await letters.count(), 0);
    await retention.stop();
    assert.equal(clock.timers, 0);
  });
});

/** Looks at each turn of the event loop, until the deadline. */
async function waitFor(condition: () => boolean, deadlineMs = 5_000): Promise<void> {
  const end = performance.now() + deadlineMs;
  while (!condition()) {
    assert.ok(performance.now() < end, 'the condition did not come true');
    await new Promise<void>((fulfil) => setImmediate(fulfil));
  }
}
