import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import express from 'express';
import fc from 'fast-check';
import { Access } from '../../lib/access/access.js';
import { brokerAdmission } from '../../lib/access/broker-http.js';
import { emqxRoutes } from '../../lib/access/emqx.js';
import { createPolicy } from '../../lib/access/policy.js';
import { rabbitMqRoutes } from '../../lib/access/rabbitmq.js';
import accessNode from '../../nodes/access/access.js';
import brokerAuthNode from '../../nodes/broker-auth/broker-auth.js';
import { routes } from '../../nodes/runtime/http.js';
import storeNode from '../../nodes/store/store.js';
import { errorsOf, loadFlow, startRuntime, stopRuntime } from '../support/flow.js';
import { httpRuntime, type Runtime } from '../support/runtime.js';
import { cleanUp, opened, temporaryFolder, temporaryUrl } from '../support/store.js';

const SECRET = `${randomUUID()}${randomUUID()}`;
const JSON_PATHS = ['/mqtt/auth', '/mqtt/acl'];
const FORM_PATHS = ['user', 'vhost', 'resource', 'topic'].map((name) => `/mqtt/rabbitmq/${name}`);
const FORM = 'application/x-www-form-urlencoded';

describe('the endpoints for other brokers, over HTTP', function () {
  this.timeout(30_000);
  let runtime: Runtime;
  let access: Access;
  let login: { username: string; password: string };
  let known: string | undefined;
  let withoutSecret: number;

  beforeEach(async () => {
    runtime = await httpRuntime();
    access = await Access.open(await opened());
    login = await access.addClient({ role: 'device', device: 'D' });
    known = SECRET;
    withoutSecret = 0;
    serve();
  });
  afterEach(async () => {
    access.close();
    await runtime.close();
    await cleanUp();
  });

  function serve() {
    const admission = brokerAdmission(
      () => known,
      () => {
        withoutSecret += 1;
      },
    );
    const options = { access: () => access, policy: createPolicy(), admission, answered: () => {} };
    routes(runtime.RED).add([...emqxRoutes(options), ...rabbitMqRoutes({ ...options, vhost: '/' })]);
  }
  const ask = async (path: string, body: string, headers: Record<string, string> = {}, method = 'POST') => {
    const answer = await fetch(runtime.url + path, {
      method,
      headers: {
        'content-type': JSON_PATHS.includes(path) ? 'application/json' : FORM,
        authorization: `Bearer ${SECRET}`,
        ...headers,
      },
      ...(method === 'GET' ? {} : { body }),
    });
    return { status: answer.status, type: answer.headers.get('content-type'), text: await answer.text() };
  };
  const loginJson = () => JSON.stringify({ ...login, clientid: login.username, peerhost: '10.0.0.1' });
  const loginForm = () => new URLSearchParams({ ...login, client_id: login.username }).toString();

  it('take the secret as a bearer, as a password, and in a header of its own', async () => {
    for (const headers of [
      { authorization: `Bearer ${SECRET}` },
      { authorization: `bearer ${SECRET}` },
      { authorization: `Basic ${Buffer.from(`anybody:${SECRET}`).toString('base64')}` },
      { authorization: 'Bearer a.web.token', 'x-fieldloom-secret': SECRET },
    ]) {
      assert.deepEqual(await ask('/mqtt/auth', loginJson(), headers), {
        status: 200,
        type: 'application/json; charset=utf-8',
        text: '{"result":"allow","is_superuser":false}',
      });
      assert.deepEqual(await ask('/mqtt/rabbitmq/user', loginForm(), headers), {
        status: 200,
        type: 'text/plain; charset=utf-8',
        text: 'allow',
      });
    }
    assert.equal(withoutSecret, 0);
  });

  it('answer 401 without it, before they look at the body, and tell nothing', async () => {
    for (const path of [...JSON_PATHS, ...FORM_PATHS]) {
      for (const headers of [
        { authorization: '' },
        { authorization: 'Bearer' },
        { authorization: `Bearer ${SECRET}x` },
        { authorization: `Bearer ${SECRET.slice(0, -1)}` },
        { authorization: `Basic ${Buffer.from(SECRET).toString('base64')}` },
        { authorization: 'Basic !' },
        { authorization: `Digest ${SECRET}` },
        { 'x-fieldloom-secret': 'wrong' },
        { authorization: '', 'x-fieldloom-secret': '' },
      ]) {
        const { status, text } = await ask(path, 'x'.repeat(100), headers);
        assert.equal(status, 401, `${path} ${JSON.stringify(headers)}`);
        assert.equal(JSON.parse(text).error.code, 'unauthenticated');
        assert.ok(!text.includes(SECRET));
      }
    }
    assert.equal(withoutSecret, 54);
  });

  it('let nobody in while the secret is not known yet', async () => {
    known = undefined;
    for (const authorization of ['', 'Bearer ', 'Bearer undefined', `Bearer ${SECRET}`]) {
      assert.equal((await ask('/mqtt/auth', loginJson(), { authorization })).status, 503);
    }
  });

  it('refuse other methods, other types and bodies over 1 MiB', async () => {
    for (const path of [...JSON_PATHS, ...FORM_PATHS]) {
      for (const method of ['GET', 'PUT', 'DELETE']) {
        assert.equal((await ask(path, '', {}, method)).status, 405, `${method} ${path}`);
      }
      assert.equal((await ask(path, 'a=1', { 'content-type': 'text/plain' })).status, 415, path);
      assert.equal((await ask(path, `"${'x'.repeat(2 ** 20)}"`)).status, 413, path);
    }
    assert.equal((await ask('/mqtt/auth', loginForm(), { 'content-type': FORM })).status, 415);
    assert.equal(
      (await ask('/mqtt/rabbitmq/user', loginJson(), { 'content-type': 'application/json' })).status,
      415,
    );
  });

  it('work behind the parsers of the editor too', async () => {
    await runtime.close();
    runtime = await httpRuntime();
    const { httpNode } = runtime.RED;
    httpNode.use(express.json() as never);
    httpNode.use(express.urlencoded({ extended: true }) as never);
    serve();
    assert.equal((await ask('/mqtt/auth', loginJson())).text, '{"result":"allow","is_superuser":false}');
    assert.equal((await ask('/mqtt/rabbitmq/user', loginForm())).text, 'allow');
    assert.equal((await ask('/mqtt/rabbitmq/user', 'username[a]=x')).status, 400);
  });

  it('answer whatever comes with an answer of theirs or a 400, and allow nothing', async () => {
    const names = [
      'username',
      'password',
      'clientid',
      'peerhost',
      'topic',
      'action',
      '__proto__',
      'constructor',
    ];
    const text = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 20 }),
      fc.constantFrom('', '\0', '\ud800', 'publish', '#', `${'9'.repeat(400)}`, '../..', '::ffff:1.2.3.4'),
    );
    const json = fc
      .array(fc.tuple(fc.constantFrom(...names), fc.oneof(text, fc.jsonValue())), { maxLength: 8 })
      .map((fields) => JSON.stringify(Object.fromEntries(fields)));
    const form = fc
      .array(
        fc.tuple(fc.constantFrom(...names, 'vhost', 'name', 'permission', 'routing_key', 'resource'), text),
      )
      .map((fields) =>
        fields
          .map(([name, value]) => `${name}=${encodeURIComponent(Buffer.from(value).toString())}`)
          .join('&'),
      );
    const odd = fc.oneof(fc.string(), fc.constantFrom('%', '&=&', '%ff%fe', 'username', '[]', 'null', ''));
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...JSON_PATHS), fc.oneof(json, odd), async (path, body) => {
        const answer = await ask(path, body);
        assert.ok([200, 400].includes(answer.status), `${answer.status} ${path} ${body}`);
        assert.doesNotMatch(answer.text, /"allow"/);
      }),
      { numRuns: 200 },
    );
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...FORM_PATHS), fc.oneof(form, odd), async (path, body) => {
        const answer = await ask(path, body);
        assert.ok([200, 400].includes(answer.status), `${answer.status} ${path} ${body}`);
        assert.notEqual(answer.text, 'allow');
      }),
      { numRuns: 200 },
    );
    assert.deepEqual(runtime.errors, []);
  });
});

