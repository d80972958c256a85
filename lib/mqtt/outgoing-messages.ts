import { Readable } from 'node:stream';
import type { Client } from 'aedes';
import { v7 as uuidv7 } from 'uuid';
import type { Clock } from '../core/clock.js';
import type { QoS } from '../core/link.js';
import type { Log } from '../core/log.js';
import { OutgoingQueue, type QueueLimits } from './outgoing-queue.js';
import type { KeptOutgoing, SessionChange } from './session-changes.js';

/** A packet as aedes hands it over. */
export interface BrokerPacket {
  cmd: string;
  brokerId: string;
  brokerCounter: number;
  topic: string;
  payload: Buffer | string;
  qos: QoS;
  retain: boolean;
  dup?: boolean;
  messageId?: number | undefined;
  properties?: object;
}

/**
 * Marks a packet that comes from the queue of a resumed session. aedes copies properties and, speaking MQTT 3.1.1,
 * never sends them.
 */
const RESUMED = { resumed: true };

export type Owner = Pick<Client, 'id'> & { clean?: boolean };

export interface OutgoingMessagesOptions {
  limits: QueueLimits;
  clock: Clock;
  log: Log;
  commit(...changes: SessionChange[]): Promise<void>;
}

/** The queue of a session on its way to the client that has come back. */
interface Resumption {
  taken: WeakSet<KeptOutgoing>;
  ended: boolean;
  /** The message last given out is being written. */
  next(): void;
}

/** Messages to clients with a persistent session: queued, delivered in order, and kept until acknowledged. */
export class OutgoingMessages {
  readonly #options: OutgoingMessagesOptions;
  readonly #queues = new Map<string, OutgoingQueue>();
  /** By connection. */
  readonly #resumptions = new WeakMap<Owner, Resumption>();
  /** Messages that gave way in a full queue. */
  dropped = 0;

  constructor(options: OutgoingMessagesOptions) {
    this.#options = options;
  }

  load(messages: readonly KeptOutgoing[]): void {
    for (const message of messages) this.#queueOf(message.clientId).add(message);
  }

  forget(clientId: string): void {
    this.#queues.delete(clientId);
  }

  #queueOf(clientId: string): OutgoingQueue {
    let queue = this.#queues.get(clientId);
    if (queue === undefined) {
      queue = new OutgoingQueue(this.#options.limits);
      this.#queues.set(clientId, queue);
    }
    return queue;
  }

  /** Adds a message to the queues of these sessions; fulfils when that is committed. */
  async enqueue(subscriptions: { clientId: string; qos?: QoS }[], packet: BrokerPacket): Promise<void> {
    const changes: SessionChange[] = [];
    for (const { clientId, qos = 2 } of subscriptions) {
      const queue = this.#queueOf(clientId);
      // Once for a client whose subscriptions overlap.
      if (queue.get(packet) !== undefined) continue;
      const message: KeptOutgoing = {
        id: uuidv7(),
        clientId,
        brokerId: packet.brokerId,
        brokerCounter: packet.brokerCounter,
        topic: packet.topic,
        payload: Buffer.from(packet.payload as Buffer),
        qos: Math.min(packet.qos, qos) as QoS,
        retain: false,
        messageId: null,
        cmd: 'publish',
        storedAt: this.#options.clock.now(),
      };
      const dropped = queue.add(message);
      this.#reportDropped(dropped);
      if (!dropped.includes(message)) changes.push({ type: 'enqueue', message: { ...message } });
      for (const { id } of dropped) if (id !== message.id) changes.push({ type: 'dequeue', id });
    }
    await this.#options.commit(...changes);
  }

  #reportDropped(dropped: KeptOutgoing[]): void {
    for (const { clientId, topic } of dropped) {
      this.dropped += 1;
      this.#options.log.warn(`queue of MQTT client ${clientId} is full: a message on ${topic} was dropped`);
    }
  }

  /**
   * Whether a message may go to a connected client now. One that is published while its session is being resumed
   * goes by the queue, behind what has waited, and not a second time when it comes from the publish itself.
   */
  mayDeliver(client: Owner, packet: BrokerPacket): boolean {
    if (packet.properties === RESUMED) return true;
    const message = this.#queues.get(client.id)?.get(packet);
    if (message === undefined) return true;
    const resumption = this.#resumptions.get(client);
    return resumption?.ended === true && !resumption.taken.has(message);
  }

  /**
   * A delivery begins, or goes on with PUBREL. Written only for QoS 2: a QoS 1 delivery may begin anew after a kill.
   * Never an error: what is not queued any more is delivered all the same.
   */
  async update(client: Owner, packet: BrokerPacket): Promise<void> {
    const messageId = packet.messageId as number;
    const queue = this.#queues.get(client.id);
    const message = packet.cmd === 'pubrel' ? queue?.received(messageId) : queue?.sent(packet, messageId);
    if (message !== undefined && message.qos === 2) {
      await this.#options.commit({ type: 'sent', id: message.id, messageId, cmd: message.cmd });
    }
    if (packet.properties === RESUMED) this.#resumptions.get(client)?.next();
  }

  /** The client has acknowledged. */
  async finish(client: Owner, packet: BrokerPacket): Promise<unknown> {
    if (packet.messageId === undefined) return undefined;
    const message = this.#queues.get(client.id)?.ended(packet.messageId);
    if (message !== undefined) await this.#options.commit({ type: 'dequeue', id: message.id });
    return message;
  }

  /** The queue of a session whose client has come back, for aedes to write. */
  resume(client: Owner): Readable {
    return Readable.from(this.#resume(client), { highWaterMark: 1 });
  }

  /** Each one when the one before is being written, so that none is overtaken by what is published after the last. */
  async *#resume(client: Owner): AsyncGenerator<object> {
    const resumption: Resumption = { taken: new WeakSet(), ended: false, next() {} };
    this.#resumptions.set(client, resumption);
    for (const message of this.#queueOf(client.id)) {
      resumption.taken.add(message);
      const written = new Promise<void>((resolve) => {
        resumption.next = resolve;
      });
      const { messageId, ...rest } = message;
      const again = messageId !== null && { messageId, dup: message.cmd === 'publish' };
      yield { ...rest, ...again, properties: RESUMED };
      await written;
    }
    resumption.ended = true;
  }
}
