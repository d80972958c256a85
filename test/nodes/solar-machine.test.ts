import assert from 'node:assert/strict';
import type { Message } from '../../lib/core/link.js';
import type { EmbeddedBroker } from '../../lib/mqtt/embedded-broker.js';
import { outboxStore } from '../../lib/mqtt/outbox-store.js';
import { openStore } from '../../lib/store/open.js';
import accessNode from '../../nodes/access/access.js';
import brokerNode from '../../nodes/broker/broker.js';
import connectionNode from '../../nodes/connection/connection.js';
import machineNode from '../../nodes/solar-machine/solar-machine.js';
import storeNode from '../../nodes/store/store.js';
import telemetryNode from '../../nodes/telemetry-store/telemetry-store.js';
import {
  errorsOf,
  type LoadedFlow,
  loadFlow,
  startRuntime,
  stopRuntime,
  unloadFlow,
} from '../support/flow.js';
import { eventually } from '../support/gateway.js';
import { startBroker, type TestStore, testAuthority, testStore, until } from '../support/mqtt.js';
import { freePort } from '../support/ports.js';
import { MACHINE_TOPICS } from '../support/solar-machine.js';
import { cleanUp, temporaryFolder, temporaryUrl } from '../support/store.js';
import { TcpProxy } from '../support/tcp-proxy.js';

const OUTPUTS = ['commands', 'ignored', 'publish'];
const OFFLINE = '{"status":"offline"}';

