import assert from 'node:assert/strict';
import helper from 'node-red-node-test-helper';
import type { Link } from '../../lib/core/link.js';
import { deviceQueries } from '../../lib/store/device-queries.js';
import { openStore } from '../../lib/store/open.js';
import accessNode from '../../nodes/access/access.js';
import brokerNode from '../../nodes/broker/broker.js';
import connectionNode from '../../nodes/connection/connection.js';
import eventsNode from '../../nodes/device-events/device-events.js';
import type { ProvidedDevices } from '../../nodes/device-events/provided.js';
import { providedBy } from '../../nodes/runtime/define-node.js';
import { metricsText } from '../../nodes/runtime/metrics.js';
import storeNode from '../../nodes/store/store.js';
import { errorsOf, loadFlow, startRuntime, stopRuntime, unloadFlow } from '../support/flow.js';
import { DEVICE } from '../support/responder.js';
import { cleanUp, temporaryFolder, temporaryUrl } from '../support/store.js';

const outputs = ['readings', 'devices', 'startups', 'alerts', 'refused'];
const topic = (end: string) => `devices/${DEVICE}/${end}`;
const warm = { parameter: 'temperature', value: 33.5, threshold: 32, pond_position: 1 };

describe('the device events node', () => {
  let url: string;
  beforeEach(async () => {
    url = await temporaryUrl();
    await startRuntime(await temporaryFolder());
  });
  afterEach(async () => {
    await stopRuntime();
    await cleanUp();
  });

  const flow = (settings: object = {}) => [
    { id: 'store', type: 'fieldloom-store', url } as never,
    {
      id: 'n',
      type: 'fieldloom-device-events',
      store: 'store',
      wires: outputs.map((id) => [id]),
      ...settings,
    } as never,
    ...outputs.map((id) => ({ id, type: 'helper' })),
  ];
  const load = (settings?: object) => loadFlow([storeNode, eventsNode], flow(settings));
  const nodeProvides = <T>(id: string) =>
    providedBy<T>({ nodes: { getNode: (each: string) => helper.getNode(each) } } as never, id) as T;
  const provided = () => nodeProvides<ProvidedDevices>('n');

  it('tells readings, heartbeats, startups and alerts by an output each, as REST names them', async () => {
    const { send, message, received } = await load();
    const sensors = { temperature: 25.5, pond_position: 1, timestamp: '2025-08-29T21:00:00Z', note: 'x' };
    await send('n', { topic: topic('data/sensors'), payload: JSON.stringify(sensors) });
    const reading = await message('readings');
    const payload = reading.payload as Record<string, unknown>;
    assert.deepEqual(
      { ...payload, received_at: '' },
      {
        device_id: DEVICE,
        pond_position: 1,
        at: '2025-08-29T21:00:00.000Z',
        received_at: '',
        values: { temperature: 25.5 },
        extra: { note: 'x' },
      },
    );
    assert.deepEqual(reading['original'], sensors);
    await send('n', { topic: topic('data/heartbeat'), payload: { uptime: 5 } });
    await message('devices', 2);
    assert.deepEqual(
      received('devices').map((each) => (each.payload as { event: string }).event),
      ['online', 'heartbeat'],
    );
    await send('n', {
      topic: topic('data/startup'),
      payload: { firmware_version: '1.4.2', reason: 'power' },
    });
    const startup = (await message('startups')).payload as Record<string, unknown>;
    assert.deepEqual([startup['firmware_version'], startup['reason']], ['1.4.2', 'power']);
    await send('n', { topic: topic('threshold'), payload: warm });
    const alert = (await message('alerts')).payload as Record<string, unknown>;
    assert.deepEqual(
      [alert['event'], alert['device_id'], alert['pond_position'], alert['parameter'], alert['limit']],
      ['raised', DEVICE, 1, 'temperature', 32],
    );
    assert.equal(received('refused').length, 0);
  });

  it('is done when the row is committed', async () => {
    const { send } = await load();
    await send('n', { topic: topic('data/sensors'), payload: { temperature: 25.5 } });
    const reader = await openStore(url);
    const { items } = await deviceQueries(reader).readings(DEVICE, 1, { limit: 10 });
    await reader.close();
    assert.deepEqual(
      items.map(({ values }) => values),
      [{ temperature: 25.5 }],
    );
  });

  it('sends what it refuses out of the fifth output, as it came', async () => {
    const { send, message } = await load();
    await send('n', { topic: topic('data/sensors'), payload: '{"temperature":"hot"}' });
    const refused = await message('refused');
    assert.equal(String(refused.payload), '{"temperature":"hot"}');
    assert.deepEqual(refused['error'], {
      code: 'schema_mismatch',
      message: '/temperature must be number,null',
      pointer: '/temperature',
    });
  });

  it('acknowledges an alert for who has seen it', async () => {
    const { send, message } = await load();
    await send('n', { topic: topic('threshold'), payload: warm });
    const raised = (await message('alerts')).payload as { alert_id: string };
    await send('n', { acknowledge: raised.alert_id, by: 'Mai' });
    const seen = (await message('alerts', 2)).payload as Record<string, unknown>;
    assert.deepEqual([seen['event'], seen['acknowledged_by']], ['acknowledged', 'Mai']);
    await assert.rejects(send('n', { acknowledge: 'unknown', by: 'Mai' }), { code: 'not_found' });
    await assert.rejects(send('n', { acknowledge: raised.alert_id }), { code: 'invalid_input' });
    assert.equal(errorsOf('n').length, 2);
  });

  it('tells that a device is offline after the missed heartbeats that are set', async () => {
    const { send, message } = await load({ interval: '0.05', missed: '2' });
    await send('n', { topic: topic('data/heartbeat'), payload: {} });
    const gone = (await message('devices', 3)).payload as Record<string, unknown>;
    assert.deepEqual([gone['event'], gone['online']], ['offline', false]);
  });

  it('offers what it knows to other nodes, also while its store is opening', async () => {
    const { send } = await load();
    const { queries, acknowledge, listen } = provided();
    assert.equal(await queries.device(DEVICE), undefined);
    const heard: string[] = [];
    const stop = listen({
      reading: ({ device }) => heard.push(`reading of ${device}`),
      device: ({ device }, change) => heard.push(`${device} ${change}`),
      alert: ({ parameter }, change) => heard.push(`${parameter} ${change}`),
    });
    await queries.device(DEVICE);
    await send('n', { topic: topic('data/sensors'), payload: { temperature: 25.5 } });
    await send('n', { topic: topic('threshold'), payload: warm });
    assert.deepEqual(heard, [`${DEVICE} online`, `reading of ${DEVICE}`, 'temperature raised']);
    assert.equal((await queries.latest(DEVICE, 1))['temperature']?.value, 25.5);
    const [alert] = await queries.alerts(DEVICE, 1, { open: true, limit: 10 });
    assert.equal((await acknowledge(alert?.alertId ?? '', 'Mai')).acknowledgedBy, 'Mai');
    stop();
    await send('n', { topic: topic('data/sensors'), payload: { temperature: 26 } });
    assert.equal(heard.length, 4);
  });

  it('shows its figures in /metrics as long as it lives', async () => {
    const { send } = await load();
    await send('n', { topic: topic('data/sensors'), payload: { temperature: 25.5 } });
    await send('n', { topic: topic('data/sensors'), payload: '{' });
    const { text } = await metricsText();
    assert.match(text, /fieldloom_devices\{state="online"\} 1/);
    assert.match(text, /fieldloom_device_readings_total 1/);
    assert.match(text, /fieldloom_device_refused_total\{code="invalid_json"\} 1/);
    await unloadFlow();
    assert.doesNotMatch((await metricsText()).text, /fieldloom_device/);
  });

  it('with a connection hears the devices through the broker', async () => {
    const broker = [
      { id: 'access', type: 'fieldloom-access', store: 'store', mode: 'open' } as never,
      { id: 'connection', type: 'fieldloom-connection', kind: 'embedded' } as never,
      {
        id: 'broker',
        type: 'fieldloom-broker',
        connection: 'connection',
        access: 'access',
        store: 'store',
        port: '0',
      } as never,
    ];
    const { message } = await loadFlow(
      [storeNode, accessNode, connectionNode, brokerNode, eventsNode],
      [...flow({ connection: 'connection', prefix: 'farm' }), ...broker],
    );
    const connection = nodeProvides<{ link: Link }>('connection');
    await provided().queries.device(DEVICE);
    await connection.link.publish(`farm/${topic('data/sensors')}`, '{"temperature":1}', { qos: 1 });
    const reading = (await message('readings')).payload as Record<string, unknown>;
    assert.deepEqual(reading['values'], { temperature: 1 });
  });

  for (const [setting, value] of [
    ['interval', '-1'],
    ['missed', 'often'],
  ] as const) {
    it(`names the setting where ${setting} is ${value}`, async () => {
      await load({ [setting]: value });
      assert.equal(errorsOf('n').length, 1);
      assert.match(
        errorsOf('n')[0] ?? '',
        new RegExp(`${setting} is ${value}: accepted is a number above 0`),
      );
    });
  }
});
