import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { eventually, Gateway } from '../support/gateway.js';

interface Machine {
  machine_id: string;
  status: string;
  online: boolean;
  telemetry: { battery: number } | null;
}

describe('the simulated solar machines', function () {
  this.timeout(300_000);
  let gateway: Gateway;

  const machines = (company: string) => gateway.list<Machine>(`/companies/${company}/machines`);
  const statusOf = (machine: string) =>
    gateway.get<Machine>(`/companies/sunfield/machines/${machine}/status`);

  before(async () => {
    gateway = await Gateway.create({ SIMULATE: '1' });
    await gateway.start();
  });
  after(() => gateway.remove());

  it('are ten of each of two companies, each with a login of its own', async () => {
    for (const company of ['sunfield', 'helio-park']) {
      await eventually(async () => {
        const all = await machines(company);
        return (all.length === 10 && all.every(({ telemetry }) => telemetry !== null)) || undefined;
      }, `ten machines of ${company}`);
    }
    const logins = (await gateway.command('access', 'list')) as { role: string }[];
    assert.equal(logins.filter(({ role }) => role === 'machine').length, 20);
  });

  it('do what the user demo sends them', async () => {
    const password = (await readFile(join(gateway.directory, 'demo-password'), 'utf8')).trim();
    const post = (path: string, body: object, token?: string) =>
      fetch(gateway.url + path, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...(token && { authorization: `Bearer ${token}` }) },
        body: JSON.stringify(body),
      });
    const { access } = (await (await post('/api/token/', { username: 'demo', password })).json()) as {
      access: string;
    };
    for (const [command, status] of [
      ['stop', 'Idle'],
      ['start_cleaning', 'Running'],
    ] as const) {
      const answer = await post('/companies/sunfield/machines/SF-01/command', { command }, access);
      assert.equal(answer.status, 202);
      await eventually(async () => (await statusOf('SF-01')).status === status || undefined, status);
    }
    const wrong = await post(
      '/companies/sunfield/machines/SF-01/command',
      { command: 'start_cleaning', params: { speed: 99 } },
      access,
    );
    assert.equal(wrong.status, 400);
  });

  it('have no login any more when nothing is simulated', async () => {
    assert.equal(await gateway.end('SIGTERM'), 0);
    gateway.env['SIMULATE'] = '0';
    await gateway.start();
    assert.deepEqual(await gateway.command('access', 'list'), []);
  });
});
