import { randomUUID } from 'node:crypto';
import { newDatabase } from '../support/database.js';
import { Gateway } from '../support/gateway.js';
import { nothingAcknowledgedIsLost } from '../support/kill-test.js';
import { type Mosquitto, startMosquitto } from '../support/mosquitto.js';
import { serviceUrl } from '../support/services.js';

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
    await nothingAcknowledgedIsLost(gateway, {}, ids, { total: 20_000, kills: 5 });
  });
});

for (const [name, variable] of [
  ['MySQL or MariaDB', 'TEST_MYSQL_URL'],
  ['PostgreSQL', 'TEST_POSTGRES_URL'],
] as const) {
  describe(`a gateway on ${name} that is killed again and again`, function () {
    this.timeout(240_000);
    let gateway: Gateway | undefined;
    let database: { url: string; drop(): Promise<void> } | undefined;

    before(async () => {
      database = await newDatabase(serviceUrl(variable));
      gateway = await Gateway.create({ DATABASE_URL: database.url });
      await gateway.start();
    });
    after(async () => {
      await gateway?.remove();
      await database?.drop();
    });

    it('keeps every acknowledged state exactly once', async () => {
      const running = gateway as Gateway;
      const ids = { storeId: randomUUID(), controllerId: randomUUID() };
      const login = await running.command(
        ...['access', 'add', '--role', 'controller'],
        ...['--store', ids.storeId, '--controller', ids.controllerId],
      );
      await nothingAcknowledgedIsLost(running, login as object, ids, { total: 5_000, kills: 3 });
    });
  });
}
