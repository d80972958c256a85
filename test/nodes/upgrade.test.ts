import assert from 'node:assert/strict';
import { once } from 'node:events';
import { WebSocket } from 'ws';
import type { UserPrincipal } from '../../lib/access/principal.js';
import { FieldloomError } from '../../lib/core/errors.js';
import { addGuard } from '../../nodes/runtime/guard.js';
import { addUpgrade, type UpgradeRequest } from '../../nodes/runtime/upgrade.js';
import { httpRuntime, type Runtime } from '../support/runtime.js';

const ann: UserPrincipal = {
  role: 'user',
  userId: 1,
  username: 'ann',
  admin: true,
  companies: [],
  stores: [],
};
const TEMPLATE = '/realtime/stores/{store_id}';

describe('the WebSocket door of a runtime', () => {
  let runtime: Runtime;
  const open: WebSocket[] = [];
  const requests: UpgradeRequest[] = [];

  const setUp = async (mode: 'open' | 'token', httpNodeRoot = '/') => {
    runtime = await httpRuntime({ httpNodeRoot });
    const tickets = new Set(['good']);
    addGuard(runtime.RED, {
      mode,
      origins: ['https://listed.example'],
      async verify(token) {
        if (token !== 'ann') throw new FieldloomError('invalid_token', 'no such token');
        return ann;
      },
      onUserChanged: () => () => {},
      user: async () => undefined,
      async redeem(ticket) {
        if (!tickets.delete(ticket)) throw new FieldloomError('invalid_token', 'no such ticket');
        return ann;
      },
    });
  };
  const serve = (template = TEMPLATE) =>
    addUpgrade(runtime.RED, template, (socket, request) => {
      requests.push(request);
      socket.send('hello');
    });
  /** The status of the refusal, or the first message. */
  const knock = (path: string, headers: Record<string, string> = {}) =>
    new Promise<number | string>((resolve, reject) => {
      const socket = new WebSocket(runtime.url.replace('http', 'ws') + path, { headers });
      open.push(socket);
      socket.on('message', (data) => resolve(data.toString()));
      socket.on('unexpected-response', (_, response) => resolve(response.statusCode ?? 0));
      socket.on('error', reject);
    });

  afterEach(async () => {
    for (const socket of open.splice(0)) socket.terminate();
    requests.length = 0;
    await runtime.close();
  });

  it('opens for a path of a template and hands over its values', async () => {
    await setUp('open');
    serve();
    assert.equal(await knock('/realtime/stores/s1?since=5'), 'hello');
    assert.deepEqual(requests[0]?.parameters, { store_id: 's1' });
    assert.equal(requests[0]?.query.get('since'), '5');
    assert.equal(requests[0]?.principal, undefined);
  });

  it('wants a good token or ticket before the upgrade', async () => {
    await setUp('token');
    serve();
    assert.equal(await knock('/realtime/stores/s1'), 401);
    assert.equal(await knock('/realtime/stores/s1', { authorization: 'Bearer eve' }), 401);
    assert.equal(await knock('/realtime/stores/s1', { authorization: 'Bearer ann' }), 'hello');
    assert.equal(await knock('/realtime/stores/s1?ticket=good'), 'hello');
    assert.equal(await knock('/realtime/stores/s1?ticket=good'), 401, 'a ticket is good once');
    assert.deepEqual(
      requests.map(({ principal }) => principal?.username),
      ['ann', 'ann'],
    );
  });

  it('wants a token or a ticket also where reading is open, for a path that says so', async () => {
    await setUp('open');
    addUpgrade(runtime.RED, '/realtime/ponds/{pond_id}', (socket) => socket.send('hello'), {
      access: 'user',
    });
    assert.equal(await knock('/realtime/ponds/1'), 401);
    assert.equal(await knock('/realtime/ponds/1', { authorization: 'Bearer ann' }), 'hello');
    assert.equal(await knock('/realtime/ponds/1?ticket=good'), 'hello');
  });

  it('refuses a bad token also where reading is open', async () => {
    await setUp('open');
    serve();
    assert.equal(await knock('/realtime/stores/s1', { authorization: 'Bearer eve' }), 401);
  });

  it('refuses pages of other hosts that are not listed', async () => {
    await setUp('open');
    serve();
    assert.equal(await knock('/realtime/stores/s1', { origin: 'https://evil.example' }), 403);
    assert.equal(await knock('/realtime/stores/s1', { origin: 'null' }), 403);
    assert.equal(await knock('/realtime/stores/s1', { origin: runtime.url }), 'hello');
    assert.equal(await knock('/realtime/stores/s1', { origin: 'https://listed.example' }), 'hello');
  });

  it('leaves a path of nobody to other listeners', async () => {
    await setUp('open');
    serve();
    const other = once(runtime.server, 'upgrade').then(([, socket]) => {
      socket.end('HTTP/1.1 418 Teapot\r\nContent-Length: 0\r\n\r\n');
    });
    assert.equal(await knock('/elsewhere'), 418);
    await other;
  });

  it('stands below httpNodeRoot', async () => {
    await setUp('open', '/nodes');
    serve();
    assert.equal(await knock('/nodes/realtime/stores/s1'), 'hello');
    const refused = once(runtime.server, 'upgrade').then(([, socket]) =>
      socket.end('HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n'),
    );
    assert.equal(await knock('/realtime/stores/s1'), 404);
    await refused;
  });

  it('has one listener for all templates, and none after the last', async () => {
    await setUp('open');
    const listeners = () => runtime.server.listenerCount('upgrade');
    const before = listeners();
    for (let deploy = 0; deploy < 50; deploy += 1) {
      const stop = [serve(), serve('/ws/live/{machine_id}')];
      assert.equal(listeners(), before + 1);
      for (const each of stop) each();
      assert.equal(listeners(), before);
    }
  });
});
