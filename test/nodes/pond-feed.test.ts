import assert from 'node:assert/strict';
import { EventEmitter, once } from 'node:events';
import { WebSocket } from 'ws';
import { type Execution, type PondApi, pondApi, USERS } from '../support/pond-api.js';
import { cleanUp } from '../support/store.js';

interface Message {
  type: string;
  pond_id: number;
  seq: number;
  received_at: string;
  data: Record<string, unknown>;
}

/** A client that keeps what it gets. */
class Follower {
  readonly messages: Message[] = [];
  closed: number | undefined;
  readonly #changed = new EventEmitter();

  constructor(readonly socket: WebSocket) {
    socket.on('message', (data) => {
      this.messages.push(JSON.parse(data.toString()));
      this.#changed.emit('changed');
    });
    socket.on('close', (code) => {
      this.closed = code;
      this.#changed.emit('changed');
    });
  }

  /** The n-th message, from 0. */
  async message(index: number): Promise<Message> {
    while (this.messages.length <= index) await once(this.#changed, 'changed');
    return this.messages[index] as Message;
  }

  async end(): Promise<number> {
    while (this.closed === undefined) await once(this.#changed, 'changed');
    return this.closed;
  }
}

describe('the live feed of a pond', () => {
  let api: PondApi;
  const open: WebSocket[] = [];
  beforeEach(async () => {
    api = await pondApi();
  });
  afterEach(async () => {
    for (const socket of open.splice(0)) socket.terminate();
    await cleanUp();
  });

  const knock = (path: string, as?: string) => {
    const headers = as === undefined ? {} : { authorization: `Bearer ${as}` };
    const socket = new WebSocket(api.url.replace('http', 'ws') + path, { headers });
    socket.on('error', () => {});
    open.push(socket);
    return socket;
  };
  const follow = (path: string, as?: string) => new Follower(knock(path, as));
  const refusal = async (path: string, as?: string) => {
    const [, response] = await once(knock(path, as), 'unexpected-response');
    return (response as { statusCode: number }).statusCode;
  };
  const feed = () => api.ask('POST', '/automation/ponds/1/control/feed/', { as: 'ann', body: { amount: 5 } });
  const commandId = async (execution: number) => (await api.store.execution(execution))?.command.id as string;

  it('begins with the pond and its newest executions', async () => {
    for (let count = 0; count < 21; count += 1) await feed();
    const { type, pond_id, data, received_at } = await follow('/realtime/ponds/1', 'ann').message(0);
    assert.deepEqual([type, pond_id], ['snapshot', 1]);
    assert.match(received_at, /Z$/);
    const { executions, ...pond } = data as { executions: Execution[] };
    assert.deepEqual(pond, (await api.ask('GET', '/automation/ponds/1/', { as: 'ann' })).body);
    assert.equal(executions.length, 20);
    assert.equal(executions[0]?.execution_id, 21);
    assert.equal(executions[0]?.command.history.length, 1);
  });

  it('tells each change of an execution with its history', async () => {
    const follower = follow('/realtime/ponds/1', 'ann');
    await follower.message(0);
    await feed();
    const first = (await follower.message(1)) as { type: string; data: unknown };
    assert.deepEqual([first.type, (first.data as Execution).status], ['execution', 'EXECUTING']);
    await api.dispatcher.end(await commandId(1), 'COMPLETED');
    const second = (await follower.message(2)).data as unknown as Execution;
    assert.deepEqual([second.status, second.command.history.length], ['COMPLETED', 2]);
    assert.deepEqual(second, (await api.ask('GET', '/automation/executions/1/', { as: 'ann' })).body);
    assert.deepEqual(
      api.executions.map(({ execution }) => execution.status),
      ['EXECUTING', 'COMPLETED'],
      'the flow is told the same',
    );
  });

  it('tells readings, alerts, and that the device comes or goes', async () => {
    const follower = follow('/realtime/ponds/1', 'ann');
    await follower.message(0);
    const device = 'AA:BB:CC:DD:EE:FF';
    const at = Date.UTC(2025, 7, 30, 1);
    api.tell('reading', { device, position: 2, at, receivedAt: at, values: { temperature: 99 } });
    api.tell('reading', { device, position: 1, at, receivedAt: at, values: { temperature: 25 } });
    api.tell('reading', { device, position: null, at, receivedAt: at, values: { ph: 7 } });
    api.tell('device', {
      device,
      online: false,
      lastSeen: at,
      startedAt: null,
      firmwareVersion: null,
      intervalMs: 1,
    });
    api.tell('alert', {
      ...{ alertId: 'a', device, position: 1, parameter: 'ph', value: 9, limit: 8, severity: 'warning' },
      ...{ message: 'High', raisedAt: at, acknowledgedAt: null, acknowledgedBy: null, clearedAt: null },
    });
    await follower.message(4);
    assert.deepEqual(
      follower.messages.slice(1).map(({ type, seq }) => [type, seq]),
      [
        ['reading', 1],
        ['reading', 2],
        ['device', 3],
        ['alert', 4],
      ],
    );
    const [, reading, , state, raised] = follower.messages;
    assert.deepEqual(reading?.data, {
      received_at: '2025-08-30T01:00:00.000Z',
      at: '2025-08-30T01:00:00.000Z',
      pond_position: 1,
      values: { temperature: 25 },
    });
    assert.deepEqual(state?.data, {
      online: false,
      last_seen: '2025-08-30T01:00:00.000Z',
      firmware_version: null,
    });
    assert.equal(raised?.data['alert_id'], 'a');
  });

  it('wants a token or a ticket before the upgrade, also where reading is open', async () => {
    assert.equal(await refusal('/realtime/ponds/1'), 401);
    assert.equal(await refusal('/realtime/ponds/1', 'eve'), 401);
    assert.equal(await refusal('/realtime/ponds/1?ticket=eve'), 401);
    assert.equal((await follow('/realtime/ponds/1?ticket=ann').message(0)).type, 'snapshot');
  });

  it('is for the owner and administrators: others are closed with 4403, an unknown pond with 4404', async () => {
    assert.equal((await follow('/realtime/ponds/1', 'root').message(0)).type, 'snapshot');
    const follower = follow('/realtime/ponds/1', 'bob');
    assert.equal(await follower.end(), 4403);
    assert.deepEqual(follower.messages, []);
    for (const id of ['99', '01', 'x', '%00']) {
      assert.equal(await follow(`/realtime/ponds/${id}`, 'ann').end(), 4404, id);
    }
  });

  it('ends for who is revoked, and for who is administrator no more, and for nobody else', async () => {
    const ann = follow('/realtime/ponds/1', 'ann');
    const root = follow('/realtime/ponds/1', 'root');
    const bob = follow('/realtime/ponds/2', 'bob');
    for (const each of [ann, root, bob]) await each.message(0);
    api.users.set(3, { ...USERS.root, admin: false });
    api.userChanged(3);
    assert.equal(await root.end(), 4403);
    api.users.delete(1);
    api.userChanged(1);
    assert.equal(await ann.end(), 4403);
    api.userChanged(2);
    api.tell('reading', { device: api.pond.device, position: 2, at: 1, receivedAt: 1, values: { ph: 7 } });
    assert.equal((await bob.message(1)).type, 'reading');
  });

  it('ends for the former owner when the pond is given to somebody else', async () => {
    const ann = follow('/realtime/ponds/1', 'ann');
    await ann.message(0);
    await api.ponds.remove(1);
    api.tell('reading', { device: api.pond.device, position: 1, at: 1, receivedAt: 1, values: { ph: 7 } });
    assert.equal(await ann.end(), 4403);
    assert.equal(ann.messages.length, 1);
  });
});
