import assert from 'node:assert/strict';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connectAsync, type IClientOptions, type MqttClient } from 'mqtt';
import { CONTROLLER, STORE } from '../support/access.js';
import { type Mosquitto, startMosquitto } from '../support/mosquitto.js';
import { runScript } from '../support/run-script.js';

const COMMAND = join(__dirname, '../../bin/fieldloom.js');

interface Login {
  username: string;
  password: string;
}

const OWN = {
  machine: {
    words: ['--company', '1', '--machine', 'Ä 1.5*'],
    publish: ['company/1/machine/Ä 1.5*/telemetry', 'company/1/machine/Ä 1.5*/status'],
    hear: ['company/1/machine/Ä 1.5*/command'],
    foreign: ['company/2/machine/Ä 1.5*/telemetry', 'company/1/machine/B/telemetry'],
  },
  controller: {
    words: ['--store', STORE, '--controller', CONTROLLER],
    publish: ['metrics', 'ack', 'action'].map((last) => `/stores/${STORE}/controllers/${CONTROLLER}/${last}`),
    hear: [`/stores/${STORE}/controllers/${CONTROLLER}/action`],
    foreign: [`/stores/${STORE}/controllers/${STORE}/action`],
  },
  device: {
    words: ['--device', 'AA:BB:CC'],
    publish: ['ack', 'data/sensors', 'data/heartbeat', 'data/startup', 'threshold'].map(
      (last) => `devices/AA:BB:CC/${last}`,
    ),
    hear: ['devices/AA:BB:CC/commands'],
    foreign: ['devices/AA/ack', 'devices/AA/commands'],
  },
} as const;
type Role = keyof typeof OWN;

describe('the logins of the gateway on a Mosquitto', () => {
  let directory: string;
  let mosquitto: Mosquitto;
  const logins = {} as Record<Role | 'service', Login>;
  const open: MqttClient[] = [];

  const command = async (...words: string[]) => {
    const { code, out, problem } = await runScript(COMMAND, ['--json', ...words], {
      FIELDLOOM_DIR: directory,
    });
    assert.deepEqual([code, problem], [0, '']);
    return JSON.parse(out);
  };
  const connected = async (options: IClientOptions) => {
    const client = await connectAsync(mosquitto.url, { ...options, reconnectPeriod: 0 });
    open.push(client);
    return client;
  };
  /** All that a client hears of a filter. */
  const hearing = async (login: Login, ...filters: string[]) => {
    const client = await connected(login);
    const heard: string[] = [];
    client.on('message', (topic) => heard.push(topic));
    await client.subscribeAsync(filters, { qos: 1 });
    return { client, heard };
  };

  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'fieldloom-export-'));
    for (const role of Object.keys(OWN) as Role[]) {
      logins[role] = await command('access', 'add', '--role', role, ...OWN[role].words);
    }
    const { username } = await command('access', 'add', '--role', 'service');
    logins.service = await command('access', 'rotate', username);
    const files = await command('access', 'export', '--format', 'mosquitto', '--directory', directory);
    assert.equal(files.logins, 4);
    assert.equal((await stat(files.passwords)).mode & 0o777, 0o600);
    const started = await startMosquitto([
      'allow_anonymous false',
      `password_file ${files.passwords}`,
      `acl_file ${files.acl}`,
      'use_username_as_clientid true',
      // Without a limit this version ends the connection of a client that it refuses a publish.
      'max_queued_messages 1000',
    ]);
    assert.ok(started, 'the service tests need Mosquitto');
    mosquitto = started;
  });
  afterEach(async () => {
    for (const client of open.splice(0)) await client.endAsync(true);
  });
  after(async () => {
    await mosquitto?.stop();
    await rm(directory, { recursive: true, force: true });
  });

  it('begin with a login: none, a wrong password, an unknown name get no connection', async () => {
    for (const options of [
      {},
      { ...logins.machine, password: 'wrong' },
      { ...logins.machine, password: logins.device.password },
      { username: 'nobody', password: logins.machine.password },
    ]) {
      await assert.rejects(connected(options), /Connection refused|Not authorized/);
    }
  });

  for (const role of Object.keys(OWN) as Role[]) {
    it(`let a ${role} publish to exactly its own topics, and a service hear them`, async () => {
      const { publish, hear, foreign } = OWN[role];
      const { heard } = await hearing(
        logins.service,
        ...['company/+/machine/+/telemetry', 'company/+/machine/+/status', 'company/+/machine/+/command'],
        ...['metrics', 'ack', 'action'].map((last) => `/stores/+/controllers/+/${last}`),
        ...['ack', 'data/+', 'threshold', 'commands'].map((last) => `devices/+/${last}`),
      );
      const client = await connected(logins[role]);
      const onlyHeard = hear.filter((topic) => !(publish as readonly string[]).includes(topic));
      for (const topic of [...foreign, ...onlyHeard, ...publish]) {
        await client.publishAsync(topic, '1', { qos: 1 });
      }
      // Mosquitto delivers in order: what came before the last one has been delivered or dropped.
      const last = publish.at(-1) as string;
      await new Promise<void>((resolve) => {
        const check = () => heard.includes(last) && resolve();
        open[0]?.on('message', check);
        check();
      });
      assert.deepEqual(heard, [...publish]);
    });

    it(`let a ${role} hear exactly its own topics, whatever it subscribes to`, async () => {
      const { hear, foreign } = OWN[role];
      const { client, heard } = await hearing(logins[role], '#');
      const service = await connected(logins.service);
      for (const topic of [...foreign, ...hear]) await service.publishAsync(topic, '1', { qos: 1 });
      await new Promise<void>((resolve) => {
        const check = () => heard.includes(hear.at(-1) as string) && resolve();
        client.on('message', check);
        check();
      });
      assert.deepEqual(heard, [...hear]);
    });
  }

  it('have one session each, which nobody else ends by its client id', async () => {
    const first = await connected(logins.machine);
    await connected({ ...logins.device, clientId: logins.machine.username });
    await first.publishAsync(OWN.machine.publish[0], '1', { qos: 1 });
    const ended = new Promise<void>((resolve) => first.once('close', () => resolve()));
    await connected({ ...logins.machine, clientId: 'another' });
    await ended;
  });

  it('check a will as a publish', async () => {
    const { client, heard } = await hearing(logins.service, 'company/+/machine/+/status');
    const end = new Promise<void>((resolve) => client.once('message', () => resolve()));
    for (const company of ['2', '1']) {
      const will = {
        topic: `company/${company}/machine/Ä 1.5*/status`,
        payload: Buffer.from('x'),
        qos: 1 as const,
      };
      const machine = await connected({ ...logins.machine, will });
      machine.stream.destroy();
      await new Promise<void>((resolve) => machine.once('close', () => resolve()));
    }
    await end;
    assert.deepEqual(heard, ['company/1/machine/Ä 1.5*/status']);
  });
});
