import assert from 'node:assert/strict';
import { createDeviceBackend, type DeviceBackend } from '../../lib/command/events-backend.js';
import type { Alert } from '../../lib/command/ports.js';
import { type Command, responderTopics } from '../../lib/command/responder-codec.js';
import { createResponder, type Responder } from '../../lib/command/responder-runner.js';
import { systemClock } from '../../lib/core/clock.js';
import type { Link, Message } from '../../lib/core/link.js';
import { silentLog } from '../../lib/core/log.js';
import { type Connection, connect } from '../../lib/mqtt/connection.js';
import type { EmbeddedBroker } from '../../lib/mqtt/embedded-broker.js';
import { deviceStore } from '../../lib/store/device.js';
import { deviceQueries } from '../../lib/store/device-queries.js';
import { newId } from '../../lib/store/ids.js';
import { responderStore } from '../../lib/store/responder.js';
import type { Store } from '../../lib/store/store.js';
import { AccessBench } from '../support/access.js';
import { type Deferred, deferred, startBroker } from '../support/mqtt.js';
import { seedCommand } from '../support/responder.js';
import { cleanUp, opened } from '../support/store.js';

const DEVICE = 'AA:BB:CC:DD:EE:01';
const FAST = { firstMs: 5, maxMs: 20, jitter: 0.2 };

/** Values as they come, each awaited. */
function inbox<T>() {
  const values: T[] = [];
  let wake: Deferred = deferred();
  return {
    values,
    push(value: T) {
      values.push(value);
      wake.resolve();
      wake = deferred();
    },
    async next(count: number): Promise<T> {
      while (values.length < count) await wake.promise;
      return values[count - 1] as T;
    },
  };
}

