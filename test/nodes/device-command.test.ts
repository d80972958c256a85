import assert from 'node:assert/strict';
import { connectAsync, type MqttClient } from 'mqtt';
import { Access } from '../../lib/access/access.js';
import type { CommandDispatcher } from '../../lib/command/dispatcher.js';
import { commandStore } from '../../lib/store/command.js';
import { openStore } from '../../lib/store/open.js';
import accessNode from '../../nodes/access/access.js';
import brokerNode from '../../nodes/broker/broker.js';
import connectionNode, { type ProvidedConnection } from '../../nodes/connection/connection.js';
import commandNode from '../../nodes/device-command/device-command.js';
import { metricsText } from '../../nodes/runtime/metrics.js';
import storeNode from '../../nodes/store/store.js';
import { COMMAND_ID, DEVICE } from '../support/command.js';
import { errorsOf, loadFlow, startRuntime, stopRuntime, unloadFlow } from '../support/flow.js';
import { startBroker, testStore, until } from '../support/mqtt.js';
import { freePort, listening } from '../support/ports.js';
import { cleanUp, later, temporaryFolder, temporaryUrl } from '../support/store.js';

const outputs = ['completed', 'failed', 'late', 'refused', 'every', 'publish'];
const collectors = outputs.map((id) => ({ id, type: 'helper' }));
const FEED = { device: DEVICE, command_type: 'FEED', pond_position: 1, parameters: { amount: 100 } };
const ACK = `devices/${DEVICE}/ack`;
const COMMANDS = `devices/${DEVICE}/commands`;

const contentOf = (payload: unknown) => JSON.parse(String(payload)) as Record<string, unknown>;
const payloadOf = (message: { payload?: unknown }) => message.payload as Record<string, unknown>;

