import assert from 'node:assert/strict';
import { connectAsync, type IClientOptions } from 'mqtt';
import type { OverviewWire } from '../../client/overview-wire.js';
import { eventually, Gateway } from '../support/gateway.js';
import { checkDescribed } from '../support/openapi.js';
import { CONTROLLER_ID, METRICS_TOPIC, SEED_MESSAGE, STORE_ID } from '../support/seed.js';

const DEVICE = 'AA:BB:CC:DD:EE:FF';
const PASSWORD = 'a long password';

/** Asks, and holds the answer against schemas/openapi.yaml. */
async function overviewOf(gateway: Gateway, token?: string): Promise<OverviewWire> {
  const answer = await fetch(`${gateway.url}/overview`, {
    headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
  });
  const body = await answer.json();
  checkDescribed('/overview', 'get', answer.status, body);
  assert.equal(answer.status, 200);
  return body as OverviewWire;
}

/** A part that can be seen. */
function ready<Part extends { state: string }>(part: Part): Extract<Part, { state: 'ready' }> {
  assert.equal(part.state, 'ready', JSON.stringify(part));
  return part as Extract<Part, { state: 'ready' }>;
}

describe('the overview', function () {
  this.timeout(120_000);

  describe('where a token is wanted', () => {
    let gateway: Gateway;
    const tokens: Record<string, string> = {};

    before(async () => {
      gateway = await Gateway.create({ ACCESS: 'token' });
      await gateway.start();
      const user = async (name: string, ...options: string[]) => {
        await gateway.command('user', 'add', name, '--password-stdin', ...options, { input: PASSWORD });
        const { token } = (await gateway.command('user', 'token', name)) as { token: string };
        tokens[name] = token;
      };
      await user('root', '--admin');
      await user('ann', '--store', STORE_ID);
      await user('eve', '--company', '2');
      await user('bob');
      for (const [owner, position] of [
        ['ann', '1'],
        ['bob', '2'],
      ] as const) {
        await gateway.command(
          ...['pond', 'add', '--owner', owner, '--device', DEVICE, '--position', position],
          ...['--name', `${owner}’s pond`, '--threshold', 'dissolved_oxygen=5:12'],
        );
      }
      const login = async (...options: string[]) =>
        connectAsync(gateway.mqttUrl, (await gateway.command('access', 'add', ...options)) as IClientOptions);
      const controller = await login(
        ...['--role', 'controller', '--store', STORE_ID, '--controller', CONTROLLER_ID],
      );
      await controller.publishAsync(METRICS_TOPIC, SEED_MESSAGE, { qos: 1 });
      await controller.publishAsync(METRICS_TOPIC, 'not JSON', { qos: 1 });
      await controller.endAsync();
      const device = await login('--role', 'device', '--device', DEVICE);
      const say = (topic: string, payload: object) =>
        device.publishAsync(`devices/${DEVICE}/${topic}`, JSON.stringify(payload), { qos: 1 });
      await say('data/sensors', { pond_position: 1, dissolved_oxygen: 4.5 });
      await say('data/sensors', { pond_position: 2, dissolved_oxygen: 7.5 });
      await say('threshold', {
        pond_position: 1,
        parameter: 'dissolved_oxygen',
        value: 4.5,
        severity: 'critical',
      });
      await device.endAsync();
      for (const [company, machine] of [
        ['1', 'A'],
        ['2', 'A'],
      ] as const) {
        const client = await login('--role', 'machine', '--company', company, '--machine', machine);
        const topic = `company/${company}/machine/${machine}`;
        await client.publishAsync(`${topic}/telemetry`, JSON.stringify({ battery: 80 }), { qos: 1 });
        await client.publishAsync(`${topic}/status`, JSON.stringify({ status: 'cleaning' }), { qos: 1 });
        await client.endAsync();
      }
    });
    after(() => gateway.remove());

    it('wants one too', async () => {
      const answer = await fetch(`${gateway.url}/overview`);
      checkDescribed('/overview', 'get', answer.status, await answer.json());
      assert.equal(answer.status, 401);
    });

    it('shows an administrator all of it', async () => {
      const { laundry, ponds, solar, refused, firmware, roast } = await overviewOf(gateway, tokens['root']);
      assert.deepEqual(
        [ready(laundry).stores, ready(laundry).controllers, ready(laundry).machines],
        [1, 1, { busy: 1, idle: 1, unknown: 0 }],
      );
      assert.equal(ready(laundry).busy.values.length, 61);
      assert.equal(ready(laundry).busy.values.at(-1), 1);
      assert.equal(ready(ponds).ponds, 2);
      assert.deepEqual([ready(solar).companies, ready(solar).machines], [2, 2]);
      assert.deepEqual(ready(solar).states, { cleaning: 2 });
      assert.deepEqual(
        ready(refused).protocols.map(({ protocol, count }) => [protocol, count]),
        [['laundry', 1]],
      );
      assert.equal(ready(firmware).rollouts_total, 0);
      assert.deepEqual(ready(roast).machines, []);
    });

    it('shows who belongs to a store its machines, and who owns a pond that pond, and nothing of others', async () => {
      const { laundry, ponds, solar, refused } = await overviewOf(gateway, tokens['ann']);
      assert.equal(ready(laundry).stores, 1);
      assert.deepEqual(
        [
          ...[ready(ponds).ponds, ready(ponds).ponds_online, ready(ponds).ponds_alerted],
          ready(ponds).ponds_outside,
        ],
        [1, 1, 1, 1],
      );
      const [{ pond } = { pond: undefined }] = ready(ponds).calling;
      assert.equal(pond?.name, 'ann’s pond');
      assert.equal(pond.alerts[0]?.severity, 'critical');
      const { lowest_oxygen: lowest } = ready(ponds);
      assert.deepEqual(
        [lowest?.name, lowest?.value, lowest?.threshold, lowest?.readings.length],
        ['ann’s pond', 4.5, { min: 5, max: 12 }, 1],
      );
      assert.equal(ready(solar).machines, 0);
      assert.deepEqual(refused, { state: 'forbidden' });
    });

    it('shows who belongs to a company its machines alone', async () => {
      const { laundry, ponds, solar } = await overviewOf(gateway, tokens['eve']);
      assert.deepEqual([ready(solar).companies, ready(solar).machines], [1, 1]);
      assert.equal(ready(solar).battery.machines, 1);
      assert.deepEqual([ready(laundry).stores, ready(laundry).busy.values.at(-1)], [0, 0]);
      assert.equal(ready(ponds).ponds, 0);
      assert.equal(ready(ponds).lowest_oxygen, null);
    });

    it('shows an owner no alert of the neighbour’s pond at the same device', async () => {
      const { ponds } = await overviewOf(gateway, tokens['bob']);
      assert.deepEqual([ready(ponds).ponds, ready(ponds).ponds_alerted, ready(ponds).calling], [1, 0, []]);
      assert.equal(ready(ponds).lowest_oxygen?.value, 7.5);
    });
  });

  describe('where reading is open', () => {
    let gateway: Gateway;

    before(async () => {
      gateway = await Gateway.create();
      await gateway.start();
    });
    after(() => gateway.remove());

    it('shows all but the ponds without a token', async () => {
      const { ponds, ...parts } = await overviewOf(gateway);
      assert.deepEqual(ponds, { state: 'unauthenticated' });
      for (const part of [parts.laundry, parts.firmware, parts.solar, parts.roast, parts.refused])
        ready(part);
    });

    it('tells of a roasting machine that cannot be reached, and of one that roasts', async () => {
      const post = async (path: string, body: object) => {
        const answer = await fetch(gateway.url + path, {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify(body),
        });
        assert.ok(answer.ok, `${path}: ${answer.status} ${await answer.text()}`);
      };
      await post('/api/machines', { id: 'probat', name: 'Probat', driver: 'simulator', config: {} });
      await post('/api/machines/probat/connect', {});
      await eventually(async () => {
        const { roast } = await overviewOf(gateway);
        const [machine] = ready(roast).machines;
        return machine?.driver_state === 'connected' ? true : undefined;
      }, 'a connected machine');
      const [machine] = ready((await overviewOf(gateway)).roast).machines;
      assert.deepEqual([machine?.name, machine?.state, machine?.alarms], ['Probat', 'idle', []]);
    });
  });
});
