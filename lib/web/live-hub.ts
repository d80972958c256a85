import type { Clock, Timer } from '../core/clock.js';
import { hasCode } from '../core/errors.js';

/** Close codes of live feeds (contract.md "WebSocket"). */
export const CLOSE = {
  restarting: 1012,
  overloaded: 1013,
  failed: 1011,
  forbidden: 4403,
  unknown: 4404,
} as const;

/** What another gateway has taken is seen after this time, ms. */
export const REFRESH_MS = 1_000;

/** What the hub needs of a WebSocket; `ws` fits as it is. */
export interface LiveSocket {
  /** Bytes handed to `send` that have not left yet. */
  readonly bufferedAmount: number;
  /** `sent` is called when the text has left, or never will. */
  send(text: string, sent: (error?: Error | null) => void): void;
  ping(): void;
  close(code: number, reason: string): void;
  terminate(): void;
}

/** One message of a feed, before it has its number. */
export interface LiveMessage {
  type: string;
  /** Epoch milliseconds UTC. */
  receivedAt: number;
  data: unknown;
  /** What it tells about (a machine, a controller): of several that wait, only the newest about one thing is kept. */
  about: string;
  /** Beside the fields that every message of its feed carries. */
  identity?: Readonly<Record<string, string>>;
}

/** The hub's side of one socket: whoever owns the socket passes on what it hears from it. */
export interface LiveClient {
  /** A pong came. */
  alive(): void;
  /** The socket is closed. */
  left(): void;
}

export interface LiveHubOptions<Viewer> {
  clock: Clock;
  /**
   * Data of the first message a client gets; undefined where there is no such feed (close code 4404).
   * @throws FieldloomError forbidden where this viewer may not follow it (close code 4403)
   */
  snapshot(key: string, viewer: Viewer): Promise<unknown | undefined>;
  /** Fields that every message of this feed carries, such as `store_id`. */
  identity(key: string): Record<string, string | number>;
  /** Bytes on their way to a client, above which messages wait and older ones about the same thing are dropped. */
  softLimitBytes?: number;
  /** Bytes on their way and waiting, above which a client is closed with 1013. */
  hardLimitBytes?: number;
  /** Between two pings, ms; a client that missed two is closed. */
  pingMs?: number;
  /** Called where a snapshot fails: the client sees only the close code 1011. */
  onError?(error: unknown): void;
}

export interface LiveHub<Viewer> {
  /** Sends the snapshot, then every message published under `key` since. */
  join(key: string, socket: LiveSocket, viewer: Viewer): LiveClient;
  /** Numbers the message, writes it as JSON once, and sends it to all of this feed. */
  publish(key: string, message: LiveMessage): void;
  /** Closes (4403) the clients of every viewer that `lost` says has lost its right. */
  revoke(lost: (viewer: Viewer, key: string) => boolean): void;
  readonly clients: number;
  /** Whether anybody follows this feed: what nobody sees need not be made. */
  followed(key: string): boolean;
  /**
   * With several gateways on one store: sends a fresh snapshot to those for whom it has changed, about this often, so
   * that they see what another gateway has taken. @returns ends it
   */
  refreshEvery(ms: number): () => void;
  /** Closes all clients (1012: they may come back), and stops. */
  close(): void;
}

interface Waiting {
  text: string;
  seq: number;
}

interface Client<Viewer> {
  socket: LiveSocket;
  viewer: Viewer;
  /** False until its snapshot is on the way. */
  ready: boolean;
  /** The last snapshot it got, as JSON. */
  snapshot: string;
  /** Newest message about each thing, oldest first. */
  waiting: Map<string, Waiting>;
  waitingBytes: number;
  dropped: number;
  lastSeq: number;
  missedPongs: number;
}

interface Feed<Viewer> {
  seq: number;
  clients: Set<Client<Viewer>>;
}

/**
 * Live feeds to many clients (contract.md "WebSocket"): snapshot first, then messages, each
 * `{type, …identity, received_at, seq, data}`. `seq` counts the messages of one feed; that of a snapshot is the
 * number of the last message it surely holds. A client that reads too slowly gets the newest state of each thing
 * and `{type:"gap", …, data:{dropped}}` with the number of messages left out, never a growing queue.
 */
