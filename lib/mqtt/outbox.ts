import { asError, FieldloomError } from '../core/errors.js';
import type { QoS } from '../core/link.js';
import type { Log } from '../core/log.js';

/** A publish that waits for its acknowledgement. */
export interface OutboxEntry {
  /** UUID version 7: the order of ids is the order of the publishes. */
  id: string;
  topic: string;
  payload: Buffer;
  qos: QoS;
  retain: boolean;
  /** Epoch milliseconds UTC. */
  createdAt: number;
}

/** Keeps durable publishes over a restart. */
export interface OutboxStore {
  /** Fulfils when it is kept whatever dies. */
  add(entry: OutboxEntry): Promise<void>;
  remove(id: string): Promise<void>;
  /** Oldest first. */
  all(): Promise<OutboxEntry[]>;
}

/** `acknowledged`; `unsent`: the connection was lost before it was taken; or why the broker refused it. */
export type SendOutcome = 'acknowledged' | 'unsent' | FieldloomError;

export interface OutboxOptions {
  /** Publishes that may wait, those under way included. */
  capacity: number;
  /** Publishes handed to the connection and not acknowledged, at most. */
  window: number;
  store?: OutboxStore | undefined;
  log: Log;
  /** Hands one publish to the connection; `outcome` is called exactly once. */
  send(entry: OutboxEntry, outcome: (outcome: SendOutcome) => void): void;
}

interface Waiting {
  entry: OutboxEntry;
  /** Place in the order. */
  place: number;
  durable: boolean;
  /** False while a durable one is being stored: it must not leave before, nor may those behind it. */
  ready: boolean;
  resolve(): void;
  reject(error: FieldloomError): void;
}

/**
 * Publishes in order through a connection that comes and goes. What is under way when the connection is lost is the
 * connection's own business (MQTT.js sends it again with the same id); it comes back here only as `unsent`.
 */
export class Outbox {
  readonly #options: OutboxOptions;
  readonly #queue: Waiting[] = [];
  readonly #underWay = new Set<Waiting>();
  #connected = false;
  #loaded: boolean;
  #closed = false;
  #places = 0;
  /** Acknowledged, and not yet out of the store. */
  #leaving = 0;

  constructor(options: OutboxOptions) {
    this.#options = options;
    this.#loaded = options.store === undefined;
  }

  /** Waiting, under way, and leaving the store. */
  get size(): number {
    return this.#queue.length + this.#underWay.size + this.#leaving;
  }

  /** Puts what an earlier run left in front of everything. Nothing is sent before. */
  async start(): Promise<void> {
    const left = (await this.#options.store?.all()) ?? [];
    const nobody = { resolve() {}, reject() {} };
    const waiting = left.map((entry, index) => ({
      entry,
      place: index - left.length,
      durable: true,
      ready: true,
      ...nobody,
    }));
    this.#queue.unshift(...waiting);
    this.#loaded = true;
    this.#pump();
  }

  connected(): void {
    this.#connected = true;
    this.#pump();
  }

  disconnected(): void {
    this.#connected = false;
  }

  /**
   * Fulfils when acknowledged.
   * @throws FieldloomError queue_full, link_closed, publish_refused
   */
  publish(entry: OutboxEntry, durable: boolean): Promise<void> {
    if (this.#closed) return Promise.reject(closedError(entry));
    if (this.size >= this.#options.capacity) {
      return Promise.reject(
        new FieldloomError(
          'queue_full',
          `${entry.topic}: ${this.#options.capacity} publishes are waiting already; no more are accepted`,
        ),
      );
    }
    return new Promise((resolve, reject) => {
      const store = durable ? this.#options.store : undefined;
      const waiting: Waiting = {
        entry,
        place: this.#places++,
        durable: store !== undefined,
        ready: store === undefined,
        resolve,
        reject,
      };
      this.#queue.push(waiting);
      store?.add(entry).then(
        () => {
          waiting.ready = true;
          this.#pump();
        },
        (error: unknown) => {
          this.#queue.splice(this.#queue.indexOf(waiting), 1);
          reject(new FieldloomError('store_unavailable', `${entry.topic}: cannot be kept`, { cause: error }));
          this.#pump();
        },
      );
      this.#pump();
    });
  }

  /** Rejects all that waits with link_closed. Durable ones stay in their store and leave at the next start. */
  close(): void {
    this.#closed = true;
    for (const { entry, reject } of [...this.#underWay, ...this.#queue]) reject(closedError(entry));
    this.#queue.length = 0;
    this.#underWay.clear();
  }

  #pump(): void {
    const { window, send } = this.#options;
    while (this.#connected && this.#loaded && !this.#closed && this.#underWay.size < window) {
      if (this.#queue[0]?.ready !== true) return;
      const next = this.#queue.shift() as Waiting;
      this.#underWay.add(next);
      send(next.entry, (outcome) => this.#ended(next, outcome));
    }
  }

  #ended(waiting: Waiting, outcome: SendOutcome): void {
    if (!this.#underWay.delete(waiting)) return;
    if (outcome === 'unsent') {
      const behind = this.#queue.findIndex(({ place }) => place > waiting.place);
      this.#queue.splice(behind === -1 ? this.#queue.length : behind, 0, waiting);
      return;
    }
    if (waiting.durable) this.#forget(waiting.entry);
    if (outcome === 'acknowledged') waiting.resolve();
    else waiting.reject(outcome);
    this.#pump();
  }

  #forget({ id, topic }: OutboxEntry): void {
    this.#leaving += 1;
    this.#options.store
      ?.remove(id)
      .catch((error: unknown) => {
        this.#options.log.warn(
          `${topic} was published but is still in the outbox and may be sent again: ${asError(error).message}`,
        );
      })
      .finally(() => {
        this.#leaving -= 1;
      });
  }
}

const closedError = ({ topic }: OutboxEntry) =>
  new FieldloomError('link_closed', `${topic}: the link was closed before the broker acknowledged`);
