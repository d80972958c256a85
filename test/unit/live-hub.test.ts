import assert from 'node:assert/strict';
import { setImmediate as turn } from 'node:timers/promises';
import { FieldloomError } from '../../lib/core/errors.js';
import { createLiveHub, type LiveHubOptions, type LiveSocket } from '../../lib/web/live-hub.js';
import { fakeClock } from '../support/fake-clock.js';

interface Viewer {
  name: string;
}

interface FakeSocket extends LiveSocket {
  bufferedAmount: number;
  received: { type: string; seq: number; data: Record<string, unknown>; [field: string]: unknown }[];
  pings: number;
  closed: number | 'terminated' | undefined;
  /** The network takes everything that waits. */
  drain(): void;
}

function fakeSocket({ frozen = false } = {}): FakeSocket {
  let waiting: (() => void)[] = [];
  return {
    bufferedAmount: 0,
    received: [],
    pings: 0,
    closed: undefined,
    send(text, sent) {
      this.received.push(JSON.parse(text));
      if (frozen) {
        this.bufferedAmount += text.length;
        waiting.push(() => sent());
      } else sent();
    },
    ping() {
      this.pings += 1;
    },
    close(code) {
      this.closed = code;
    },
    terminate() {
      this.closed = 'terminated';
    },
    drain() {
      this.bufferedAmount = 0;
      const callbacks = waiting;
      waiting = [];
      for (const callback of callbacks) callback();
    },
  };
}

function setUp(options: Partial<LiveHubOptions<Viewer>> = {}) {
  const clock = fakeClock();
  const hub = createLiveHub<Viewer>({
    clock,
    snapshot: async (key) => (key === 'nowhere' ? undefined : { machines: [] }),
    identity: (key) => ({ store_id: key }),
    softLimitBytes: 1000,
    hardLimitBytes: 5000,
    ...options,
  });
  const change = (machine: string, value: number, key = 'shop', padding = '') =>
    hub.publish(key, { type: 'change', receivedAt: clock.now(), data: { value, padding }, about: machine });
  return { clock, hub, change };
}

const viewer = { name: 'ada' };
const values = (socket: FakeSocket) =>
  socket.received.filter(({ type }) => type === 'change').map(({ data }) => data['value']);