describe('the broker auth node', function () {
  this.timeout(30_000);
  let folder: string;
  let url: string;
  beforeEach(async () => {
    folder = await temporaryFolder();
    url = await temporaryUrl();
    await startRuntime(folder);
  });
  afterEach(async () => {
    await stopRuntime();
    await cleanUp();
  });
  const load = (settings: object = {}, credentials: object = {}) =>
    loadFlow(
      [storeNode, accessNode, brokerAuthNode],
      [
        { id: 'store', type: 'fieldloom-store', url } as never,
        { id: 'access', type: 'fieldloom-access', store: 'store', mode: 'token' } as never,
        { id: 'n', type: 'fieldloom-broker-auth', access: 'access', wires: [[]], ...settings } as never,
      ],
      { n: credentials },
    );

  it('refuses a short secret and does not repeat it', async () => {
    await load({}, { secret: 'too short' });
    const [error = ''] = errorsOf('n');
    assert.match(error, /secret has 9 characters: accepted are 32 or more/);
    assert.doesNotMatch(error, /too short/);
  });

  it('names a setting that is missing or wrong', async () => {
    await load({ access: '' });
    assert.match(errorsOf('n')[0] ?? '', /access/);
    await stopRuntime();
    await startRuntime(folder);
    await load({ prefix: '#' });
    assert.match(errorsOf('n')[0] ?? '', /topic prefix "#"/);
  });

  it('makes a secret that its owner alone can read', async () => {
    const flow = await load();
    const node = flow.node('n') as unknown as { status: (status: { fill: string }) => void };
    await new Promise<void>((resolve) => {
      node.status = ({ fill }) => fill === 'green' && resolve();
    });
    assert.equal((await stat(join(folder, 'broker-secret'))).mode & 0o777, 0o600);
  });
});
