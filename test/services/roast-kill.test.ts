import assert from 'node:assert/strict';
import { once } from 'node:events';
import { WebSocket } from 'ws';
import { Gateway } from '../support/gateway.js';
import { addUser } from '../support/pond-flow.js';
import {
  askRoast,
  Hardware,
  installRoastFlow,
  type LiveMessage,
  RoastSocket,
} from '../support/roast-gateway.js';

interface Session {
  state: string;
  session_id: string;
  temperatures: { timestamp_ms: number; bt: number }[];
  events: { event_type: string }[];
  gaps: { from_timestamp_ms: number; to_timestamp_ms: number }[];
}

describe('a roast in a gateway', function () {
  this.timeout(120_000);
  let gateway: Gateway;
  let hardware: Hardware | undefined;
  const ask = (method: string, path: string, body?: unknown) => askRoast(gateway, method, path, body);
  const session = async () => (await ask('GET', '/api/machines/m1/session')).body as Session;
  const temperatures = (client: RoastSocket) => client.all.filter(({ type }) => type === 'temperature');
  const until = (client: RoastSocket, ms: number) =>
    client.until(({ type, timestamp_ms }) => type === 'temperature' && timestamp_ms >= ms);

  before(async () => {
    gateway = await Gateway.create();
    await installRoastFlow(gateway);
    await gateway.start();
    await ask('POST', '/api/machines', { id: 'm1', name: 'Drum', driver: 'flow' });
    await ask('POST', '/api/machines/m1/connect');
    hardware = new Hardware(gateway, 'm1');
  });
  after(async () => {
    hardware?.stop();
    await gateway.remove();
  });

  it('goes on recording after kill -9, with the gap marked and no stored reading missing', async () => {
    const before = await RoastSocket.open(gateway.url, 'm1');
    before.say({ type: 'command', action: 'start_monitoring' });
    before.say({ type: 'command', action: 'start_recording' });
    const { session_id } = await before.until(({ state }) => state === 'recording');
    await until(before, 1_000);
    before.say({ type: 'command', action: 'mark_event', event_type: 'FCs' });
    await before.until(({ event_type }) => event_type === 'FCs');
    const stored = (await session()).temperatures;
    await until(before, 3_000);
    await gateway.end('SIGKILL');
    const last = temperatures(before).at(-1) as LiveMessage;
    const recordedFrom = before.all.findIndex(({ state }) => state === 'recording');
    const seen = before.all.slice(recordedFrom).filter(({ type }) => type === 'temperature');
    await gateway.start();

    const after = await RoastSocket.open(gateway.url, 'm1');
    after.say({ type: 'command', action: 'sync', last_timestamp_ms: last.timestamp_ms, session_id });
    const state = await after.until(({ type }) => type === 'state');
    assert.deepEqual([state['state'], state['session_id']], ['recording', session_id]);
    const gap = await after.until(({ type }) => type === 'gap');
    assert.equal(gap['reason'], 'restart');
    assert.ok((gap['to_timestamp_ms'] as number) - (gap['from_timestamp_ms'] as number) > 500);
    const next = await after.until(({ type }) => type === 'temperature');
    assert.ok(next.timestamp_ms > last.timestamp_ms, 'its clock has gone on');
    await until(after, next.timestamp_ms + 1_000);

    const now = await session();
    assert.deepEqual([now.state, now.session_id], ['recording', session_id]);
    assert.deepEqual(now.temperatures.slice(0, stored.length), stored);
    const times = now.temperatures.map(({ timestamp_ms }) => timestamp_ms);
    // A reading is shown at once and stored within milliseconds: of those, the kill may take the last.
    const shown = seen.map(({ timestamp_ms }) => timestamp_ms);
    assert.deepEqual(
      shown.slice(0, -1).filter((time) => !times.includes(time)),
      [],
    );
    assert.deepEqual(
      times,
      times.toSorted((a, b) => a - b),
    );
    assert.deepEqual(
      now.events.map(({ event_type }) => event_type),
      ['FCs'],
    );
    await after.end();
  });

  it('outlives whatever a client sends, and refuses frames over 64 KiB', async () => {
    for (const frame of ['x'.repeat(10 * 1024 * 1024), 'x'.repeat(64 * 1024 + 1)]) {
      const client = await RoastSocket.open(gateway.url, 'm1');
      client.socket.send(frame);
      if (client.closed === undefined) await once(client.socket, 'close');
      assert.equal(client.closed, 1009);
    }
    const client = await RoastSocket.open(gateway.url, 'm1');
    for (const frame of [
      '',
      '{',
      '\u0000',
      '{"type":"command","action":"explode"}',
      '[[[[[[[[[[[[[[[[[[[[[[',
    ]) {
      client.socket.send(frame);
      const answer = await client.until(({ type }) => type === 'error');
      assert.equal(answer['code'], 'INVALID_MESSAGE');
    }
    client.socket.send(Buffer.from([0xff, 0x00]), { binary: true });
    assert.equal((await client.until(({ type }) => type === 'error'))['code'], 'INVALID_MESSAGE');
    assert.equal((await session()).state, 'recording');
    await client.end();
  });

  it('says MACHINE_NOT_FOUND and closes with 4404 for a machine that is not there', async () => {
    const client = await RoastSocket.open(gateway.url, 'nobody');
    const answer = await client.next();
    assert.deepEqual(
      [answer.type, answer['code'], answer['recoverable']],
      ['error', 'MACHINE_NOT_FOUND', false],
    );
    if (client.closed === undefined) await once(client.socket, 'close');
    assert.equal(client.closed, 4404);
  });

  it('answers the endpoints for machines and profiles with the right status', async () => {
    const status = async (method: string, path: string, body?: unknown) =>
      (await ask(method, path, body)).status;
    assert.equal(await status('POST', '/api/machines', { id: 'm1', name: 'Drum', driver: 'flow' }), 409);
    assert.equal(await status('POST', '/api/machines', { name: 'Drum', driver: 'steam' }), 400);
    assert.equal(await status('POST', '/api/machines', { name: 'Drum', driver: 'modbus' }), 400);
    const { status: made, body } = await ask('POST', '/api/machines', { name: 'Test', driver: 'simulator' });
    assert.equal(made, 201);
    assert.equal(
      await status('PUT', `/api/machines/${body.id}`, { name: 'Sample', driver: 'simulator' }),
      200,
    );
    assert.equal((await ask('GET', `/api/machines/${body.id}`)).body.name, 'Sample');
    const { items } = (await ask('GET', '/api/machines')).body;
    assert.deepEqual(
      items.map(({ name }: { name: string }) => name),
      ['Sample', 'Drum'],
    );
    assert.equal(await status('POST', `/api/machines/${body.id}/connect`), 200);
    assert.equal(await status('POST', `/api/machines/${body.id}/disconnect`), 200);
    assert.equal(await status('DELETE', `/api/machines/${body.id}`), 204);
    assert.equal(await status('DELETE', `/api/machines/${body.id}`), 404);
    assert.equal(await status('DELETE', '/api/machines/m1'), 409, 'it roasts');
    assert.equal(await status('POST', '/api/profiles', { machine_id: 'm1', name: 'x' }), 409, 'not finished');
    assert.equal(await status('POST', '/api/profiles', { machine_id: 'none', name: 'x' }), 404);
    assert.equal(await status('POST', '/api/profiles', { machine_id: 'm1' }), 400);
    const whole = {
      format: 'fieldloom-roast',
      version: 1,
      title: 'Old',
      samples: [{ timestamp_ms: 0, bt: 20 }],
    };
    const saved = await ask('POST', '/api/profiles', whole);
    assert.equal(saved.status, 201);
    assert.equal((await ask('GET', `/api/profiles/${saved.body.id}`)).body.title, 'Old');
    assert.equal((await ask('GET', '/api/profiles')).body.items[0].id, saved.body.id);
    assert.equal(await status('GET', `/api/profiles/${saved.body.id}/export?format=xls`), 400);
    assert.equal(await status('DELETE', `/api/profiles/${saved.body.id}`), 204);
    assert.equal(await status('GET', `/api/profiles/${saved.body.id}`), 404);
    assert.equal(await status('GET', '/api/profiles/none'), 404);
  });

  it('takes no order from the page of another site where no token is wanted', async () => {
    const from = (origin: string) =>
      fetch(`${gateway.url}/api/machines/m1/disconnect`, { method: 'POST', headers: { origin } });
    assert.equal((await from('https://elsewhere.example')).status, 403);
    assert.equal((await from(gateway.url)).status, 200);
    assert.equal((await ask('POST', '/api/machines/m1/connect')).status, 200);
  });

  it('wants a token where reading is not open, and sends a revoked user away', async () => {
    const closed = await Gateway.create({ ACCESS: 'token' });
    try {
      await closed.start();
      const token = await addUser(closed, 'ann');
      const root = await addUser(closed, 'root', '--admin');
      assert.equal((await fetch(`${closed.url}/api/machines`)).status, 401);
      const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
      const body = JSON.stringify({ id: 'm1', name: 'Drum', driver: 'simulator' });
      const add = async (as: string) => {
        const own = { ...headers, authorization: `Bearer ${as}` };
        return (await fetch(`${closed.url}/api/machines`, { method: 'POST', headers: own, body })).status;
      };
      assert.deepEqual([await add(token), await add(root)], [403, 201], 'set up by an administrator');
      const url = `${closed.url.replace('http', 'ws')}/ws/live/m1`;
      const stranger = new WebSocket(url);
      stranger.on('error', () => {}); // it is refused
      const [, answer] = await once(stranger, 'unexpected-response');
      assert.equal(answer.statusCode, 401);
      stranger.terminate();
      const ann = new WebSocket(url, { headers: { authorization: headers.authorization } });
      await once(ann, 'message');
      const gone = once(ann, 'close');
      await closed.command('user', 'revoke', 'ann');
      assert.equal((await gone)[0], 4403);
    } finally {
      await closed.remove();
    }
  });
});
