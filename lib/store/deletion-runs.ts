import type { Clock, Timer } from '../core/clock.js';
import { asError, hasCode } from '../core/errors.js';
import type { Log } from '../core/log.js';

/** Old rows are deleted at once and then again and again, by one run at a time. */
export interface DeletionRuns<Deleted> {
  /** One run, now. @returns rows deleted, by table */
  run(): Promise<Deleted>;
  /** Fulfils when a run that is under way has ended. */
  stop(): Promise<void>;
}

/** @param work one run; it ends early once `stopped` says so */
export function startDeletionRuns<Deleted>(
  work: (stopped: () => boolean) => Promise<Deleted>,
  { what, everyMs, clock, log }: { what: string; everyMs: number; clock: Clock; log: Log },
): DeletionRuns<Deleted> {
  let stopped = false;
  let timer: Timer | undefined;
  let underWay: Promise<unknown> = Promise.resolve();
  const run = () => work(() => stopped);

  function runAndWait(): void {
    underWay = run()
      .catch((error: unknown) => {
        if (!hasCode(error, 'store_closed')) log.warn(`${what} cannot be deleted: ${asError(error).message}`);
      })
      .finally(() => {
        if (!stopped) timer = clock.setTimer(runAndWait, everyMs);
      });
  }

  runAndWait();
  return {
    run() {
      // Two at once would do the same work twice, or delete what is too much.
      const next = underWay.then(run);
      underWay = next.catch(() => {});
      return next;
    },
    async stop() {
      stopped = true;
      timer?.cancel();
      await underWay;
    },
  };
}
