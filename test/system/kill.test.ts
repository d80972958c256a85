import { randomUUID } from 'node:crypto';
import { Gateway } from '../support/gateway.js';
import { numberedStates } from '../support/kill-laundry.js';
import { numberedTelemetry } from '../support/kill-telemetry.js';
import { nothingAcknowledgedIsLost } from '../support/kill-test.js';
import { type SolarGateway, solarGateway } from '../support/solar-gateway.js';

describe('a gateway that is killed again and again', function () {
  this.timeout(240_000);
  let gateway: Gateway;

  before(async () => {
    gateway = await Gateway.create();
    await gateway.start();
  });
  after(() => gateway.remove());

  it('keeps every acknowledged state exactly once', async () => {
    const ids = { storeId: randomUUID(), controllerId: randomUUID() };
    const login = await gateway.command(
      ...['access', 'add', '--role', 'controller'],
      ...['--store', ids.storeId, '--controller', ids.controllerId],
    );
    const states = numberedStates(gateway, ids, 20_000);
    await nothingAcknowledgedIsLost(gateway, login as object, states, { total: 20_000, times: 5 });
  });
});

describe('a gateway of solar machines that is killed again and again', function () {
  this.timeout(240_000);
  let gateway: SolarGateway;

  before(async () => {
    gateway = await solarGateway();
    await gateway.start();
  });
  after(() => gateway?.remove());

  it('keeps every acknowledged telemetry message exactly once', async () => {
    const login = await gateway.login('1', 'K');
    const telemetry = numberedTelemetry(gateway, '1', 'K');
    await nothingAcknowledgedIsLost(gateway, login, telemetry, { total: 20_000, times: 5 });
  });
});
