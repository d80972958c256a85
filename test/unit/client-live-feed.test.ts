import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { WebSocket } from 'ws';
import type { LiveFeedOptions } from '../../client/live-feed.js';
import { type FeedServer, feedServer, type WatchedFeed, watchFeed } from '../support/feed-server.js';

const snapshot = (seq: number) => JSON.stringify({ type: 'snapshot', seq, data: {} });
const change = (seq: number) => JSON.stringify({ type: 'change', seq, data: {} });

describe('live feed client', () => {
  let server: FeedServer;
  const watchedFeeds: WatchedFeed[] = [];

  const watch = (options: Partial<Pick<LiveFeedOptions, 'ticket' | 'random' | 'connect'>> = {}) => {
    const watched = watchFeed(server.url, options);
    watchedFeeds.push(watched);
    return watched;
  };
  const liveConnection = async (watched: WatchedFeed, seq = 7): Promise<WebSocket> => {
    const { socket } = await server.connection();
    socket.send(snapshot(seq));
    await watched.state('live');
    return socket;
  };
  const seqs = (watched: WatchedFeed) => watched.messages.map(({ type, seq }) => `${type} ${seq}`);

  beforeEach(async () => {
    server = await feedServer();
  });
  afterEach(async () => {
    for (const { feed } of watchedFeeds.splice(0)) feed.close();
    await server.close();
  });

  it('hands on the snapshot and then every message whose number follows', async () => {
    const watched = watch();
    const socket = await liveConnection(watched);
    socket.send(change(8));
    socket.send(change(9));
    await watched.received(3);
    assert.deepEqual(seqs(watched), ['snapshot 7', 'change 8', 'change 9']);
    assert.deepEqual(watched.states[0], { kind: 'connecting' });
  });

  it('leaves out a message that the snapshot already holds', async () => {
    const watched = watch();
    const socket = await liveConnection(watched, 7);
    socket.send(change(7));
    socket.send(change(8));
    await watched.received(2);
    assert.deepEqual(seqs(watched), ['snapshot 7', 'change 8']);
  });

  it('is stale when the connection is lost, and disconnected 30 s later', async () => {
    const watched = watch();
    const socket = await liveConnection(watched);
    const asOf = watched.clock.now();
    watched.clock.advance(12_000);
    socket.terminate();
    const stale = await watched.state('stale');
    assert.deepEqual(stale, { kind: 'stale', asOf, retryAt: asOf + 13_000 });
    watched.clock.advance(29_999);
    assert.equal(watched.states.at(-1)?.kind, 'stale');
    watched.clock.advance(1);
    assert.equal((await watched.state('disconnected')).asOf, asOf);
  });

  it('tries again after 1, 2, 4, 8, 16 s and then every 30 s, without end', async () => {
    const closes: (() => void)[] = [];
    const watched = watch({
      connect: () => ({
        addEventListener(type: string, listener: (event: never) => void) {
          if (type === 'close') closes.push(() => listener({ code: 1006 } as never));
        },
        close() {},
      }),
    });
    const delays: number[] = [];
    for (let attempt = 1; attempt <= 12; attempt++) {
      // The attempt asks for its ticket first, which takes a turn of the event loop.
      await new Promise(setImmediate);
      assert.equal(closes.length, attempt);
      closes.at(-1)?.();
      const { retryAt } = await watched.state('disconnected');
      delays.push(retryAt - watched.clock.now());
      watched.clock.advance(retryAt - watched.clock.now() - 1);
      await new Promise(setImmediate);
      assert.equal(closes.length, attempt, 'not before its time');
      watched.clock.advance(1);
    }
    assert.deepEqual(delays.slice(0, 6), [1000, 2000, 4000, 8000, 16_000, 30_000]);
    assert.deepEqual(new Set(delays.slice(6)), new Set([30_000]));
  });

  for (const [random, delay] of [
    [0, 700],
    [1, 1300],
  ] as const) {
    it(`spreads its attempts by up to 30 %: ${delay} ms at the edge`, async () => {
      const watched = watch({ random: () => random });
      const socket = await liveConnection(watched);
      socket.terminate();
      const { retryAt } = await watched.state('stale');
      assert.equal(Math.round(retryAt - watched.clock.now()), delay);
    });
  }

  it('asks for a new snapshot at once when a number is missing', async () => {
    const watched = watch();
    const socket = await liveConnection(watched, 7);
    watched.clock.advance(10_000);
    socket.send(change(9));
    await watched.state('stale');
    watched.clock.advance(0);
    await liveConnection(watched, 9);
    assert.deepEqual(seqs(watched), ['snapshot 7', 'snapshot 9']);
  });

  it('asks for a new snapshot when the gateway tells of a gap', async () => {
    const watched = watch();
    const socket = await liveConnection(watched, 7);
    watched.clock.advance(10_000);
    socket.send(JSON.stringify({ type: 'gap', seq: 7, data: { dropped: 3 } }));
    await watched.state('stale');
    watched.clock.advance(0);
    await liveConnection(watched, 10);
    assert.deepEqual(seqs(watched), ['snapshot 7', 'snapshot 10']);
  });

  it('waits longer each time when every new connection has a hole again', async () => {
    const watched = watch();
    const delays: number[] = [];
    for (let round = 0; round < 3; round++) {
      const socket = await liveConnection(watched, 7);
      socket.send(change(99));
      const { retryAt } = await watched.state('stale');
      delays.push(retryAt - watched.clock.now());
      watched.clock.advance(retryAt - watched.clock.now());
    }
    assert.deepEqual(delays, [1000, 2000, 4000]);
  });

  for (const text of ['{', '[]', '{"type":"change"}', '3', 'null']) {
    it(`takes what is no message for a hole: ${text}`, async () => {
      const watched = watch();
      const socket = await liveConnection(watched);
      socket.send(text);
      await watched.state('stale');
      assert.equal(watched.messages.length, 1);
    });
  }

  it('gives up an attempt that brings no snapshot within 15 s', async () => {
    const watched = watch();
    const { socket } = await server.connection();
    const closed = once(socket, 'close');
    watched.clock.advance(15_000);
    assert.equal((await watched.state('disconnected')).asOf, undefined);
    await closed;
  });

  it('tries at once when the device is back', async () => {
    const watched = watch();
    const socket = await liveConnection(watched);
    socket.terminate();
    await watched.state('stale');
    watched.device.returned();
    await liveConnection(watched);
  });

  it('leaves a working connection alone when the page is seen again', async () => {
    const watched = watch();
    const socket = await liveConnection(watched);
    watched.device.returned();
    socket.send(change(8));
    await watched.received(2);
    assert.deepEqual(
      watched.states.map(({ kind }) => kind),
      ['connecting', 'live', 'live'],
    );
  });

  it('does not trust a connection that looks open after the device lost its network', async () => {
    const watched = watch();
    await liveConnection(watched);
    watched.device.lost();
    assert.equal(watched.states.at(-1)?.kind, 'stale');
  });

  it('shows its ticket in the query', async () => {
    watch({ ticket: async () => 'a b&c' });
    const { request } = await server.connection();
    assert.equal(new URL(request.url ?? '', 'ws://x').searchParams.get('ticket'), 'a b&c');
  });

  it('asks for a new ticket with every attempt', async () => {
    let tickets = 0;
    const watched = watch({
      ticket: async () => {
        tickets += 1;
        return `t${tickets}`;
      },
    });
    const socket = await liveConnection(watched);
    socket.terminate();
    await watched.state('stale');
    watched.clock.advance(1000);
    const { request } = await server.connection();
    assert.match(request.url ?? '', /\?ticket=t2$/);
  });

  for (const [status, reason] of [
    [401, 'unauthenticated'],
    [403, 'forbidden'],
  ] as const) {
    it(`is refused, and tries no more, when its ticket is answered with ${status}`, async () => {
      const watched = watch({ ticket: () => Promise.reject(Object.assign(new Error('no'), { status })) });
      assert.equal((await watched.state('refused')).reason, reason);
      assert.equal(watched.clock.timers, 0);
    });
  }

  it('tries again when no ticket can be had because the gateway is away', async () => {
    const watched = watch({ ticket: () => Promise.reject(Object.assign(new Error('away'), { status: 0 })) });
    await watched.state('disconnected');
    assert.equal(watched.clock.timers, 1);
  });

  for (const [code, reason] of [
    [4403, 'forbidden'],
    [4404, 'not_found'],
  ] as const) {
    it(`is refused when the gateway closes it with ${code}, until it is resumed`, async () => {
      const watched = watch();
      const socket = await liveConnection(watched);
      socket.close(code);
      assert.equal((await watched.state('refused')).reason, reason);
      assert.equal(watched.clock.timers, 0);
      watched.device.returned();
      assert.equal(watched.states.at(-1)?.kind, 'refused');
      watched.feed.resume();
      await liveConnection(watched);
    });
  }

  it('comes back after the gateway closed it as too slow', async () => {
    const watched = watch();
    const socket = await liveConnection(watched);
    socket.close(1013);
    await watched.state('stale');
    watched.clock.advance(1000);
    await liveConnection(watched);
  });

  it('leaves no timer and no connection behind when closed', async () => {
    const watched = watch();
    const socket = await liveConnection(watched);
    const closed = once(socket, 'close');
    watched.feed.close();
    await closed;
    assert.equal(watched.clock.timers, 0);
    assert.equal(watched.states.at(-1)?.kind, 'live');
  });
});
