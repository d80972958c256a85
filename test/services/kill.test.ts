import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { connectAsync } from 'mqtt';
import { newDatabase } from '../support/database.js';
import { eventually, Gateway } from '../support/gateway.js';
import { numberedStates } from '../support/kill-laundry.js';
import { numberedTelemetry } from '../support/kill-telemetry.js';
import { nothingAcknowledgedIsLost } from '../support/kill-test.js';
import { type Mosquitto, startMosquitto } from '../support/mosquitto.js';
import { serviceUrl } from '../support/services.js';
import { type SolarGateway, solarGateway } from '../support/solar-gateway.js';
import { TcpProxy } from '../support/tcp-proxy.js';

describe('a gateway on another broker that is killed again and again', function () {
  this.timeout(240_000);
  let gateway: Gateway;
  let mosquitto: Mosquitto | undefined;

  before(async () => {
    // One of our own: the default queue of 1,000 messages for an absent client drops the rest.
    mosquitto = await startMosquitto();
    if (mosquitto === undefined) throw new Error('Mosquitto is not installed');
    gateway = await Gateway.create({ MQTT_URL: mosquitto.url });
    await gateway.start();
  });
  after(async () => {
    await gateway?.remove();
    await mosquitto?.stop();
  });

  it('keeps every acknowledged state exactly once', async () => {
    const ids = { storeId: randomUUID(), controllerId: randomUUID() };
    const states = numberedStates(gateway, ids, 20_000);
    await nothingAcknowledgedIsLost(gateway, {}, states, { total: 20_000, times: 5 });
  });

  it('takes what the broker was sent between its orderly end and its next start', async () => {
    const storeId = randomUUID();
    const controllerId = randomUUID();
    const client = await connectAsync((mosquitto as Mosquitto).url);
    const publish = (relay: number) => {
      const at = new Date(Date.now() + relay).toISOString();
      const machine = { machine_type: 'washer', relay_id: relay, status: 'busy', last_updated: at };
      const message = {
        ...{ version: '1.0.0', event_type: 'machine_state', timestamp: at, correlation_id: randomUUID() },
        ...{ controller_id: controllerId, store_id: storeId, payload: { machines: [machine] } },
      };
      const topic = `/stores/${storeId}/controllers/${controllerId}/metrics`;
      return client.publishAsync(topic, JSON.stringify(message), { qos: 1 });
    };
    const relays = async () => {
      const { controllers } = await gateway.get<{ controllers: { machines: object[] }[] }>(
        `/stores/${storeId}/machines`,
      );
      return controllers.flatMap(({ machines }) => machines).length;
    };
    await publish(0);
    await eventually(async () => (await relays()) === 1 || undefined, 'the first state');
    assert.equal(await gateway.end('SIGTERM'), 0);
    for (let relay = 1; relay <= 20; relay += 1) await publish(relay);
    await gateway.start();
    await eventually(async () => (await relays()) === 21 || undefined, 'all states');
    await client.endAsync();
  });
});

for (const [name, variable] of [
  ['MySQL or MariaDB', 'TEST_MYSQL_URL'],
  ['PostgreSQL', 'TEST_POSTGRES_URL'],
] as const) {
  describe(`a gateway on ${name}`, function () {
    this.timeout(240_000);
    let gateway: Gateway;
    let proxy: TcpProxy | undefined;
    let database: { url: string; drop(): Promise<void> } | undefined;

    before(async () => {
      database = await newDatabase(serviceUrl(variable));
      proxy = new TcpProxy(database.url);
      await proxy.open();
      gateway = await Gateway.create({ DATABASE_URL: proxy.url });
      await gateway.start();
    });
    after(async () => {
      await gateway?.remove();
      await proxy?.close();
      await database?.drop();
    });

    const newController = async () => {
      const ids = { storeId: randomUUID(), controllerId: randomUUID() };
      const login = await gateway.command(
        ...['access', 'add', '--role', 'controller'],
        ...['--store', ids.storeId, '--controller', ids.controllerId],
      );
      return { ids, login: login as object };
    };

    it('that is killed again and again keeps every acknowledged state exactly once', async () => {
      const { ids, login } = await newController();
      const states = numberedStates(gateway, ids, 5_000);
      await nothingAcknowledgedIsLost(gateway, login, states, { total: 5_000, times: 3 });
    });

    it('whose database goes away again and again waits for it, and keeps every acknowledged state exactly once', async () => {
      const { ids, login } = await newController();
      const health = async (status: number, what: string) =>
        eventually(
          async () => (await fetch(`${gateway.url}/health`)).status === status || undefined,
          what,
          10_000,
        );
      const states = numberedStates(gateway, ids, 5_000);
      await nothingAcknowledgedIsLost(gateway, login, states, {
        total: 5_000,
        times: 3,
        async disturb() {
          await proxy?.close();
          await health(503, 'the word that the database is away');
          await proxy?.open();
          await health(200, 'the way back by itself');
        },
      });
    });
  });
}

/** Fulfils when the gateway takes messages from a broker that knows nobody else: what comes before is for nobody. */
async function subscribed(gateway: SolarGateway): Promise<void> {
  const client = await connectAsync(gateway.mqttUrl);
  const as = await gateway.tokenOf('root');
  await eventually(async () => {
    await client.publishAsync('company/1/machine/probe/telemetry', '{"battery":12}', { qos: 1 });
    const { status } = await gateway.ask('GET', '/companies/1/machines/probe/status', { as });
    return status === 200 || undefined;
  }, 'the first message');
  await client.endAsync();
}

describe('a gateway of solar machines on other services', function () {
  this.timeout(240_000);
  let gateway: SolarGateway;
  let mosquitto: Mosquitto | undefined;
  let database: { url: string; drop(): Promise<void> } | undefined;

  afterEach(async () => {
    await gateway?.remove();
    await mosquitto?.stop();
    await database?.drop();
    mosquitto = undefined;
    database = undefined;
  });

  it('keeps every acknowledged telemetry message exactly once on Mosquitto, killed again and again', async () => {
    mosquitto = await startMosquitto();
    if (mosquitto === undefined) throw new Error('Mosquitto is not installed');
    gateway = await solarGateway({ brokerUrl: mosquitto.url });
    await gateway.start();
    await subscribed(gateway);
    const telemetry = numberedTelemetry(gateway, '1', 'K');
    await nothingAcknowledgedIsLost(gateway, {}, telemetry, { total: 20_000, times: 5 });
  });

  for (const [name, variable] of [
    ['MySQL or MariaDB', 'TEST_MYSQL_URL'],
    ['PostgreSQL', 'TEST_POSTGRES_URL'],
  ] as const) {
    it(`keeps it on ${name}`, async () => {
      database = await newDatabase(serviceUrl(variable));
      gateway = await solarGateway({ databaseUrl: database.url });
      await gateway.start();
      const login = await gateway.login('1', 'K');
      const telemetry = numberedTelemetry(gateway, '1', 'K');
      await nothingAcknowledgedIsLost(gateway, login, telemetry, { total: 5_000, times: 3 });
    });
  }
});
