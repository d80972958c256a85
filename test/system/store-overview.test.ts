import assert from 'node:assert/strict';
import { commandStore } from '../../lib/store/command.js';
import { deadLetters } from '../../lib/store/dead-letters.js';
import { firmwareOverview } from '../../lib/store/firmware-overview.js';
import { laundryOverview } from '../../lib/store/laundry-overview.js';
import { ponds } from '../../lib/store/pond.js';
import { pondOverview } from '../../lib/store/pond-overview.js';
import { placeholders, prepare } from '../../lib/store/prepared.js';
import { solarOverview } from '../../lib/store/solar-overview.js';
import type { SqlValue, Store } from '../../lib/store/store.js';
import type { Tables } from '../../lib/store/tables.js';
import { command, execution, write } from '../support/command.js';
import { cleanUp, opened } from '../support/store.js';

const NINE = Date.UTC(2025, 7, 30, 9);
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

async function put<T extends keyof Tables>(store: Store, table: T, ...rows: Tables[T][]): Promise<void> {
  const columns = Object.keys(rows[0] as object) as (keyof Tables[T] & string)[];
  const insert = prepare<Record<string, SqlValue>>(store.db, (value, db) =>
    db.insertInto(table).values(placeholders<T>(value as never, columns) as never),
  );
  await store.commit(rows.map((row) => insert(row as unknown as Record<string, SqlValue>)));
}

