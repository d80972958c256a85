import type { Clock } from '../core/clock.js';

/** What waits for its row waits no longer: a roast goes on while the database is away. */
const STORED_WITHIN_MS = 1_000;

/** Tells things in the order in which they happened, each once its row is written. */
export interface ToldInOrder {
  /**
   * @param stored what it waits for, a second at most; without it, it waits for what is before it alone
   */
  add(tell: () => void, stored?: Promise<void>): void;
  /** Fulfils when all has been told. */
  done(): Promise<void>;
}

export function toldInOrder(clock: Clock): ToldInOrder {
  let telling: Promise<void> | undefined;

  function within(stored: Promise<void>): Promise<void> {
    return new Promise((resolve) => {
      const timer = clock.setTimer(resolve, STORED_WITHIN_MS);
      stored
        .catch(() => {}) // whoever stores it reports it
        .finally(() => {
          timer.cancel();
          resolve();
        });
    });
  }

  return {
    add(tell, stored) {
      if (stored === undefined && telling === undefined) {
        tell();
        return;
      }
      const turn: Promise<void> = (telling ?? Promise.resolve())
        .then(() => (stored === undefined ? undefined : within(stored)))
        .then(tell)
        .finally(() => {
          if (telling === turn) telling = undefined;
        });
      telling = turn;
    },
    done: async () => telling,
  };
}
