import { v7 as uuidv7 } from 'uuid';
import type { Clock } from '../core/clock.js';
import { asError, FieldloomError } from '../core/errors.js';
import type { Link, Message, MessageHandler, PublishOptions, SubscribeOptions } from '../core/link.js';
import type { Log } from '../core/log.js';
import { checkFilter } from '../core/topic.js';
import { ArrivalOrder } from './arrival-order.js';
import type { LinkStateHolder } from './link-state.js';
import { Outbox, type OutboxEntry, type OutboxStore, type SendOutcome } from './outbox.js';
import type { KeptPublish } from './session-changes.js';
import type { Subscriptions } from './subscriptions.js';

/** What the link needs of the broker. */
export interface EmbeddedRouter {
  /** Handlers of all embedded links. */
  readonly handlers: Subscriptions<MessageHandler>;
  readonly state: LinkStateHolder;
  retained(filter: string): KeptPublish[];
  /** To MQTT clients; fulfils when kept for those with a persistent session. */
  route(entry: OutboxEntry): Promise<void>;
}

/** Publishes of the gateway itself that may wait. */
const CAPACITY = 10_000;
const UNDER_WAY = 1000;

/**
 * The link to the broker in the same process: handlers are called by the broker itself, and what is published goes to
 * them and to the clients without a network connection.
 */
export class EmbeddedLink implements Link {
  readonly #router: EmbeddedRouter;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #order = new ArrivalOrder();
  readonly #outbox: Outbox;

  constructor(router: EmbeddedRouter, clock: Clock, log: Log, store: OutboxStore | undefined) {
    this.#router = router;
    this.#clock = clock;
    this.#log = log;
    const send = (entry: OutboxEntry, outcome: (outcome: SendOutcome) => void) => this.#send(entry, outcome);
    this.#outbox = new Outbox({ capacity: CAPACITY, window: UNDER_WAY, store, log, send });
    router.state.onState((state) => state === 'closed' && this.#outbox.close());
    this.#outbox.connected();
  }

  /** Sends again what an earlier run left. */
  start(): Promise<void> {
    return this.#outbox.start();
  }

  get state() {
    return this.#router.state.state;
  }

  onState(listener: Parameters<Link['onState']>[0]): () => void {
    return this.#router.state.onState(listener);
  }

  async subscribe(filter: string, { share }: SubscribeOptions, handler: MessageHandler) {
    if (share !== undefined) {
      throw new FieldloomError(
        'shared_subscription_unsupported',
        `${filter}: the embedded broker has one gateway, with which nothing is shared`,
      );
    }
    this.#checkOpen(filter);
    checkFilter(filter);
    const remove = this.#router.handlers.add(filter, handler);
    // All in this turn, so that no newer message of a topic can overtake its retained one.
    for (const kept of this.#router.retained(filter)) this.#handOver(kept, handler);
    return { close: async () => remove() };
  }

  #handOver({ topic, payload, qos }: KeptPublish, handler: MessageHandler): void {
    const message = { topic, payload, qos, retain: true, receivedAt: this.#clock.now() };
    callHandler(handler, message).catch((error: unknown) => {
      this.#log.error(`retained message on ${topic} failed: ${asError(error).message}`);
    });
  }

  async publish(topic: string, payload: Buffer | string, options: PublishOptions): Promise<void> {
    this.#checkOpen(topic);
    const { qos, retain = false, durable = false } = options;
    const createdAt = this.#clock.now();
    const entry = { id: uuidv7(), topic, payload: Buffer.from(payload as string), qos, retain, createdAt };
    await this.#outbox.publish(entry, durable);
  }

  /** First the handlers, as for a client's publish; then the clients, in the order of the publishes. */
  #send(entry: OutboxEntry, outcome: (outcome: SendOutcome) => void): void {
    const { topic, payload, qos } = entry;
    let failure: unknown;
    const message = { topic, payload, qos, retain: false, receivedAt: this.#clock.now() };
    const handlers = this.#router.handlers.match(topic);
    const ready = this.#order.enter(async () => {
      try {
        if (failure !== undefined) throw failure;
        await this.#router.route(entry);
        outcome('acknowledged');
      } catch (error) {
        const text = `${topic}: ${asError(error).message}`;
        outcome(new FieldloomError('publish_refused', text, { cause: error }));
      }
    });
    Promise.all(handlers.map((handler) => callHandler(handler, message))).then(ready, (error: unknown) => {
      failure = error ?? new Error('a handler failed');
      ready();
    });
  }

  #checkOpen(what: string): void {
    if (this.state === 'closed') throw new FieldloomError('link_closed', `${what}: the broker is closed`);
  }
}

/** A handler that throws at once is one that rejects. No promise more than the handler's own: it is in every message's way. */
export function callHandler(handler: MessageHandler, message: Message): Promise<void> {
  try {
    return handler(message);
  } catch (error) {
    return Promise.reject(error);
  }
}