describe('the overview in the store', () => {
  let store: Store;

  beforeEach(async () => {
    store = await opened();
  });
  afterEach(cleanUp);

  describe('of laundries', () => {
    const controller = (store_id: string, controller_id: string, online: number, last_seen: number) => ({
      ...{ store_id, controller_id, online, last_seen, revision: 1, interval_ms: 30_000 },
    });
    const machine = (store_id: string, controller_id: string, relay_id: number, status: string) => ({
      ...{ store_id, controller_id, relay_id, status, machine_type: null },
      ...{ last_updated: NINE, since: NINE, busy_ms: 0, cycles: 0 },
    });
    const change = (store_id: string, id: string, at: number, status: string, previous: string | null) => ({
      ...{ id, store_id, controller_id: 'a', relay_id: 1, machine_type: null, status },
      ...{ previous_status: previous, duration_ms: null, last_updated: at, received_at: at },
    });

    beforeEach(async () => {
      await put(
        store,
        'laundry_controller',
        controller('s1', 'a', 1, NINE),
        controller('s1', 'b', 0, NINE - 5 * MINUTE),
        controller('s2', 'c', 0, NINE - 2 * HOUR),
      );
      await put(
        store,
        'laundry_machine',
        machine('s1', 'a', 1, 'busy'),
        machine('s1', 'a', 2, 'idle'),
        machine('s1', 'b', 1, 'busy'),
        machine('s1', 'b', 2, 'idle'),
        machine('s2', 'c', 1, 'busy'),
      );
    });

    it('counts machines by what is shown of them, in the stores that are asked for', async () => {
      const overview = laundryOverview(store);
      assert.deepEqual(await overview.totals(undefined), {
        ...{ stores: ['s1', 's2'], controllers: 3, offlineControllers: 2 },
        machines: { busy: 1, idle: 1, unknown: 3 },
      });
      assert.deepEqual(await overview.totals(['s2']), {
        ...{ stores: ['s2'], controllers: 1, offlineControllers: 1 },
        machines: { busy: 0, idle: 0, unknown: 1 },
      });
      assert.equal((await overview.totals([])).controllers, 0);
    });

    it('names the controllers that are offline, the newest first', async () => {
      const overview = laundryOverview(store);
      const found = await overview.offline(['s1', 's2'], 50);
      assert.deepEqual(found, [
        { storeId: 's1', controllerId: 'b', lastSeen: NINE - 5 * MINUTE, machines: 2 },
        { storeId: 's2', controllerId: 'c', lastSeen: NINE - 2 * HOUR, machines: 1 },
      ]);
      assert.deepEqual(await overview.offline(['s1', 's2'], 1), found.slice(0, 1));
      assert.deepEqual(await overview.offline(['s2'], 50), found.slice(1));
    });

    it('tells by minute how many became busy, ceased to be, or went with their controller', async () => {
      await put(
        store,
        'laundry_state_change',
        change('s1', '1', NINE - 2 * HOUR, 'busy', 'idle'),
        change('s1', '2', NINE - 10 * MINUTE, 'busy', 'idle'),
        change('s1', '3', NINE - 10 * MINUTE + 59_999, 'busy', null),
        change('s1', '4', NINE - 9 * MINUTE, 'idle', 'busy'),
        change('s2', '5', NINE - 9 * MINUTE, 'idle', 'busy'),
      );
      const found = await laundryOverview(store).busyMinutes(['s1'], NINE - HOUR);
      assert.deepEqual(
        found.sort((a, b) => a.minute - b.minute),
        [
          { minute: NINE - 10 * MINUTE, more: 2, lost: 0 },
          { minute: NINE - 9 * MINUTE, more: -1, lost: 0 },
          { minute: NINE - 5 * MINUTE, more: 0, lost: 1 },
        ],
      );
    });
  });

  describe('of ponds', () => {
    const pond = { device: 'D', feedLimitG: 1000, thresholds: {} };
    let first: number;
    let second: number;
    let others: number;

    beforeEach(async () => {
      const repository = ponds(store);
      first = (await repository.add({ ...pond, name: 'North', ownerId: 1, position: 1 })).pondId;
      second = (await repository.add({ ...pond, name: 'South', ownerId: 1, position: 2 })).pondId;
      others = (await repository.add({ ...pond, name: 'Other', ownerId: 2, device: 'E', position: 1 }))
        .pondId;
      const device = (name: string, online: number) => ({
        ...{ device: name, online, revision: 1, last_seen: NINE, interval_ms: 30_000, started_at: null },
        ...{ firmware_version: null, startup_digest: null, startup_received_at: null },
      });
      await put(store, 'device', device('D', 1));
    });

    it('says of each whether its device is online, a user’s own alone', async () => {
      const overview = pondOverview(store);
      assert.deepEqual(
        (await overview.ponds(undefined)).map(({ pondId, online }) => [pondId, online]),
        [
          [first, true],
          [second, true],
          [others, null],
        ],
      );
      assert.deepEqual(
        (await overview.ponds(2)).map(({ pondId }) => pondId),
        [others],
      );
    });

    it('finds those with an alert that nobody has noticed', async () => {
      const alert = (
        id: string,
        device: string,
        position: number,
        acknowledged: number | null,
        cleared: number | null,
      ) => ({
        ...{
          alert_id: id,
          device,
          position,
          parameter: 'ph',
          value: 4,
          limit_value: 6,
          severity: 'critical',
        },
        ...{ message: 'low', raised_at: NINE, acknowledged_at: acknowledged, acknowledged_by: null },
        ...{ cleared_at: cleared, said_at: NINE, known: '[]' },
      });
      await put(
        store,
        'device_alert',
        alert('1', 'D', 1, null, null),
        alert('2', 'D', 2, NINE, null),
        alert('3', 'D', 2, null, NINE),
        alert('4', 'E', 0, null, null),
        { ...alert('5', 'D', 2, null, null), raised_at: 0 },
      );
      const overview = pondOverview(store);
      assert.deepEqual((await overview.alerted(undefined)).sort(), [first, others]);
      assert.deepEqual(await overview.alerted(1), [first]);
    });

    it('finds those whose newest command has failed', async () => {
      const commands = commandStore(store);
      let id = 0;
      const executed = async (pondId: number, status: 'FAILED' | 'COMPLETED', createdAt: number) => {
        id += 1;
        const commandId = `00000000-0000-4000-8000-00000000000${id}`;
        await commands.save(
          write({
            command: command({ id: commandId, executionId: id }),
            execution: { ...execution(), executionId: id, pondId, status, createdAt },
          }),
        );
      };
      await executed(first, 'FAILED', NINE);
      await executed(first, 'COMPLETED', NINE + 1);
      await executed(second, 'COMPLETED', NINE);
      await executed(second, 'FAILED', NINE + 1);
      const overview = pondOverview(store);
      assert.deepEqual(await overview.failed([first, second, others], NINE - HOUR), [second]);
      assert.deepEqual(await overview.failed([first, second, others], NINE + 2), []);
      assert.deepEqual(await overview.failed([], NINE - HOUR), []);
    });

    const latest = (device: string, position: number, parameter: string, value: number, at: number) => ({
      ...{ device, position, parameter, value, at },
    });

    it('finds those with a value outside their own limits that was measured lately', async () => {
      const limits = { dissolved_oxygen: { min: 5, max: 12 }, ph: { max: 9 } };
      const repository = ponds(store);
      const add = async (device: string, thresholds: object) =>
        (
          await repository.add({
            ...pond,
            name: device,
            ownerId: 1,
            position: 1,
            device,
            thresholds,
          } as never)
        ).pondId;
      const low = await add('F', limits);
      const high = await add('G', limits);
      await add('H', limits);
      await add('I', limits);
      await put(
        store,
        'device_latest',
        latest('F', 1, 'dissolved_oxygen', 4.9, NINE),
        latest('F', 1, 'ph', 9.1, NINE),
        latest('G', 0, 'ph', 9.1, NINE),
        latest('H', 1, 'dissolved_oxygen', 5, NINE),
        latest('H', 1, 'temperature', 99, NINE),
        latest('I', 1, 'ph', 9.1, NINE - 2 * HOUR),
        latest('I', 2, 'ph', 9.1, NINE),
        latest('D', 1, 'dissolved_oxygen', 1, NINE),
      );
      const overview = pondOverview(store);
      assert.deepEqual(await overview.outside(undefined, NINE - HOUR), [low, high]);
      assert.deepEqual(await overview.outside(2, NINE - HOUR), []);
    });

    it('finds the lowest oxygen that was measured lately', async () => {
      await put(
        store,
        'device_latest',
        latest('D', 1, 'dissolved_oxygen', 6.5, NINE),
        latest('D', 2, 'dissolved_oxygen', 3.5, NINE - 2 * HOUR),
        latest('D', 2, 'ph', 1, NINE),
        latest('E', 0, 'oxygen', 5.5, NINE),
      );
      const overview = pondOverview(store);
      const names = ['dissolved_oxygen', 'oxygen'];
      assert.deepEqual(await overview.lowest(1, names, NINE - HOUR), {
        ...{ pondId: first, parameter: 'dissolved_oxygen', value: 6.5, at: NINE },
      });
      assert.equal((await overview.lowest(undefined, names, NINE - HOUR))?.pondId, others);
      assert.equal(await overview.lowest(1, names, NINE + 1), undefined);
    });
  });

  it('of firmware: states, what calls, and what has ended by minute, of the stores that one may see', async () => {
    const plan = JSON.stringify({ stages: [] });
    const rollout = (id: string, state: string, ended_at: number | null) => ({
      ...{ id, image_id: 'i', version: '1', plan, state, phase: 'running', stage: 0, reason: null },
      ...{ tolerated: '[]', overruled: 0, wake_at: null, started_at: NINE, ended_at, revision: 1 },
      created_at: NINE,
    });
    await put(
      store,
      'firmware_rollout',
      rollout('1', 'RUNNING', null),
      rollout('2', 'ABORTED', NINE - 48 * HOUR),
      rollout('3', 'ABORTED', NINE),
      rollout('4', 'COMPLETED', NINE),
    );
    await put(
      store,
      'firmware_rollout_store',
      ...['1', '2', '3', '4'].map((rollout_id) => ({ rollout_id, store_id: 's1' })),
      { rollout_id: '3', store_id: 's2' },
    );
    const deployment = (id: string, rollout_id: string, state: string, ended_at: number | null) => ({
      ...{ id, rollout_id, store_id: 's1', controller_id: id, stage: 0, position: 0, state, revision: 1 },
      ...{ correlation_id: id, attempts: 1, cancel_attempts: 0, errors: '[]', late: 0, cancel_lost: 0 },
      ...{ diverged: 0, stuck: 0, waiting: 0, superseded_by: null, retried_by: null, reported_version: null },
      ...{ done_at: null, deadline_at: null, wake_at: null, created_at: NINE, sent_at: null },
      ...{ acknowledged_at: null, ended_at },
    });
    await put(
      store,
      'firmware_deployment',
      deployment('a', '1', 'COMPLETED', NINE + 1),
      deployment('b', '1', 'COMPLETED', NINE + 2),
      deployment('c', '1', 'IN_PROGRESS', null),
      deployment('d', '3', 'FAILED', NINE + MINUTE),
      deployment('e', '4', 'COMPLETED', NINE - 48 * HOUR),
    );
    const overview = firmwareOverview(store);
    assert.deepEqual(await overview.states(undefined), { RUNNING: 1, ABORTED: 2, COMPLETED: 1 });
    assert.deepEqual(await overview.states(['s1']), { RUNNING: 1, ABORTED: 1, COMPLETED: 1 });
    assert.deepEqual(await overview.states([]), {});
    const calling = async (stores?: string[]) =>
      (await overview.calling(stores, NINE - HOUR, 50)).map(({ rollout: { id } }) => id);
    assert.deepEqual(await calling(), ['3', '1']);
    assert.deepEqual(await calling(['s1']), ['1']);
    const ended = await overview.ended(undefined, NINE - HOUR);
    assert.deepEqual(
      ended.sort((a, b) => a.minute - b.minute),
      [
        { minute: NINE, state: 'COMPLETED', count: 2 },
        { minute: NINE + MINUTE, state: 'FAILED', count: 1 },
      ],
    );
    assert.equal((await overview.ended(['s1'], NINE - HOUR)).length, 1);
  });

  it('of solar machines: states, who is away, failed commands and batteries, company by company', async () => {
    const machine = (
      company_id: string,
      machine_id: string,
      number: number,
      presence: string,
      since = NINE,
    ) => ({
      ...{ company_id, machine_id, number, presence, since, revision: 1, status: 'cleaning', energy: null },
      ...{ water: null, area: null, others: null, reported_at: null, left_at: null, last_seen: NINE },
      interval_ms: 30_000,
    });
    await put(
      store,
      'solar_machine',
      machine('1', 'A', 1, 'online'),
      machine('1', 'B', 2, 'stale', NINE - 5),
      machine('1', 'C', 3, 'offline', NINE - 3),
      { ...machine('2', 'A', 4, 'leaving'), status: null },
    );
    const row = (number: number, id: number, at: number, battery: number | null) => ({
      ...{ machine: number, id, at, received_at: at, battery, solar_v: null, solar_a: null, water: null },
      extra: null,
    });
    await put(
      store,
      'solar_telemetry',
      row(1, 1, NINE, 50),
      row(1, 2, NINE + 1000, null),
      row(2, 1, NINE + 59_999, 60),
      row(2, 2, NINE + MINUTE, 80),
      row(4, 1, NINE, 10),
      row(1, 3, NINE - HOUR, 1),
    );
    const overview = solarOverview(store);
    assert.deepEqual(await overview.states(undefined), {
      companies: 2,
      states: { cleaning: 1, stale: 1, offline: 1, online: 1 },
    });
    assert.deepEqual(await overview.states(['2']), { companies: 1, states: { online: 1 } });
    assert.deepEqual(await overview.states([]), { companies: 0, states: {} });
    const away = async (companies?: string[]) =>
      (await overview.away(companies, 50)).map(({ machineId }) => machineId);
    assert.deepEqual([await away(), await away(['2']), await away([])], [['C', 'B'], [], []]);
    const battery = await overview.battery(['1'], NINE, 500);
    assert.deepEqual(
      [battery.machines, [...battery.means].sort()],
      [
        3,
        [
          [NINE, 55],
          [NINE + MINUTE, 80],
        ],
      ],
    );
    assert.equal((await overview.battery(undefined, NINE, 1)).machines, 1);

    const commands = commandStore(store);
    const sent = async (id: number, device: string, status: 'FAILED' | 'COMPLETED', createdAt: number) =>
      commands.save(
        write({
          command: command({
            ...{ id: `00000000-0000-4000-8000-00000000000${id}`, device, status, createdAt },
            ...{ executionId: null, commandType: 'start', reason: 'not_connected' },
          }),
        }),
      );
    await sent(1, '1/A', 'FAILED', NINE);
    await sent(2, '1/A', 'COMPLETED', NINE + 1);
    await sent(3, '1/B', 'FAILED', NINE + 1);
    await sent(4, '2/A', 'FAILED', NINE - 2 * HOUR);
    await sent(5, 'AA:BB', 'FAILED', NINE + 1);
    assert.deepEqual(await overview.failedCommands(undefined, NINE - HOUR), [
      {
        ...{ companyId: '1', machineId: 'B', commandType: 'start', reason: 'not_connected' },
        createdAt: NINE + 1,
      },
    ]);
    assert.deepEqual(await overview.failedCommands(['2'], NINE - HOUR), []);
  });

  it('of refused messages: how many of each protocol since then', async () => {
    const letters = deadLetters(store);
    const before = Date.now() - 1000;
    const letter = (protocol: string, receivedAt: number) => ({
      ...{ protocol, receivedAt, topic: 't', code: 'invalid_json' as const, message: 'no JSON' },
      payload: Buffer.from('x'),
    });
    const now = Date.now();
    await letters.add(letter('laundry', now), letter('laundry', now + 5), letter('solar', now));
    await letters.add(letter('solar', before - 1));
    assert.deepEqual(await letters.recent(before), [
      { protocol: 'laundry', count: 2, newestAt: now + 5 },
      { protocol: 'solar', count: 1, newestAt: now },
    ]);
    assert.deepEqual(await letters.recent(now + 60_000), []);
  });
});
