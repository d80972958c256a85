import assert from 'node:assert/strict';
import type { DeviceWrite, StoredAlert, StoredReading } from '../../lib/command/device-ports.js';
import { deviceStore } from '../../lib/store/device.js';
import { deviceQueries } from '../../lib/store/device-queries.js';
import { newId } from '../../lib/store/ids.js';
import { REMEMBERED_MS, responderStore } from '../../lib/store/responder.js';
import { startRetention } from '../../lib/store/retention.js';
import { fakeClock } from '../support/fake-clock.js';
import { cleanUp, later, opened, temporaryUrl } from '../support/store.js';

const DEVICE = 'AA:BB:CC:DD:EE:FF';
const NINE = Date.UTC(2025, 7, 30, 9);
const DAY = 86_400_000;

const write = (
  expectedRevision: number,
  revision: number,
  parts: Partial<DeviceWrite> = {},
  device = DEVICE,
): DeviceWrite => ({
  expectedRevision,
  device: {
    device,
    revision,
    online: true,
    lastSeen: NINE,
    intervalMs: 30_000,
    startedAt: null,
    firmwareVersion: '1.4.2',
    startupDigest: null,
    startupReceivedAt: null,
  },
  latest: [],
  ...parts,
});

const reading = (at: number, position: number | null = null, digest = 'd'): StoredReading => ({
  device: DEVICE,
  position,
  at,
  receivedAt: at + 20,
  values: { temperature: 25.5, ph: 7.2 },
  extra: {},
  digest,
});

const alert = (parts: Partial<StoredAlert> = {}): StoredAlert => ({
  alertId: newId(),
  device: DEVICE,
  position: 1,
  parameter: 'temperature',
  value: 33.5,
  limit: 32,
  severity: 'warning',
  message: 'too warm',
  raisedAt: NINE,
  acknowledgedAt: null,
  acknowledgedBy: null,
  clearedAt: null,
  saidAt: NINE,
  known: [{ digest: 'x', receivedAt: NINE }],
  ...parts,
});

