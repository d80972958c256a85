import { backoffDelay } from '../core/backoff.js';
import { type Clock, systemClock } from '../core/clock.js';
import { asError, FieldloomError, hasCode } from '../core/errors.js';
import { type Log, silentLog } from '../core/log.js';
import { openStore } from './open.js';
import type { Store } from './store.js';

const RETRY = { firstMs: 250, maxMs: 2_000, jitter: 0.2 };

export interface PatientOptions {
  log?: Log;
  clock?: Clock;
  /** Gives up with store_closed, also while it opens. */
  signal: AbortSignal;
  /** Told why the database cannot be opened yet, before each further try. */
  onWait?(reason: Error): void;
}

/**
 * Opens a store that may not be reachable yet (a database server that starts later than we), trying again for ever.
 * @throws FieldloomError store_closed after the signal; what no waiting mends (invalid_setting, migration_failed)
 */
export async function openWhenPossible(url: string, options: PatientOptions): Promise<Store> {
  const { log = silentLog, clock = systemClock, signal, onWait } = options;
  for (let attempt = 0; ; attempt += 1) {
    if (signal.aborted) throw new FieldloomError('store_closed', 'the store was closed while it opened');
    try {
      const store = await openStore(url, { log, clock });
      if (!signal.aborted) return store;
      await store.close();
    } catch (error) {
      if (!hasCode(error, 'store_unavailable')) throw error;
      if (attempt === 0) log.warn(`Store cannot be opened yet: ${asError(error).message}; it is tried again`);
      onWait?.(error);
      await pause(clock, backoffDelay(attempt, RETRY), signal);
    }
  }
}

function pause(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = clock.setTimer(done, ms);
    function done() {
      timer.cancel();
      signal.removeEventListener('abort', done);
      resolve();
    }
    signal.addEventListener('abort', done);
  });
}
