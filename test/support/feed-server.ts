import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { WebSocket, WebSocketServer } from 'ws';
import { type FeedState, LiveFeed, type LiveFeedOptions } from '../../client/live-feed.js';
import { type FakeClock, fakeClock } from './fake-clock.js';

/** A WebSocket server whose every connection the test answers itself. */
export interface FeedServer {
  url: string;
  /** The next connection, once it is there. */
  connection(): Promise<{ socket: WebSocket; request: IncomingMessage }>;
  close(): Promise<void>;
}

export async function feedServer(): Promise<FeedServer> {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1' });
  await once(server, 'listening');
  const arrived: { socket: WebSocket; request: IncomingMessage }[] = [];
  const waiting: ((value: { socket: WebSocket; request: IncomingMessage }) => void)[] = [];
  server.on('connection', (socket, request) => {
    const taker = waiting.shift();
    if (taker === undefined) arrived.push({ socket, request });
    else taker({ socket, request });
  });
  return {
    url: `ws://127.0.0.1:${(server.address() as AddressInfo).port}/realtime/stores/s`,
    connection() {
      const first = arrived.shift();
      if (first !== undefined) return Promise.resolve(first);
      return new Promise((resolve) => {
        waiting.push(resolve);
      });
    },
    async close() {
      for (const client of server.clients) client.terminate();
      server.close();
      await once(server, 'close');
    },
  };
}

/** A live feed under a clock that stands still, with all that it told so far. */
export interface WatchedFeed {
  feed: LiveFeed;
  clock: FakeClock;
  states: FeedState[];
  messages: Record<string, unknown>[];
  /** The next state of this kind, or the present one. */
  state<Kind extends FeedState['kind']>(kind: Kind): Promise<Extract<FeedState, { kind: Kind }>>;
  /** Fulfils when so many messages came. */
  received(count: number): Promise<void>;
  device: { returned(): void; lost(): void };
}

/** @param random 0.5 means no jitter */
export function watchFeed(
  url: string,
  options: Partial<Pick<LiveFeedOptions, 'ticket' | 'random' | 'connect'>> = {},
): WatchedFeed {
  const clock = fakeClock();
  const states: FeedState[] = [];
  const messages: Record<string, unknown>[] = [];
  const checks = new Set<() => void>();
  const until = (done: () => boolean) =>
    new Promise<void>((resolve) => {
      const check = () => {
        if (!done()) return;
        checks.delete(check);
        resolve();
      };
      checks.add(check);
      check();
    });
  const tell = () => {
    for (const check of [...checks]) check();
  };
  let device = { returned: () => {}, lost: () => {} };
  const feed = new LiveFeed({
    url,
    clock,
    connect: (address) => new WebSocket(address),
    random: () => 0.5,
    connectivity: {
      listen(handlers) {
        device = handlers;
        return () => {
          device = { returned: () => {}, lost: () => {} };
        };
      },
    },
    onMessage(message) {
      messages.push(message);
    },
    onState(state) {
      states.push(state);
      tell();
    },
    ...options,
  });
  return {
    feed,
    clock,
    states,
    messages,
    async state(kind) {
      await until(() => states.at(-1)?.kind === kind);
      return states.at(-1) as never;
    },
    received: (count) => until(() => messages.length >= count),
    get device() {
      return device;
    },
  };
}
