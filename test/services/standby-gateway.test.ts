import assert from 'node:assert/strict';
import { connectAsync } from 'mqtt';
import { eventually, type Gateway } from '../support/gateway.js';
import { numberedTelemetry } from '../support/kill-telemetry.js';
import { nothingAcknowledgedIsLost } from '../support/kill-test.js';
import { serviceUrl } from '../support/services.js';
import { figureOf, type Pair, startStandingBy } from '../support/several-gateways.js';

describe('two gateways on one RabbitMQ, which cannot share out', function () {
  this.timeout(300_000);
  let pair: Pair;
  before(async () => {
    pair = await startStandingBy(serviceUrl('TEST_POSTGRES_URL'));
  });
  after(() => pair?.remove());

  it('take turns: one is connected, the other goes on with its session, and nothing is lost or twice', async () => {
    let [active, other] = [pair.a, pair.b];
    const subject = numberedTelemetry(
      { list: (path) => other.list(path), tokenOf: async () => '' },
      '1',
      'K',
    );
    const health = (gateway: Gateway, status: number, what: string) =>
      eventually(
        async () => (await fetch(`${gateway.url}/health`)).status === status || undefined,
        what,
        60_000,
      );
    // What comes before the first subscription is for nobody.
    await health(active, 200, 'a connected gateway');
    const client = await connectAsync(pair.mqttUrl, { clientId: 'probe' });
    await eventually(async () => {
      await client.publishAsync('company/9/machine/probe/telemetry', '{"battery":12}', { qos: 1 });
      return (await figureOf(active, 'fieldloom_solar_telemetry_total')) > 0 || undefined;
    }, 'the first message');
    await client.endAsync();
    assert.equal(await figureOf(other, 'fieldloom_solar_telemetry_total'), 0);
    const killable = { mqttUrl: pair.mqttUrl, start: async () => {}, end: async () => {} };
    await nothingAcknowledgedIsLost(killable, {}, subject, {
      ...{ total: 2_000, times: 2 },
      async disturb() {
        await active.end('SIGKILL');
        await health(other, 200, 'the other one, connected');
        await active.start(503);
        [active, other] = [other, active];
      },
    });
  });
});