describe('live hub', () => {
  it('sends the snapshot first, then messages in order with the fields of the feed', async () => {
    const { hub, change } = setUp();
    const socket = fakeSocket();
    change('w1', 0);
    hub.join('shop', socket, viewer);
    await turn();
    change('w1', 1);
    change('w2', 2);
    assert.deepEqual(socket.received, [
      {
        type: 'snapshot',
        store_id: 'shop',
        received_at: '2024-01-15T09:00:00.000Z',
        seq: 1,
        data: { machines: [] },
      },
      {
        type: 'change',
        store_id: 'shop',
        received_at: '2024-01-15T09:00:00.000Z',
        seq: 2,
        data: { value: 1, padding: '' },
      },
      {
        type: 'change',
        store_id: 'shop',
        received_at: '2024-01-15T09:00:00.000Z',
        seq: 3,
        data: { value: 2, padding: '' },
      },
    ]);
  });

  it('keeps messages that come while the snapshot is read until after it', async () => {
    let answer: (data: unknown) => void = () => {};
    const { hub, change } = setUp({ snapshot: () => new Promise((resolve) => (answer = resolve)) });
    const socket = fakeSocket();
    hub.join('shop', socket, viewer);
    change('w1', 1);
    assert.equal(socket.received.length, 0);
    answer({ machines: ['old'] });
    await turn();
    assert.deepEqual(
      socket.received.map(({ type, seq }) => [type, seq]),
      [
        ['snapshot', 0],
        ['change', 1],
      ],
    );
  });

  it('sends a message to the clients of its own feed alone', async () => {
    const { hub, change } = setUp();
    const here = fakeSocket();
    const elsewhere = fakeSocket();
    hub.join('shop', here, viewer);
    hub.join('other', elsewhere, viewer);
    await turn();
    change('w1', 1);
    assert.deepEqual(values(here), [1]);
    assert.deepEqual(values(elsewhere), []);
  });

  it('writes a message as JSON once, however many clients there are', async () => {
    const { hub } = setUp();
    for (let count = 0; count < 20; count += 1) hub.join('shop', fakeSocket(), viewer);
    await turn();
    let written = 0;
    const data = {
      toJSON() {
        written += 1;
        return {};
      },
    };
    hub.publish('shop', { type: 'change', receivedAt: 0, data, about: 'w1' });
    assert.equal(written, 1);
  });

  it('drops older messages about the same machine for a slow client and says how many', async () => {
    const { hub, change } = setUp();
    const slow = fakeSocket({ frozen: true });
    hub.join('shop', slow, viewer);
    await turn();
    change('w1', 0, 'shop', 'x'.repeat(1000));
    for (let value = 1; value <= 10; value += 1) change('w1', value);
    change('w2', 99);
    assert.deepEqual(values(slow), [0]);
    slow.drain();
    const after = slow.received.slice(2);
    assert.deepEqual(
      after.map(({ type, seq, data }) => [type, seq, data['dropped'] ?? data['value']]),
      [
        ['gap', 1, 9],
        ['change', 11, 10],
        ['change', 12, 99],
      ],
    );
  });

  it('does not let a slow client hold up a quick one', async () => {
    const { hub, change } = setUp();
    const slow = fakeSocket({ frozen: true });
    const quick = fakeSocket();
    hub.join('shop', slow, viewer);
    hub.join('shop', quick, viewer);
    await turn();
    change('w1', 0, 'shop', 'x'.repeat(1000));
    change('w1', 1);
    change('w1', 2);
    assert.deepEqual(values(quick), [0, 1, 2]);
  });

  it('closes a client above the hard limit with 1013', async () => {
    const { hub, change } = setUp();
    const slow = fakeSocket({ frozen: true });
    hub.join('shop', slow, viewer);
    await turn();
    for (let machine = 0; machine < 10 && slow.closed === undefined; machine += 1) {
      change(`w${machine}`, machine, 'shop', 'x'.repeat(1000));
    }
    assert.equal(slow.closed, 1013);
    assert.equal(hub.clients, 0);
  });

  it('pings every 30 s and ends a client that missed two', async () => {
    const { hub, clock } = setUp();
    const answering = fakeSocket();
    const silent = fakeSocket();
    const client = hub.join('shop', answering, viewer);
    hub.join('shop', silent, viewer);
    await turn();
    for (const expected of [undefined, undefined, 'terminated']) {
      clock.advance(30_000);
      client.alive();
      assert.equal(silent.closed, expected);
    }
    assert.equal(silent.pings, 2);
    assert.equal(answering.pings, 3);
    assert.equal(answering.closed, undefined);
  });

  it('leaves no timer when the last client has gone', async () => {
    const { hub, clock } = setUp();
    const client = hub.join('shop', fakeSocket(), viewer);
    await turn();
    assert.equal(clock.timers, 1);
    client.left();
    assert.equal(clock.timers, 0);
  });

  it('closes with 4404 where there is no such feed', async () => {
    const { hub } = setUp();
    const socket = fakeSocket();
    hub.join('nowhere', socket, viewer);
    await turn();
    assert.equal(socket.closed, 4404);
  });

  it('closes with 1011 where the snapshot cannot be read, and reports why', async () => {
    const errors: unknown[] = [];
    const failure = new Error('database away');
    const { hub } = setUp({
      snapshot: () => Promise.reject(failure),
      onError: (error) => errors.push(error),
    });
    const socket = fakeSocket();
    hub.join('shop', socket, viewer);
    await turn();
    assert.equal(socket.closed, 1011);
    assert.deepEqual(errors, [failure]);
  });

  it('closes with 4403 whom the snapshot is not for, and tells nobody of it', async () => {
    const errors: unknown[] = [];
    const { hub } = setUp({
      snapshot: () => Promise.reject(new FieldloomError('forbidden', 'not yours')),
      onError: (error) => errors.push(error),
    });
    const socket = fakeSocket();
    hub.join('shop', socket, viewer);
    await turn();
    assert.deepEqual([socket.closed, socket.received, errors], [4403, [], []]);
  });

  it('knows whether anybody follows a feed', async () => {
    const { hub } = setUp();
    const client = hub.join('shop', fakeSocket(), viewer);
    await turn();
    assert.deepEqual([hub.followed('shop'), hub.followed('other')], [true, false]);
    client.left();
    assert.equal(hub.followed('shop'), false);
  });

  it('closes with 4403 the clients whose viewer lost its right, and only those', async () => {
    const { hub } = setUp();
    const revoked = fakeSocket();
    const kept = fakeSocket();
    hub.join('shop', revoked, { name: 'eve' });
    hub.join('shop', kept, viewer);
    await turn();
    hub.revoke(({ name }) => name === 'eve');
    assert.equal(revoked.closed, 4403);
    assert.equal(kept.closed, undefined);
  });

  it('sends a fresh snapshot to those for whom another gateway has changed it', async () => {
    let machines: number[] = [1];
    const { hub, clock } = setUp({ snapshot: async () => ({ machines }) });
    const stop = hub.refreshEvery(1_000);
    const socket = fakeSocket();
    hub.join('shop', socket, viewer);
    await turn();
    const seconds = async (count: number) => {
      for (let second = 0; second < count; second += 1) {
        clock.advance(1_000);
        await turn();
      }
    };
    await seconds(3);
    assert.equal(socket.received.length, 1, 'nothing has changed');
    machines = [1, 2];
    await seconds(3);
    assert.deepEqual(
      socket.received.map(({ type, data }) => [type, data['machines']]),
      [
        ['snapshot', [1]],
        ['snapshot', [1, 2]],
      ],
    );
    stop();
    machines = [];
    await seconds(2);
    assert.equal(socket.received.length, 2);
    hub.close();
  });

  it('closes all with 1012 when it ends, and whoever comes later too', async () => {
    const { hub, clock } = setUp();
    const early = fakeSocket();
    hub.join('shop', early, viewer);
    await turn();
    hub.close();
    const late = fakeSocket();
    hub.join('shop', late, viewer);
    assert.equal(early.closed, 1012);
    assert.equal(late.closed, 1012);
    assert.equal(clock.timers, 0);
  });
});
