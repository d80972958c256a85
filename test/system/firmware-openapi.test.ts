import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import type { IClientOptions } from 'mqtt';
import { failing, obedient, simulatedFleet, targetsOf } from '../support/firmware.js';
import { eventually, Gateway } from '../support/gateway.js';
import { checkDescribed, describedBelow, type Method } from '../support/openapi.js';

interface Options {
  id?: string;
  query?: string;
  body?: unknown;
  as?: string | undefined;
  type?: string;
}

interface Deployment {
  id: string;
  state: string;
  stuck: boolean;
}

const ROLLOUTS = '/firmware/rollouts';
const ROLLOUT = `${ROLLOUTS}/{id}`;
const DEPLOYMENTS = `${ROLLOUT}/deployments`;
const DEPLOYMENT = '/firmware/deployments/{id}';
const ALL = { percent: 100, success_threshold: 1, error_threshold: 1 };
const PATHS = ['/firmware/rollouts', '/firmware/deployments'].flatMap((root) => describedBelow(root));

describe('the REST API of firmware rollouts as schemas/openapi.yaml describes it', function () {
  this.timeout(120_000);
  let gateway: Gateway;
  let fleet: Awaited<ReturnType<typeof simulatedFleet>>;
  let ann: string;
  let bob: string;
  let imageId: string;
  /** What was asked, as path and method of the description, with the statuses that were answered. */
  const seen = new Map<string, Set<number>>();

  before(async () => {
    gateway = await Gateway.create();
    await gateway.start();
    const user = async (name: string, ...rights: string[]) => {
      await gateway.command('user', 'add', name, '--password-stdin', ...rights, { input: 'a long password' });
      return ((await gateway.command('user', 'token', name)) as { token: string }).token;
    };
    ann = await user('ann', '--admin');
    bob = await user('bob');
    const login = (await gateway.command('access', 'add', '--role', 'service')) as IClientOptions;
    fleet = await simulatedFleet(gateway.mqttUrl, login, 3, (index) => {
      if (index === 0) return obedient;
      if (index === 1) return failing;
      return (message, controller) => {
        if (message.event_type === 'update_firmware') void controller.say('update_firmware_ack', message);
      };
    });
    const image = await fetch(`${gateway.url}/firmware/images?version=1.0.1`, {
      method: 'POST',
      headers: { authorization: `Bearer ${ann}` },
      body: 'an image',
    });
    imageId = ((await image.json()) as { id: string }).id;
  });
  after(async () => {
    await fleet?.close();
    await gateway?.remove();
  });

  /** Asks, and holds the answer against the description. */
  async function expect<T>(status: number, method: Method, path: string, options: Options = {}): Promise<T> {
    const { id = 'none', query = '', body, type = 'application/json' } = options;
    const as = 'as' in options ? options.as : ann;
    const answer = await fetch(gateway.url + path.replace('{id}', id) + query, {
      method: method.toUpperCase(),
      headers: {
        ...(body !== undefined && { 'content-type': type }),
        ...(as !== undefined && { authorization: `Bearer ${as}` }),
      },
      ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    });
    const answered = await answer.json();
    assert.equal(answer.status, status, `${method} ${path} ${JSON.stringify(answered)}`);
    checkDescribed(path, method, status, answered);
    const key = `${method} ${path}`;
    seen.set(key, (seen.get(key) ?? new Set()).add(status));
    return answered as T;
  }
  const request = (part: object = {}) => ({
    ...{ image_id: imageId, targets: targetsOf(fleet.controllers), stages: [ALL], ack_timeout_s: 0.1 },
    ...part,
  });
  const make = async (part: object = {}) =>
    (await expect<{ id: string }>(201, 'post', ROLLOUTS, { body: request(part) })).id;
  const deploymentsOf = async (id: string, query = '') =>
    (await expect<{ items: Deployment[] }>(200, 'get', DEPLOYMENTS, { id, query })).items;
  const reaches = (id: string, state: string) =>
    eventually(async () => {
      const rollout = await expect<{ state: string }>(200, 'get', ROLLOUT, { id });
      return rollout.state === state || undefined;
    }, `${state} of the rollout`);

  it('serves each path', async () => {
    const id = await make({
      ...{ name: 'All of it', rate_per_minute: 600, max_in_progress: 10, verify_s: 0, supersede: true },
      ...{ force: { reason: 'a test' }, stages: [{ ...ALL, approval: true, soak_s: 0, on_error: 'pause' }] },
    });
    await expect(200, 'get', ROLLOUTS, { query: '?limit=5' });
    for (const step of ['start', 'pause', 'resume']) await expect(200, 'post', `${ROLLOUT}/${step}`, { id });
    await expect(409, 'post', `${ROLLOUT}/start`, { id });
    const silent = await eventually(async () => {
      const items = await deploymentsOf(id, '?stage=0&limit=10');
      return items[1]?.state === 'FAILED' && items[2]?.state === 'IN_PROGRESS' ? items[2] : undefined;
    }, 'one that has failed and one under way');
    assert.equal((await deploymentsOf(id, '?state=FAILED')).length, 1);
    await expect(200, 'get', DEPLOYMENT, { id: silent.id });
    await expect(200, 'post', `${DEPLOYMENT}/cancel`, { id: silent.id, body: { reason: 'it hangs' } });
    await eventually(async () => {
      const { stuck } = await expect<Deployment>(200, 'get', DEPLOYMENT, { id: silent.id });
      return stuck || undefined;
    }, 'a cancellation that is not answered');
    await expect(200, 'post', `${DEPLOYMENT}/force`, { id: silent.id, body: { reason: 'it is broken' } });
    await expect(409, 'post', `${DEPLOYMENT}/force`, { id: silent.id });
    await expect(409, 'post', `${DEPLOYMENT}/cancel`, { id: silent.id });
    await reaches(id, 'PAUSED');
    await expect(200, 'post', `${ROLLOUT}/retry`, { id, body: { deployment_ids: [silent.id] } });
    await expect(200, 'post', `${ROLLOUT}/cancel`, { id, body: { reason: 'enough' } });
    await expect(409, 'post', `${ROLLOUT}/cancel`, { id });
    const approved = await make({
      ...{ start: true, targets: targetsOf(fleet.controllers.slice(0, 1)) },
      stages: [{ ...ALL, approval: true }],
    });
    await reaches(approved, 'WAITING_APPROVAL');
    await expect(200, 'post', `${ROLLOUT}/approve`, { id: approved });
    await reaches(approved, 'COMPLETED');
    for (const step of ['pause', 'resume', 'approve', 'retry']) {
      await expect(409, 'post', `${ROLLOUT}/${step}`, { id: approved });
    }
  });

  it('refuses as it says', async () => {
    const id = await make();
    const [deployment] = await deploymentsOf(id);
    for (const [path, method] of PATHS) {
      await expect(401, method, path, { as: 'x.y.z' });
      // Reading is open here; what changes something always wants a token.
      if (method === 'post') await expect(401, method, path, { as: undefined });
      if (path === ROLLOUTS) continue;
      await expect(404, method, path, { id: randomUUID() });
      const known = path.startsWith(ROLLOUTS) ? id : deployment?.id;
      await expect(403, method, path, { id: known as string, as: bob });
      if (method === 'post') await expect(400, method, path, { id: known as string, body: '{' });
    }
    await expect(403, 'post', ROLLOUTS, { body: request(), as: bob });
    await expect(413, 'post', ROLLOUTS, { body: `"${'x'.repeat(17 * 2 ** 20)}"` });
    await expect(415, 'post', ROLLOUTS, { body: 'x', type: 'text/plain' });
    for (const [path, query] of [
      [ROLLOUTS, '?limit=0'],
      [ROLLOUTS, '?cursor=%00'],
      [DEPLOYMENTS, '?state=LOST'],
      [DEPLOYMENTS, '?stage=-1'],
    ] as const) {
      await expect(400, 'get', path, { id, query });
    }
    await expect(400, 'post', `${ROLLOUT}/retry`, { id, body: { deployment_ids: [] } });
    await expect(400, 'post', `${ROLLOUT}/cancel`, { id, body: { reason: 7 } });
  });

  it('names the field of a new rollout that is wrong', async () => {
    for (const [part, pointer] of [
      [{ image_id: randomUUID() }, '/image_id'],
      [{ targets: [] }, '/targets'],
      [{ stages: [{ ...ALL, percent: 50 }] }, '/stages/0/percent'],
      [{ stages: [{ ...ALL, success_threshold: 2 }] }, '/stages/0/success_threshold'],
      [{ verify_s: -1 }, '/verify_s'],
    ] as const) {
      const { error } = await expect<{ error: { details: { pointer: string } } }>(400, 'post', ROLLOUTS, {
        body: request(part),
      });
      assert.equal(error.details.pointer, pointer);
    }
  });

  it('has no path that was not tried', () => {
    for (const [path, method] of PATHS) {
      const statuses = seen.get(`${method} ${path}`) ?? new Set();
      const good = method === 'post' && path === ROLLOUTS ? 201 : 200;
      for (const status of [good, 401]) assert.ok(statuses.has(status), `${method} ${path} ${status}`);
    }
  });
});
