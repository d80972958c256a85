import assert from 'node:assert/strict';
import { randomBytes, randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { connectAsync, type MqttClient } from 'mqtt';
import { systemClock } from '../../lib/core/clock.js';
import { silentLog } from '../../lib/core/log.js';
import { agentFiles } from '../../lib/firmware/agent-files.js';
import { createAgent } from '../../lib/firmware/agent-runner.js';
import { connect } from '../../lib/mqtt/connection.js';
import { agentStore } from '../../lib/store/firmware-agent.js';
import { eventually, Gateway } from '../support/gateway.js';
import { cleanUp, later, opened, temporaryFolder } from '../support/store.js';

interface Login {
  username: string;
  password: string;
}

describe('a controller with the rights of a controller', function () {
  this.timeout(120_000);
  const storeId = randomUUID();
  const controllerId = randomUUID();
  const image = randomBytes(3_000_000);
  let gateway: Gateway;
  let token: string;
  let login: Login;
  let backend: MqttClient;
  const heard: { topic: string; event: string; deployment: string; errors?: string[] }[] = [];
  const topic = (channel: string) => `/stores/${storeId}/controllers/${controllerId}/${channel}`;

  before(async () => {
    gateway = await Gateway.create();
    await gateway.start();
    login = (await gateway.command(
      ...['access', 'add', '--role', 'controller', '--store', storeId, '--controller', controllerId],
    )) as Login;
    const service = (await gateway.command('access', 'add', '--role', 'service')) as Login;
    // A session that the broker keeps, as a backend has that must miss nothing.
    backend = await connectAsync(gateway.mqttUrl, { ...service, clientId: service.username, clean: false });
    await backend.subscribeAsync([topic('ack'), topic('action')], { qos: 1 });
    backend.on('message', (from, payload) => {
      const { event_type: event, payload: body } = JSON.parse(String(payload));
      if (event.startsWith('update_firmware_') || event.endsWith('_ack')) {
        const { deployment_id: deployment, errors } = body;
        heard.push({ topic: from, event, deployment, ...(errors && { errors }) });
      }
    });
    await gateway.command('user', 'add', 'ann', '--admin', '--password-stdin', { input: 'a long password' });
    ({ token } = (await gateway.command('user', 'token', 'ann')) as { token: string });
  });
  after(async () => {
    await backend.endAsync(true);
    await gateway.remove();
  });
  afterEach(cleanUp);

  async function upload(version: string, body = image) {
    const answer = await fetch(`${gateway.url}/firmware/images?version=${version}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}` },
      body,
    });
    assert.equal(answer.status, 201);
    return (await answer.json()) as Record<string, unknown>;
  }
  const command = (event_type: string, payload: object) =>
    backend.publishAsync(
      topic('action'),
      JSON.stringify({
        version: '1.0.0',
        event_type,
        timestamp: new Date().toISOString(),
        correlation_id: randomUUID(),
        controller_id: controllerId,
        store_id: storeId,
        payload,
      }),
      { qos: 1 },
    );
  const event = (deployment: string, name: string) =>
    eventually(
      async () => heard.find((one) => one.deployment === deployment && one.event === name),
      `${name} of ${deployment}`,
    );

  /** The other end: an agent with its own store and connection, whose flow installs at once. */
  async function startAgent(installed: Buffer[], onBytes: (bytes: number) => void = () => {}) {
    const link = connect({
      url: gateway.mqttUrl,
      clientId: controllerId,
      persistentSession: true,
      username: login.username,
      password: login.password,
    });
    later(() => link.close());
    const agent = createAgent({
      storeId,
      controllerId,
      link,
      store: agentStore(await opened(), `${storeId}/${controllerId}`),
      files: agentFiles({
        folder: await temporaryFolder(),
        allowedHosts: ['127.0.0.1'],
        publicKey: undefined,
        clock: systemClock,
      }),
      clock: systemClock,
      log: silentLog,
      listener: {
        async install({ path, record }) {
          installed.push(await readFile(path));
          await agent.answer(record.deploymentId, { result: 'installed' });
        },
        cancelAsked() {},
        progress: (_record, { bytes }) => onBytes(bytes),
      },
    });
    later(() => agent.close());
    await agent.start();
    await link.subscribe(agent.topic, { qos: 1 }, agent.handle);
    return agent;
  }

  it('fetches an image by its signed link, installs it, and answers on its topics', async () => {
    const stored = await upload('1.0.1');
    const installed: Buffer[] = [];
    await startAgent(installed);
    const deployment = randomUUID();
    const { file_url, file_size, checksum, sha256 } = stored;
    const payload = {
      deployment_id: deployment,
      firmware_version: '1.0.1',
      file_url,
      file_size,
      checksum,
      sha256,
    };
    await command('update_firmware', payload);
    assert.equal((await event(deployment, 'update_firmware_ack')).topic, topic('ack'));
    assert.equal((await event(deployment, 'update_firmware_completed')).topic, topic('action'));
    assert.equal(installed.length, 1);
    assert.ok(installed[0]?.equals(image));

    // Hearing its own words, and the same command again, starts nothing.
    heard.length = 0;
    await command('update_firmware', payload);
    await event(deployment, 'update_firmware_completed');
    assert.equal(installed.length, 1);

    const expired = randomUUID();
    const late = String(file_url).replace(/expires=\d+/, 'expires=1700000000');
    await command('update_firmware', {
      ...payload,
      deployment_id: expired,
      firmware_version: '1.0.2',
      file_url: late,
    });
    const { errors } = await event(expired, 'update_firmware_failed');
    assert.deepEqual(errors, ['the server answers 403']);

    const cancelled = randomUUID();
    await command('cancel_update_firmware', { deployment_id: cancelled });
    assert.equal((await event(cancelled, 'cancel_update_firmware_ack')).topic, topic('ack'));
  });

  it('goes on with its download when the gateway has been killed and is back', async () => {
    const large = randomBytes(64 * 1024 * 1024);
    const stored = await upload('2.0.0', large);
    const installed: Buffer[] = [];
    const begun: number[] = [];
    let killed: Promise<unknown> | undefined;
    await startAgent(installed, (bytes) => {
      if (begun.at(-1) === undefined || bytes < (begun.at(-1) as number)) begun.push(bytes);
      if (bytes > 1_000_000) killed ??= gateway.end('SIGKILL');
    });
    const deployment = randomUUID();
    const { file_url, file_size, checksum } = stored;
    await command('update_firmware', {
      ...{ deployment_id: deployment, firmware_version: '2.0.0', file_url, file_size, checksum },
    });
    await eventually(async () => (killed === undefined ? undefined : true), 'the download');
    await killed;
    // Asked in vain, then too early by a controller, then served: none of this is the end of the download.
    await gateway.start();
    await event(deployment, 'update_firmware_completed');
    assert.ok(installed[0]?.equals(large));
    assert.deepEqual(begun, [0], 'begun anew');
  });
});
