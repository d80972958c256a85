import assert from 'node:assert/strict';
import { eventually, Gateway } from '../support/gateway.js';
import { checkDescribed, describedBelow, type Method } from '../support/openapi.js';
import type { Controlled } from '../support/pond-api.js';
import { addPond, addUser, installPondFlow, PondDevice } from '../support/pond-flow.js';

interface Options {
  values?: Record<string, string | number>;
  query?: string;
  body?: unknown;
  as?: string | undefined;
  headers?: Record<string, string>;
}

describe('the pond API as schemas/openapi.yaml describes it', function () {
  this.timeout(120_000);
  let gateway: Gateway;
  let device: PondDevice;
  let ann: string;
  let bob: string;
  /** What was asked, as path and method of the description, with the statuses that were answered. */
  const seen = new Map<string, Set<number>>();

  before(async () => {
    gateway = await Gateway.create();
    await installPondFlow(gateway);
    await gateway.start();
    ann = await addUser(gateway, 'ann');
    bob = await addUser(gateway, 'bob');
    await addPond(gateway, 'ann');
    device = await PondDevice.connect(gateway);
    device.answer = PondDevice.done;
  });
  after(async () => {
    await device?.end();
    await gateway?.remove();
  });

  /** Asks, and holds the answer against the description. */
  async function ask(method: Method, path: string, options: Options = {}) {
    const { values = {}, query = '', body, headers = {} } = options;
    const as = 'as' in options ? options.as : ann;
    const filled = path.replaceAll(/\{([a-z_]+)\}/g, (_all, name: string) => String(values[name] ?? 1));
    const answer = await fetch(gateway.url + filled + query, {
      method: method.toUpperCase(),
      headers: {
        ...(body !== undefined && { 'content-type': 'application/json' }),
        ...(as !== undefined && { authorization: `Bearer ${as}` }),
        ...headers,
      },
      ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    });
    const answered = (await answer.json()) as never;
    checkDescribed(path, method, answer.status, answered);
    const key = `${method} ${path}`;
    seen.set(key, (seen.get(key) ?? new Set()).add(answer.status));
    return { status: answer.status, body: answered };
  }
  const expect = async (status: number, method: Method, path: string, options: Options = {}) => {
    const answer = await ask(method, path, options);
    assert.equal(answer.status, status, `${method} ${path} ${JSON.stringify(answer.body)}`);
    return answer.body as never;
  };
  const feed = '/automation/ponds/{pond_id}/control/feed/';
  const water = '/automation/ponds/{pond_id}/control/water/';
  const pond = '/automation/ponds/{pond_id}/';

  it('serves each path', async () => {
    const at = new Date().toISOString();
    await device.publish('data/startup', { firmware_version: '1.2.0', timestamp: at });
    await device.publish('data/sensors', { pond_position: 1, temperature: 25.5, timestamp: at });
    await device.publish('threshold', {
      ...{ pond_position: 1, parameter: 'temperature', value: 31, threshold: 30 },
      ...{ severity: 'warning', message: 'Too warm', timestamp: at },
    });
    const headers = { prefer: 'wait=15', 'idempotency-key': 'key' };
    const fed: Controlled = await expect(200, 'post', feed, { body: { amount: 5 }, headers });
    assert.equal(fed.data.status, 'COMPLETED');
    await expect(200, 'post', feed, { body: { amount: 5 }, headers });
    await expect(200, 'post', water, { body: { action: 'open', duration_s: 5 } });
    device.answer = ({ command_id }) => ({ command_id, success: false, message: 'Motor jammed' });
    const failed: Controlled = await expect(200, 'post', feed, { headers: { prefer: 'wait=15' } });
    assert.equal(failed.success, false);
    device.answer = undefined;
    const open: Controlled = await expect(200, 'post', feed);
    const execution_id = open.data.execution_id;
    for (const path of ['/automation/ponds/', pond, `${pond}executions/`, `${pond}readings/`]) {
      await expect(200, 'get', path, { query: path === pond ? '' : '?limit=5' });
    }
    await expect(200, 'get', '/automation/executions/{execution_id}/', { values: { execution_id } });
    await expect(200, 'post', '/automation/executions/{execution_id}/cancel/', { values: { execution_id } });
    await expect(409, 'post', '/automation/executions/{execution_id}/cancel/', { values: { execution_id } });
    const alerts = await eventually(async () => {
      const { items }: { items: { alert_id: string }[] } = await expect(200, 'get', `${pond}alerts/`, {
        query: '?open=true',
      });
      return items.length > 0 ? items : undefined;
    }, 'an alert');
    const values = { alert_id: alerts[0]?.alert_id as string };
    await expect(200, 'post', '/automation/alerts/{alert_id}/acknowledge/', { values });
    await expect(403, 'post', '/automation/alerts/{alert_id}/acknowledge/', { values, as: bob });
    device.answer = PondDevice.done;
  });

  it('refuses as it says', async () => {
    for (const [path, method] of describedBelow('/automation/')) {
      await expect(401, method, path, { as: undefined });
      await expect(401, method, path, { as: 'x.y.z' });
      if (path === '/automation/ponds/') continue;
      const values = { pond_id: 99, execution_id: 99_999, alert_id: 'none' };
      await expect(404, method, path, { values });
      if (!path.includes('alert_id')) await expect(403, method, path, { as: bob });
    }
    for (const path of ['/automation/ponds/', `${pond}executions/`, `${pond}readings/`, `${pond}alerts/`]) {
      await expect(400, 'get', path, { query: '?limit=0' });
    }
    for (const [path, body, other] of [
      [feed, { amount: 5 }, { amount: 6 }],
      [water, { action: 'open' }, { action: 'close' }],
    ] as const) {
      await expect(400, 'post', path, { body: { amount: 0, action: 'flood' } });
      await expect(400, 'post', path, { body: '{' });
      await expect(422, 'post', path, { body: [] });
      await expect(422, 'post', path, { body, headers: { 'idempotency-key': 'a b' } });
      await expect(413, 'post', path, { body: `"${'x'.repeat(2 ** 20)}"` });
      await expect(415, 'post', path, { body: 'x', headers: { 'content-type': 'text/plain' } });
      const headers = { 'idempotency-key': path };
      await expect(200, 'post', path, { body, headers });
      await expect(409, 'post', path, { body: other, headers });
    }
  });

  it('has no path that was not tried', () => {
    for (const [path, method] of describedBelow('/automation/')) {
      const statuses = seen.get(`${method} ${path}`) ?? new Set();
      for (const status of [200, 401]) assert.ok(statuses.has(status), `${method} ${path} ${status}`);
    }
  });
});