describe('the solar machine node', () => {
  let url: string;
  let directory: string;
  beforeEach(async () => {
    url = await temporaryUrl();
    directory = await temporaryFolder();
    await startRuntime(directory);
  });
  afterEach(async () => {
    await stopRuntime();
    await cleanUp();
  });

  const machine = (settings: object = {}) => ({
    ...{ id: 'n', type: 'fieldloom-solar-machine', companyId: '1', machineId: 'A', timestamps: true },
    ...{ connection: '', store: 'store', wires: OUTPUTS.map((id) => [id]), ...settings },
  });
  const load = (
    nodes: object[],
    credentials: Record<string, object> = {},
    more: object[] = [],
  ): Promise<LoadedFlow> =>
    loadFlow(
      [storeNode, accessNode, connectionNode, brokerNode, telemetryNode, machineNode],
      [
        { id: 'store', type: 'fieldloom-store', url },
        ...more,
        ...nodes,
        ...OUTPUTS.map((id) => ({ id, type: 'helper' })),
      ] as { id: string; type: string }[],
      credentials,
    );
  const stop = (more: object = {}) => JSON.stringify({ command: 'stop', params: { slowly: true }, ...more });

  describe('by wires', () => {
    it('sends messages that are ready for mqtt out', async () => {
      const { send, message } = await load([machine({ store: '' })]);
      assert.deepEqual(JSON.parse(String((await message('publish')).payload)), { status: 'online' });
      await send('n', { topic: 'status', payload: 'Running' });
      const status = await message('publish', 2);
      assert.deepEqual([status.topic, status['qos'], status['retain']], [MACHINE_TOPICS.status, 1, true]);
      assert.deepEqual(JSON.parse(String(status.payload)), { status: 'Running' });
      await send('n', { topic: 'telemetry', payload: { battery: 13.5 }, now: true });
      const telemetry = await message('publish', 3);
      assert.deepEqual(
        [telemetry.topic, telemetry['qos'], telemetry['retain']],
        [MACHINE_TOPICS.telemetry, 1, false],
      );
      assert.match(String(telemetry.payload), /^\{"battery":13.5,"timestamp":"\d{4}-[^"]+Z"\}$/);
    });

    it('takes commands, and those with an id once, over a restart of the flows too', async () => {
      const command = { topic: MACHINE_TOPICS.command, payload: stop({ command_id: 'a' }) };
      const first = await load([machine()]);
      await first.send('n', command);
      const told = await first.message('commands');
      assert.deepEqual([told['command'], told.payload, told['command_id']], ['stop', { slowly: true }, 'a']);
      await unloadFlow();
      const { send, message, received } = await load([machine()]);
      await send('n', command);
      assert.equal(((await message('ignored'))['ignored'] as { reason: string }).reason, 'repeated');
      assert.equal(received('commands').length, 0);
      await send('n', { ...command, payload: '{' });
      const { reason, code } = (await message('ignored', 2))['ignored'] as Record<string, string>;
      assert.deepEqual([reason, code], ['unreadable', 'invalid_json']);
    });

    it('tells by done, once, what is wrong with a message', async () => {
      const { send } = await load([machine()]);
      for (const [message, expected] of [
        [{ topic: 'telemetry', payload: { battery: 'full' } }, /\/battery must be number/],
        [{ topic: 'status', payload: {} }, /\/status is missing/],
        [
          { topic: 'else', payload: 1 },
          /msg.topic is "else": accepted is "telemetry" or "status", or company/,
        ],
      ] as const) {
        await assert.rejects(send('n', message), { code: 'invalid_input', message: expected });
      }
      assert.equal(errorsOf('n').length, 3);
    });
  });

  for (const [name, settings, expected] of [
    ['the company is missing', { companyId: '' }, /company_id of topic/],
    ['the machine is no level of a topic', { machineId: 'A/#' }, /machine_id of topic/],
    ['the interval is none', { interval: '0' }, /interval is 0: accepted is a number above 0/],
    ['a connection has no store for the queue', { connection: 'away', store: '' }, /store/],
  ] as const) {
    it(`says at its start that ${name}`, async () => {
      await load([{ id: 'away', type: 'fieldloom-connection', kind: 'embedded' }, machine(settings)]);
      assert.equal(errorsOf('n').length, 1);
      assert.match(errorsOf('n')[0] ?? '', expected);
    });
  }

  it('reports to the broker of its own gateway, where its telemetry is stored', async () => {
    const port = String(await freePort());
    const { send, message } = await load(
      [
        { id: 'c', type: 'fieldloom-connection', kind: 'embedded' },
        { id: 'access', type: 'fieldloom-access', store: 'store', mode: 'open', directory },
        {
          ...{ id: 'b', type: 'fieldloom-broker', connection: 'c', access: 'access', store: 'store' },
          ...{ host: '127.0.0.1', port, wires: [[], []] },
        },
        {
          ...{ id: 't', type: 'fieldloom-telemetry-store', connection: 'c', store: 'store' },
          wires: [['telemetry'], ['status'], []],
        },
        machine({ connection: 'c' }),
      ],
      {},
      ['telemetry', 'status'].map((id) => ({ id, type: 'helper' })),
    );
    assert.equal(((await message('status')).payload as { status: string }).status, 'online');
    await send('n', { topic: 'telemetry', payload: { battery: 13.5, extra: { temp: 32.5 } }, now: true });
    const { battery, extra } = (await message('telemetry')).payload as Record<string, unknown>;
    assert.deepEqual([battery, extra], [13.5, { temp: 32.5 }]);
  });

  describe('over the network', () => {
    let held: TestStore;
    let broker: EmbeddedBroker & { port: number };
    let proxy: TcpProxy;
    let heard: Message[];
    beforeEach(async () => {
      held = await testStore();
      const topics = Object.values(MACHINE_TOPICS);
      const authority = testAuthority({ A: { password: 'secret', publish: topics, subscribe: topics } });
      broker = await startBroker(held.store, { authority });
      proxy = new TcpProxy(`mqtt://127.0.0.1:${broker.port}`);
      await proxy.open();
      heard = [];
      await broker.link().subscribe('company/1/machine/A/+', { qos: 1 }, async (message) => {
        if (message.topic !== MACHINE_TOPICS.command) heard.push(message);
      });
    });
    afterEach(async () => {
      await unloadFlow();
      await proxy.close();
      await broker.close();
      await held.close();
    });

    const connection = (settings: object = {}) => ({
      ...{ id: 'c', type: 'fieldloom-connection', kind: 'external', url: proxy.url.replace(/\/$/, '') },
      ...settings,
    });
    const login = { c: { username: 'A', password: 'secret' } };
    const statuses = () =>
      heard
        .filter(({ topic }) => topic === MACHINE_TOPICS.status)
        .map(({ payload }) => JSON.parse(String(payload)).status as string);
    const batteries = () =>
      heard
        .filter(({ topic }) => topic === MACHINE_TOPICS.telemetry)
        .map(({ payload }) => JSON.parse(String(payload)).battery as number);
    /** What a dashboard that subscribes now is told. */
    async function retained(): Promise<string[]> {
      const found: string[] = [];
      const subscription = await broker
        .link()
        .subscribe(MACHINE_TOPICS.status, { qos: 1 }, async (message) => {
          if (message.retain) found.push(String(message.payload));
        });
      await subscription.close();
      return found;
    }

    /** The broker tells who listens first, and keeps the message then. */
    const keeps = (status: string) =>
      eventually(
        async () => ((await retained()).join() === status ? true : undefined),
        `${status} as what the broker keeps`,
      );

    it('has its last will told when the network is lost, then its last status; nothing measured is lost', async () => {
      const { send } = await load([connection(), machine({ connection: 'c' })], login);
      await until(() => statuses().includes('online'), 'the machine is there');
      await send('n', { topic: 'status', payload: 'Running' });
      await until(() => statuses().at(-1) === 'Running', 'its status');
      await proxy.close();
      await until(() => statuses().at(-1) === 'offline', 'its last will');
      await keeps(OFFLINE);
      for (const battery of [1, 2, 3]) {
        await send('n', { topic: 'telemetry', payload: { battery }, now: true });
      }
      await proxy.open();
      await until(() => new Set(batteries()).size >= 3, 'what waited');
      assert.deepEqual([...new Set(batteries())], [1, 2, 3]);
      await until(() => statuses().at(-1) === 'Running', 'its status again');
      await keeps('{"status":"Running"}');
    });

    it('keeps what was measured over a restart without a network, in its store', async () => {
      await proxy.close();
      const { send } = await load([connection(), machine({ connection: 'c' })], login);
      for (const battery of [1, 2]) await send('n', { topic: 'telemetry', payload: { battery }, now: true });
      await send('n', { topic: 'telemetry', payload: { battery: 3 } });
      await unloadFlow();
      const reader = await openStore(url);
      assert.equal((await outboxStore(reader, MACHINE_TOPICS.telemetry).all()).length, 3);
      await reader.close();
      await proxy.open();
      await load([connection(), machine({ connection: 'c' })], login);
      await until(() => batteries().length === 3, 'what waited');
      assert.deepEqual(batteries(), [1, 2, 3]);
    });

    it('says offline when its flow is stopped', async () => {
      await load([connection(), machine({ connection: 'c' })], login);
      await until(() => statuses().includes('online'), 'the machine is there');
      await unloadFlow();
      await until(() => statuses().at(-1) === 'offline', 'its goodbye');
      await keeps(OFFLINE);
    });

    it('is told a command, and not one that the broker has kept', async () => {
      await broker.link().publish(MACHINE_TOPICS.command, stop(), { qos: 1, retain: true });
      const { message, received } = await load([connection(), machine({ connection: 'c' })], login);
      assert.equal(((await message('ignored'))['ignored'] as { reason: string }).reason, 'retained');
      assert.equal(received('commands').length, 0);
      await broker.link().publish(MACHINE_TOPICS.command, stop(), { qos: 2 });
      assert.equal((await message('commands'))['command'], 'stop');
    });

    it('is refused on a connection that has another will, or another machine', async () => {
      await load(
        [
          connection({ name: 'radio', willTopic: 'x/status', willPayload: 'gone' }),
          { ...connection(), id: 'd' },
          machine({ connection: 'c' }),
          machine({ id: 'first', connection: 'd' }),
          machine({ id: 'second', connection: 'd', machineId: 'B' }),
        ],
        login,
      );
      const wants = /has the last will of (\S+), and MQTT knows one of a connection: (\S+) needs/;
      assert.deepEqual(wants.exec(errorsOf('n')[0] ?? '')?.slice(1), ['x/status', MACHINE_TOPICS.status]);
      assert.deepEqual(wants.exec(errorsOf('second')[0] ?? '')?.slice(1), [
        MACHINE_TOPICS.status,
        'company/1/machine/B/status',
      ]);
      assert.deepEqual(errorsOf('first'), []);
    });

    it('takes a will that its connection has been given as its own', async () => {
      const will = { willTopic: MACHINE_TOPICS.status, willPayload: OFFLINE, willQos: '1', willRetain: true };
      await load([connection(will), machine({ connection: 'c' })], login);
      await until(() => statuses().includes('online'), 'the machine is there');
      assert.deepEqual(errorsOf('n'), []);
    });
  });
});
