import type { KeptOutgoing } from './session-changes.js';

export interface QueueLimits {
  /** Messages kept for one session. */
  messages: number;
  /** Bytes of their payloads. */
  bytes: number;
}

const nameOf = ({ brokerId, brokerCounter }: { brokerId: string; brokerCounter: number }) =>
  `${brokerId}:${brokerCounter}`;

/** What one persistent session has still to get, in order. */
export class OutgoingQueue {
  readonly #limits: QueueLimits;
  readonly #byName = new Map<string, KeptOutgoing>();
  readonly #byMessageId = new Map<number, KeptOutgoing>();
  #bytes = 0;

  constructor(limits: QueueLimits) {
    this.#limits = limits;
  }

  get size(): number {
    return this.#byName.size;
  }

  /** In order; what is added meanwhile comes too. */
  [Symbol.iterator](): Iterator<KeptOutgoing> {
    return this.#byName.values();
  }

  get(name: { brokerId: string; brokerCounter: number }): KeptOutgoing | undefined {
    return this.#byName.get(nameOf(name));
  }

  /**
   * Adds at the end. Past a limit the oldest that are not on their way to the client give way: of two commands the
   * later one is the one that still matters.
   * @returns those that gave way; the new one itself where all others are on their way
   */
  add(message: KeptOutgoing): KeptOutgoing[] {
    this.#byName.set(nameOf(message), message);
    if (message.messageId !== null) this.#byMessageId.set(message.messageId, message);
    this.#bytes += message.payload.length;
    const dropped: KeptOutgoing[] = [];
    for (const each of this.#byName.values()) {
      if (this.#byName.size <= this.#limits.messages && this.#bytes <= this.#limits.bytes) break;
      if (each.messageId === null) {
        this.#delete(each);
        dropped.push(each);
      }
    }
    return dropped;
  }

  /** A delivery begins. @returns the message, or undefined where it is not queued (any more) */
  sent(name: { brokerId: string; brokerCounter: number }, messageId: number): KeptOutgoing | undefined {
    const message = this.#byName.get(nameOf(name));
    if (message === undefined) return undefined;
    if (message.messageId !== null) this.#byMessageId.delete(message.messageId);
    message.messageId = messageId;
    this.#byMessageId.set(messageId, message);
    return message;
  }

  /** The client has the message (PUBREC). */
  received(messageId: number): KeptOutgoing | undefined {
    const message = this.#byMessageId.get(messageId);
    if (message === undefined) return undefined;
    message.cmd = 'pubrel';
    this.#bytes -= message.payload.length;
    message.payload = Buffer.alloc(0);
    return message;
  }

  /** The handshake is over (PUBACK, PUBCOMP). */
  ended(messageId: number): KeptOutgoing | undefined {
    const message = this.#byMessageId.get(messageId);
    if (message !== undefined) this.#delete(message);
    return message;
  }

  #delete(message: KeptOutgoing): void {
    this.#byName.delete(nameOf(message));
    if (message.messageId !== null) this.#byMessageId.delete(message.messageId);
    this.#bytes -= message.payload.length;
  }
}
