import { numberedTelemetry } from '../support/kill-telemetry.js';
import { nothingAcknowledgedIsLost } from '../support/kill-test.js';
import { type SolarGateway, solarGateway } from '../support/solar-gateway.js';

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
