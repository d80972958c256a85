import { backoffDelay } from './backoff.js';
import type { Clock } from './clock.js';
import { asError, hasCode } from './errors.js';
import { type Log, silentLog } from './log.js';

const RETRY = { firstMs: 500, maxMs: 2_000, jitter: 0.2 };

/**
 * Reads what a gateway needs to start, again and again until it can be read: a database that is away for a moment
 * must not keep it from starting.
 * @param what for the log: what cannot be read
 * @param closed whether nobody wants it any more
 * @throws what `read` throws once it is closed, or the store is
 */
export async function whenPossible<T>(
  read: () => Promise<T>,
  { what, clock, log, closed }: { what: string; clock: Clock; log: Log; closed(): boolean },
): Promise<T> {
  for (let attempt = 0; ; attempt += 1) {
    try {
      return await read();
    } catch (error) {
      if (closed() || hasCode(error, 'store_closed')) throw error;
      log.warn(`${what} cannot be read yet: ${asError(error).message}`);
      await new Promise<void>((resolve) => {
        clock.setTimer(resolve, backoffDelay(attempt, RETRY));
      });
    }
  }
}

/** `whenPossible` for what a message on its way has to look up: quiet, for the store says itself that it is away. */
export function patientReader(
  clock: Clock,
  closed: () => boolean,
): <T>(read: () => Promise<T>) => Promise<T> {
  return (read) => whenPossible(read, { what: '', clock, log: silentLog, closed });
}
