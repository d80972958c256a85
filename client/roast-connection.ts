import { backoffDelay } from '../lib/core/backoff.js';
import type { Clock, Timer } from '../lib/core/clock.js';
import type { Connectivity, FeedSocket, RefusalReason } from './live-feed.js';

/** A message of the gateway (schemas/roast). */
export interface RoastMessage {
  type: string;
  [name: string]: unknown;
}

/** What is needed of a WebSocket: a browser's, Node's and the `ws` package's all fit. */
export interface RoastSocket extends FeedSocket {
  addEventListener(type: 'open', listener: () => void): void;
  addEventListener(type: 'message', listener: (event: { data: unknown }) => void): void;
  addEventListener(type: 'close', listener: (event: { code: number }) => void): void;
  addEventListener(type: 'error', listener: () => void): void;
  send(text: string): void;
}

/** `retryAt`: epoch ms of the next attempt. */
export type RoastConnectionState =
  | { kind: 'connecting' }
  | { kind: 'live' }
  | { kind: 'lost'; retryAt: number }
  /** The gateway said no: another try makes sense only after `resume()`. */
  | { kind: 'refused'; reason: RefusalReason };

export interface RoastConnectionOptions {
  /** `ws:` or `wss:` address of `/ws/live/{machine_id}`, without a query. */
  url: string;
  clock: Clock;
  connect(url: string): RoastSocket;
  /** A one-time ticket for this connection, undefined where none is needed. Status 401 or 403 refuses, else it is tried again. */
  ticket?: () => Promise<string | undefined>;
  /** Tells when the device has its network again, or the page is seen again. */
  connectivity?: Connectivity;
  /** Names this client, so that it keeps the control lock when it comes back; 8 to 64 letters, digits, - and _. */
  clientId?: string;
  /** Every message, in order; no reading, event, alarm or restart twice. */
  onMessage(message: RoastMessage): void;
  onState(state: RoastConnectionState): void;
  random?: () => number;
}

/** seed: roast-protocol, Reconnection Strategy. */
const RETRY = { firstMs: 1_000, maxMs: 30_000, jitter: 0.3 };
/** No first message for so long after the start of an attempt: it has failed. */
const FIRST_MESSAGE_WITHIN_MS = 15_000;

const REFUSALS: Readonly<Record<number, RefusalReason>> = {
  4401: 'unauthenticated',
  4403: 'forbidden',
  4404: 'not_found',
};
const STATUS_REFUSALS: Readonly<Record<number, RefusalReason>> = { 401: 'unauthenticated', 403: 'forbidden' };

/**
 * Follows one roasting machine for ever: reconnects after 1, 2, 4 … 30 s (30 % jitter), asks for what it has missed after
 * each reconnect and when the page is seen again, and passes nothing on twice. What was missed for longer than the
 * gateway keeps comes as a `gap` (then REST has the recording). Starts when made.
 */
export class RoastConnection {
  private readonly options: RoastConnectionOptions;
  private readonly stopListening: (() => void) | undefined;
  private socket: RoastSocket | undefined;
  /** Counts connections, so that what an abandoned one still does is ignored. */
  private generation = 0;
  private attempt = 0;
  private live = false;
  private retryTimer: Timer | undefined;
  private firstTimer: Timer | undefined;
  private refused = false;
  private closed = false;
  /** The clock of what has come. */
  private sessionId: string | null | undefined;
  private lastMs = -Infinity;
  private readonly seen = new Set<string>();

  constructor(options: RoastConnectionOptions) {
    this.options = options;
    this.stopListening = options.connectivity?.listen({
      returned: () => this.returned(),
      lost: () => {
        if (!this.closed && !this.refused && this.live) this.lose();
      },
    });
    options.onState({ kind: 'connecting' });
    this.connect();
  }

  /** Sends a control, a command or a replay_control. @returns false while it is not connected: nothing is sent later */
  send(message: RoastMessage): boolean {
    if (!this.live || this.socket === undefined) return false;
    this.socket.send(JSON.stringify(message));
    return true;
  }

  /** Starts again after a refusal, for example with a login that was not there before. */
  resume(): void {
    if (this.closed || !this.refused) return;
    this.refused = false;
    this.attempt = 0;
    this.options.onState({ kind: 'connecting' });
    this.connect();
  }

  close(): void {
    this.closed = true;
    this.stopListening?.();
    this.abandon();
    this.retryTimer?.cancel();
  }

