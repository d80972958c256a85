// Freezes the database of this version: `npm run schema:freeze`, at a release. The system itself writes it, with a
// row or more of each protocol; a test opens the file with the code of later versions. Of database servers, told by
// TEST_MYSQL_URL and TEST_POSTGRES_URL, every column and index is frozen.
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { gzipSync } from 'node:zlib';
import { connectAsync, type MqttClient } from 'mqtt';
import { WebSocket } from 'ws';
import { openStore } from '../../lib/store/open.js';
import { version } from '../../package.json';
import { newDatabase } from './database.js';
import { eventually, Gateway } from './gateway.js';
import {
  COMPANY,
  CONTROLLER_ID,
  DEVICE,
  FOLDER,
  type Frozen,
  MACHINE,
  OWNER,
  outline,
  readAll,
  STORE_ID,
} from './released-schema.js';
import { METRICS_TOPIC, SEED_MESSAGE } from './seed.js';
import { makeReleased, serverOutline } from './server-schema.js';
import { serviceUrl } from './services.js';

type Login = { username: string; password: string };

async function send(gateway: Gateway, method: string, path: string, token?: string, body?: unknown) {
  const binary = body instanceof Uint8Array;
  const answer = await fetch(gateway.url + path, {
    method,
    headers: {
      ...(token !== undefined && { Authorization: `Bearer ${token}` }),
      'Content-Type': binary ? 'application/octet-stream' : 'application/json',
      Prefer: 'wait=15',
      'Idempotency-Key': 'frozen',
    },
    ...(body !== undefined && { body: binary ? (body as BodyInit) : JSON.stringify(body) }),
  });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${text}`);
  return (text === '' ? {} : JSON.parse(text)) as Record<string, string>;
}

async function connected(gateway: Gateway, ...who: string[]): Promise<MqttClient> {
  const { username, password } = (await gateway.command('access', 'add', '--role', ...who)) as Login;
  return connectAsync(gateway.mqttUrl, { username, password, clientId: username, clean: false });
}

async function laundryAndSolar(gateway: Gateway) {
  const now = new Date().toISOString();
  const states = SEED_MESSAGE.replaceAll(/2024-[\d:T+-]+/g, now);
  const controller = await connected(
    gateway,
    ...['controller', '--store', STORE_ID, '--controller', CONTROLLER_ID],
  );
  await controller.publishAsync(METRICS_TOPIC, states, { qos: 1 });
  await controller.publishAsync(METRICS_TOPIC, 'no JSON', { qos: 1 });
  await controller.endAsync();

  const machine = await connected(gateway, 'machine', '--company', COMPANY, '--machine', MACHINE);
  const topic = `company/${COMPANY}/machine/${MACHINE}`;
  await machine.publishAsync(`${topic}/status`, JSON.stringify({ status: 'online' }), {
    qos: 1,
    retain: true,
  });
  const telemetry = { battery: 81.5, solar_v: 38.2, solar_a: 4.1, water: 62, extra: { motor: { temp: 41 } } };
  await machine.publishAsync(`${topic}/telemetry`, JSON.stringify(telemetry), { qos: 1 });
  await machine.endAsync();
}

async function pond(gateway: Gateway, token: string) {
  const where = ['--owner', OWNER.name, '--device', DEVICE, '--position', '1', '--name', 'North pond'];
  const { pond_id } = (await gateway.command('pond', 'add', ...where)) as { pond_id: number };
  const device = await connected(gateway, 'device', '--device', DEVICE);
  const say = (topic: string, body: object) =>
    device.publishAsync(`devices/${DEVICE}/${topic}`, JSON.stringify(body), { qos: 1 });
  device.on('message', (_topic, payload) => {
    const { command_id } = JSON.parse(payload.toString()) as { command_id: string };
    void say('ack', { command_id, success: true, message: '100 g fed' });
  });
  await device.subscribeAsync(`devices/${DEVICE}/commands`, { qos: 2 });
  await say('data/startup', { firmware_version: '1.4.2' });
  await say('data/heartbeat', {});
  await say('data/sensors', { pond_position: 1, dissolved_oxygen: 6.8, temperature: 26.4 });
  await say('threshold', { pond_position: 1, parameter: 'dissolved_oxygen', value: 3.9, limit: 5 });
  await send(gateway, 'POST', `/automation/ponds/${pond_id}/control/feed/`, token, { amount: 100 });
  await device.endAsync();
}

async function firmware(gateway: Gateway, token: string) {
  const image = await send(gateway, 'POST', '/firmware/images?version=1.0.1', token, Buffer.alloc(2048, 7));
  await send(gateway, 'POST', '/firmware/rollouts', token, {
    image_id: image['id'],
    targets: [{ store_id: STORE_ID, controller_id: CONTROLLER_ID }],
    stages: [{ percent: 100, success_threshold: 1, error_threshold: 1 }],
    start: true,
  });
}

async function roast(gateway: Gateway) {
  const machine = { id: 'm1', name: 'Drum', driver: 'simulator', sampling_interval_ms: 200 };
  await send(gateway, 'POST', '/api/machines', undefined, machine);
  await send(gateway, 'POST', '/api/machines/m1/connect');
  const live = new WebSocket(`${gateway.url.replace('http', 'ws')}/ws/live/m1`);
  const readings: unknown[] = [];
  live.on('message', (data) => {
    const message = JSON.parse(data.toString()) as { type: string };
    if (message.type === 'temperature') readings.push(message);
  });
  const more = (count: number) =>
    eventually(async () => (readings.length >= count ? true : undefined), `${count} readings`);
  const command = (message: object) => live.send(JSON.stringify({ type: 'command', ...message }));
  await new Promise((resolve) => live.once('open', resolve));
  command({ action: 'start_monitoring' });
  await more(2);
  command({ action: 'start_recording' });
  command({ action: 'mark_event', event_type: 'CHARGE' });
  live.send(JSON.stringify({ type: 'control', channel: 'burner', value: 0.7 }));
  await more(8);
  command({ action: 'stop_recording' });
  await eventually(
    () => send(gateway, 'POST', '/api/profiles', undefined, { machine_id: 'm1', name: 'Guji' }),
    'a saved profile',
  );
  live.close();
}

async function freezeServers(target: string, migrations: readonly string[]) {
  for (const dialect of ['mysql', 'postgres']) {
    const { url, drop } = await newDatabase(serviceUrl(`TEST_${dialect.toUpperCase()}_URL`));
    try {
      await makeReleased(url, migrations);
      await writeFile(`${target}.${dialect}.json`, `${JSON.stringify(await serverOutline(url), null, 1)}\n`);
      console.log(`${target}.${dialect}.json`);
    } finally {
      await drop();
    }
  }
}

async function freeze() {
  const gateway = await Gateway.create();
  try {
    await gateway.start();
    const { name, password } = OWNER;
    await gateway.command('user', 'add', name, '--password-stdin', '--admin', { input: password });
    const { token } = (await gateway.command('user', 'token', name)) as { token: string };
    await laundryAndSolar(gateway);
    await pond(gateway, token);
    await firmware(gateway, token);
    await roast(gateway);
    if ((await gateway.end('SIGTERM')) !== 0) throw new Error(gateway.output);

    const file = join(gateway.directory, 'fieldloom.db');
    const store = await openStore(`sqlite:${file}`);
    const rows = await readAll(store).finally(() => store.close());
    const database = new DatabaseSync(file);
    // One file, without what was deleted.
    database.exec('pragma journal_mode = delete; vacuum');
    database.close();
    const frozen: Frozen = { ...outline(file), rows };
    const target = resolve(FOLDER, version);
    await mkdir(resolve(FOLDER), { recursive: true });
    await writeFile(`${target}.db.gz`, gzipSync(await readFile(file), { level: 9 }));
    await writeFile(`${target}.json`, `${JSON.stringify(frozen, null, 1)}\n`);
    console.log(`${target}.db.gz, ${frozen.migrations.at(-1)}`);
    await freezeServers(target, frozen.migrations);
  } finally {
    await gateway.remove();
  }
}

// An image's file and the secrets stay behind: only the database is kept.
void freeze().catch(async (error: unknown) => {
  console.error(error);
  await rm(resolve(FOLDER, `${version}.db.gz`), { force: true });
  process.exitCode = 1;
});