describe('devices in the store', () => {
  afterEach(cleanUp);

  it('are loaded as they were saved, after a restart too', async () => {
    const url = await temporaryUrl();
    const store = await opened(url);
    const raised = alert();
    const saved = write(0, 77, {
      reading: reading(NINE, 1),
      latest: [{ position: 1, parameter: 'ph', value: 7.25, at: NINE }],
      alert: raised,
    });
    await deviceStore(store).save(saved);
    await store.close();
    const devices = deviceStore(await opened(url));
    const expected = { device: saved.device, latest: saved.latest, alerts: [raised] };
    assert.deepEqual(await devices.loadAll(), [expected]);
    assert.deepEqual(await devices.load(DEVICE), expected);
    assert.deepEqual(await devices.loadAlert(raised.alertId), raised);
    assert.equal(await devices.load('another'), undefined);
  });

  it('write nothing where the revision is not the stored one', async () => {
    const store = await opened();
    const devices = deviceStore(store);
    await devices.save(write(0, 11));
    const parts = { reading: reading(NINE, 1), alert: alert() };
    await assert.rejects(devices.save(write(10, 12, parts)), { code: 'store_conflict' });
    await assert.rejects(devices.save(write(0, 12, parts)), { code: 'store_conflict' });
    assert.deepEqual((await deviceQueries(store).readings(DEVICE, 1, { limit: 10 })).items, []);
    assert.deepEqual((await devices.load(DEVICE))?.alerts, []);
  });

  it('know the newest alert of each parameter, open or cleared', async () => {
    const devices = deviceStore(await opened());
    const cleared = alert({ raisedAt: NINE - 5, clearedAt: NINE - 3 });
    const open = alert();
    const other = alert({ parameter: 'ph', clearedAt: NINE });
    let revision = 0;
    for (const each of [cleared, open, other]) {
      await devices.save(write(revision, revision + 1, { alert: each }));
      revision += 1;
    }
    const ids = (await devices.load(DEVICE))?.alerts.map(({ alertId }) => alertId).sort();
    assert.deepEqual(ids, [open.alertId, other.alertId].sort());
  });

  it('count equal readings of a span of time, and find one of any time', async () => {
    const devices = deviceStore(await opened());
    for (const [index, at] of [NINE, NINE + 1, NINE + 2].entries()) {
      await devices.save(write(index, index + 1, { reading: reading(at) }));
    }
    assert.equal(await devices.countReadings(DEVICE, 'd', NINE, NINE + 2), 2);
    assert.equal(await devices.countReadings(DEVICE, 'other', NINE - 1, NINE + 2), 0);
    assert.equal(await devices.hasReading(DEVICE, 'd'), true);
    assert.equal(await devices.hasReading(DEVICE, 'other'), false);
    assert.equal(await devices.hasReading('another', 'd'), false);
  });

  it('keep what was refused beside a line of the history of messages', async () => {
    const store = await opened();
    const letter = {
      protocol: 'device',
      topic: 'devices/x/threshold',
      code: 'invalid_json' as const,
      message: 'payload is not JSON',
      payload: Buffer.from('{'),
      receivedAt: NINE,
    };
    await deviceStore(store).refuse([letter], { topic: letter.topic, outcome: 'refused', at: NINE });
    const [line] = await store.db.selectFrom('message').selectAll().execute();
    assert.deepEqual([line?.protocol, line?.direction, line?.outcome], ['device', 'in', 'refused']);
    assert.equal(await deviceStore(store).countEarlier(letter, NINE + 1), 1);
  });

  describe('are asked', () => {
    async function filled() {
      const store = await opened();
      const devices = deviceStore(store);
      let revision = 0;
      const save = async (parts: Partial<DeviceWrite>, device?: string) => {
        await devices.save(write(device === undefined ? revision : 0, revision + 1, parts, device));
        if (device === undefined) revision += 1;
      };
      return { store, save, queries: deviceQueries(store) };
    }

    it('for readings of a position and of the device as a whole, newest first, in pages', async () => {
      const { save, queries } = await filled();
      for (let index = 0; index < 21; index += 1) {
        await save({
          reading: reading(NINE + Math.floor(index / 4), [1, 2, null][index % 3] as number | null),
        });
      }
      const seen: string[] = [];
      let cursor: string | undefined;
      do {
        const page = await queries.readings(DEVICE, 1, { limit: 5, ...(cursor && { cursor }) });
        seen.push(...page.items.map(({ at, position }) => `${at - NINE}/${position}`));
        cursor = page.nextCursor;
      } while (cursor !== undefined);
      assert.equal(seen.length, 14);
      assert.ok(!seen.some((each) => each.endsWith('/2')));
      const times = seen.map((each) => Number.parseInt(each, 10));
      assert.deepEqual(
        times,
        [...times].sort((a, b) => b - a),
      );
      const span = await queries.readings(DEVICE, 1, { from: NINE + 1, to: NINE + 2, limit: 100 });
      assert.deepEqual(new Set(span.items.map(({ at }) => at)), new Set([NINE + 1]));
      assert.deepEqual(span.items[0]?.values, { temperature: 25.5, ph: 7.2 });
    });

    it('for the newest value of each parameter', async () => {
      const { save, queries } = await filled();
      await save({
        latest: [
          { position: 1, parameter: 'ph', value: 7, at: NINE },
          { position: null, parameter: 'battery', value: 87.3, at: NINE },
          { position: 2, parameter: 'ph', value: 9, at: NINE },
        ],
      });
      await save({ latest: [{ position: 1, parameter: 'ph', value: 7.5, at: NINE + 1 }] });
      assert.deepEqual(await queries.latest(DEVICE, 1), {
        ph: { value: 7.5, at: NINE + 1 },
        battery: { value: 87.3, at: NINE },
      });
    });

    it('for alerts, all or those that are open, and for one by its id', async () => {
      const { save, queries } = await filled();
      const cleared = alert({ raisedAt: NINE, clearedAt: NINE + 9 });
      const open = alert({ raisedAt: NINE + 10, parameter: 'ph', limit: null, value: null });
      const elsewhere = alert({ position: 2 });
      const never = alert({ raisedAt: 0, clearedAt: NINE });
      for (const each of [cleared, open, elsewhere, never]) await save({ alert: each });
      const ids = async (only: boolean) =>
        (await queries.alerts(DEVICE, 1, { open: only, limit: 10 })).map(({ alertId }) => alertId);
      assert.deepEqual(await ids(false), [open.alertId, cleared.alertId]);
      assert.deepEqual(await ids(true), [open.alertId]);
      assert.equal((await queries.alert(open.alertId))?.parameter, 'ph');
      for (const id of ['unknown', never.alertId]) assert.equal(await queries.alert(id), undefined);
    });

    it('for a device, without what is the store’s own', async () => {
      const { save, queries } = await filled();
      await save({});
      assert.deepEqual(await queries.device(DEVICE), {
        device: DEVICE,
        online: true,
        lastSeen: NINE,
        startedAt: null,
        firmwareVersion: '1.4.2',
        intervalMs: 30_000,
      });
      assert.equal(await queries.device('another'), undefined);
    });
  });

  it('lose readings and cleared alerts after 400 days, and what a responder has answered after 30', async () => {
    const store = await opened();
    const devices = deviceStore(store);
    const responder = responderStore(store, DEVICE);
    const old = NINE - 401 * DAY;
    const open = alert({ raisedAt: old });
    let revision = 0;
    for (let index = 0; index < 1_200; index += 1) {
      revision += 1;
      void devices.save(write(revision - 1, revision, { reading: reading(old + index) }));
    }
    for (const parts of [
      { reading: reading(NINE - 399 * DAY) },
      { alert: alert({ clearedAt: old }) },
      { alert: open },
      { alert: alert({ clearedAt: NINE - 399 * DAY }) },
    ]) {
      revision += 1;
      await devices.save(write(revision - 1, revision, parts));
    }
    const answered = (commandId: string, at: number) =>
      responder.save({
        commandId,
        receivedAt: at,
        state: 'answered',
        answer: { success: true, message: 'done', at },
        published: true,
      });
    await answered('old', NINE - REMEMBERED_MS - 1);
    await answered('young', NINE - REMEMBERED_MS + 1);
    await responder.save({ commandId: 'unanswered', receivedAt: old, state: 'told' });

    const retention = startRetention(store, { clock: fakeClock(NINE) });
    later(() => retention.stop());
    await retention.run();
    const count = async (table: 'device_reading' | 'device_alert' | 'responder_command') =>
      (await store.db.selectFrom(table).selectAll().execute()).length;
    assert.equal(await count('device_reading'), 1);
    assert.equal(await count('device_alert'), 2);
    assert.ok(await devices.loadAlert(open.alertId));
    assert.equal(await responder.load('old'), undefined);
    assert.ok(await responder.load('young'));
    assert.ok(await responder.load('unanswered'));
  });
});

