import assert from 'node:assert/strict';
import type { LaundryWrite, MachineRecord, MachineStatus, StateChange } from '../../lib/laundry/ports.js';
import { newId } from '../../lib/store/ids.js';
import { laundryStore } from '../../lib/store/laundry.js';
import { reportQueue } from '../../lib/store/reports.js';
import { cleanUp, opened, temporaryUrl } from '../support/store.js';

const STORE = '6ba7b811-9dad-11d1-80b4-00c04fd430c8';
const CONTROLLER = '6ba7b810-9dad-11d1-80b4-00c04fd430c8';
const NINE = Date.UTC(2024, 0, 15, 9);
const MINUTE = 60_000;

const machine = (relayId: number, status: MachineStatus, since: number): MachineRecord => ({
  relayId,
  machineType: relayId === 1 ? 'washer' : null,
  status,
  lastUpdated: since,
  since,
  busyMs: 0,
  cycles: 0,
});

const change = (
  relayId: number,
  status: MachineStatus,
  lastUpdated: number,
  previousStatus: MachineStatus | null = status === 'busy' ? 'idle' : 'busy',
): StateChange => ({
  storeId: STORE,
  controllerId: CONTROLLER,
  relayId,
  machineType: null,
  status,
  previousStatus,
  durationMs: previousStatus === null ? null : MINUTE,
  lastUpdated,
  receivedAt: lastUpdated + 20,
});

const write = (
  expectedRevision: number,
  revision: number,
  parts: Partial<LaundryWrite> = {},
): LaundryWrite => ({
  expectedRevision,
  controller: {
    storeId: STORE,
    controllerId: CONTROLLER,
    revision,
    lastSeen: NINE,
    intervalMs: 30_000,
    online: true,
  },
  machines: [],
  changes: [],
  deadLetters: [],
  ...parts,
});

