import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Api, ApiError, type LoginStorage } from '../../client/api.js';

interface Asked {
  method: string;
  path: string;
  authorization: string | undefined;
  idempotencyKey: string | undefined;
  body: unknown;
}
type Answer = { status?: number; body?: unknown; text?: string };

function memoryStorage(): LoginStorage & { values: Map<string, string> } {
  const values = new Map<string, string>();
  return {
    values,
    getItem: (key) => values.get(key) ?? null,
    setItem: (key, value) => void values.set(key, value),
    removeItem: (key) => void values.delete(key),
  };
}

async function bodyOf(request: IncomingMessage): Promise<unknown> {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part as Buffer);
  return parts.length === 0 ? undefined : JSON.parse(Buffer.concat(parts).toString());
}

describe('REST client', () => {
  let server: Server;
  let api: Api;
  let root: string;
  let storage: ReturnType<typeof memoryStorage>;
  let asked: Asked[];
  let answer: (asked: Asked) => Answer | undefined;

  beforeEach(async () => {
    asked = [];
    storage = memoryStorage();
    server = createServer(async (request, response) => {
      const one = {
        method: request.method ?? '',
        path: request.url ?? '',
        authorization: request.headers.authorization,
        idempotencyKey: request.headers['idempotency-key'] as string | undefined,
        body: await bodyOf(request),
      };
      asked.push(one);
      const given = answer(one);
      // No answer at all is for the tests of the time limit.
      if (given === undefined) return;
      response.statusCode = given.status ?? 200;
      response.end(given.text ?? (given.body === undefined ? '' : JSON.stringify(given.body)));
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    root = `http://127.0.0.1:${port}/`;
    api = new Api({ root, storage });
  });
  afterEach(async () => {
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
  });

  const refusal = async (promise: Promise<unknown>) => {
    const error = await promise.then(
      () => assert.fail('should have been refused'),
      (reason: unknown) => reason,
    );
    assert.ok(error instanceof ApiError);
    return { status: error.status, code: error.code, message: error.message };
  };
  const logIn = async () => {
    answer = () => ({ body: { access: 'a1', refresh: 'r1' } });
    await api.login('ann', 'secret');
    asked.length = 0;
  };

  it('asks without a token where nobody is logged in', async () => {
    answer = () => ({ body: { items: [] } });
    assert.deepEqual(await api.request('stores?limit=5'), { items: [] });
    assert.deepEqual(asked, [
      {
        method: 'GET',
        path: '/stores?limit=5',
        authorization: undefined,
        idempotencyKey: undefined,
        body: undefined,
      },
    ]);
    assert.equal(await api.ticket(), undefined);
  });

  it('logs in by name and password, and shows the token from then on', async () => {
    answer = () => ({ body: { access: 'a1', refresh: 'r1' } });
    await api.login('ann', 'secret');
    assert.deepEqual(asked[0], {
      method: 'POST',
      path: '/api/token/',
      authorization: undefined,
      idempotencyKey: undefined,
      body: { username: 'ann', password: 'secret' },
    });
    await api.request('stores');
    assert.equal(asked[1]?.authorization, 'Bearer a1');
    assert.equal(api.loggedIn, true);
    assert.equal(api.username, 'ann');
  });

  it('keeps the login in the storage, never the password', async () => {
    await logIn();
    assert.doesNotMatch([...storage.values.values()].join(), /secret/);
    assert.equal(new Api({ root: 'http://127.0.0.1:1/', storage }).loggedIn, true);
    api.logout();
    assert.equal(storage.values.size, 0);
  });

  it('refreshes an expired token once, for all that ask at the same time', async () => {
    await logIn();
    answer = ({ path, authorization }) => {
      if (path === '/api/token/refresh/') return { body: { access: 'a2' } };
      return authorization === 'Bearer a2' ? { body: 'yes' } : { status: 401 };
    };
    assert.deepEqual(await Promise.all([api.request('one'), api.request('two'), api.request('three')]), [
      'yes',
      'yes',
      'yes',
    ]);
    const refreshes = asked.filter(({ path }) => path === '/api/token/refresh/');
    assert.deepEqual(
      refreshes.map(({ body }) => body),
      [{ refresh: 'r1' }],
    );
  });

  it('forgets a login that can no longer be refreshed, and says 401', async () => {
    await logIn();
    answer = () => ({ status: 401 });
    assert.equal((await refusal(api.request('stores'))).status, 401);
    assert.equal(api.loggedIn, false);
  });

  it('keeps a login when the gateway is merely away during the refresh', async () => {
    await logIn();
    answer = ({ path }) => (path === '/api/token/refresh/' ? { status: 503 } : { status: 401 });
    assert.equal((await refusal(api.request('stores'))).status, 401);
    assert.equal(api.loggedIn, true);
  });

  it('fetches a ticket for a WebSocket with its token', async () => {
    await logIn();
    answer = () => ({ body: { ticket: 't1' } });
    assert.equal(await api.ticket(), 't1');
    assert.deepEqual(asked, [
      {
        method: 'POST',
        path: '/api/ws-ticket',
        authorization: 'Bearer a1',
        idempotencyKey: undefined,
        body: undefined,
      },
    ]);
  });

  it('hands on the code and message of a problem answer', async () => {
    answer = () => ({ status: 409, body: { error: { code: 'conflict', message: 'already done' } } });
    assert.deepEqual(await refusal(api.request('x', { method: 'POST', body: { a: 1 } })), {
      status: 409,
      code: 'conflict',
      message: 'already done',
    });
  });

  it('hands on what the pond API says of a refusal', async () => {
    answer = () => ({ status: 500, body: { success: false, error: 'MQTT client not connected' } });
    assert.deepEqual(await refusal(api.request('x', { method: 'POST', body: { amount: 100 } })), {
      status: 500,
      code: 'http_500',
      message: 'MQTT client not connected',
    });
    answer = () => ({ status: 401, body: { detail: 'Authentication credentials were not provided.' } });
    assert.deepEqual(await refusal(api.request('x')), {
      status: 401,
      code: 'unauthenticated',
      message: 'Authentication credentials were not provided.',
    });
  });

  it('sends the key by which the gateway knows an attempt at the same thing', async () => {
    answer = () => ({ body: {} });
    await api.request('x', { method: 'POST', idempotencyKey: 'k-1' });
    await api.request('x', { method: 'POST' });
    assert.deepEqual(
      asked.map(({ idempotencyKey }) => idempotencyKey),
      ['k-1', undefined],
    );
  });

  it('says what it can of an answer from something else on the way', async () => {
    answer = () => ({ status: 502, text: '<html>Bad gateway</html>' });
    assert.deepEqual(await refusal(api.request('x')), {
      status: 502,
      code: 'http_502',
      message: 'The gateway answered with status 502.',
    });
  });

  it('refuses an answer that is not JSON', async () => {
    answer = () => ({ text: '<html>' });
    assert.equal((await refusal(api.request('x'))).code, 'invalid_answer');
  });

  it('takes an empty answer for one without content', async () => {
    answer = () => ({ status: 204 });
    assert.equal(await api.request('x', { method: 'POST' }), undefined);
  });

  it('says unreachable where nobody listens', async () => {
    const away = new Api({ root: 'http://127.0.0.1:1/', storage });
    assert.deepEqual(await refusal(away.request('x')), {
      status: 0,
      code: 'unreachable',
      message: 'The gateway does not answer.',
    });
  });

  it('says unreachable where an answer takes too long', async () => {
    answer = () => undefined;
    const hasty = new Api({ root, storage, timeoutMs: 200 });
    assert.equal((await refusal(hasty.request('x'))).code, 'unreachable');
  });
});