describe('what a responder has seen', () => {
  afterEach(cleanUp);

  it('is loaded as it was saved, each device its own', async () => {
    const url = await temporaryUrl();
    const store = await opened(url);
    const first = responderStore(store, DEVICE);
    const answer = { success: false, message: 'hopper empty', at: NINE + 5 };
    await first.save({ commandId: 'a', receivedAt: NINE, state: 'told' });
    await first.save({ commandId: 'b', receivedAt: NINE + 1, state: 'told' });
    await first.save({ commandId: 'b', receivedAt: NINE + 1, state: 'answered', answer, published: false });
    await first.save({ commandId: 'c', receivedAt: NINE + 2, state: 'answered', answer, published: true });
    await store.close();
    const again = await opened(url);
    assert.deepEqual(await responderStore(again, DEVICE).loadOpen(), [
      { commandId: 'a', receivedAt: NINE, state: 'told' },
      { commandId: 'b', receivedAt: NINE + 1, state: 'answered', answer, published: false },
    ]);
    const published = await responderStore(again, DEVICE).load('c');
    assert.deepEqual(published, {
      commandId: 'c',
      receivedAt: NINE + 2,
      state: 'answered',
      answer,
      published: true,
    });
    assert.equal(await responderStore(again, 'another').load('a'), undefined);
  });
});