describe('the laundry in the store', () => {
  afterEach(cleanUp);

  it('loads what was saved, after a restart too', async () => {
    const url = await temporaryUrl();
    const store = await opened(url);
    const saved = write(0, 77, { machines: [machine(1, 'busy', NINE), machine(2, 'idle', NINE)] });
    await laundryStore(store).save(saved);
    await store.close();
    const laundry = laundryStore(await opened(url));
    const expected = { controller: saved.controller, machines: saved.machines };
    assert.deepEqual(await laundry.loadAll(), [expected]);
    assert.deepEqual(await laundry.load(STORE, CONTROLLER), expected);
    assert.equal(await laundry.load(STORE, STORE), undefined);
  });

  it('loads a controller that has no machine yet', async () => {
    const laundry = laundryStore(await opened());
    await laundry.save(write(0, 5));
    assert.deepEqual((await laundry.load(STORE, CONTROLLER))?.machines, []);
  });

  it('takes a chain of writes that are all under way at once', async () => {
    const laundry = laundryStore(await opened());
    await Promise.all([
      laundry.save(write(0, 11, { machines: [machine(1, 'idle', NINE)] })),
      laundry.save(write(11, 12, { machines: [machine(1, 'busy', NINE + 1)] })),
      laundry.save(write(12, 13, { machines: [machine(2, 'busy', NINE + 2)] })),
    ]);
    const found = await laundry.load(STORE, CONTROLLER);
    assert.equal(found?.controller.revision, 13);
    assert.deepEqual(
      found?.machines.map(({ status }) => status),
      ['busy', 'busy'],
    );
  });

  it('writes nothing of a write whose revision is not the stored one', async () => {
    const store = await opened();
    const laundry = laundryStore(store);
    await laundry.save(write(0, 11, { machines: [machine(1, 'idle', NINE)] }));
    const parts = { machines: [machine(1, 'busy', NINE + 1)], changes: [change(1, 'busy', NINE + 1)] };
    await assert.rejects(laundry.save(write(10, 12, parts)), { code: 'store_conflict' });
    await assert.rejects(laundry.save(write(0, 12, parts)), { code: 'store_conflict' });
    assert.equal((await laundry.load(STORE, CONTROLLER))?.machines[0]?.status, 'idle');
    assert.deepEqual((await laundry.history(STORE)).items, []);
  });

  it('keeps when a controller came and went, newest first, by page, span and controller', async () => {
    const store = await opened();
    const laundry = laundryStore(store);
    for (let revision = 1; revision <= 4; revision += 1) {
      const liveness = { online: revision % 2 === 1, at: NINE + revision * MINUTE };
      await laundry.save(write(revision - 1, revision, { liveness }));
    }
    await laundry.save(write(4, 5));
    const told = async (filter?: object) =>
      (await laundry.livenessHistory(STORE, filter)).items.map(({ online, at }) => [
        online,
        (at - NINE) / MINUTE,
      ]);
    assert.deepEqual(await told(), [
      [false, 4],
      [true, 3],
      [false, 2],
      [true, 1],
    ]);
    const span = { from: NINE + 2 * MINUTE, to: NINE + 4 * MINUTE };
    assert.deepEqual(await told({ ...span, controllerId: CONTROLLER }), [
      [true, 3],
      [false, 2],
    ]);
    assert.deepEqual(await told({ controllerId: STORE }), []);
    const first = await laundry.livenessHistory(STORE, { limit: 3 });
    assert.deepEqual(await told({ limit: 3, cursor: first.next_cursor }), [[true, 1]]);
  });

  it('writes dead letters and the line of message history with the rest', async () => {
    const store = await opened();
    const laundry = laundryStore(store);
    const letter = {
      protocol: 'laundry',
      topic: '/stores/x',
      code: 'schema_mismatch' as const,
      message: 'status must be one of',
      pointer: '/payload/machines/1/status',
      payload: Buffer.from('{'),
      receivedAt: NINE,
    };
    const message = {
      direction: 'in' as const,
      topic: 't',
      outcome: 'accepted',
      correlationId: null,
      at: NINE,
    };
    await laundry.save(write(0, 1, { deadLetters: [letter], message }));
    await laundry.refuse([letter, letter], { ...message, outcome: 'refused' });
    const letters = await store.db.selectFrom('dead_letter').select('size').execute();
    assert.deepEqual(
      letters.map(({ size }) => size),
      [1, 1, 1],
    );
    const messages = await store.db.selectFrom('message').selectAll().orderBy('id').execute();
    assert.deepEqual(
      messages.map(({ outcome, protocol }) => [outcome, protocol]),
      [
        ['accepted', 'laundry'],
        ['refused', 'laundry'],
      ],
    );
  });

  it('knows the ids of all stores, and the machines of one', async () => {
    const laundry = laundryStore(await opened());
    const other = write(0, 1);
    await laundry.save(write(0, 1, { machines: [machine(1, 'idle', NINE)] }));
    await laundry.save({ ...other, controller: { ...other.controller, storeId: 'another' } });
    assert.deepEqual(await laundry.storeIds(), [STORE, 'another']);
    assert.equal((await laundry.machinesOf(STORE))[0]?.machines.length, 1);
    assert.deepEqual(await laundry.machinesOf('unknown'), []);
  });

  describe('history', () => {
    it('pages neither repeat nor skip a change, while others are written and many have one time', async () => {
      const laundry = laundryStore(await opened());
      const at = (index: number) => NINE + Math.floor(index / 7);
      const changes = Array.from({ length: 50 }, (_, index) => change(1, 'busy', at(index)));
      await laundry.save(write(0, 1, { changes }));
      const first = await laundry.history(STORE, { limit: 9 });
      const all = [...first.items];
      let cursor = first.next_cursor;
      for (let page = 0; cursor !== null; page += 1) {
        await laundry.save(write(page + 1, page + 2, { changes: [change(2, 'idle', NINE + 100 + page)] }));
        const next = await laundry.history(STORE, { limit: 9, cursor });
        all.push(...next.items);
        cursor = next.next_cursor;
      }
      assert.equal(all.length, 50);
      assert.equal(new Set(all.map(({ id }) => id)).size, 50);
      const times = all.map(({ lastUpdated }) => lastUpdated);
      assert.deepEqual(
        times,
        [...times].sort((a, b) => b - a),
      );
    });

    it('is the whole page and no more where the limit is just reached', async () => {
      const laundry = laundryStore(await opened());
      await laundry.save(write(0, 1, { changes: [change(1, 'busy', NINE), change(1, 'idle', NINE + 1)] }));
      assert.equal((await laundry.history(STORE, { limit: 2 })).next_cursor, null);
      assert.notEqual((await laundry.history(STORE, { limit: 1 })).next_cursor, null);
    });

    it('is narrowed by controller, relay and time', async () => {
      const laundry = laundryStore(await opened());
      const changes = [
        change(1, 'busy', NINE),
        change(2, 'busy', NINE + 1),
        change(1, 'idle', NINE + 2),
        { ...change(1, 'busy', NINE + 3), controllerId: 'another' },
      ];
      await laundry.save(write(0, 1, { changes }));
      const times = async (filter: object) =>
        (await laundry.history(STORE, filter)).items.map(({ lastUpdated }) => lastUpdated - NINE);
      assert.deepEqual(await times({}), [3, 2, 1, 0]);
      assert.deepEqual(await times({ controllerId: CONTROLLER, relayId: 1 }), [2, 0]);
      assert.deepEqual(await times({ from: NINE + 1, to: NINE + 3 }), [2, 1]);
      assert.deepEqual((await laundry.history('unknown')).items, []);
    });

    it('refuses a limit or a cursor that it has not given', async () => {
      const laundry = laundryStore(await opened());
      for (const filter of [
        { limit: 0 },
        { limit: 1_001 },
        { limit: 1.5 },
        { cursor: 'x' },
        { cursor: 'WzEsMl0' },
      ]) {
        await assert.rejects(laundry.history(STORE, filter), { code: 'invalid_input' });
      }
    });
  });

  describe('statistics', () => {
    /** Machine 1: idle from 8:00, busy 8:50 to 9:20, busy again from 9:50 on. Machine 2: busy since 8:30. */
    async function aMorning(online = true) {
      const laundry = laundryStore(await opened());
      const at = (minutes: number) => NINE + minutes * MINUTE;
      const parts = {
        machines: [machine(1, 'busy', at(50)), machine(2, 'busy', at(-30))],
        changes: [
          change(1, 'idle', at(-60), null),
          change(2, 'idle', at(-60), null),
          change(2, 'busy', at(-30)),
          change(1, 'busy', at(-10)),
          change(1, 'idle', at(20)),
          change(1, 'busy', at(50)),
        ],
      };
      const whole = write(0, 1, parts);
      await laundry.save({ ...whole, controller: { ...whole.controller, online, lastSeen: at(55) } });
      return async (from: number, to: number, now: number) =>
        (await laundry.statistics(STORE, { from: at(from), to: at(to) }, at(now))).map((found) => [
          found.relayId,
          found.busyMs / MINUTE,
          found.cycles,
          found.changes,
        ]);
    }

    it('count cycles at the edges of the window with their part inside, running ones up to now', async () => {
      const between = await aMorning();
      assert.deepEqual(await between(0, 120, 60), [
        [1, 20 + 10, 1, 2],
        [2, 60, 0, 0],
      ]);
    });

    it('of a window in the past are as they were then', async () => {
      const between = await aMorning();
      assert.deepEqual(await between(25, 45, 60), [
        [1, 0, 0, 0],
        [2, 20, 0, 0],
      ]);
      assert.deepEqual(await between(-8, 10, 60), [
        [1, 18, 0, 0],
        [2, 18, 0, 0],
      ]);
      assert.deepEqual(await between(-45, -35, 60), [
        [1, 0, 0, 0],
        [2, 0, 0, 0],
      ]);
      assert.deepEqual(await between(-120, -90, 60), [
        [1, 0, 0, 0],
        [2, 0, 0, 0],
      ]);
    });

    it('count a running cycle of an offline controller up to its last word', async () => {
      const between = await aMorning(false);
      assert.deepEqual(await between(0, 120, 120), [
        [1, 20 + 5, 1, 2],
        [2, 55, 0, 0],
      ]);
    });

    it('refuse a window that ends before it begins', async () => {
      const between = await aMorning();
      await assert.rejects(between(1, 0, 60), { code: 'invalid_input' });
    });
  });

  it('keeps a reporter’s queue in the order of sending, apart from others, over a restart', async () => {
    const url = await temporaryUrl();
    const store = await opened(url);
    const queue = reportQueue(store, 'a/b');
    const reports = [1, 2, 3].map((relayId) => ({
      id: newId(),
      relayId,
      machineType: 'dryer' as const,
      status: 'busy' as const,
      lastUpdated: NINE,
    }));
    const [first, second, third] = reports as [(typeof reports)[0], (typeof reports)[0], (typeof reports)[0]];
    await queue.add([first, second]);
    await queue.add([second, third]);
    await reportQueue(store, 'a/c').add([{ ...first, id: newId() }]);
    await queue.remove([second.id, 'unknown']);
    await store.close();
    assert.deepEqual(await reportQueue(await opened(url), 'a/b').all(), [first, third]);
  });
});
