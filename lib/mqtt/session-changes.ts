import type { QoS } from '../core/link.js';

/** A publish as the broker keeps it. */
export interface KeptPublish {
  topic: string;
  payload: Buffer;
  qos: QoS;
  /** Epoch milliseconds UTC. */
  storedAt: number;
}

/** A persistent session: it outlives its connection. */
export interface KeptSession {
  clientId: string;
  /** The login it belongs to; no other may take it over. */
  username: string;
  /** Epoch milliseconds UTC; null while connected (or when the broker was killed meanwhile). */
  disconnectedAt: number | null;
}

/** One message in the queue of a persistent session. */
export interface KeptOutgoing extends KeptPublish {
  /** UUID version 7: the order of ids is the order of delivery. */
  id: string;
  clientId: string;
  /** Together the broker's name of the publish, by which it tells copies apart. */
  brokerId: string;
  brokerCounter: number;
  retain: boolean;
  /** Of the delivery under way; null where none is, and for QoS 1, which may begin anew. */
  messageId: number | null;
  /** `pubrel` once the client has the message (QoS 2) and only the handshake has to end. */
  cmd: 'publish' | 'pubrel';
}

/** The last will of a client that is connected, or was when the gateway was killed. */
export interface KeptWill extends KeptPublish {
  clientId: string;
  /** The login that left it. */
  username: string;
  retain: boolean;
}

/** A QoS 2 message id that a client has not released yet. */
export interface KeptIncoming {
  clientId: string;
  messageId: number;
}

/** What changes at once; all of it is data, so that a store is a few lines. */
export type SessionChange =
  | { type: 'retain'; publish: KeptPublish }
  | { type: 'unretain'; topic: string }
  | { type: 'will'; will: KeptWill }
  | { type: 'unwill'; clientId: string }
  | { type: 'session'; session: KeptSession }
  /** The session and all that belongs to it is forgotten. */
  | { type: 'end'; clientId: string }
  | { type: 'subscribe'; clientId: string; filter: string; qos: QoS }
  | { type: 'unsubscribe'; clientId: string; filter: string }
  | { type: 'enqueue'; message: KeptOutgoing }
  | { type: 'sent'; id: string; messageId: number; cmd: 'publish' | 'pubrel' }
  | { type: 'dequeue'; id: string }
  | { type: 'receive'; incoming: KeptIncoming; at: number }
  | { type: 'release'; incoming: KeptIncoming };

export interface SessionSnapshot {
  retained: KeptPublish[];
  sessions: KeptSession[];
  subscriptions: { clientId: string; filter: string; qos: QoS }[];
  /** In the order of ids. */
  outgoing: KeptOutgoing[];
  incoming: KeptIncoming[];
  wills: KeptWill[];
}

/** Where the embedded broker keeps what has to survive a kill. */
export interface SessionStore {
  /** Everything, once at start. */
  load(): Promise<SessionSnapshot>;
  /** All or none, in the order of the calls. Fulfils when it is kept whatever dies. */
  commit(changes: readonly SessionChange[]): Promise<void>;
}
