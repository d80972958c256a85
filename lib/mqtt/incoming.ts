import { type BackoffOptions, backoffDelay } from '../core/backoff.js';
import type { Clock } from '../core/clock.js';
import { asError } from '../core/errors.js';
import type { Message, MessageHandler } from '../core/link.js';
import type { Log } from '../core/log.js';
import { Subscriptions } from './subscriptions.js';

export interface IncomingOptions {
  clock: Clock;
  log: Log;
  /** Delay before a handler that failed is called again. */
  retry: BackoffOptions;
  /** How long a message that nobody has subscribed to is kept for a subscriber to come, ms. */
  unclaimedMs: number;
}

export interface IncomingCounters {
  received: number;
  /** Calls of a handler that rejected. */
  handlerErrors: number;
  /** Messages that no subscriber wanted in time. */
  unclaimed: number;
}

interface Registration {
  handler: MessageHandler;
  open: boolean;
}

/** The message is given up because its network connection ended: the broker sends it again. */
const ENDED = new Error('the connection ended');

/**
 * Brings an incoming message to its handlers.
 *
 * - It counts as handled when the handlers of all matching subscriptions have fulfilled.
 * - A handler that rejects is called again with the same message, with backoff, while the message stays
 *   unacknowledged; the others are not called twice. This does what a redelivery would do, works on brokers that
 *   redeliver only after a reconnect, and cycles no connection. (QoS 0 is not kept: reported, and gone.)
 * - A resumed session may bring messages before their node has subscribed: they wait, unacknowledged, for
 *   `unclaimedMs`; then they are acknowledged, counted and logged, since the session may hold a subscription that
 *   nobody has any more.
 */
export class Incoming {
  readonly counters: IncomingCounters = { received: 0, handlerErrors: 0, unclaimed: 0 };
  readonly #registrations = new Subscriptions<Registration>();
  readonly #options: IncomingOptions;
  readonly #claimants = new Set<() => void>();

  constructor(options: IncomingOptions) {
    this.#options = options;
  }

  /** @returns removes it again */
  subscribe(filter: string, handler: MessageHandler): () => void {
    const registration = { handler, open: true };
    const remove = this.#registrations.add(filter, registration);
    for (const look of [...this.#claimants]) look();
    return () => {
      registration.open = false;
      remove();
    };
  }

  /**
   * Fulfils when the message may be acknowledged.
   * @param signal its abortion ends all waiting with a rejection
   */
  deliver(message: Message, signal: AbortSignal): Promise<void> {
    this.counters.received += 1;
    const found = this.#registrations.match(message.topic);
    const only = found.length === 1 ? found[0] : undefined;
    // The common case at full speed; the rest only where this fails.
    if (only !== undefined) {
      return this.#call(only, message).catch((error) => {
        this.#failed(message, error);
        return message.qos === 0 ? undefined : this.#deliverToAll(message, signal, 1);
      });
    }
    return this.#deliverToAll(message, signal, 0);
  }

  async #call({ handler }: Registration, message: Message): Promise<void> {
    await handler(message);
  }

  #failed(message: Message, error: unknown): void {
    this.counters.handlerErrors += 1;
    const then = message.qos === 0 ? 'it is gone (QoS 0)' : 'it stays unacknowledged and is tried again';
    this.#options.log.error(`message on ${message.topic} failed: ${asError(error).message}; ${then}`);
  }

  async #deliverToAll(message: Message, signal: AbortSignal, failures: number): Promise<void> {
    const done = new Set<Registration>();
    let attempt = failures;
    if (attempt > 0) await this.#pause(attempt - 1, signal);
    for (;;) {
      const waiting = this.#registrations.match(message.topic).filter((each) => !done.has(each));
      if (waiting.length === 0) {
        if (done.size > 0 || !(await this.#claimed(message, signal))) return;
        continue;
      }
      const outcomes = await Promise.allSettled(waiting.map((each) => this.#call(each, message)));
      outcomes.forEach((outcome, index) => {
        if (outcome.status === 'fulfilled') done.add(waiting[index] as Registration);
        else this.#failed(message, outcome.reason);
      });
      if (outcomes.every(({ status }) => status === 'fulfilled') || message.qos === 0) return;
      await this.#pause(attempt, signal);
      attempt += 1;
    }
  }

  #pause(attempt: number, signal: AbortSignal): Promise<void> {
    const delay = backoffDelay(attempt, this.#options.retry);
    return this.#wait(delay, signal);
  }

  /** False where the time is over and nobody came. */
  async #claimed(message: Message, signal: AbortSignal): Promise<boolean> {
    const { unclaimedMs, log } = this.#options;
    const isWanted = () => this.#registrations.match(message.topic).length > 0;
    await this.#wait(unclaimedMs, signal, (end) => {
      const look = () => isWanted() && end();
      this.#claimants.add(look);
      return () => this.#claimants.delete(look);
    });
    if (isWanted()) return true;
    this.counters.unclaimed += 1;
    log.warn(`message on ${message.topic} acknowledged and dropped: nothing here is subscribed to it`);
    return false;
  }

  #wait(ms: number, signal: AbortSignal, start?: (end: () => void) => () => void): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(ENDED);
      const finish = (settle: () => void) => {
        timer.cancel();
        signal.removeEventListener('abort', abort);
        stop?.();
        settle();
      };
      const end = () => finish(resolve);
      const abort = () => finish(() => reject(ENDED));
      const timer = this.#options.clock.setTimer(end, ms);
      signal.addEventListener('abort', abort);
      const stop = start?.(end);
    });
  }
}
