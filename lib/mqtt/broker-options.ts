import type { Clock } from '../core/clock.js';
import type { Link } from '../core/link.js';
import type { Log } from '../core/log.js';
import type { Authority } from './authority.js';
import type { ListenerAddress, ListenerOptions } from './broker-listeners.js';
import type { OutboxStore } from './outbox.js';
import type { SessionStore } from './session-changes.js';

export interface BrokerLimits {
  /** Largest packet of a client that has logged in. Default 11 MiB: kept as a dead letter it fits every database. */
  packetBytes: number;
  /** Largest CONNECT packet. Default 64 KiB. */
  connectBytes: number;
  /** Time to log in, ms. Default 10 s. */
  connectMs: number;
  /** Connections on one listener; undefined (default) for no limit. */
  connections: number | undefined;
  /** Publishes of one client that the broker has not done with. Default 1,000. */
  unacknowledged: number;
  /** Bytes of their payloads. Default 4 MiB. */
  unacknowledgedBytes: number;
  /** The same for all clients together. Default 128 MiB. */
  totalBytes: number;
  /** Messages kept for one client that is away. Default 1,000; the oldest give way. */
  queuedMessages: number;
  /** Bytes of their payloads. Default 8 MiB. */
  queuedBytes: number;
  /** How long a persistent session outlives its connection, ms. Default 7 days. */
  sessionExpiryMs: number;
  /** How long after a start clients may take to come back, before their wills of the last run are published. Default 60 s. */
  willDelayMs: number;
  /** A client that does not take what is sent to it is cut off after so many ms. Default 15 s. */
  drainMs: number;
  /** Refused publishes a minute, at the last of which the connection is closed (access.md). Default 10. */
  refusals: number;
}

export const LIMITS: BrokerLimits = {
  packetBytes: 11 * 1024 * 1024,
  connectBytes: 64 * 1024,
  connectMs: 10_000,
  connections: undefined,
  unacknowledged: 1000,
  unacknowledgedBytes: 4 * 1024 * 1024,
  totalBytes: 128 * 1024 * 1024,
  queuedMessages: 1000,
  queuedBytes: 8 * 1024 * 1024,
  sessionExpiryMs: 7 * 24 * 3600 * 1000,
  willDelayMs: 60_000,
  drainMs: 15_000,
  refusals: 10,
};

export interface BrokerOptions {
  listeners: readonly ListenerOptions[];
  authority: Authority;
  sessions: SessionStore;
  /** For durable publishes of the gateway itself. */
  outbox?: OutboxStore;
  limits?: Partial<BrokerLimits>;
  clock?: Clock;
  log?: Log;
}

export interface BrokerMetrics {
  /** Connected now. */
  connections: number;
  logins: number;
  failedLogins: number;
  takeovers: number;
  messagesIn: number;
  messagesOut: number;
  refusedPublishes: number;
  refusedSubscribes: number;
  /** Publishes not acknowledged because a handler rejected. */
  handlerErrors: number;
  /** Messages that gave way in the full queue of a client that is away. */
  dropped: number;
  /** Bytes of publishes that wait for their handlers or are on their way. */
  pendingBytes: number;
}

export interface ClientEvent {
  type: 'connected' | 'disconnected';
  username: string;
  clientId: string;
  address: string;
}

/** What was not allowed. */
export interface RefusedEvent {
  type: 'login' | 'publish' | 'subscribe';
  /** Undefined: the client gave none. */
  username: string | undefined;
  clientId: string;
  address: string;
  /** The topic, or the filter of a subscription. */
  topic?: string;
}

export interface EmbeddedBroker {
  readonly listeners: readonly ListenerAddress[];
  readonly metrics: Readonly<BrokerMetrics>;
  /** Those connected now. */
  readonly clients: readonly Omit<ClientEvent, 'type'>[];
  /** The gateway's own way in and out; the same one at each call. */
  link(): Link;
  onClient(listener: (event: ClientEvent) => void): () => void;
  /** Calls back at each login, publish, will and subscription that is refused. */
  onRefused(listener: (event: RefusedEvent) => void): () => void;
  /** Lets publishes under way end (for at most 5 s), then closes everything. Publishes no wills: nobody has died. */
  close(): Promise<void>;
}
