import { type BackoffOptions, backoffDelay } from '../core/backoff.js';
import type { Clock, Timer } from '../core/clock.js';
import { asError, FieldloomError } from '../core/errors.js';
import type { Driver, Unit, UnitResult } from './driver.js';
import type { StoreState } from './store.js';

/** More units are not put into one transaction: it bounds memory and how long the first of them waits. */
const LARGEST_BATCH = 2_000;
/** A second batch is sent ahead of the first one's commit only where it is worth a transaction of its own. */
const WORTH_SENDING_AHEAD = 250;
const SETTLED_AT_ONCE = 500;
const RETRY: BackoffOptions = { firstMs: 50, maxMs: 2_000, jitter: 0.2 };

/** A unit on its way to the database. */
class Waiting {
  constructor(
    readonly unit: Unit,
    readonly fulfil: () => void,
    readonly reject: (error: Error) => void,
  ) {}
}

/**
 * Gathers the units of all callers into transactions: those of one turn of the event loop, and all that come while
 * a transaction runs, share the next one. Where the database is away nothing is lost and nothing rejects: the same
 * units, in the same order, are tried again until it is back.
 */
export class GroupCommit {
  readonly #driver: Driver;
  readonly #clock: Clock;
  readonly #onState: (state: StoreState, reason?: Error) => void;
  #queue: Waiting[] = [];
  /** Batches the driver has, in their order. */
  #sent: Waiting[][] = [];
  /** Batches that came back unwritten and wait for the others on their way, so that the order is kept. */
  #returned: Waiting[][] = [];
  #scheduled = false;
  #closing = false;
  #retry: Timer | undefined;
  #attempt = 0;
  #reason: Error | undefined;
  #drained: (() => void) | undefined;

  constructor(driver: Driver, clock: Clock, onState: (state: StoreState, reason?: Error) => void) {
    this.#driver = driver;
    this.#clock = clock;
    this.#onState = onState;
  }

  get pending(): number {
    const count = (batches: Waiting[][]) => batches.reduce((sum, batch) => sum + batch.length, 0);
    return this.#queue.length + count(this.#sent) + count(this.#returned);
  }

  commit(unit: Unit): Promise<void> {
    if (this.#closing) return Promise.reject(storeClosed());
    return new Promise((fulfil, reject) => {
      this.#queue.push(new Waiting(unit, fulfil, reject));
      if (this.#scheduled) return;
      this.#scheduled = true;
      setImmediate(this.#turn);
    });
  }

  /** Commits what waits. Where the database is away it is tried once more; then what still waits rejects. */
  close(): Promise<void> {
    this.#closing = true;
    return new Promise((fulfil) => {
      this.#drained = fulfil;
      this.#again();
    });
  }

  readonly #turn = () => {
    this.#scheduled = false;
    this.#send();
  };

  readonly #again = () => {
    this.#retry?.cancel();
    this.#retry = undefined;
    this.#send();
  };

  #send(): void {
    while (this.#maySendMore()) {
      const batch = this.#take();
      this.#sent.push(batch);
      this.#driver.commit(batch.map(({ unit }) => unit)).then(
        (results) => this.#committed(batch, results),
        (error: unknown) => this.#failed(batch, asError(error)),
      );
    }
    if (this.#closing && this.#queue.length === 0 && this.#sent.length === 0) this.#drained?.();
  }

  #maySendMore(): boolean {
    if (this.#queue.length === 0 || this.#retry !== undefined || this.#returned.length > 0) return false;
    if (this.#sent.length === 0) return true;
    return this.#sent.length === 1 && this.#reason === undefined && this.#queue.length >= WORTH_SENDING_AHEAD;
  }

  #take(): Waiting[] {
    if (this.#queue.length > LARGEST_BATCH) return this.#queue.splice(0, LARGEST_BATCH);
    const all = this.#queue;
    this.#queue = [];
    return all;
  }

  #committed(batch: Waiting[], results: readonly UnitResult[]): void {
    this.#sent.splice(this.#sent.indexOf(batch), 1);
    this.#attempt = 0;
    if (this.#reason !== undefined) {
      this.#reason = undefined;
      this.#onState('open');
    }
    this.#send();
    settle(batch, results, 0);
  }

  #failed(batch: Waiting[], error: Error): void {
    this.#sent.splice(this.#sent.indexOf(batch), 1);
    this.#returned.push(batch);
    if (this.#reason === undefined || this.#reason.message !== error.message) {
      this.#reason = error;
      this.#onState('unavailable', error);
    }
    if (this.#sent.length > 0) return;
    this.#queue = [...this.#returned.flat(), ...this.#queue];
    this.#returned = [];
    if (this.#closing) {
      for (const { reject } of this.#queue.splice(0)) reject(storeClosed(error));
      this.#drained?.();
      return;
    }
    this.#retry = this.#clock.setTimer(this.#again, backoffDelay(this.#attempt, RETRY));
    this.#attempt += 1;
  }
}

/** Tells the callers, in their order, with turns of the event loop in between: each of them goes on with its work. */
function settle(batch: readonly Waiting[], results: readonly UnitResult[], from: number): void {
  const end = Math.min(batch.length, from + SETTLED_AT_ONCE);
  for (let index = from; index < end; index += 1) {
    const { fulfil, reject } = batch[index] as Waiting;
    const error = results[index];
    if (error === undefined) fulfil();
    else reject(error);
  }
  if (end < batch.length) setImmediate(settle, batch, results, end);
}

export function storeClosed(cause?: Error): FieldloomError {
  return new FieldloomError('store_closed', 'the store is closed', { cause });
}
