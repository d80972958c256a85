import assert from 'node:assert/strict';
import { once } from 'node:events';
import { get, type IncomingMessage } from 'node:http';
import type { UserPrincipal } from '../../lib/access/principal.js';
import { FieldloomError } from '../../lib/core/errors.js';
import type { Answer, Request, Route } from '../../lib/web/route.js';
import { addGuard, mayReadWithoutToken } from '../../nodes/runtime/guard.js';
import { routes } from '../../nodes/runtime/http.js';
import { httpRuntime, type Runtime } from '../support/runtime.js';

const ann: UserPrincipal = {
  role: 'user',
  userId: 1,
  username: 'ann',
  admin: true,
  companies: [],
  stores: [],
};
const bob: UserPrincipal = { ...ann, userId: 2, username: 'bob', admin: false };

function guard(mode: 'open' | 'token') {
  return {
    mode,
    origins: ['https://gateway.example'],
    async verify(token: string) {
      if (token === 'ann') return ann;
      if (token === 'bob') return bob;
      throw new FieldloomError('invalid_token', 'no such token');
    },
    onUserChanged: () => () => {},
    user: async () => undefined,
    async redeem(): Promise<UserPrincipal> {
      throw new FieldloomError('invalid_token', 'no tickets here');
    },
  };
}

