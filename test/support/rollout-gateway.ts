import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import express from 'express';
import RED from 'node-red';
import { Access } from '../../lib/access/access.js';
import { openStore } from '../../lib/store/open.js';
import { freePort, listening } from './ports.js';

const PACKAGE = join(__dirname, '../../..');

interface Login {
  username: string;
  password: string;
}

/** A Node-RED of its own with broker, store and a rollout node, that a test may kill and start again. */
export class RolloutGateway {
  #child: ChildProcess | undefined;
  private constructor(
    readonly directory: string,
    readonly port: number,
    readonly mqttPort: number,
    /** One a connection: a login has one session. */
    readonly services: Login[],
    readonly ackTimeout: string,
    /** Another broker that takes anybody; undefined: its own. */
    readonly broker: string | undefined,
  ) {}

  /** With MQTT logins that may use every topic, and the users `ann` (admin) and `bob` (of `bobStore`). */
  static async create({
    bobStore = '',
    ackTimeout = '30',
    services = 1,
    broker = undefined as string | undefined,
  } = {}): Promise<RolloutGateway> {
    const directory = await mkdtemp(join(tmpdir(), 'fieldloom-rollout-'));
    const store = await openStore(`sqlite:${join(directory, 'fieldloom.db')}`);
    const access = await Access.open(store);
    const logins: Login[] = [];
    for (let count = 0; count < services; count += 1)
      logins.push(await access.addClient({ role: 'service' }));
    await access.addUser('ann', 'a long password', { admin: true });
    await access.addUser('bob', 'a long password', { stores: bobStore === '' ? [] : [bobStore] });
    access.close();
    await store.close();
    const firmware = join(__dirname, 'firmware.js');
    await writeFile(
      join(directory, 'test-firmware-files.js'),
      `module.exports = require(${JSON.stringify(firmware)}).testFilesNode;`,
    );
    await writeFile(
      join(directory, 'test-firmware-files.html'),
      "<script>RED.nodes.registerType('test-firmware-files', {category: 'config', defaults: {}});</script>",
    );
    return new RolloutGateway(directory, await freePort(), await freePort(), logins, ackTimeout, broker);
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  get mqttUrl(): string {
    return this.broker ?? `mqtt://127.0.0.1:${this.mqttPort}`;
  }

  get service(): Login {
    return this.services[0] as Login;
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  async start(): Promise<void> {
    const { directory, port, mqttPort, ackTimeout, broker } = this;
    const settings = JSON.stringify({ directory, port, mqttPort, ackTimeout, broker });
    const child = fork(__filename, [settings], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
    this.#child = child;
    const exit = once(child, 'exit').then(([code]) => {
      throw new Error(`the gateway ended with ${code} before it was ready`);
    });
    exit.catch(() => {});
    await Promise.race([once(child, 'message'), exit]);
    await listening(Number(new URL(this.mqttUrl).port));
  }

  async kill(): Promise<void> {
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const exit = once(child, 'exit');
    child.kill('SIGKILL');
    await exit;
  }

  async remove(): Promise<void> {
    await this.kill();
    await rm(this.directory, { recursive: true, force: true });
  }

  async ask(method: string, path: string, { as, body }: { as?: string; body?: unknown } = {}) {
    const answer = await fetch(this.url + path, {
      method,
      headers: {
        ...(as !== undefined && { authorization: `Bearer ${await this.token(as)}` }),
        ...(body !== undefined && { 'content-type': 'application/json' }),
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    const text = await answer.text();
    return { status: answer.status, body: text === '' ? undefined : JSON.parse(text) };
  }

  async token(username: string): Promise<string> {
    const answer = await fetch(`${this.url}/api/token/`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ username, password: 'a long password' }),
    });
    return ((await answer.json()) as { access: string }).access;
  }
}

interface Settings {
  directory: string;
  port: number;
  mqttPort: number;
  ackTimeout: string;
  broker?: string;
}

async function serve({ directory, port, mqttPort, ackTimeout, broker }: Settings): Promise<void> {
  const node = (id: string, type: string, settings: object = {}) => ({
    id,
    type: `fieldloom-${type}`,
    ...settings,
  });
  const flow = [
    { id: 'tab', type: 'tab', label: 'test' },
    node('store', 'store', { url: `sqlite:${join(directory, 'fieldloom.db')}` }),
    node('access', 'access', { store: 'store', mode: 'open', directory }),
    ...(broker === undefined
      ? [
          node('connection', 'connection', { kind: 'embedded' }),
          node('broker', 'broker', {
            ...{ z: 'tab', connection: 'connection', access: 'access', store: 'store' },
            ...{ port: String(mqttPort), host: '127.0.0.1', wires: [] },
          }),
        ]
      : [node('connection', 'connection', { kind: 'external', url: broker, protocolVersion: '4' })]),
    { id: 'files', type: 'test-firmware-files' },
    node('rollout', 'firmware-rollout', {
      ...{ z: 'tab', connection: 'connection', store: 'store', files: 'files', ackTimeout },
      wires: [[], [], [], [], []],
    }),
  ];
  await writeFile(join(directory, 'flows.json'), JSON.stringify(flow));
  const app = express();
  const server = createServer(app);
  RED.init(server, {
    ...{ userDir: directory, flowFile: 'flows.json', nodesDir: [PACKAGE, directory] },
    ...{ httpAdminRoot: false, httpNodeRoot: '/', credentialSecret: false, editorTheme: { tours: false } },
    logging: { console: { level: 'warn', metrics: false, audit: false } },
  } as never);
  app.use('/', RED.httpNode);
  const started = new Promise<void>((resolve) => RED.events.once('flows:started', () => resolve()));
  await RED.start();
  await started;
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  process.send?.('ready');
}

if (require.main === module) void serve(JSON.parse(process.argv[2] as string) as Settings);