describe('the device command node', () => {
  let url: string;
  beforeEach(async () => {
    url = await temporaryUrl();
    await startRuntime(await temporaryFolder());
  });
  afterEach(async () => {
    await stopRuntime();
    await cleanUp();
  });

  const node = (settings: object = {}) => ({
    id: 'n',
    type: 'fieldloom-device-command',
    store: 'store',
    connection: '',
    profile: 'pond',
    waitForBroker: true,
    wires: outputs.map((id) => [id]),
    ...settings,
  });

  describe('by wires', () => {
    const load = (settings?: object) =>
      loadFlow(
        [storeNode, commandNode],
        [{ id: 'store', type: 'fieldloom-store', url } as never, node(settings), ...collectors],
      );

    it('sends what is ready for mqtt out, takes the acknowledgement, and carries the message that asked', async () => {
      const { send, message, received } = await load();
      await send('n', { _msgid: 'asked', topic: 'button', who: 'Ann', payload: FEED });
      const published = await message('publish');
      const { command_id, ...content } = contentOf(published.payload);
      assert.deepEqual([published.topic, published['qos'], published['retain']], [COMMANDS, 2, false]);
      assert.deepEqual([content['command_type'], content['pond_position']], ['FEED', 1]);
      await send('n', { topic: ACK, payload: { command_id, success: true, message: 'fed' } });
      const completed = await message('completed');
      assert.deepEqual([completed._msgid, completed['who'], completed.topic], ['asked', 'Ann', 'button']);
      const { status, attempts, late, message: words } = payloadOf(completed);
      assert.deepEqual([status, attempts, late, words], ['COMPLETED', 1, false, 'fed']);
      assert.deepEqual(
        received('every').map((each) => (each['transition'] as { event: string }).event),
        ['created', 'published', 'acknowledged', 'completed'],
      );
      assert.ok(received('every').every(({ _msgid }) => _msgid === 'asked'));
      const { text } = await metricsText();
      assert.match(text, /fieldloom_commands_total\{end="completed"\} 1/);
      assert.match(text, /fieldloom_command_round_trip_seconds_count 1/);
      assert.match(text, /fieldloom_commands_in_flight\{state="in_flight"\} 0/);
    });

    it('cancels, and tells of what the device did nevertheless', async () => {
      const { send, message } = await load();
      await send('n', { payload: { ...FEED, command_id: COMMAND_ID } });
      await message('publish');
      await send('n', { cancel: COMMAND_ID });
      assert.equal(payloadOf(await message('failed'))['status'], 'CANCELLED');
      await send('n', { topic: ACK, payload: { command_id: COMMAND_ID, success: true } });
      const anomaly = await message('refused');
      assert.equal(payloadOf(anomaly)['status'], 'CANCELLED');
      await assert.rejects(send('n', { cancel: COMMAND_ID }), { code: 'conflict' });
    });

    it('refuses an acknowledgement that is none, as it came', async () => {
      const { send, message } = await load();
      await send('n', { topic: ACK, payload: 'hello' });
      const refused = await message('refused');
      assert.deepEqual([refused.topic, String(refused.payload)], [ACK, 'hello']);
      assert.equal((refused['error'] as { code: string }).code, 'invalid_json');
    });

    it('tells by done, once, what is wrong with a command', async () => {
      const { send, received } = await load();
      for (const [payload, pointer] of [
        [{ ...FEED, parameters: { amount: -1 } }, '/parameters/amount'],
        [{ ...FEED, command_type: undefined }, '/command_type'],
        [{ ...FEED, expires_at: 'soon' }, '/expires_at'],
        [{ ...FEED, command_id: '4' }, '/command_id'],
        ['feed', ''],
      ] as const) {
        await assert.rejects(send('n', { payload }), { code: 'invalid_input', pointer });
      }
      assert.equal(errorsOf('n').length, 5);
      assert.equal(received('every').length, 0);
    });

    it('gives a silent device up after the retries that are set', async () => {
      const { send, message, received } = await load({ ackTimeout: '0.05', retries: '0' });
      await send('n', { payload: FEED });
      const failed = payloadOf(await message('failed'));
      assert.deepEqual([failed['status'], failed['reason'], failed['attempts']], ['FAILED', 'timeout', 1]);
      await send('n', { topic: ACK, payload: { command_id: failed['command_id'], success: true } });
      const late = payloadOf(await message('late'));
      assert.deepEqual([late['status'], late['late']], ['COMPLETED', true]);
      assert.equal(received('completed').length, 0);
    });

    it('completes a solar command when it has left', async () => {
      const { send, message } = await load({ profile: 'solar' });
      const payload = { company_id: 'acme', machine_id: '7', command_type: 'stop', parameters: { speed: 0 } };
      await send('n', { payload });
      assert.equal(payloadOf(await message('completed'))['status'], 'COMPLETED');
      const published = await message('publish');
      assert.equal(published.topic, 'company/acme/machine/7/command');
      assert.equal(String(published.payload), '{"command":"stop","params":{"speed":0}}');
    });

    it('speaks as a custom profile says', async () => {
      const { send, message } = await load({
        profile: 'custom',
        commandTopic: 'valve/{valve}/set',
        ackTopic: 'valve/{valve}/done',
        fieldId: 'ref',
        fieldType: 'op',
        fieldParameters: 'args',
        fieldTimestamp: '',
        fieldExpires: '',
        ackId: 'ref',
        ackSuccess: 'ok',
        ackMessage: 'text',
        parameterSchemas: '{"open":{"required":["percent"]}}',
      });
      await assert.rejects(send('n', { payload: { valve: 3, command_type: 'open' } }), {
        pointer: '/parameters/percent',
      });
      await send('n', { payload: { valve: 3, command_type: 'open', parameters: { percent: 5 } } });
      const { ref, ...content } = contentOf((await message('publish')).payload);
      assert.deepEqual(content, { op: 'open', args: { percent: 5 } });
      await send('n', { topic: 'valve/3/done', payload: { ref, ok: false, text: 'stuck' } });
      const failed = payloadOf(await message('failed'));
      assert.deepEqual([failed['reason'], failed['message']], ['device', 'stuck']);
    });

    for (const [setting, value, message] of [
      ['ackTimeout', '-1', /acknowledgement timeout is -1/],
      ['retries', '1.5', /retries is 1.5/],
      ['inFlight', '0', /in flight is 0/],
      ['parameterSchemas', '[1]', /parameter schemas/],
      ['parameterSchemas', '{', /parameter schemas/],
      ['profile', 'lake', /profile is "lake"/],
    ] as const) {
      it(`names the setting where ${setting} is ${value}`, async () => {
        await load({ [setting]: value });
        assert.equal(errorsOf('n').length, 1);
        assert.match(errorsOf('n')[0] ?? '', message);
      });
    }
  });

  describe('with a broker', () => {
    let port: string;
    let login: { username: string; password: string };
    beforeEach(async () => {
      port = String(await freePort());
      const store = await openStore(url);
      const access = await Access.open(store);
      login = await access.addClient({ role: 'device', device: DEVICE });
      access.close();
      await store.close();
    });

    const flow = (settings: object = {}, parts: object[] = []) =>
      [
        { id: 'store', type: 'fieldloom-store', url },
        { id: 'access', type: 'fieldloom-access', store: 'store', mode: 'open' },
        { id: 'connection', type: 'fieldloom-connection', kind: 'embedded' },
        {
          id: 'broker',
          type: 'fieldloom-broker',
          connection: 'connection',
          access: 'access',
          store: 'store',
          port,
        },
        node({ connection: 'connection', ...settings }),
        ...collectors,
        ...parts,
      ] as never[];
    const nodes = [storeNode, accessNode, connectionNode, brokerNode, commandNode];
    const load = (settings?: object) => loadFlow(nodes, flow(settings));

    /** A device that takes commands; `answer` says what it says of each, undefined for nothing. */
    async function device(answer: (command: Record<string, unknown>) => object | undefined) {
      const client: MqttClient = await connectAsync(`mqtt://127.0.0.1:${port}`, {
        ...login,
        clientId: DEVICE,
        clean: false,
        reconnectPeriod: 50,
      });
      later(() => client.endAsync(true));
      const taken: Record<string, unknown>[] = [];
      client.on('message', (_, payload) => {
        const command = contentOf(payload);
        taken.push(command);
        const said = answer(command);
        if (said !== undefined) client.publish(ACK, JSON.stringify(said), { qos: 1 });
      });
      await client.subscribeAsync(COMMANDS, { qos: 2 });
      return { client, taken };
    }
    it('completes what the device acknowledges', async () => {
      const loaded = await load();
      await listening(Number(port));
      const { taken } = await device(({ command_id }) => ({ command_id, success: true, message: 'fed' }));
      await loaded.send('n', { payload: FEED });
      const completed = payloadOf(await loaded.message('completed'));
      assert.equal(completed['command_id'], taken[0]?.['command_id']);
      assert.equal(loaded.received('publish').length, 0);
    });

    it('sends the same command_id again to a device that is silent, then gives it up', async () => {
      const loaded = await load({ ackTimeout: '0.2', retries: '1' });
      await listening(Number(port));
      const { taken } = await device(() => undefined);
      await loaded.send('n', { payload: FEED });
      const failed = payloadOf(await loaded.message('failed'));
      assert.deepEqual([failed['reason'], failed['attempts'], taken.length], ['timeout', 2, 2]);
      assert.deepEqual(taken[0], taken[1]);
      assert.match(String(failed['message']), /unknown/);
    });

    it('completes with the second attempt where the first acknowledgement was lost', async () => {
      const loaded = await load({ ackTimeout: '0.2' });
      await listening(Number(port));
      let count = 0;
      await device(({ command_id }) => {
        count += 1;
        return count === 1 ? undefined : { command_id, success: true };
      });
      await loaded.send('n', { payload: FEED });
      assert.equal(payloadOf(await loaded.message('completed'))['attempts'], 2);
    });

    it('reaches a device that comes back to its session', async () => {
      const loaded = await load();
      await listening(Number(port));
      const first = await device(() => undefined);
      await first.client.endAsync();
      await loaded.send('n', { payload: FEED });
      await loaded.message('every', 2);
      const { taken } = await device(({ command_id }) => ({ command_id, success: true }));
      assert.equal(payloadOf(await loaded.message('completed'))['attempts'], 1);
      assert.equal(taken.length, 1);
    });

    it('goes on after a restart in the middle, and publishes no second time what is acknowledged', async () => {
      const before = await load();
      await listening(Number(port));
      const { taken, client } = await device(() => undefined);
      await before.send('n', { payload: FEED });
      await before.message('every', 2);
      await until(() => taken.length > 0, 'the device has it');
      await unloadFlow();
      const after = await load();
      // The device has it; it answers when it is back.
      if (!client.connected) await new Promise<void>((resolve) => client.once('connect', () => resolve()));
      const { command_id } = taken[0] as { command_id: string };
      await client.publishAsync(ACK, JSON.stringify({ command_id, success: true }), { qos: 1 });
      const completed = payloadOf(await after.message('completed'));
      assert.deepEqual([completed['command_id'], completed['attempts']], [command_id, 1]);
      assert.equal(taken.length, 1);
      await unloadFlow();
      const reader = await openStore(url);
      const found = await commandStore(reader).command(command_id);
      await reader.close();
      assert.deepEqual(
        found?.history.map(({ event }) => event),
        ['created', 'published', 'acknowledged', 'completed'],
      );
    });

    it('waits while its connection is lost, spends no attempt, and goes on when it is back', async () => {
      const sessions = await testStore();
      later(() => sessions.close());
      const broker = await startBroker(sessions.store, {
        authority: {
          authenticate: async ({ clientId }) => ({ role: 'service', username: clientId }),
          mayPublish: () => true,
          maySubscribe: () => true,
          onRevoked: () => () => {},
        },
      });
      later(() => broker.close());
      port = String(broker.port);
      const external = { kind: 'external', url: `mqtt://127.0.0.1:${port}`, clientId: 'gateway' };
      const {
        node: find,
        send,
        message,
      } = await loadFlow([storeNode, connectionNode, commandNode], [
        { id: 'store', type: 'fieldloom-store', url },
        { id: 'connection', type: 'fieldloom-connection', ...external },
        node({ connection: 'connection' }),
        ...collectors,
      ] as never[]);
      const provided = Symbol.for('fieldloom.provided');
      const connection = (find('connection') as unknown as Record<symbol, ProvidedConnection>)[provided];
      const { taken } = await device(({ command_id }) => ({ command_id, success: true }));
      await send('n', { payload: FEED });
      await message('completed');
      await connection?.disconnect();
      await send('n', { payload: FEED });
      assert.equal(payloadOf(await message('every', 5))['status'], 'PENDING');
      assert.equal(taken.length, 1);
      connection?.connect();
      const completed = payloadOf(await message('completed', 2));
      assert.deepEqual([completed['attempts'], taken.length], [1, 2]);
    });

    it('waits for a broker that is not there yet, or fails at once where it is told not to wait', async () => {
      const without = flow().filter(({ id }: { id: string }) => id !== 'broker');
      const { send, message, received } = await loadFlow(nodes, without);
      await send('n', { payload: FEED });
      await message('every');
      assert.equal(received('failed').length, 0);
      await unloadFlow();
      const impatient = await loadFlow(nodes, [
        ...without.filter(({ id }: { id: string }) => id !== 'n'),
        node({ id: 'm', connection: 'connection', waitForBroker: false }) as never,
      ]);
      await impatient.send('m', { payload: FEED });
      const failed = payloadOf(await impatient.message('failed'));
      assert.deepEqual([failed['reason'], failed['attempts']], ['not_connected', 0]);
    });

    it('offers its dispatcher to other nodes', async () => {
      const loaded = await load();
      await listening(Number(port));
      await device(({ command_id }) => ({ command_id, success: true }));
      const provided = Symbol.for('fieldloom.provided');
      const dispatcher = (loaded.node('n') as unknown as Record<symbol, CommandDispatcher>)[provided];
      const { id } = (await dispatcher?.submit({
        device: DEVICE,
        commandType: 'FEED',
        parameters: { amount: 5 },
        values: { pond_position: 1 },
      })) ?? { id: '' };
      assert.equal((await dispatcher?.outcome(id, 5_000))?.status, 'COMPLETED');
      assert.equal(payloadOf(await loaded.message('completed'))['command_id'], id);
    });
  });
});
