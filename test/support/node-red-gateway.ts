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

export interface GatewayOptions {
  /** Default: an embedded database of its own. */
  databaseUrl?: string;
  /** Default: the embedded broker. */
  brokerUrl?: string;
  mode?: 'open' | 'token';
  /** The nodes under test, on the tab `tab`; there are `store`, `access` and `connection`. */
  flow: object[];
}

interface Settings {
  directory: string;
  port: number;
  flow: object[];
}

/** A Node-RED of its own with store, logins and a broker, that a test may kill and start again. */
export class NodeRedGateway {
  #child: ChildProcess | undefined;

  private constructor(
    readonly directory: string,
    readonly databaseUrl: string,
    readonly mqttUrl: string,
    private readonly settings: Settings,
  ) {}

  static async create({ databaseUrl, brokerUrl, mode = 'token', flow }: GatewayOptions) {
    const directory = await mkdtemp(join(tmpdir(), 'fieldloom-gateway-'));
    const url = databaseUrl ?? `sqlite:${join(directory, 'fieldloom.db')}`;
    const mqttPort = await freePort();
    const node = (id: string, type: string, settings: object) => ({
      id,
      type: `fieldloom-${type}`,
      ...settings,
    });
    const connection =
      brokerUrl === undefined
        ? { kind: 'embedded' }
        : {
            kind: 'external',
            url: brokerUrl,
            clientId: 'gateway',
            protocolVersion: '4',
            clean: false,
            keepalive: '60',
          };
    const foundation = [
      { id: 'tab', type: 'tab', label: 'test' },
      node('store', 'store', { url }),
      node('access', 'access', { store: 'store', mode, directory }),
      node('connection', 'connection', connection),
    ];
    if (brokerUrl === undefined) {
      foundation.push(
        node('broker', 'broker', {
          ...{ z: 'tab', connection: 'connection', access: 'access', store: 'store' },
          ...{ port: String(mqttPort), host: '127.0.0.1', wires: [] },
        }),
      );
    }
    const settings = { directory, port: await freePort(), flow: [...foundation, ...flow] };
    return new NodeRedGateway(directory, url, brokerUrl ?? `mqtt://127.0.0.1:${mqttPort}`, settings);
  }

  get url(): string {
    return `http://127.0.0.1:${this.settings.port}`;
  }

  /** Works on the logins, whether or not the gateway runs. */
  async access<T>(work: (access: Access) => Promise<T>): Promise<T> {
    const store = await openStore(this.databaseUrl);
    const access = await Access.open(store);
    try {
      return await work(access);
    } finally {
      access.close();
      await store.close();
    }
  }

  async start(): Promise<void> {
    const child = fork(__filename, [JSON.stringify(this.settings)], {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    this.#child = child;
    const exit = once(child, 'exit').then(([code]) => {
      throw new Error(`the gateway ended with ${code} before it was ready`);
    });
    exit.catch(() => {});
    await Promise.race([once(child, 'message'), exit]);
    await listening(Number(new URL(this.mqttUrl).port));
  }

  async end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const exit = once(child, 'exit');
    child.kill(signal);
    await exit;
  }

  async remove(): Promise<void> {
    await this.end('SIGKILL');
    await rm(this.directory, { recursive: true, force: true });
  }

  /** @param as a token */
  async ask(
    method: string,
    path: string,
    { as, body, headers = {} }: { as?: string; body?: unknown; headers?: Record<string, string> } = {},
  ) {
    const answer = await fetch(this.url + path, {
      method,
      headers: {
        ...(as !== undefined && { authorization: `Bearer ${as}` }),
        ...(body !== undefined && { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    const text = await answer.text();
    return { status: answer.status, body: text === '' ? undefined : JSON.parse(text) };
  }

  /** All items of a list, page by page. */
  async list<T>(path: string, as?: string): Promise<T[]> {
    const items: T[] = [];
    let cursor: string | null = null;
    do {
      const more: string = cursor === null ? '' : `&cursor=${encodeURIComponent(cursor)}`;
      const { status, body } = await this.ask(
        'GET',
        `${path}${path.includes('?') ? '&' : '?'}limit=1000${more}`,
        as === undefined ? {} : { as },
      );
      if (status !== 200) throw new Error(`GET ${path}: ${status} ${JSON.stringify(body)}`);
      items.push(...body.items);
      cursor = body.next_cursor;
    } while (cursor !== null);
    return items;
  }

  async token(username: string, password: string): Promise<string> {
    const { body } = await this.ask('POST', '/api/token/', { body: { username, password } });
    return body.access;
  }
}

async function serve({ directory, port, flow }: Settings): Promise<void> {
  await writeFile(join(directory, 'flows.json'), JSON.stringify(flow));
  const app = express();
  const server = createServer(app);
  RED.init(server, {
    ...{ userDir: directory, flowFile: 'flows.json', nodesDir: [PACKAGE] },
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
