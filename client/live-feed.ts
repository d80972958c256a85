import { backoffDelay } from '../lib/core/backoff.js';
import type { Clock, Timer } from '../lib/core/clock.js';

/** What every live feed sends: first a snapshot, then messages whose `seq` counts on from it without a hole. */
export interface FeedMessage {
  type: string;
  seq: number;
}

export type RefusalReason = 'unauthenticated' | 'forbidden' | 'not_found';

/** Times are epoch milliseconds UTC; `asOf` is when the last message came. */
export type FeedState =
  | { kind: 'connecting' }
  | { kind: 'live'; asOf: number }
  /** Lost a moment ago: what is shown is old but not yet of no use. */
  | { kind: 'stale'; asOf: number; retryAt: number }
  /** Lost for long, or never reached. */
  | { kind: 'disconnected'; asOf: number | undefined; retryAt: number }
  /** The gateway said no: another try makes sense only after `resume()`, for example after a login. */
  | { kind: 'refused'; reason: RefusalReason };

/** What the feed needs of a WebSocket: a browser's, Node's and the `ws` package's all fit. */
export interface FeedSocket {
  addEventListener(type: 'message', listener: (event: { data: unknown }) => void): void;
  addEventListener(type: 'close', listener: (event: { code: number }) => void): void;
  addEventListener(type: 'error', listener: () => void): void;
  close(): void;
}

/** Tells when the device is back (network up, page visible again) and when it has lost its network. */
export interface Connectivity {
  listen(handlers: { returned(): void; lost(): void }): () => void;
}

export interface LiveFeedOptions {
  /** `ws:` or `wss:` address, without a ticket. */
  url: string;
  clock: Clock;
  connect(url: string): FeedSocket;
  /**
   * A one-time ticket for this connection, undefined where none is needed. An error that carries `status` 401 or
   * 403 refuses the feed, any other is tried again.
   */
  ticket?: () => Promise<string | undefined>;
  connectivity?: Connectivity;
  onMessage(message: FeedMessage & Record<string, unknown>): void;
  onState(state: FeedState): void;
  random?: () => number;
}

const RETRY = { firstMs: 1000, maxMs: 30_000, jitter: 0.3 };
/** Past this, old data is no longer shown as merely stale. */
const STALE_FOR_MS = 30_000;
/** A connection that lived this long was good: the next loss starts from the shortest delay again. */
const GOOD_AFTER_MS = 10_000;
/** No snapshot for this long after the start of an attempt: the attempt has failed. */
const SNAPSHOT_WITHIN_MS = 15_000;

const REFUSALS: Record<number, RefusalReason> = {
  4401: 'unauthenticated',
  4403: 'forbidden',
  4404: 'not_found',
};
const STATUS_REFUSALS: Record<number, RefusalReason> = { 401: 'unauthenticated', 403: 'forbidden' };

/**
 * Follows one live feed for ever: reconnects after 1, 2, 4 … 30 s (30 % jitter), at once when the device is
 * back, and reconnects for a new snapshot when a `seq` is missing or the gateway says `gap` (contract,
 * WebSocket). Starts when made.
 */
export class LiveFeed {
  private readonly options: LiveFeedOptions;
  private readonly stopListening: (() => void) | undefined;
  private socket: FeedSocket | undefined;
  /** Counts connections, so that what an abandoned one still does is ignored. */
  private generation = 0;
  private attempt = 0;
  private expectedSeq: number | undefined;
  private liveSince: number | undefined;
  private asOf: number | undefined;
  private staleUntil = 0;
  private retryAt = 0;
  private retryTimer: Timer | undefined;
  private snapshotTimer: Timer | undefined;
  private staleTimer: Timer | undefined;
  private refused = false;
  private closed = false;

  constructor(options: LiveFeedOptions) {
    this.options = options;
    this.stopListening = options.connectivity?.listen({
      returned: () => this.hurry(),
      lost: () => this.doubt(),
    });
    options.onState({ kind: 'connecting' });
    this.connect();
  }

  /** Tries at once where it waits for its next attempt; does nothing on a connection that works. */
  hurry(): void {
    if (this.closed || this.refused || this.retryTimer === undefined) return;
    this.attempt = 0;
    this.retryTimer.cancel();
    this.connect();
  }

  /** Starts again after a refusal, for example with a login that was not there before. */
  resume(): void {
    if (this.closed || !this.refused) return;
    this.refused = false;
    this.attempt = 0;
    this.options.onState({ kind: 'connecting' });
    this.connect();
  }

  /** Another sign says that the gateway cannot be reached: do not trust a connection that only looks open. */
  doubt(): void {
    if (!this.closed && this.liveSince !== undefined) this.lose(false);
  }