export function createLiveHub<Viewer>(options: LiveHubOptions<Viewer>): LiveHub<Viewer> {
  const { clock, softLimitBytes = 256 * 1024, hardLimitBytes = 4 * 1024 * 1024, pingMs = 30_000 } = options;
  const feeds = new Map<string, Feed<Viewer>>();
  let timer: Timer | undefined;
  let closed = false;
  let clients = 0;
  /** Only then a client's last snapshot is kept, to tell what is new. */
  let refreshes = false;

  const feedOf = (key: string) => {
    let feed = feeds.get(key);
    if (feed === undefined) {
      feed = { seq: 0, clients: new Set() };
      feeds.set(key, feed);
    }
    return feed;
  };
  const all = () =>
    [...feeds].flatMap(([key, feed]) => [...feed.clients].map((client) => ({ key, feed, client })));

  const format = (
    key: string,
    { type, receivedAt, data, identity }: Omit<LiveMessage, 'about'>,
    seq: number,
  ) =>
    JSON.stringify({
      type,
      ...options.identity(key),
      ...identity,
      received_at: new Date(receivedAt).toISOString(),
      seq,
      data,
    });

  function remove(key: string, client: Client<Viewer>) {
    const feed = feeds.get(key);
    if (!feed?.clients.delete(client)) return false;
    clients -= 1;
    client.waiting.clear();
    // A feed that never said anything is forgotten: keys come from outside.
    if (feed.clients.size === 0 && feed.seq === 0) feeds.delete(key);
    if (timer !== undefined && clients === 0) {
      timer.cancel();
      timer = undefined;
    }
    return true;
  }

  function end(key: string, client: Client<Viewer>, code: number, reason: string) {
    if (remove(key, client)) client.socket.close(code, reason);
  }

  function send(key: string, client: Client<Viewer>, text: string, seq: number) {
    client.lastSeq = seq;
    client.socket.send(text, () => flush(key, client));
  }

  function flush(key: string, client: Client<Viewer>) {
    if (!client.ready || !feeds.get(key)?.clients.has(client)) return;
    while (client.waiting.size > 0 && client.socket.bufferedAmount <= softLimitBytes) {
      if (client.dropped > 0) {
        const { dropped } = client;
        client.dropped = 0;
        const gap = { type: 'gap', receivedAt: clock.now(), data: { dropped } };
        send(key, client, format(key, gap, client.lastSeq), client.lastSeq);
        continue;
      }
      const [about, next] = client.waiting.entries().next().value as [string, Waiting];
      client.waiting.delete(about);
      client.waitingBytes -= next.text.length;
      send(key, client, next.text, next.seq);
    }
  }

  function offer(key: string, client: Client<Viewer>, about: string, text: string, seq: number) {
    if (client.ready && client.waiting.size === 0 && client.socket.bufferedAmount <= softLimitBytes) {
      send(key, client, text, seq);
      return;
    }
    const older = client.waiting.get(about);
    if (older !== undefined) {
      client.waiting.delete(about);
      client.waitingBytes -= older.text.length;
      client.dropped += 1;
    }
    client.waiting.set(about, { text, seq });
    client.waitingBytes += text.length;
    if (client.socket.bufferedAmount + client.waitingBytes > hardLimitBytes) {
      end(key, client, CLOSE.overloaded, 'client does not keep up');
    }
  }

  async function begin(key: string, feed: Feed<Viewer>, client: Client<Viewer>) {
    const seq = feed.seq;
    try {
      const data = await options.snapshot(key, client.viewer);
      if (!feed.clients.has(client)) return;
      if (data === undefined) {
        end(key, client, CLOSE.unknown, 'unknown');
        return;
      }
      client.ready = true;
      if (refreshes) client.snapshot = JSON.stringify(data);
      send(key, client, format(key, { type: 'snapshot', receivedAt: clock.now(), data }, seq), seq);
      flush(key, client);
    } catch (error) {
      if (hasCode(error, 'forbidden')) {
        end(key, client, CLOSE.forbidden, 'not allowed');
        return;
      }
      end(key, client, CLOSE.failed, 'no snapshot');
      options.onError?.(error);
    }
  }

  /** Where a message came while it was read, the next time tells. */
  async function refresh({ key, feed, client }: ReturnType<typeof all>[number]): Promise<void> {
    if (!client.ready) return;
    const { seq } = feed;
    const data = await options.snapshot(key, client.viewer);
    const text = JSON.stringify(data);
    if (data === undefined || text === client.snapshot || feed.seq !== seq || !feed.clients.has(client))
      return;
    client.snapshot = text;
    offer(
      key,
      client,
      'snapshot',
      format(key, { type: 'snapshot', receivedAt: clock.now(), data }, seq),
      seq,
    );
  }

  async function refreshAll(): Promise<void> {
    for (const each of all()) {
      try {
        await refresh(each);
      } catch (error) {
        if (hasCode(error, 'forbidden')) end(each.key, each.client, CLOSE.forbidden, 'not allowed');
        else options.onError?.(error);
      }
    }
  }

  function ping() {
    for (const { key, client } of all()) {
      if (client.missedPongs >= 2) {
        // It does not answer, so it would not answer a close frame either.
        if (remove(key, client)) client.socket.terminate();
      } else {
        client.missedPongs += 1;
        client.socket.ping();
      }
    }
    if (clients > 0) timer = clock.setTimer(ping, pingMs);
    else timer = undefined;
  }

  return {
    join(key, socket, viewer) {
      const feed = feedOf(key);
      const client: Client<Viewer> = {
        socket,
        viewer,
        ready: false,
        snapshot: '',
        waiting: new Map(),
        waitingBytes: 0,
        dropped: 0,
        lastSeq: 0,
        missedPongs: 0,
      };
      if (closed) socket.close(CLOSE.restarting, 'restarting');
      else {
        feed.clients.add(client);
        clients += 1;
        timer ??= clock.setTimer(ping, pingMs);
        void begin(key, feed, client);
      }
      return {
        alive() {
          client.missedPongs = 0;
        },
        left() {
          remove(key, client);
        },
      };
    },
    publish(key, message) {
      const feed = feedOf(key);
      feed.seq += 1;
      if (feed.clients.size === 0) return;
      const text = format(key, message, feed.seq);
      for (const client of [...feed.clients]) offer(key, client, message.about, text, feed.seq);
    },
    revoke(lost) {
      for (const { key, client } of all()) {
        if (lost(client.viewer, key)) end(key, client, CLOSE.forbidden, 'access revoked');
      }
    },
    get clients() {
      return clients;
    },
    followed(key) {
      return (feeds.get(key)?.clients.size ?? 0) > 0;
    },
    refreshEvery(ms) {
      refreshes = true;
      let next: Timer;
      let ended = false;
      const wait = () => {
        if (!ended && !closed) next = clock.setTimer(() => void refreshAll().finally(wait), ms);
      };
      wait();
      return () => {
        ended = true;
        next.cancel();
      };
    },
    close() {
      closed = true;
      for (const { key, client } of all()) end(key, client, CLOSE.restarting, 'restarting');
    },
  };
}
