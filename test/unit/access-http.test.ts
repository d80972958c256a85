import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import type { Access } from '../../lib/access/access.js';
import { accessRoutes } from '../../lib/access/http.js';
import type { UserPrincipal } from '../../lib/access/principal.js';
import { Tickets } from '../../lib/access/tickets.js';
import { Tokens } from '../../lib/access/token.js';
import { problem } from '../../lib/web/problem.js';
import type { Answer, Route } from '../../lib/web/route.js';
import { AccessBench, CONTROLLER, connect, STORE } from '../support/access.js';

interface Asked {
  body?: unknown;
  query?: string;
  parameters?: Record<string, string>;
  principal?: UserPrincipal;
  address?: string;
}

describe('the REST routes of access', function () {
  this.timeout(30_000);
  let bench: AccessBench;
  let access: Access;
  let tokens: Tokens;
  let tickets: Tickets;
  let routes: Route[];
  let ann: UserPrincipal;

  beforeEach(async () => {
    bench = await AccessBench.create();
    ({ access } = await bench.open());
    tokens = new Tokens(access, { secret: randomUUID() });
    tickets = new Tickets(access);
    routes = accessRoutes(access, tokens, tickets);
    ann = await access.addUser('ann', 'a long password', { admin: true });
  });
  afterEach(() => bench.remove());

  // biome-ignore lint/suspicious/noExplicitAny: bodies are looked at by the tests
  const ask = async (what: string, asked: Asked = {}): Promise<Answer & { body: any }> => {
    const [method, path] = what.split(' ');
    const route = routes.find((candidate) => candidate.method === method && candidate.path === path);
    assert.ok(route, what);
    const { body, query = '', parameters = {}, principal, address = '10.0.0.1' } = asked;
    const request = {
      method: route.method,
      path: route.path,
      headers: {},
      query: new URLSearchParams(query),
    };
    try {
      return {
        body: undefined,
        ...(await route.handle({ ...request, parameters, body, principal, address })),
      };
    } catch (error) {
      return problem(error);
    }
  };

  it('say who comes through', () => {
    assert.deepEqual(
      Object.fromEntries(routes.map(({ method, path, access }) => [`${method} ${path}`, access])),
      {
        'POST /api/token/': 'open',
        'POST /api/token/refresh/': 'open',
        'POST /api/ws-ticket': 'user',
        'GET /access/clients': 'admin',
        'POST /access/clients': 'admin',
        'POST /access/clients/:username/rotate': 'admin',
        'DELETE /access/clients/:username': 'admin',
      },
    );
  });

  it('give tokens for a user and password, and a new one for a refresh token', async () => {
    const { status, body } = await ask('POST /api/token/', {
      body: { username: 'ann', password: 'a long password' },
    });
    assert.equal(status, 200);
    assert.deepEqual(Object.keys(body), ['access', 'refresh']);
    assert.deepEqual(await tokens.verifyAccess(body.access), ann);
    const refreshed = await ask('POST /api/token/refresh/', { body: { refresh: body.refresh } });
    assert.deepEqual(Object.keys(refreshed.body), ['access']);
    assert.deepEqual(await tokens.verifyAccess(refreshed.body.access), ann);
    const wrongType = await ask('POST /api/token/refresh/', { body: { refresh: body.access } });
    assert.deepEqual([wrongType.status, wrongType.body.error.code], [401, 'invalid_token']);
    await access.revokeUser('ann');
    assert.equal((await ask('POST /api/token/refresh/', { body: { refresh: body.refresh } })).status, 401);
  });

  it('refuse a wrong login with 401 and never repeat its password', async () => {
    const { status, body, headers } = await ask('POST /api/token/', {
      body: { username: 'ann', password: 'my secret guess' },
    });
    assert.deepEqual([status, body.error.code], [401, 'unauthenticated']);
    assert.equal(headers?.['WWW-Authenticate'], 'Bearer');
    assert.ok(!JSON.stringify(body).includes('guess'));
  });

  it('refuse logins with 429 after ten failures, and say when to come back', async () => {
    const wrong = { body: { username: 'ann', password: 'x' } };
    for (let time = 0; time < 10; time += 1) assert.equal((await ask('POST /api/token/', wrong)).status, 401);
    const { status, headers, body } = await ask('POST /api/token/', wrong);
    assert.deepEqual([status, body.error.code], [429, 'too_many_attempts']);
    const seconds = Number(headers?.['Retry-After']);
    assert.ok(seconds > 50 && seconds <= 60, String(seconds));
  });

  it('name the field of a bad body', async () => {
    for (const [body, pointer] of [
      [undefined, ''],
      [[], ''],
      ['x', ''],
      [null, ''],
      [{}, '/username'],
      [{ username: 7 }, '/username'],
      [{ username: 'ann' }, '/password'],
      [{ username: 'ann', password: { $ne: 1 } }, '/password'],
    ] as const) {
      const answer = await ask('POST /api/token/', { body });
      assert.deepEqual([answer.status, answer.body.error.code], [400, 'invalid_input']);
      assert.equal(answer.body.error.details.pointer, pointer);
    }
    assert.equal((await ask('POST /api/token/refresh/', { body: { refresh: 1 } })).status, 400);
    assert.equal((await ask('POST /access/clients', { body: { role: 'x' }, principal: ann })).status, 400);
  });

  it('do not log in where another service signs tokens', async () => {
    routes = accessRoutes(access, new Tokens(access, { jwksUrl: 'https://id.example/keys' }), tickets);
    const answer = await ask('POST /api/token/', { body: { username: 'ann', password: 'a long password' } });
    assert.deepEqual([answer.status, answer.body.error.code], [404, 'not_found']);
  });

  it('give a ticket to a user, and to nobody else', async () => {
    const { status, body } = await ask('POST /api/ws-ticket', { principal: ann });
    assert.equal(status, 200);
    assert.ok(Date.parse(body.expires_at) > Date.now() + 50_000);
    assert.deepEqual(await tickets.redeem(body.ticket), ann);
    assert.equal((await ask('POST /api/ws-ticket')).status, 401);
  });

  it('make, list, rotate and revoke MQTT logins', async () => {
    const ids = { role: 'controller', store_id: STORE, controller_id: CONTROLLER };
    const made = await ask('POST /access/clients', { body: ids, principal: ann });
    assert.equal(made.status, 201);
    assert.deepEqual(Object.keys(made.body), ['username', 'password']);
    const { username, password } = made.body;
    assert.ok(await access.authenticate(connect(username, password)));

    const again = await ask('POST /access/clients', { body: ids, principal: ann });
    assert.deepEqual([again.status, again.body.error.details], [409, { username }]);

    const { items, next_cursor } = (await ask('GET /access/clients', { principal: ann })).body;
    assert.equal(next_cursor, null);
    assert.equal(items.length, 1);
    const { created_at, changed_at, ...rest } = items[0];
    assert.deepEqual(rest, { username, ...ids });
    assert.equal(created_at, changed_at);
    assert.equal(new Date(created_at).toISOString(), created_at);

    const rotated = await ask('POST /access/clients/:username/rotate', { parameters: { username } });
    assert.equal(rotated.status, 200);
    assert.equal(await access.authenticate(connect(username, password)), undefined);
    assert.ok(await access.authenticate(connect(username, rotated.body.password)));

    assert.equal((await ask('DELETE /access/clients/:username', { parameters: { username } })).status, 204);
    assert.equal((await ask('DELETE /access/clients/:username', { parameters: { username } })).status, 404);
    assert.equal(
      (await ask('POST /access/clients/:username/rotate', { parameters: { username } })).status,
      404,
    );
    assert.deepEqual((await ask('GET /access/clients')).body.items, []);
  });

  it('list logins page by page', async () => {
    for (let device = 0; device < 5; device += 1)
      await access.addClient({ role: 'device', device: `${device}` });
    const seen: string[] = [];
    let query = 'limit=2';
    for (let page = 0; page < 3; page += 1) {
      const { items, next_cursor } = (await ask('GET /access/clients', { query })).body;
      seen.push(...items.map((item: { device_id: string }) => item.device_id));
      query = `limit=2&cursor=${next_cursor}`;
      assert.equal(next_cursor === null, page === 2);
    }
    assert.deepEqual(seen, ['4', '3', '2', '1', '0']);
    for (const bad of [
      'limit=0',
      'limit=1001',
      'limit=x',
      'limit=',
      'limit=1.5',
      'cursor=',
      'cursor=x',
      'cursor=%00',
    ]) {
      assert.equal((await ask('GET /access/clients', { query: bad })).status, 400, bad);
    }
  });
});