describe('REST routes of a runtime', () => {
  let runtime: Runtime;
  let removeGuard: () => void;

  beforeEach(async () => {
    runtime = await httpRuntime();
    removeGuard = addGuard(runtime.RED, guard('open'));
  });
  afterEach(() => runtime.close());

  const route = (
    method: Route['method'],
    path: string,
    handle: (request: Request) => Partial<Answer> = () => ({}),
    access: Route['access'] = 'open',
  ): Route => ({ method, path, access, handle: async (request) => ({ status: 200, ...handle(request) }) });

  const ask = async (path: string, init: RequestInit = {}) => {
    const answer = await fetch(runtime.url + path, init);
    const text = await answer.text();
    return {
      status: answer.status,
      headers: answer.headers,
      body: text !== '' && answer.headers.get('content-type')?.includes('json') ? JSON.parse(text) : text,
    };
  };
  const json = (body: string, type = 'application/json') => ({
    method: 'POST',
    body,
    headers: { 'content-type': type },
  });

  it('hand over decoded parameters, the query and the body', async () => {
    let seen: Request | undefined;
    routes(runtime.RED).add([
      route('POST', '/stores/:store_id/machines', (request) => {
        seen = request;
        return { status: 201, body: { made: true } };
      }),
    ]);
    const answer = await ask('/stores/a%2Fb/machines?limit=5', json('{"x":[1]}'));
    assert.equal(answer.status, 201);
    assert.deepEqual(answer.body, { made: true });
    assert.deepEqual(seen?.parameters, { store_id: 'a/b' });
    assert.equal(seen?.query.get('limit'), '5');
    assert.deepEqual(seen?.body, { x: [1] });
  });

  it('answer with and without the trailing slash', async () => {
    routes(runtime.RED).add([route('GET', '/api/token/'), route('GET', '/stores')]);
    for (const path of ['/api/token/', '/api/token', '/stores', '/stores/']) {
      assert.equal((await ask(path)).status, 200, path);
    }
    assert.equal((await ask('/stores//')).status, 404);
  });

  it('prefer the literal path to the parameter', async () => {
    routes(runtime.RED).add([
      route('GET', '/stores/:store_id', () => ({ body: 'one' })),
      route('GET', '/stores/all', () => ({ body: 'all' })),
    ]);
    assert.equal((await ask('/stores/all')).body, 'all');
    assert.equal((await ask('/stores/x')).body, 'one');
  });

  it('are mounted once, however often they come and go', async () => {
    const layers = () =>
      (runtime.RED.httpNode as unknown as { _router: { stack: unknown[] } })._router.stack.length;
    routes(runtime.RED).add([])();
    const before = layers();
    for (let deploy = 0; deploy < 50; deploy += 1) {
      const remove = routes(runtime.RED).add([route('GET', '/stores')]);
      assert.equal((await ask('/stores')).status, 200);
      remove();
      assert.equal((await ask('/stores')).status, 404);
    }
    assert.equal(layers(), before);
    assert.equal(routes(runtime.RED).size, 0);
  });

  it('leave other paths to other nodes', async () => {
    routes(runtime.RED).add([route('GET', '/stores')]);
    (runtime.RED.httpNode as unknown as { get(path: string, handler: unknown): void }).get(
      '/hello',
      (_: unknown, response: { end(text: string): void }) => response.end('hello'),
    );
    assert.equal((await ask('/hello')).body, 'hello');
  });

  it('refuse another method with what is accepted', async () => {
    routes(runtime.RED).add([route('GET', '/stores'), route('POST', '/stores')]);
    const answer = await ask('/stores', { method: 'DELETE' });
    assert.equal(answer.status, 405);
    assert.equal(answer.headers.get('allow'), 'GET, POST');
    assert.equal(answer.body.error.code, 'method_not_allowed');
  });

  it('answer HEAD like GET, without the body', async () => {
    routes(runtime.RED).add([route('GET', '/stores', () => ({ body: { items: [] } }))]);
    const answer = await ask('/stores', { method: 'HEAD' });
    assert.equal(answer.status, 200);
    assert.equal(answer.body, '');
  });

  for (const [what, init, status, code] of [
    ['a body over 1 MiB', json(`"${'x'.repeat(2 ** 20)}"`), 413, 'payload_too_large'],
    ['a body that is not JSON', json('{'), 400, 'invalid_json'],
    ['a body nested 2,000 levels deep', json('['.repeat(2000)), 400, 'nesting_too_deep'],
    ['another content type', json('a=1', 'application/x-www-form-urlencoded'), 415, 'unsupported_media_type'],
  ] as const) {
    it(`refuse ${what}`, async () => {
      routes(runtime.RED).add([route('POST', '/stores')]);
      const answer = await ask('/stores', init);
      assert.equal(answer.status, status);
      assert.equal(answer.body.error.code, code);
    });
  }

  it('refuse a large body sent in pieces without a length', async () => {
    routes(runtime.RED).add([route('POST', '/stores')]);
    const piece = new Uint8Array(64 * 1024).fill(0x20);
    let pieces = 0;
    const body = new ReadableStream({
      pull(controller) {
        pieces += 1;
        if (pieces > 32) controller.close();
        else controller.enqueue(piece);
      },
    });
    const init = { method: 'POST', body, duplex: 'half', headers: { 'content-type': 'application/json' } };
    assert.equal((await ask('/stores', init as RequestInit)).status, 413);
  });

  it('take a path with a broken percent-encoding for bad input', async () => {
    routes(runtime.RED).add([route('GET', '/stores/:store_id')]);
    assert.equal((await ask('/stores/%E0%A4%A')).status, 400);
  });

  it('tell the client nothing of a failure of our own, and the log everything', async () => {
    routes(runtime.RED).add([
      route('GET', '/stores', () => {
        throw new Error('the secret reason');
      }),
    ]);
    const answer = await ask('/stores');
    assert.equal(answer.status, 500);
    assert.ok(!JSON.stringify(answer.body).includes('secret'));
    assert.match(runtime.errors.join(), /secret reason/);
  });

  it('let a path word its own failures, whoever finds them', async () => {
    const failed: string[] = [];
    const own: Route = {
      ...route('POST', '/automation/ponds/:id', () => ({}), 'user'),
      problem(thrown, { method, path, principal }) {
        failed.push(`${method} ${path} ${principal?.username}`);
        return { status: 418, body: { detail: (thrown as FieldloomError).code } };
      },
    };
    routes(runtime.RED).add([own]);
    const bob = { authorization: 'Bearer bob', 'content-type': 'application/json' };
    for (const [path, init, code] of [
      ['/automation/ponds/1', { method: 'POST' }, 'unauthenticated'],
      ['/automation/ponds/2', { method: 'POST', body: '{', headers: bob }, 'invalid_json'],
      ['/automation/ponds/3', { method: 'DELETE' }, 'method_not_allowed'],
      ['/automation/ponds/%E0', { method: 'POST', headers: bob }, 'invalid_input'],
    ] as const) {
      const answer = await ask(path, init);
      assert.deepEqual([answer.status, answer.body], [418, { detail: code }]);
    }
    assert.deepEqual(failed, [
      'POST /automation/ponds/1 undefined',
      'POST /automation/ponds/2 bob',
      'DELETE /automation/ponds/3 undefined',
      'POST /automation/ponds/%E0 undefined',
    ]);
  });

  describe('ask who is there', () => {
    const bearer = (token: string) => ({ headers: { authorization: `Bearer ${token}` } });
    const all = () =>
      routes(runtime.RED).add(
        (['open', 'read', 'user', 'admin'] as const).map((access) =>
          route('GET', `/api/${access}`, ({ principal }) => ({ body: principal?.username ?? null }), access),
        ),
      );
    const statuses = async (init: RequestInit) =>
      Promise.all(
        ['open', 'read', 'user', 'admin'].map(async (name) => (await ask(`/api/${name}`, init)).status),
      );

    it('with reading open: not to a page that calls us by a name of its own', async () => {
      all();
      const { port } = new URL(runtime.url);
      const byName = async (host: string) => {
        const [answer] = await once(get({ port, path: '/api/read', headers: { host } }), 'response');
        return (answer as IncomingMessage).resume().statusCode;
      };
      assert.equal(await byName(`evil.example:${port}`), 401);
      assert.equal(await byName(`localhost:${port}`), 200);
      assert.equal(await byName('gateway.example'), 200);
    });

    it('with reading open: without a token only what reads, an admin everywhere', async () => {
      all();
      assert.deepEqual(await statuses({}), [200, 200, 401, 401]);
      assert.deepEqual(await statuses(bearer('bob')), [200, 200, 200, 403]);
      assert.deepEqual(await statuses(bearer('ann')), [200, 200, 200, 200]);
    });

    it('with tokens wanted: nothing without one', async () => {
      removeGuard();
      addGuard(runtime.RED, guard('token'));
      all();
      assert.deepEqual(await statuses({}), [200, 401, 401, 401]);
      assert.deepEqual(await statuses(bearer('bob')), [200, 200, 200, 403]);
    });

    it('and refuse a bad token everywhere, also where none is wanted', async () => {
      all();
      assert.deepEqual(await statuses(bearer('eve')), [401, 401, 401, 401]);
      assert.deepEqual(await statuses({ headers: { authorization: 'Basic x' } }), [401, 401, 401, 401]);
    });

    it('and let nobody in where no access node stands at the door', async () => {
      removeGuard();
      all();
      assert.deepEqual(await statuses({}), [200, 401, 401, 401]);
    });
  });
});

describe('reading without a token', () => {
  const from = (remoteAddress: string, host = '192.168.1.5:1880') =>
    mayReadWithoutToken(
      { mode: 'open', origins: [] } as never,
      { headers: { host }, socket: { remoteAddress } } as never,
    );

  it('is for this computer alone, by a name that no other site can take', () => {
    from('127.0.0.1');
    from('::ffff:127.0.0.1', 'localhost:1880');
    assert.throws(() => from('192.168.1.9'), { code: 'unauthenticated' });
    assert.throws(() => from('127.0.0.1', 'elsewhere.example'), { code: 'unauthenticated' });
  });
});
