import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { connectAsync, type IClientOptions } from 'mqtt';
import { Gateway } from '../support/gateway.js';
import { checkDescribed, type Method } from '../support/openapi.js';
import { CONTROLLER_ID, METRICS_TOPIC, SEED_MESSAGE, STORE_ID } from '../support/seed.js';

describe('the REST API as schemas/openapi.yaml describes it', function () {
  this.timeout(120_000);
  let gateway: Gateway;
  let token: string;
  let deadLetter: string;

  const ask = async (
    method: string,
    path: string,
    { body, bearer }: { body?: unknown; bearer?: string } = {},
  ) => {
    const answer = await fetch(gateway.url + path, {
      method,
      headers: {
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...(bearer === undefined ? {} : { authorization: `Bearer ${bearer}` }),
      },
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    });
    const text = await answer.text();
    return { status: answer.status, body: text === '' ? undefined : JSON.parse(text) };
  };
  /** Asks, and holds the answer against the description. */
  const described = async (
    method: Method,
    path: string,
    {
      values = {},
      query = '',
      ...options
    }: { values?: Record<string, string>; query?: string; body?: unknown; bearer?: string } = {},
  ) => {
    const filled = path.replaceAll(/\{([a-z_]+)\}/g, (_all, name: string) => values[name] ?? '');
    const answer = await ask(method.toUpperCase(), filled + query, options);
    checkDescribed(path, method, answer.status, answer.body);
    return answer;
  };

  before(async () => {
    gateway = await Gateway.create();
    await gateway.start();
    const login = (await gateway.command(
      ...['access', 'add', '--role', 'controller', '--store', STORE_ID, '--controller', CONTROLLER_ID],
    )) as IClientOptions;
    const client = await connectAsync(gateway.mqttUrl, login);
    await client.publishAsync(METRICS_TOPIC, SEED_MESSAGE, { qos: 1 });
    await client.publishAsync(METRICS_TOPIC, 'not JSON', { qos: 1 });
    await client.endAsync();
    await gateway.command('user', 'add', 'ann', '--admin', '--password-stdin', { input: 'a long password' });
    const answer = await ask('POST', '/api/token/', {
      body: { username: 'ann', password: 'a long password' },
    });
    assert.equal(answer.status, 200);
    token = answer.body.access;
    deadLetter = (await gateway.list<{ id: string }>('/dead-letters'))[0]?.id as string;
  });
  after(() => gateway.remove());

  it('serves each path as described', async () => {
    const store = { store_id: STORE_ID };
    const expect200 = async (path: string, options: object = {}) =>
      assert.equal((await described('get', path, { bearer: token, ...options })).status, 200, path);
    await expect200('/health');
    await expect200('/stores');
    await expect200('/stores/{store_id}/machines', { values: store });
    await expect200('/stores/{store_id}/machines/history', { values: store, query: '?relay_id=1&limit=5' });
    await expect200('/stores/{store_id}/controllers/history', { values: store, query: '?limit=5' });
    await expect200('/stores/{store_id}/machines/statistics', {
      values: store,
      query: '?from=2024-01-15T00:00:00Z&to=2024-01-16T00:00:00Z',
    });
    await expect200('/dead-letters', { query: '?protocol=laundry&since=2024-01-01T00:00:00Z' });
    await expect200('/dead-letters/{id}', { values: { id: deadLetter } });
    await expect200('/access/clients');
    const replay = await described('post', '/dead-letters/{id}/replay', {
      values: { id: deadLetter },
      bearer: token,
    });
    assert.equal(replay.status, 200);
    assert.equal((await described('post', '/api/ws-ticket', { bearer: token })).status, 200);
    const tokens = await described('post', '/api/token/', {
      body: { username: 'ann', password: 'a long password' },
    });
    const refresh = await described('post', '/api/token/refresh/', {
      body: { refresh: tokens.body.refresh },
    });
    assert.equal(refresh.status, 200);
    const made = await described('post', '/access/clients', {
      bearer: token,
      body: { role: 'controller', store_id: STORE_ID, controller_id: '6ba7b812-9dad-11d1-80b4-00c04fd430c8' },
    });
    assert.equal(made.status, 201);
    const username = { username: made.body.username };
    assert.equal(
      (await described('post', '/access/clients/{username}/rotate', { values: username, bearer: token }))
        .status,
      200,
    );
    assert.equal(
      (await described('delete', '/access/clients/{username}', { values: username, bearer: token })).status,
      204,
    );
  });

  it('takes and gives firmware images as described', async () => {
    const images = '/firmware/images';
    const post = async (version: string, body: string, bearer = token) => {
      const answer = await fetch(`${gateway.url}${images}?version=${version}`, {
        method: 'POST',
        headers: { authorization: `Bearer ${bearer}`, 'content-type': 'application/octet-stream' },
        body,
      });
      const image = await answer.json();
      checkDescribed(images, 'post', answer.status, image);
      return { status: answer.status, image };
    };
    const content = 'x'.repeat(3 * 2 ** 20);
    const { status, image } = await post('1.0.1', content);
    assert.equal(status, 201);
    assert.equal((await post('1.0.1', content)).status, 409);
    assert.equal((await post('', content)).status, 400);
    assert.equal((await post('1.0.2', content, 'x.y.z')).status, 401);
    const values = { id: image.id as string };
    assert.equal((await described('get', images, { bearer: token })).body.items.length, 1);
    assert.equal((await described('get', `${images}/{id}`, { values })).status, 200);
    // The link as it stands: what it begins with is PUBLIC_URL.
    const file = await fetch(image.file_url as string, { headers: { range: 'bytes=-5' } });
    assert.deepEqual([file.status, await file.text()], [206, 'xxxxx']);
    const { search } = new URL(image.file_url as string);
    for (const [query, headers, expected] of [
      ['', {}, 403],
      [search, { range: 'bytes=9999999-' }, 416],
    ] as const) {
      const answer = await fetch(`${gateway.url}${images}/${image.id}/file${query}`, { headers });
      assert.equal(answer.status, expected);
      checkDescribed(`${images}/{id}/file`, 'get', answer.status, await answer.json());
    }
    const remove = () => described('delete', `${images}/{id}`, { values, bearer: token });
    assert.equal((await remove()).status, 204);
    assert.equal((await remove()).status, 404);
  });

  it('answers other brokers as described', async () => {
    const secret = (await readFile(join(gateway.directory, 'broker-secret'), 'utf8')).trim();
    const { username, password } = (await gateway.command(
      ...['access', 'add', '--role', 'machine', '--company', '1', '--machine', 'A'],
    )) as { username: string; password: string };
    const post = async (path: string, fields: Record<string, string>, authorization = `Bearer ${secret}`) => {
      const form = path.includes('rabbitmq');
      const answer = await fetch(gateway.url + path, {
        method: 'POST',
        headers: {
          authorization,
          'content-type': form ? 'application/x-www-form-urlencoded' : 'application/json',
        },
        body: form ? new URLSearchParams(fields).toString() : JSON.stringify(fields),
      });
      const isJson = answer.headers.get('content-type')?.startsWith('application/json');
      const body = isJson ? await answer.json() : await answer.text();
      checkDescribed(path, 'post', answer.status, body);
      return { status: answer.status, body };
    };
    const topic = 'company/1/machine/A/telemetry';
    for (const [path, fields] of [
      ['/mqtt/auth', { username, password, clientid: username, peerhost: '10.0.0.1' }],
      ['/mqtt/acl', { username, topic, action: 'publish' }],
      ['/mqtt/rabbitmq/user', { username, password, vhost: '/', client_id: username }],
      ['/mqtt/rabbitmq/vhost', { username, vhost: '/', ip: '10.0.0.1' }],
      [
        '/mqtt/rabbitmq/resource',
        { username, vhost: '/', resource: 'exchange', name: 'amq.topic', permission: 'write' },
      ],
      [
        '/mqtt/rabbitmq/topic',
        {
          ...{ username, vhost: '/', name: 'amq.topic', permission: 'write' },
          routing_key: topic.replaceAll('/', '.'),
        },
      ],
    ] as [string, Record<string, string>][]) {
      const allowed = path.includes('rabbitmq') ? 'allow' : { result: 'allow', is_superuser: false };
      assert.deepEqual(await post(path, fields), { status: 200, body: allowed }, path);
      const denied = path.includes('rabbitmq') ? 'deny' : { result: 'deny', is_superuser: false };
      const nobody = { ...fields, username: 'nobody' };
      assert.deepEqual(await post(path, nobody), { status: 200, body: denied }, path);
      assert.equal((await post(path, {})).status, 400, path);
      assert.equal((await post(path, fields, `Bearer ${token}`)).status, 401, path);
    }
    assert.ok(!gateway.output.includes(secret));
    const metrics = await (await fetch(`${gateway.url}/metrics`)).text();
    assert.match(
      metrics,
      /^fieldloom_broker_auth_total\{broker="emqx",question="login",answer="allow"\} 1$/m,
    );
  });

  it('says what is wrong with a bad request', async () => {
    const store = { store_id: STORE_ID };
    const history = '/stores/{store_id}/machines/history';
    for (const query of ['?from=yesterday', '?limit=0', '?limit=1001', '?relay_id=x', '?cursor=%00']) {
      const answer = await described('get', history, { values: store, query });
      assert.equal(answer.status, 400, query);
    }
    assert.equal((await described('post', '/api/token/', { body: { username: 'ann' } })).status, 400);
    assert.equal(
      (await described('post', '/api/token/', { body: { username: 'ann', password: 'x' } })).status,
      401,
    );
    assert.equal((await described('post', '/api/token/refresh/', { body: { refresh: token } })).status, 401);
    assert.equal((await described('get', '/access/clients', { bearer: 'x.y.z' })).status, 401);
    const unknown = { store_id: '00000000-0000-4000-8000-000000000000' };
    assert.equal((await described('get', '/stores/{store_id}/machines', { values: unknown })).status, 404);
    assert.equal(
      (await described('post', '/dead-letters/{id}/replay', { values: { id: 'none' }, bearer: token }))
        .status,
      404,
    );
  });

  it('answers in JSON what it does not know, and what is not JSON', async () => {
    assert.equal((await ask('GET', '/stores/x/y/z')).body.error.code, 'not_found');
    assert.equal((await ask('DELETE', '/stores')).status, 405);
    assert.equal((await ask('POST', '/api/token/', { body: '{' })).status, 400);
    assert.equal((await ask('POST', '/api/token/', { body: `"${'x'.repeat(2 ** 20)}"` })).status, 413);
    const plain = await fetch(`${gateway.url}/api/token/`, { method: 'POST', body: 'x=1' });
    assert.equal(plain.status, 415);
  });

  it('wants a token for what changes logins, also where reading is open', async () => {
    for (const [method, path] of [
      ['GET', '/access/clients'],
      ['POST', '/access/clients'],
      ['POST', '/api/ws-ticket'],
    ] as const) {
      const body = method === 'POST' ? {} : undefined;
      assert.equal((await ask(method, path, { body })).status, 401, `${method} ${path}`);
    }
  });
});