  private returned(): void {
    if (this.closed || this.refused) return;
    if (this.live) this.sync();
    else if (this.retryTimer !== undefined) {
      this.attempt = 0;
      this.retryTimer.cancel();
      this.connect();
    }
  }

  private connect(): void {
    this.retryTimer = undefined;
    this.abandon();
    const { generation } = this;
    this.firstTimer = this.options.clock.setTimer(() => this.lose(), FIRST_MESSAGE_WITHIN_MS);
    const ticket = this.options.ticket?.() ?? Promise.resolve(undefined);
    ticket.then(
      (value) => {
        if (generation === this.generation) this.open(value);
      },
      (error: { status?: number }) => {
        if (generation !== this.generation) return;
        const reason = error.status === undefined ? undefined : STATUS_REFUSALS[error.status];
        if (reason === undefined) this.lose();
        else this.refuse(reason);
      },
    );
  }

  private open(ticket: string | undefined): void {
    const { url, connect, clientId } = this.options;
    const { generation } = this;
    const mine = () => generation === this.generation;
    const query = new URLSearchParams();
    if (clientId !== undefined) query.set('client_id', clientId);
    if (ticket !== undefined) query.set('ticket', ticket);
    const socket = connect(query.size > 0 ? `${url}?${query}` : url);
    this.socket = socket;
    socket.addEventListener('open', () => {
      // At once: readings wait for the first message, so that what was missed comes before them.
      if (mine()) this.sync();
    });
    socket.addEventListener('message', (event) => {
      if (mine()) this.take(String(event.data));
    });
    socket.addEventListener('close', (event) => {
      if (!mine()) return;
      const reason = REFUSALS[event.code];
      if (reason === undefined) this.lose();
      else this.refuse(reason);
    });
    // A close always follows and does the work; without a listener some sockets throw.
    socket.addEventListener('error', () => {});
  }

  private sync(): void {
    const known = this.lastMs > -Infinity && typeof this.sessionId === 'string';
    this.socket?.send(
      JSON.stringify({
        type: 'command',
        action: 'sync',
        ...(known && { last_timestamp_ms: this.lastMs, session_id: this.sessionId }),
      }),
    );
  }

  private take(text: string): void {
    const message = parseMessage(text);
    if (message === undefined) return;
    if (!this.live) {
      this.live = true;
      this.attempt = 0;
      this.firstTimer?.cancel();
      this.options.onState({ kind: 'live' });
    }
    if (this.isNew(message)) this.options.onMessage(message);
  }

  private isNew(message: RoastMessage): boolean {
    switch (message.type) {
      case 'state':
        if (message['session_id'] !== this.sessionId) {
          this.sessionId = message['session_id'] as string | null;
          this.lastMs = -Infinity;
          this.seen.clear();
        }
        return true;
      case 'temperature': {
        const timeMs = message['timestamp_ms'] as number;
        if (timeMs <= this.lastMs) return false;
        this.lastMs = timeMs;
        return true;
      }
      case 'event':
        return this.isFirst(`event ${message['number']}`);
      case 'alarm':
        return this.isFirst(`alarm ${message['alarm_id']} ${message['timestamp_ms']}`);
      case 'gap':
        return message['reason'] !== 'restart' || this.isFirst(`gap ${message['to_timestamp_ms']}`);
      default:
        return true;
    }
  }

  private isFirst(key: string): boolean {
    if (this.seen.has(key)) return false;
    this.seen.add(key);
    return true;
  }

  private lose(): void {
    const { clock, random, onState } = this.options;
    const delay = backoffDelay(this.attempt, RETRY, random);
    this.attempt += 1;
    this.abandon();
    this.retryTimer?.cancel();
    this.retryTimer = clock.setTimer(() => this.connect(), delay);
    onState({ kind: 'lost', retryAt: clock.now() + delay });
  }

  private refuse(reason: RefusalReason): void {
    this.refused = true;
    this.abandon();
    this.options.onState({ kind: 'refused', reason });
  }

  private abandon(): void {
    this.generation += 1;
    this.live = false;
    this.firstTimer?.cancel();
    this.socket?.close();
    this.socket = undefined;
  }
}

function parseMessage(text: string): RoastMessage | undefined {
  try {
    const value = JSON.parse(text) as RoastMessage | null;
    return typeof value?.type === 'string' ? value : undefined;
  } catch {
    return undefined;
  }
}
