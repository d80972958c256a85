import { randomUUID } from 'node:crypto';
import { Gateway } from '../support/gateway.js';
import { nothingAcknowledgedIsLost } from '../support/kill-test.js';
import { type Mosquitto, startMosquitto } from '../support/mosquitto.js';

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