describe('a device with a login of its own on the embedded broker', function () {
  this.timeout(30_000);
  let bench: AccessBench;
  let store: Store;
  let site: Store;
  let broker: EmbeddedBroker & { port: number };
  let gateway: Link;
  let open: (clientId?: string) => Connection;
  const connections: Connection[] = [];

  beforeEach(async () => {
    bench = await AccessBench.create();
    const opened_ = await bench.open();
    store = opened_.store;
    site = await opened();
    const login = await opened_.access.addClient({ role: 'device', device: DEVICE });
    broker = await startBroker(store, { authority: opened_.access });
    gateway = broker.link();
    open = (clientId = 'device') => {
      const connection = connect({
        url: `mqtt://127.0.0.1:${broker.port}`,
        clientId,
        username: login.username,
        password: login.password,
        reconnect: FAST,
      });
      connections.push(connection);
      return connection;
    };
  });
  afterEach(async () => {
    for (const connection of connections.splice(0)) await connection.close(0);
    await broker.close();
    await cleanUp();
    await bench.remove();
  });

  async function responder(
    link: Connection,
  ): Promise<{ responder: Responder; acts: ReturnType<typeof inbox<Command>> }> {
    const topics = responderTopics(DEVICE);
    const made = createResponder({
      topics,
      link,
      store: responderStore(site, DEVICE),
      clock: systemClock,
      log: silentLog,
      checks: { types: [], parameterSchemas: {}, maxAgeMs: undefined },
      progress: false,
      answerTimeoutMs: undefined,
    });
    const acts = inbox<Command>();
    made.listen({ command: acts.push });
    await made.start();
    await link.subscribe(topics.commands, { qos: 2 }, made.handle);
    return { responder: made, acts };
  }
  async function acks() {
    const received = inbox<{ command_id: string; success: boolean; message: string; qos: number }>();
    await gateway.subscribe('devices/+/ack', { qos: 2 }, async ({ payload, qos }: Message) => {
      received.push({ ...JSON.parse(payload.toString()), qos });
    });
    return received;
  }
  const command = (id: string) =>
    gateway.publish(`devices/${DEVICE}/commands`, JSON.stringify(seedCommand(id)), { qos: 2 });

  it('takes commands and answers them with QoS 2, acts once on what is repeated', async () => {
    const received = await acks();
    const { responder: device, acts } = await responder(open());
    await command('a');
    await acts.next(1);
    await command('a');
    await device.answer('a', { success: true, message: 'fed' });
    const ack = await received.next(1);
    assert.deepEqual([ack.command_id, ack.success, ack.message, ack.qos], ['a', true, 'fed', 2]);
    await command('a');
    assert.deepEqual(await received.next(2), ack);
    assert.equal(acts.values.length, 1);
    await device.close();
  });

  it('gets what came while it was away, and answers after it was restarted in the middle', async () => {
    const received = await acks();
    const first = open();
    const one = await responder(first);
    await command('a');
    await one.acts.next(1);
    await one.responder.close();
    await first.close(0);
    await command('a');
    await command('b');
    const two = await responder(open());
    const unknown = await received.next(1);
    assert.deepEqual([unknown.command_id, unknown.success, unknown.message], ['a', false, 'outcome unknown']);
    assert.equal((await two.acts.next(1)).commandId, 'b');
    await two.responder.answer('b', { success: true });
    while (!received.values.some((ack) => ack.command_id === 'b'))
      await received.next(received.values.length + 1);
    assert.equal(two.acts.values.length, 1);
    for (const ack of received.values.filter((each) => each.command_id === 'a'))
      assert.deepEqual(ack, unknown);
    await two.responder.close();
  });

  it('reports its readings, heartbeats, startup and alerts, each acknowledged when it is a row', async () => {
    const backend: DeviceBackend = createDeviceBackend({
      store: deviceStore(store),
      clock: systemClock,
      log: silentLog,
      newId,
    });
    const alerts = inbox<Alert>();
    backend.listen({ alert: alerts.push });
    await backend.start();
    for (const filter of backend.filters) await gateway.subscribe(filter, { qos: 1 }, backend.handle);
    const device = open();
    const publish = (end: string, content: object) =>
      device.publish(`devices/${DEVICE}/${end}`, JSON.stringify(content), { qos: 1 });
    const reading = { temperature: 25.5, pond_position: 1, timestamp: new Date().toISOString() };
    await publish('data/sensors', reading);
    await publish('data/sensors', reading);
    await publish('data/heartbeat', { uptime: 5 });
    await publish('data/startup', { firmware_version: '1.4.2' });
    await publish('threshold', { parameter: 'temperature', value: 33, limit: 32, pond_position: 1 });
    const queries = deviceQueries(store);
    const { items } = await queries.readings(DEVICE, 1, { limit: 10 });
    assert.deepEqual(
      items.map(({ values }) => values),
      [{ temperature: 25.5 }],
    );
    const { online, firmwareVersion } = (await queries.device(DEVICE)) ?? {};
    assert.deepEqual([online, firmwareVersion], [true, '1.4.2']);
    assert.equal((await queries.alerts(DEVICE, 1, { open: true, limit: 10 })).length, alerts.values.length);
    await backend.close();
  });

  it('can do no more than that: another device’s topics, and what is a backend’s, stay closed', async () => {
    const heard: string[] = [];
    for (const filter of ['devices/+/ack', 'devices/+/commands', 'devices/+/data/sensors']) {
      await gateway.subscribe(filter, { qos: 1 }, async ({ topic }) => void heard.push(topic));
    }
    const device = open();
    for (const filter of [
      'devices/+/commands',
      `devices/${DEVICE}/#`,
      `devices/${DEVICE}/ack`,
      'devices/other/commands',
    ]) {
      await assert.rejects(
        device.subscribe(filter, { qos: 1 }, async () => {}),
        { code: 'subscribe_refused' },
        filter,
      );
    }
    for (const topic of [`devices/${DEVICE}/commands`, 'devices/other/ack', 'devices/other/data/sensors']) {
      // MQTT 3.1.1 has no way to say no: it is acknowledged, and goes nowhere.
      await device.publish(topic, '{}', { qos: 1 });
    }
    await device.publish(`devices/${DEVICE}/ack`, '{}', { qos: 1 });
    assert.deepEqual(heard, [`devices/${DEVICE}/ack`]);
  });
});
