import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { connectAsync, type IClientOptions } from 'mqtt';
import connectionNode from '../../nodes/connection/connection.js';
import reporterNode from '../../nodes/machine-reporter/machine-reporter.js';
import storeNode from '../../nodes/store/store.js';
import { selfSignedCertificate } from '../support/certificate.js';
import { loadFlow, startRuntime, stopRuntime } from '../support/flow.js';
import { eventually, Gateway } from '../support/gateway.js';
import { freePort } from '../support/ports.js';
import { CONTROLLER_ID, METRICS_TOPIC, SEED_MESSAGE, STORE_ID } from '../support/seed.js';
import { cleanUp, temporaryFolder, temporaryUrl } from '../support/store.js';

// Node-RED's own node for certificates.
const tlsNode = require('@node-red/nodes/core/network/05-tls.js') as unknown;

interface Controllers {
  controllers: { machines: { relay_id: number; status: string }[] }[];
}

describe('the start command with a certificate', function () {
  this.timeout(120_000);
  const { cert, key } = selfSignedCertificate();
  let gateway: Gateway;
  let login: IClientOptions;
  let mqtts: string;
  let wss: string;

  before(async () => {
    const ports = { MQTTS_PORT: String(await freePort()), MQTT_WS_PORT: String(await freePort()) };
    gateway = await Gateway.create(ports);
    mqtts = `mqtts://localhost:${ports.MQTTS_PORT}`;
    wss = `wss://localhost:${ports.MQTT_WS_PORT}`;
    Object.assign(gateway.env, {
      TLS_CERT: join(gateway.directory, 'cert.pem'),
      TLS_KEY: join(gateway.directory, 'key.pem'),
    });
    await writeFile(gateway.env['TLS_CERT'] as string, cert);
    await writeFile(gateway.env['TLS_KEY'] as string, key, { mode: 0o600 });
    await gateway.start();
    login = (await gateway.command(
      ...['access', 'add', '--role', 'controller', '--store', STORE_ID, '--controller', CONTROLLER_ID],
    )) as IClientOptions;
  });
  after(() => gateway.remove());

  const machines = async () =>
    (await gateway.get<Controllers>(`/stores/${STORE_ID}/machines`)).controllers.flatMap((each) =>
      each.machines.map(({ relay_id, status }) => [relay_id, status]),
    );

  it('takes a controller over TLS', async () => {
    const client = await connectAsync(mqtts, { ...login, ca: cert });
    await client.publishAsync(METRICS_TOPIC, SEED_MESSAGE, { qos: 1 });
    await client.endAsync();
    assert.deepEqual(await machines(), [
      [1, 'busy'],
      [2, 'idle'],
    ]);
  });

  it('takes a controller over WebSocket with TLS', async () => {
    const client = await connectAsync(wss, { ...login, ca: cert });
    const later = SEED_MESSAGE.replace('15:45:15', '15:59:00').replace('"idle"', '"busy"');
    await client.publishAsync(METRICS_TOPIC, later, { qos: 1 });
    await client.endAsync();
    assert.deepEqual(await machines(), [
      [1, 'busy'],
      [2, 'busy'],
    ]);
  });

  it('is not believed by a client that does not know its certificate', async () => {
    const attempt = connectAsync(mqtts, { ...login, reconnectPeriod: 0 });
    await assert.rejects(attempt, { code: 'DEPTH_ZERO_SELF_SIGNED_CERT' });
  });

  it("is reached by a reporter of another Node-RED, with Node-RED's own node for certificates", async () => {
    await startRuntime(await temporaryFolder());
    try {
      const authority = join(await temporaryFolder(), 'authority.pem');
      await writeFile(authority, cert);
      const url = await temporaryUrl();
      const flow = await loadFlow(
        [tlsNode, storeNode, connectionNode, reporterNode],
        [
          { id: 'tls', type: 'tls-config', ca: authority, verifyservercert: true } as never,
          { id: 'store', type: 'fieldloom-store', url } as never,
          {
            id: 'connection',
            type: 'fieldloom-connection',
            kind: 'external',
            url: mqtts,
            tls: 'tls',
            protocolVersion: '4',
          } as never,
          {
            id: 'reporter',
            type: 'fieldloom-machine-reporter',
            connection: 'connection',
            store: 'store',
            storeId: STORE_ID,
            controllerId: CONTROLLER_ID,
            wires: [[]],
          } as never,
        ],
        { connection: login },
      );
      await flow.send('reporter', { payload: { relay_id: 7, status: 'busy' } });
      await eventually(
        async () => (await machines()).some(([relay]) => relay === 7) || undefined,
        'the state',
      );
    } finally {
      await stopRuntime();
      await cleanUp();
    }
  });
});
