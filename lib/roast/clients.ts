import type { Clock, Timer } from '../core/clock.js';
import { formatGap, type ServerMessage } from './protocol.js';
import type { Ring, SyncAnswer, SyncRequest } from './ring.js';

/** What is needed of a WebSocket; `ws` fits as it is. */
export interface ClientSocket {
  /** Bytes handed to `send` that have not left yet. */
  readonly bufferedAmount: number;
  send(text: string, sent: (error?: Error | null) => void): void;
  ping(): void;
  close(code: number, reason: string): void;
  terminate(): void;
}

/** A client that reads slower than this waits: it gets what it missed from the ring when it has caught up. */
const SOFT_LIMIT_BYTES = 256 * 1024;
const HARD_LIMIT_BYTES = 4 * 1024 * 1024;
const OVERLOADED = 1013;
const PING_MS = 30_000;
/**
 * Readings wait so long for the first message of a client: one that comes back asks with it for what it missed, and is
 * to get all of it in order.
 */
const FIRST_MESSAGE_MS = 300;

/** One connection. */
export interface Client {
  /** The same for a client that comes back. */
  readonly id: string;
  send(message: ServerMessage): void;
  /** It has said something. */
  spoke(): void;
  /** What it missed, then on. */
  sync(request: SyncRequest, nowMs: number): void;
  alive(): void;
  close(code: number, reason: string): void;
}

/** All connections to one machine (seed: roast-protocol, Connection Topology). */
export interface Clients {
  add(socket: ClientSocket, id: string): Client;
  /** The socket is closed. @returns whether it was the last one of this client */
  remove(client: Client): boolean;
  /** Sends what the ring has got. */
  told(): void;
  /** To all, at once; `for` where it is not the same for each. */
  broadcast(message: ServerMessage | ((client: string) => ServerMessage)): void;
  /** To the connections of one client. */
  sendTo(id: string, message: ServerMessage): void;
  closeAll(code: number, reason: string): void;
  readonly size: number;
}

interface Connection extends Client {
  catchUp(): void;
  ping(): void;
  stop(): void;
}

export function createClients(clock: Clock, ring: Ring): Clients {
  const all = new Set<Connection>();
  let pinging: Timer | undefined;

  function open(socket: ClientSocket, id: string): Connection {
    let sentSeq = ring.seq;
    let sentMs = 0;
    let fresh = true;
    let missedPongs = 0;
    const first = clock.setTimer(begin, FIRST_MESSAGE_MS);

    function begin(): void {
      first.cancel();
      fresh = false;
      catchUp();
    }
    function sendText(text: string): void {
      socket.send(text, catchUp);
      if (socket.bufferedAmount > HARD_LIMIT_BYTES) socket.close(OVERLOADED, 'client does not keep up');
    }
    function sendAll({ entries, gap }: SyncAnswer): void {
      if (gap !== null) sendText(JSON.stringify(formatGap(gap.fromMs, gap.toMs, 'buffer')));
      for (const { text, atMs } of entries) {
        sentMs = atMs;
        sendText(text);
      }
    }
    function catchUp(): void {
      if (fresh || sentSeq === ring.seq || !all.has(connection)) return;
      if (socket.bufferedAmount > SOFT_LIMIT_BYTES) return;
      const missed = ring.after(sentSeq, sentMs);
      sentSeq = ring.seq;
      sendAll(missed);
    }

    const connection: Connection = {
      id,
      send: (message) => sendText(JSON.stringify(message)),
      spoke() {
        if (fresh) begin();
      },
      sync(request, nowMs) {
        first.cancel();
        fresh = false;
        sentSeq = ring.seq;
        sendAll(ring.since(request, nowMs));
      },
      alive() {
        missedPongs = 0;
      },
      close: (code, reason) => socket.close(code, reason),
      catchUp,
      ping() {
        if (missedPongs >= 2) {
          // It does not answer, so it would not answer a close frame either.
          socket.terminate();
          return;
        }
        missedPongs += 1;
        socket.ping();
      },
      stop: () => first.cancel(),
    };
    return connection;
  }

  function ping(): void {
    for (const connection of [...all]) connection.ping();
    pinging = all.size > 0 ? clock.setTimer(ping, PING_MS) : undefined;
  }

  return {
    add(socket, id) {
      const connection = open(socket, id);
      all.add(connection);
      pinging ??= clock.setTimer(ping, PING_MS);
      return connection;
    },
    remove(client) {
      const connection = client as Connection;
      connection.stop();
      all.delete(connection);
      return ![...all].some(({ id }) => id === client.id);
    },
    told() {
      for (const connection of all) connection.catchUp();
    },
    broadcast(message) {
      for (const connection of all) {
        connection.send(typeof message === 'function' ? message(connection.id) : message);
      }
    },
    sendTo(id, message) {
      for (const connection of all) if (connection.id === id) connection.send(message);
    },
    closeAll(code, reason) {
      pinging?.cancel();
      for (const connection of [...all]) {
        connection.stop();
        connection.close(code, reason);
      }
    },
    get size() {
      return all.size;
    },
  };
}
