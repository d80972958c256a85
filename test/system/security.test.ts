import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { connectAsync } from 'mqtt';
import { eventually, Gateway } from '../support/gateway.js';
import { freePort } from '../support/ports.js';

// What SECURITY.md promises of the system as a whole; who may do what has tests of its own.

const ELSEWHERE = 'https://elsewhere.example';
const DATA = ['/health', '/metrics', '/stores/x/machines', '/api/nothing', '/dead-letters', '/api/machines'];
const PAGES = ['/', '/dashboard', '/flows'];

const filesOf = async (directory: string) =>
  (await readdir(directory, { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));

/** What a program or person of this machine can read without a login, and what the logs say. */
async function said(gateway: Gateway): Promise<Record<string, string>> {
  const texts: Record<string, string> = { log: gateway.output };
  for (const path of ['/health', '/metrics', '/flows', '/settings', '/nodes', '/stores/x/machines']) {
    const headers = { Accept: 'application/json' };
    texts[path] = await (await fetch(gateway.url + path, { headers })).text();
  }
  for (const name of ['flows.json', 'flows_cred.json', '.config.users.json', '.config.runtime.json']) {
    texts[name] = await readFile(join(gateway.directory, name), 'utf8').catch(() => '');
  }
  return texts;
}

function assertNowhere(secrets: Record<string, string>, texts: Record<string, string>) {
  const found = Object.entries(secrets).flatMap(([what, secret]) => {
    assert.ok(secret.length >= 8, `${what} is a secret`);
    return Object.entries(texts)
      .filter(([, text]) => text.includes(secret))
      .map(([where]) => `${what} in ${where}`);
  });
  assert.deepEqual(found, []);
}

describe('the system', function () {
  this.timeout(120_000);
  let gateway: Gateway;
  before(async () => {
    gateway = await Gateway.create({ SIMULATE: '1' });
    await gateway.start();
  });
  after(() => gateway.remove());

  it('answers data that no page may frame, guess at or read from elsewhere', async () => {
    for (const path of DATA) {
      const { headers } = await fetch(gateway.url + path, { headers: { Origin: ELSEWHERE } });
      assert.equal(
        headers.get('content-security-policy'),
        "default-src 'none'; frame-ancestors 'none'",
        path,
      );
      assert.equal(headers.get('cross-origin-resource-policy'), 'same-origin', path);
      assert.equal(headers.get('referrer-policy'), 'no-referrer', path);
      assert.equal(headers.get('x-content-type-options'), 'nosniff', path);
    }
  });

  it('lets its pages be framed by pages of its own alone', async () => {
    for (const path of PAGES) {
      const { headers } = await fetch(gateway.url + path);
      assert.equal(headers.get('content-security-policy'), "frame-ancestors 'self'", path);
      assert.equal(headers.get('x-frame-options'), 'SAMEORIGIN', path);
      assert.equal(headers.get('referrer-policy'), 'same-origin', path);
      assert.equal(headers.get('x-content-type-options'), 'nosniff', path);
    }
  });

  it('gives no cookie and lets no page of another site read', async () => {
    for (const path of [...DATA, ...PAGES]) {
      for (const method of ['GET', 'OPTIONS']) {
        const { headers } = await fetch(gateway.url + path, {
          method,
          headers: { Origin: ELSEWHERE, 'Access-Control-Request-Method': 'POST' },
        });
        assert.equal(headers.get('set-cookie'), null, `${method} ${path}`);
        assert.equal(headers.get('access-control-allow-origin'), null, `${method} ${path}`);
      }
    }
  });

  it('refuses a body above 1 MiB, and logins after ten failures, whatever address the client claims', async () => {
    const ask = (body: string, claimed = '127.0.0.1') =>
      fetch(`${gateway.url}/api/token/`, {
        method: 'POST',
        headers: {
          'Content-Type': 'application/json',
          'X-Forwarded-For': claimed,
          Forwarded: `for=${claimed}`,
        },
        body,
      });
    assert.equal((await ask(JSON.stringify({ username: 'x'.repeat(1024 * 1024) }))).status, 413);
    const statuses = [];
    for (let attempt = 0; attempt < 11; attempt += 1) {
      const answer = await ask(JSON.stringify({ username: 'demo', password: 'guess' }), `10.0.0.${attempt}`);
      statuses.push(answer.status);
      if (attempt === 10) assert.ok(Number(answer.headers.get('retry-after')) > 0);
    }
    assert.deepEqual(statuses, [...Array(10).fill(401), 429]);
  });

  it('writes nothing that others on the machine can read', async () => {
    await eventually(async () => {
      const names = await readdir(gateway.directory);
      return names.includes('.config.nodes.json') || undefined;
    }, 'what Node-RED itself writes');
    const readable: string[] = [];
    for (const file of await filesOf(gateway.directory)) {
      const mode = (await stat(file)).mode & 0o777;
      if ((mode & 0o077) !== 0) readable.push(`${file}: ${mode.toString(8)}`);
    }
    assert.deepEqual(readable, []);
  });

  it('shows its secrets, and passwords that were tried, in no log, answer, flow or export', async () => {
    const tried = { 'tried at REST': 'tried-at-rest-17', 'tried over MQTT': 'tried-over-mqtt-17' };
    await fetch(`${gateway.url}/api/token/`, {
      method: 'POST',
      body: JSON.stringify({ username: 'demo', password: tried['tried at REST'] }),
    });
    await assert.rejects(
      connectAsync(gateway.mqttUrl, {
        username: 'nobody',
        password: tried['tried over MQTT'],
        reconnectPeriod: 0,
      }),
    );
    const files = [
      'jwt-secret',
      'credential-secret',
      'broker-secret',
      'demo-password',
      'firmware/url-secret',
    ];
    const secrets: Record<string, string> = { ...tried };
    for (const file of files) secrets[file] = (await readFile(join(gateway.directory, file), 'utf8')).trim();
    const made = (await gateway.command('access', 'add', '--role', 'service')) as { password: string };
    secrets['a login'] = made.password;
    assertNowhere(secrets, await said(gateway));
  });

  it('shows the login at another broker nowhere', async () => {
    const { username, password } = (await gateway.command('access', 'add', '--role', 'service')) as {
      username: string;
      password: string;
    };
    const other = await Gateway.create({
      ...{ MQTT_URL: gateway.mqttUrl, MQTT_USERNAME: username, MQTT_PASSWORD: password, SIMULATE: '1' },
    });
    try {
      await other.start();
      assertNowhere({ 'the password at the other broker': password }, await said(other));
    } finally {
      await other.remove();
    }
  });

  it('does not repeat the password of a database that it cannot reach', async () => {
    const url = `postgres://gateway:of-the-database-17@127.0.0.1:${await freePort()}/fieldloom`;
    const child = spawn(process.execPath, ['dist/bin/start.js'], {
      env: {
        ...{ PATH: process.env['PATH'], HOME: process.env['HOME'], DATABASE_URL: url },
        ...{ FIELDLOOM_DIR: join(gateway.directory, 'other'), PORT: String(await freePort()), SIMULATE: '0' },
      },
    });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (data: Buffer) => {
        output += data.toString();
      });
    }
    const [code] = await once(child, 'close');
    assert.notEqual(code, 0);
    assert.ok(output.length > 0);
    assert.ok(!output.includes('of-the-database-17'), output);
  });
});