  close(): void {
    this.closed = true;
    this.stopListening?.();
    this.abandonSocket();
    this.cancelTimers();
  }

  private connect(): void {
    this.retryTimer = undefined;
    this.abandonSocket();
    const generation = this.generation;
    this.snapshotTimer = this.options.clock.setTimer(() => this.lose(false), SNAPSHOT_WITHIN_MS);
    const ticket = this.options.ticket?.() ?? Promise.resolve(undefined);
    ticket.then(
      (value) => {
        if (generation === this.generation) this.openSocket(value);
      },
      (error: { status?: number }) => {
        if (generation !== this.generation) return;
        const reason = error.status === undefined ? undefined : STATUS_REFUSALS[error.status];
        if (reason === undefined) this.lose(false);
        else this.refuse(reason);
      },
    );
  }

  private openSocket(ticket: string | undefined): void {
    const { url, connect } = this.options;
    const generation = this.generation;
    const mine = () => generation === this.generation;
    const separator = url.includes('?') ? '&' : '?';
    const socket = connect(
      ticket === undefined ? url : `${url}${separator}ticket=${encodeURIComponent(ticket)}`,
    );
    this.socket = socket;
    socket.addEventListener('message', (event) => {
      if (mine()) this.take(String(event.data));
    });
    socket.addEventListener('close', (event) => {
      if (!mine()) return;
      const reason = REFUSALS[event.code];
      if (reason === undefined) this.lose(false);
      else this.refuse(reason);
    });
    // A close always follows and does the work; without a listener some sockets throw.
    socket.addEventListener('error', () => {});
  }

  private take(text: string): void {
    const message = parseMessage(text);
    const place = message === undefined ? 'hole' : this.placeOf(message);
    if (message === undefined || place === 'hole') {
      this.lose(true);
      return;
    }
    if (place === 'old') return;
    if (message.type === 'snapshot') {
      this.snapshotTimer?.cancel();
      this.staleTimer?.cancel();
      this.liveSince = this.options.clock.now();
    }
    this.expectedSeq = message.seq + 1;
    this.asOf = this.options.clock.now();
    this.options.onMessage(message);
    this.options.onState({ kind: 'live', asOf: this.asOf });
  }

  private placeOf({ type, seq }: FeedMessage): 'next' | 'old' | 'hole' {
    if (type === 'snapshot') return 'next';
    if (type === 'gap' || this.expectedSeq === undefined || seq > this.expectedSeq) return 'hole';
    return seq < this.expectedSeq ? 'old' : 'next';
  }

  /** @param resync true where the gateway is there but our picture has a hole: the first time needs no delay */
  private lose(resync: boolean): void {
    const { clock, random } = this.options;
    const now = clock.now();
    const wasGood = this.liveSince !== undefined && now - this.liveSince >= GOOD_AFTER_MS;
    if (wasGood) this.attempt = 0;
    if (this.liveSince !== undefined) this.staleUntil = now + STALE_FOR_MS;
    const delay = resync && wasGood ? 0 : backoffDelay(this.attempt, RETRY, random);
    this.attempt += 1;
    this.retryAt = now + delay;
    this.abandonSocket();
    this.cancelTimers();
    this.retryTimer = clock.setTimer(() => this.connect(), delay);
    if (this.staleUntil > now) {
      this.staleTimer = clock.setTimer(() => this.tellLost(), this.staleUntil - now);
    }
    this.tellLost();
  }

  private tellLost(): void {
    const { asOf, retryAt, staleUntil } = this;
    const { clock, onState } = this.options;
    const usable = asOf !== undefined && clock.now() < staleUntil;
    onState(usable ? { kind: 'stale', asOf, retryAt } : { kind: 'disconnected', asOf, retryAt });
  }

  private refuse(reason: RefusalReason): void {
    this.refused = true;
    this.abandonSocket();
    this.cancelTimers();
    this.options.onState({ kind: 'refused', reason });
  }

  private abandonSocket(): void {
    this.generation += 1;
    this.expectedSeq = undefined;
    this.liveSince = undefined;
    this.socket?.close();
    this.socket = undefined;
  }

  private cancelTimers(): void {
    this.retryTimer?.cancel();
    this.retryTimer = undefined;
    this.snapshotTimer?.cancel();
    this.staleTimer?.cancel();
  }
}

function parseMessage(text: string): (FeedMessage & Record<string, unknown>) | undefined {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== 'object' || value === null) return undefined;
    const message = value as Record<string, unknown>;
    if (typeof message['type'] !== 'string' || typeof message['seq'] !== 'number') return undefined;
    return message as FeedMessage & Record<string, unknown>;
  } catch {
    return undefined;
  }
}
