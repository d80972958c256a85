import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { get, type IncomingMessage } from 'node:http';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connectAsync, type IClientOptions } from 'mqtt';
import { WebSocket } from 'ws';
import { eventually, Gateway } from '../support/gateway.js';
import { freePort } from '../support/ports.js';
import { CONTROLLER_ID, METRICS_TOPIC, SEED_MESSAGE, STORE_ID } from '../support/seed.js';

const ROOT = join(__dirname, '../../..');

/** Runs the start command to its end. */
async function startUntilEnd(environment: Record<string, string>): Promise<{ code: number; output: string }> {
  const child = spawn(process.execPath, ['dist/bin/start.js'], {
    cwd: ROOT,
    env: { PATH: process.env['PATH'], HOME: process.env['HOME'], ...environment },
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (data: Buffer) => {
      output += data.toString();
    });
  }
  const [code] = await once(child, 'close');
  return { code: code as number, output };
}

describe('the start command', function () {
  this.timeout(120_000);

  describe('on free ports', () => {
    let gateway: Gateway;
    before(async () => {
      gateway = await Gateway.create();
      await gateway.start();
    });
    after(() => gateway.remove());

    it('says that it is ready, where, and how to add a controller', async () => {
      await eventually(async () => gateway.output.includes('is ready') || undefined, 'the greeting');
      for (const text of [`${gateway.url}/dashboard`, `${gateway.url}/`, gateway.mqttUrl, 'access add']) {
        assert.ok(gateway.output.includes(text), `${text} in\n${gateway.output}`);
      }
      assert.ok(!/warn|error/i.test(gateway.output), gateway.output);
    });

    it('tells /health part by part, and /metrics for Prometheus', async () => {
      const { version } = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8')) as {
        version: string;
      };
      assert.deepEqual(await gateway.get('/health'), {
        status: 'ok',
        broker: 'listening',
        store: 'open',
        mqtt_port: Number(gateway.env['MQTT_PORT']),
        version,
      });
      const metrics = await fetch(`${gateway.url}/metrics`);
      assert.match(metrics.headers.get('content-type') ?? '', /^text\/plain/);
      const text = await metrics.text();
      for (const name of [
        'nodejs_active_resources',
        'fieldloom_broker_clients',
        'fieldloom_store_pending_units',
      ]) {
        assert.match(text, new RegExp(`^${name}`, 'm'));
      }
    });

    it('serves the editor with every node, and the dashboard', async () => {
      assert.match(await (await fetch(`${gateway.url}/`)).text(), /<title>Fieldloom<\/title>/);
      const nodes = await (await fetch(`${gateway.url}/nodes`, { headers: { accept: 'text/html' } })).text();
      const { 'node-red': palette } = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8'));
      for (const type of Object.keys(palette.nodes)) {
        assert.match(nodes, new RegExp(`registerType\\('${type}'`), type);
        assert.match(nodes, new RegExp(`data-help-name="${type}"`), `help of ${type}`);
      }
      const page = await fetch(`${gateway.url}/dashboard/laundry`);
      assert.equal(page.status, 200);
      assert.match(await page.text(), /<div id="app">/);
      const client = await fetch(`${gateway.url}/fieldloom/client/laundry.js?v=1`);
      assert.equal(client.headers.get('content-type'), 'text/javascript; charset=utf-8');
      assert.match(client.headers.get('cache-control') ?? '', /immutable/);
      assert.equal((await fetch(`${gateway.url}/fieldloom/client/..%2f..%2fpackage.json`)).status, 404);
    });

    it('shows nothing to a page that calls it by a name of its own', async () => {
      for (const path of ['/', '/flows', '/health', '/stores', '/dashboard/laundry']) {
        const request = get(gateway.url + path, { headers: { host: 'evil.example' } });
        const [answer] = await once(request, 'response');
        assert.equal((answer as IncomingMessage).resume().statusCode, 421, path);
      }
      const socket = new WebSocket(`${gateway.url.replace('http', 'ws')}/comms`, {
        headers: { host: 'evil.example' },
      });
      const [error] = await once(socket, 'error');
      assert.match((error as Error).message, /socket hang up|ECONNRESET/);
    });

    it('answers unknown paths of the API as JSON', async () => {
      for (const path of [
        '/stores/x/y',
        '/api/nothing',
        '/companies/x',
        '/mqtt/x',
        '/firmware',
        '/automation/x',
      ]) {
        const answer = await fetch(gateway.url + path);
        assert.equal(answer.status, 404, path);
        assert.equal(((await answer.json()) as { error: { code: string } }).error.code, 'not_found', path);
      }
    });

    it('takes the sample message of a real controller: REST and the live feed show it within a second', async () => {
      const login = (await gateway.command(
        ...['access', 'add', '--role', 'controller', '--store', STORE_ID, '--controller', CONTROLLER_ID],
      )) as IClientOptions;
      const client = await connectAsync(gateway.mqttUrl, login);
      const sent = Date.now();
      await client.publishAsync(METRICS_TOPIC, SEED_MESSAGE, { qos: 1 });
      const { controllers } = await gateway.get<{ controllers: { machines: object[] }[] }>(
        `/stores/${STORE_ID}/machines`,
      );
      assert.ok(Date.now() - sent < 1000, `${Date.now() - sent} ms`);
      assert.deepEqual(
        controllers[0]?.machines.map((machine) => ({
          ...machine,
          since: undefined,
          last_updated: undefined,
        })),
        [
          {
            relay_id: 1,
            machine_type: 'washer',
            status: 'busy',
            last_status: 'busy',
            since: undefined,
            last_updated: undefined,
          },
          {
            relay_id: 2,
            machine_type: null,
            status: 'idle',
            last_status: 'idle',
            since: undefined,
            last_updated: undefined,
          },
        ],
      );

      const feed = new WebSocket(`${gateway.url.replace('http', 'ws')}/realtime/stores/${STORE_ID}`);
      const received: { type: string; seq: number; data: Record<string, unknown> }[] = [];
      feed.on('message', (data) => received.push(JSON.parse(data.toString())));
      await eventually(async () => received[0], 'the snapshot');
      assert.equal(received[0]?.type, 'snapshot');
      assert.deepEqual(received[0]?.data, await gateway.get(`/stores/${STORE_ID}/machines`));
      const later = SEED_MESSAGE.replace('15:45:15', '15:59:00').replace('"idle"', '"busy"');
      await client.publishAsync(METRICS_TOPIC, later, { qos: 1 });
      const change = await eventually(async () => received[1], 'the change');
      assert.equal(change.type, 'change');
      assert.equal(change.seq, (received[0]?.seq ?? 0) + 1);
      assert.equal(change.data['relay_id'], 2);
      assert.equal(change.data['previous_status'], 'idle');
      assert.equal(change.data['status'], 'busy');
      feed.terminate();
      await client.endAsync();
    });

    it('closes the live feed of an unknown store with 4404', async () => {
      const feed = new WebSocket(`${gateway.url.replace('http', 'ws')}/realtime/stores/${randomUUID()}`);
      const [code] = await once(feed, 'close');
      assert.equal(code, 4404);
    });

    it('keeps its secrets to its owner', async () => {
      for (const file of ['jwt-secret', 'credential-secret', 'flows_cred.json']) {
        assert.equal((await stat(join(gateway.directory, file))).mode & 0o077, 0, file);
      }
    });

    it('ends in order on SIGTERM, well within 10 s', async () => {
      const begin = Date.now();
      assert.equal(await gateway.end('SIGTERM'), 0);
      assert.ok(Date.now() - begin < 10_000, `${Date.now() - begin} ms`);
    });
  });

  it('tries the next port where 1883 is taken and nobody has named one, and says so', async () => {
    // Where this cannot listen, another program does already: that is what is wanted.
    const blocker = createServer().on('error', () => {});
    await new Promise<void>((resolve) => {
      blocker.once('error', () => resolve()).listen(1883, '127.0.0.1', resolve);
    });
    const gateway = await Gateway.create({ MQTT_PORT: '' });
    try {
      await gateway.start();
      await eventually(async () => gateway.output.includes('is ready') || undefined, 'the greeting');
      assert.match(gateway.output, /mqtt:\/\/127\.0\.0\.1:18(8[4-9]|9\d) \(port 1883 is taken\)/);
      assert.equal(await gateway.end('SIGINT'), 0);
    } finally {
      blocker.close();
      await gateway.remove();
    }
  });

  describe('with a bad setting', () => {
    let directory: string;
    before(async () => {
      directory = await mkdtemp(join(tmpdir(), 'fieldloom-bad-'));
    });
    after(() => rm(directory, { recursive: true, force: true }));

    for (const [environment, line] of [
      [{ PORT: 'abc' }, 'PORT=abc: accepted is a port number from 1 to 65535'],
      [
        { ACCESS: 'open', HOST: '0.0.0.0' },
        'ACCESS=open: accepted is token, since HOST=0.0.0.0 can be reached',
      ],
      [{ HOST: '192.0.2.1' }, 'HOST=192.0.2.1: accepted is an address of this machine'],
      [{ DATABASE_URL: 'oracle://x' }, 'DATABASE_URL=oracle://x: accepted is sqlite:'],
    ] as const) {
      it(`ends with 2 and one line: ${line}`, async () => {
        const { code, output } = await startUntilEnd({ FIELDLOOM_DIR: directory, ...environment });
        assert.equal(code, 2, output);
        assert.ok(output.startsWith(line), output);
        assert.equal(output.trim().split('\n').length, 1, output);
      });
    }

    for (const name of ['PORT', 'MQTT_PORT']) {
      it(`ends with 2 where ${name} is taken`, async () => {
        const blocker = createServer().listen(0, '127.0.0.1');
        await once(blocker, 'listening');
        const { port } = blocker.address() as { port: number };
        const free = String(await freePort());
        const environment = { FIELDLOOM_DIR: directory, PORT: free, MQTT_PORT: '', [name]: String(port) };
        const { code, output } = await startUntilEnd(environment);
        blocker.close();
        assert.equal(code, 2, output);
        assert.match(output, new RegExp(`^${name}=${port}: another program listens there already`));
      });
    }
  });

  it('wants a login for the editor where other machines can reach it, and shows it once', async () => {
    const gateway = await Gateway.create({ HOST: '0.0.0.0' });
    try {
      await gateway.start();
      await eventually(async () => gateway.output.includes('is ready') || undefined, 'the greeting');
      const password = /admin (\S{20,})/.exec(gateway.output)?.[1];
      assert.ok(password, gateway.output);
      assert.equal((await fetch(`${gateway.url}/flows`)).status, 401);
      assert.equal((await fetch(`${gateway.url}/stores`)).status, 401);
      const token = (entered: string) =>
        fetch(`${gateway.url}/auth/token`, {
          method: 'POST',
          body: new URLSearchParams({
            client_id: 'node-red-admin',
            grant_type: 'password',
            scope: '*',
            username: 'admin',
            password: entered,
          }),
        });
      assert.equal((await token('wrong')).status, 403);
      const { access_token } = (await (await token(password)).json()) as { access_token: string };
      const flows = await fetch(`${gateway.url}/flows`, {
        headers: { authorization: `Bearer ${access_token}` },
      });
      assert.equal(flows.status, 200);
      assert.equal(await gateway.end('SIGTERM'), 0);
      gateway.output = '';
      await gateway.start();
      await eventually(async () => gateway.output.includes('is ready') || undefined, 'the greeting');
      assert.ok(!gateway.output.includes('login'), gateway.output);
    } finally {
      await gateway.remove();
    }
  });
});
