import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { connectAsync, type IClientOptions, type MqttClient } from 'mqtt';
import { eventually, Gateway } from '../support/gateway.js';

interface Login extends IClientOptions {
  username: string;
  password: string;
}

const stateOf = (storeId: string, controllerId: string) =>
  JSON.stringify({
    version: '1.0.0',
    event_type: 'machine_state',
    timestamp: '2024-01-15T16:00:00+07:00',
    correlation_id: randomUUID(),
    controller_id: controllerId,
    store_id: storeId,
    payload: {
      machines: [
        { machine_type: 'washer', relay_id: 1, status: 'busy', last_updated: '2024-01-15T15:58:30+07:00' },
      ],
    },
  });

describe('the rights of a controller at the broker', function () {
  this.timeout(120_000);
  let gateway: Gateway;
  const store = randomUUID();
  const own = randomUUID();
  const other = randomUUID();
  let login: Login;
  let otherLogin: Login;
  const open: MqttClient[] = [];

  const addController = async (controller: string) =>
    (await gateway.command(
      ...['access', 'add', '--role', 'controller', '--store', store, '--controller', controller],
    )) as Login;
  const connected = async (options: IClientOptions) => {
    const client = await connectAsync(gateway.mqttUrl, { ...options, reconnectPeriod: 0 });
    open.push(client);
    return client;
  };
  /** Controllers of the store that have ever been heard. */
  const heard = async () => {
    const { controllers } = await gateway.get<{ controllers: { controller_id: string }[] }>(
      `/stores/${store}/machines`,
    );
    return controllers.map((controller) => controller.controller_id);
  };

  before(async () => {
    gateway = await Gateway.create();
    await gateway.start();
    login = await addController(own);
    otherLogin = await addController(other);
  });
  afterEach(async () => {
    for (const client of open.splice(0)) await client.endAsync(true);
  });
  after(() => gateway.remove());

  it('begin with a login: none, a wrong one and an unknown one get no connection', async () => {
    for (const options of [
      {},
      { username: login.username },
      { username: login.username, password: 'wrong' },
      { username: 'nobody', password: login.password },
      { username: login.username, password: otherLogin.password },
    ]) {
      await assert.rejects(connected(options), /Connection refused/, JSON.stringify(Object.keys(options)));
    }
  });

  it('end at its own topics: what it publishes elsewhere reaches nobody', async () => {
    const client = await connected(login);
    for (const topic of [
      `/stores/${store}/controllers/${other}/metrics`,
      `/stores/${randomUUID()}/controllers/${own}/metrics`,
      `stores/${store}/controllers/${own}/metrics`,
      'company/1/machine/A/telemetry',
      'devices/D/ack',
    ]) {
      await client.publishAsync(topic, stateOf(store, other), { qos: 1 });
    }
    await client.publishAsync(`/stores/${store}/controllers/${own}/metrics`, stateOf(store, own), { qos: 1 });
    await eventually(async () => ((await heard()).includes(own) ? true : undefined), 'the own message');
    assert.deepEqual(await heard(), [own]);
    const metrics = await (await fetch(`${gateway.url}/metrics`)).text();
    assert.match(metrics, /^fieldloom_broker_refused_publishes_total(\{.*\})? 5$/m);
  });

  it('end at its own topics: wider or foreign subscriptions are refused', async () => {
    const client = await connected(login);
    for (const filter of [
      '#',
      '/#',
      '/stores/#',
      `/stores/${store}/#`,
      `/stores/${store}/controllers/+/action`,
      `/stores/${store}/controllers/${other}/action`,
      `/stores/${store}/controllers/${other}/metrics`,
      '$SYS/#',
      `$share/group/#`,
    ]) {
      const granted = await new Promise((resolve) => {
        client.subscribe(filter, { qos: 1 }, (_error, _grants, suback) => resolve(suback?.granted?.[0]));
      });
      assert.equal(granted, 128, filter);
    }
    const [grant] = await client.subscribeAsync(`/stores/${store}/controllers/${own}/action`, { qos: 1 });
    assert.equal(grant?.qos, 1);
  });

  it('include the will: one for a foreign topic reaches nobody', async () => {
    const service = (await gateway.command('access', 'add', '--role', 'service')) as Login;
    const listener = await connected(service);
    await listener.subscribeAsync('/stores/+/controllers/+/metrics', { qos: 1 });
    const topics: string[] = [];
    listener.on('message', (topic) => topics.push(topic));
    const will = (controller: string) => ({
      topic: `/stores/${store}/controllers/${controller}/metrics`,
      payload: Buffer.from(stateOf(store, controller)),
      qos: 1 as const,
    });
    for (const controller of [other, own]) {
      const client = await connected({ ...login, will: will(controller) });
      client.stream.destroy();
    }
    await eventually(async () => (topics.length > 0 ? true : undefined), 'the own will');
    assert.deepEqual(topics, [will(own).topic]);
  });

  it('end with the login: a revoked one is disconnected within 5 s and cannot come back', async () => {
    const client = await connected(otherLogin);
    const closed = new Promise<void>((resolve) => client.once('close', () => resolve()));
    const revokedAt = Date.now();
    await gateway.command('access', 'revoke', otherLogin.username);
    await closed;
    assert.ok(Date.now() - revokedAt < 6000, `${Date.now() - revokedAt} ms`);
    await assert.rejects(connected(otherLogin), /Connection refused/);
  });
});
