import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { connectAsync, type IClientOptions, type MqttClient } from 'mqtt';
import { eventually, Gateway } from '../support/gateway.js';
import { type RabbitMq, startRabbitMq } from '../support/rabbitmq.js';
import { SEED_MESSAGE } from '../support/seed.js';

interface Login {
  username: string;
  password: string;
}

describe('the logins of the gateway on a RabbitMQ', function () {
  this.timeout(120_000);
  let gateway: Gateway;
  let rabbit: RabbitMq;
  let service: Login;
  let machine: Login;
  const open: MqttClient[] = [];

  const add = async (...words: string[]) => (await gateway.command('access', 'add', ...words)) as Login;
  const connected = async (login: Partial<Login>, options: IClientOptions = {}) => {
    const client = await connectAsync(rabbit.url, {
      clientId: login.username ?? 'anybody',
      ...login,
      reconnectPeriod: 0,
      connectTimeout: 10_000,
      ...options,
    });
    client.on('error', () => {});
    open.push(client);
    return client;
  };
  /** What a service hears of all machines. */
  const listening = async () => {
    const heard: string[] = [];
    const listener = await connected(service, { clientId: `backend-${randomUUID()}` });
    await listener.subscribeAsync('company/+/machine/+/telemetry', { qos: 1 });
    await listener.subscribeAsync('company/+/machine/+/status', { qos: 1 });
    listener.on('message', (topic) => heard.push(topic));
    const hears = (topic: string) =>
      eventually(async () => (heard.includes(topic) ? true : undefined), `a message on ${topic}`);
    return { heard, hears };
  };
  /** RabbitMQ ends the connection of a client that publishes or subscribes where it may not. */
  const closed = (client: MqttClient) =>
    eventually(async () => (client.connected ? undefined : true), 'the end of the connection');

  before(async () => {
    gateway = await Gateway.create();
    await gateway.start();
    const secret = (await readFile(join(gateway.directory, 'broker-secret'), 'utf8')).trim();
    rabbit = await startRabbitMq(gateway.url, secret);
    service = await add('--role', 'service');
    machine = await add('--role', 'machine', '--company', '1', '--machine', 'A');
  });
  afterEach(async () => {
    for (const client of open.splice(0)) await client.endAsync(true);
  });
  after(async () => {
    await rabbit?.stop();
    await gateway?.remove();
  });

  it('begin with a login: no name, a wrong password, an unknown name and a foreign client id get no connection', async () => {
    for (const [login, options] of [
      [{}, {}],
      [{ ...machine, password: 'wrong' }, {}],
      [{ username: 'nobody', password: machine.password }, {}],
      [machine, { clientId: service.username }],
      [machine, { clientId: 'other' }],
      [service, { clientId: machine.username }],
    ] as const) {
      await assert.rejects(connected(login, options), /refused|closed|authorized/i, JSON.stringify(options));
    }
  });

  it('let a machine publish its telemetry', async () => {
    const { hears } = await listening();
    const client = await connected(machine);
    await client.publishAsync('company/1/machine/A/telemetry', '{}', { qos: 1 });
    await hears('company/1/machine/A/telemetry');
  });

  it('let a machine publish for nobody else, also where only the company differs or a dot stands for a slash', async () => {
    const { heard, hears } = await listening();
    for (const topic of [
      'company/2/machine/A/telemetry',
      'company/1/machine/B/telemetry',
      'company/1/machine/A/command',
      'company.2.machine.A.telemetry',
      'devices/A/ack',
    ]) {
      const client = await connected(machine);
      client.publish(topic, '{}', { qos: 0 });
      await closed(client);
    }
    const client = await connected(machine);
    await client.publishAsync('company/1/machine/A/status', '{}', { qos: 1 });
    await hears('company/1/machine/A/status');
    assert.deepEqual(heard, ['company/1/machine/A/status']);
  });

  it('let a machine hear its own subtree and nothing wider', async () => {
    const client = await connected(machine);
    const heard: string[] = [];
    client.on('message', (topic) => heard.push(topic));
    await client.subscribeAsync('company/1/machine/A/#', { qos: 1 });
    const backend = await connected(service, { clientId: 'backend' });
    await backend.publishAsync('company/1/machine/A/command', '{}', { qos: 1 });
    await eventually(async () => (heard.length > 0 ? true : undefined), 'the command');
    assert.deepEqual(heard, ['company/1/machine/A/command']);
    for (const filter of [
      '#',
      'company/1/machine/#',
      'company/+/machine/A/#',
      'company/2/machine/A/command',
    ]) {
      const other = await connected(machine);
      const granted = await new Promise((resolve) => {
        other.once('close', () => resolve(128));
        other.subscribe(filter, { qos: 1 }, (_error, _grants, suback) =>
          resolve(suback?.granted?.[0] ?? 128),
        );
      });
      assert.equal(granted, 128, filter);
    }
  });

  it('check a will as a publish: one for another company reaches nobody', async () => {
    const { heard, hears } = await listening();
    for (const company of ['2', '1']) {
      const will = {
        topic: `company/${company}/machine/A/status`,
        payload: Buffer.from('{}'),
        qos: 1 as const,
      };
      const client = await connected(machine, { will });
      client.stream.destroy();
    }
    await hears('company/1/machine/A/status');
    assert.deepEqual(heard, ['company/1/machine/A/status']);
  });

  it('end with a revocation', async () => {
    const other = await add('--role', 'device', '--device', 'D');
    const client = await connected(other);
    await gateway.command('access', 'revoke', other.username);
    await rabbit.disconnectAll();
    await closed(client);
    await assert.rejects(connected(other), /refused|closed|authorized/i);
  });

  it('carry a whole system: a gateway that uses this broker hears its controllers', async () => {
    const [store, controller] = [randomUUID(), randomUUID()];
    const login = await add('--role', 'controller', '--store', store, '--controller', controller);
    const second = await Gateway.create({
      MQTT_URL: rabbit.url,
      MQTT_USERNAME: service.username,
      MQTT_PASSWORD: service.password,
    });
    try {
      await second.start();
      const client = await connected(login);
      const message = { ...JSON.parse(SEED_MESSAGE), store_id: store, controller_id: controller };
      // Again until it is heard: the gateway may be connected and not have subscribed yet.
      await eventually(async () => {
        await client.publishAsync(
          `/stores/${store}/controllers/${controller}/metrics`,
          JSON.stringify(message),
          { qos: 1 },
        );
        return (await fetch(`${second.url}/stores/${store}/machines`)).ok || undefined;
      }, 'the machines of the store');
    } finally {
      await second.remove();
    }
  });
});
