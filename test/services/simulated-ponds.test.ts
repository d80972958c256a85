import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { eventually, Gateway } from '../support/gateway.js';

interface Pond {
  pond_id: number;
  name: string;
  device_id: string;
  device: { online: boolean; firmware_version: string | null };
  readings: Record<string, { value: number }>;
}

describe('the simulated ponds', function () {
  this.timeout(120_000);
  let gateway: Gateway;

  const passwordFile = () => join(gateway.directory, 'demo-password');
  const token = async () => {
    const password = (await readFile(passwordFile(), 'utf8')).trim();
    const answer = await fetch(`${gateway.url}/api/token/`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ username: 'demo', password }),
    });
    assert.equal(answer.status, 200);
    return ((await answer.json()) as { access: string }).access;
  };
  const ask = async <T>(path: string, init: RequestInit = {}) => {
    const headers = { authorization: `Bearer ${await token()}`, 'content-type': 'application/json' };
    const answer = await fetch(`${gateway.url}/automation/${path}`, { ...init, headers });
    assert.equal(answer.status, 200, path);
    return (await answer.json()) as T;
  };
  const ponds = async () => (await ask<{ items: Pond[] }>('ponds/')).items;
  const names = (listed: { name: string }[]) => listed.map(({ name }) => name).sort();
  const greeting = () =>
    eventually(
      async () => (gateway.output.includes('is ready') ? gateway.output : undefined),
      'the greeting',
    );

  afterEach(() => gateway.remove());

  describe('while machines are simulated', () => {
    beforeEach(async () => {
      gateway = await Gateway.create({ SIMULATE: '1' });
      await gateway.start();
    });

    it('belong to a user whose password only its owner can read, and that is told nowhere', async () => {
      const password = (await readFile(passwordFile(), 'utf8')).trim();
      assert.equal((await stat(passwordFile())).mode & 0o777, 0o600);
      assert.ok(password.length >= 32);
      const said = await greeting();
      assert.ok(said.includes(`log in as demo, password in ${passwordFile()}`), said);
      assert.ok(!said.includes(password));
    });

    it('measure, live and over the day before, and do what is asked of them', async () => {
      const heard = await eventually(async () => {
        const listed = await ponds();
        const all = listed.every(
          (pond) => pond.device.online && pond.readings['dissolved_oxygen'] !== undefined,
        );
        return all ? listed : undefined;
      }, 'four ponds with oxygen');
      assert.deepEqual(names(heard), ['Koi pond', 'North pond', 'Nursery', 'South pond']);
      assert.equal(new Set(heard.map(({ device_id }) => device_id)).size, 2);
      assert.ok(heard.every(({ device }) => device.firmware_version === '1.4.2'));
      const north = heard.find(({ name }) => name === 'North pond')?.pond_id;
      await eventually(async () => {
        const from = new Date(Date.now() - 25 * 3_600_000).toISOString();
        const { items } = await ask<{ items: object[] }>(`ponds/${north}/readings/?from=${from}&limit=1000`);
        return items.length > 140 ? true : undefined;
      }, 'a day of readings');
      // Its motor may be blocked: it answers all the same.
      const outcome = await fetch(`${gateway.url}/automation/ponds/${north}/control/feed/`, {
        method: 'POST',
        headers: {
          authorization: `Bearer ${await token()}`,
          'content-type': 'application/json',
          prefer: 'wait=60',
        },
        body: JSON.stringify({ amount: 50 }),
      });
      const { data } = (await outcome.json()) as { data: { command: { status: string; message?: string } } };
      const { status, message } = data.command;
      if (status === 'COMPLETED') assert.equal(message, '50 g fed');
      else assert.deepEqual([status, message], ['FAILED', 'feeder motor blocked']);
    });

    it('are the same ones after a restart, and gone with their owner when nothing is simulated', async () => {
      const before = await ponds();
      assert.equal(await gateway.end('SIGTERM'), 0);
      await gateway.start();
      assert.deepEqual(
        (await ponds()).map(({ pond_id }) => pond_id),
        before.map(({ pond_id }) => pond_id),
      );
      assert.equal(await gateway.end('SIGTERM'), 0);
      gateway.env['SIMULATE'] = '0';
      await gateway.start();
      assert.deepEqual(await gateway.command('user', 'list'), []);
      assert.deepEqual(await gateway.command('pond', 'list'), []);
      assert.deepEqual(await gateway.command('access', 'list'), []);
      assert.equal(existsSync(passwordFile()), false);
    });
  });

  it('leave a user of that name alone who is somebody else', async () => {
    gateway = await Gateway.create({ SIMULATE: '0' });
    await gateway.command('user', 'add', 'demo', '--password-stdin', { input: 'my own' });
    gateway.env['SIMULATE'] = '1';
    await gateway.start();
    assert.match(await greeting(), /none simulated: there is a user demo already/);
    assert.deepEqual(await gateway.command('pond', 'list'), []);
    assert.equal(await gateway.end('SIGTERM'), 0);
    gateway.env['SIMULATE'] = '0';
    await gateway.start();
    assert.deepEqual(names((await gateway.command('user', 'list')) as { name: string }[]), ['demo']);
  });
});
