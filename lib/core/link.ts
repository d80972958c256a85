/** What protocol code knows of MQTT. Three kinds: embedded broker, another broker, wires (ingest.md "Three links"). */

export type QoS = 0 | 1 | 2;

export interface Message {
  topic: string;
  payload: Buffer;
  qos: QoS;
  /** True where the broker had kept it before the subscription. */
  retain: boolean;
  /** Epoch milliseconds UTC at this gateway. */
  receivedAt: number;
  /**
   * Set where the sender may be repeating what it sent over an earlier connection, because no acknowledgement reached
   * it: when the present connection began, epoch ms. (The DUP flag does not tell: brokers repeat without it.)
   */
  resumedAt?: number;
}

/**
 * A message that has arrived. A class, as is all that thousands of messages hold while they wait for their commit: once
 * objects of a literal have outlived a collection of garbage, V8 makes all further ones of it among the old (allocation
 * site pretenuring), whence only its costlier collections take them.
 */
export class ArrivedMessage implements Message {
  resumedAt?: number;

  constructor(
    readonly topic: string,
    readonly payload: Buffer,
    readonly qos: QoS,
    readonly retain: boolean,
    readonly receivedAt: number,
  ) {}
}

/** So many messages of a resumed connection may be repetitions: as many as MQTT has packet identifiers. */
export const RESUME_WINDOW = 65_535;

/**
 * The acknowledgement is the promise: the message's PUBACK or PUBCOMP goes out when it fulfils, not before. While
 * it is pending the message counts as unacknowledged. When it rejects, nothing is acknowledged and the error is
 * reported; the broker sends the message again.
 */
export type MessageHandler = (message: Message) => Promise<void>;

export interface SubscribeOptions {
  qos: QoS;
  /** Group of a shared subscription; a link that cannot share rejects with shared_subscription_unsupported. */
  share?: string;
}

export interface PublishOptions {
  qos: QoS;
  retain?: boolean;
  /** Kept in the store until acknowledged, so that it survives a restart. */
  durable?: boolean;
  /** False: reject with not_connected at once where there is no connection. Default true: wait for it. */
  wait?: boolean;
}

export interface Subscription {
  close(): Promise<void>;
}

export type LinkState = 'connecting' | 'connected' | 'disconnected' | 'closed';

export interface Link {
  readonly state: LinkState;
  /** Calls back at each change (not at once); the answer removes the listener. */
  onState(listener: (state: LinkState, reason?: Error) => void): () => void;
  /** Fulfils when the subscription is registered; it stays through reconnects until closed. */
  subscribe(filter: string, options: SubscribeOptions, handler: MessageHandler): Promise<Subscription>;
  /**
   * Fulfils when the broker has acknowledged (QoS 1 PUBACK, QoS 2 PUBCOMP), or taken it (QoS 0).
   * @throws FieldloomError not_connected, queue_full, publish_refused, link_closed
   */
  publish(topic: string, payload: Buffer | string, options: PublishOptions): Promise<void>;
}
