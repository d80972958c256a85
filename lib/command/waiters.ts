import type { Clock } from '../core/clock.js';

/** Those who wait for something of `T` to end. */
export interface Waiters<T> {
  /** Fulfils when it ends, or after `ms`. */
  wait(item: T, ms: number): Promise<void>;
  ended(item: T): void;
  /** Nothing will end any more. */
  close(): void;
}

export function createWaiters<T>(clock: Pick<Clock, 'setTimer'>): Waiters<T> {
  const waiting = new Map<T, Set<() => void>>();

  function ended(item: T): void {
    for (const done of waiting.get(item) ?? []) done();
    waiting.delete(item);
  }

  return {
    ended,
    wait: (item, ms) =>
      new Promise((resolve) => {
        const others = waiting.get(item) ?? new Set();
        waiting.set(item, others);
        const done = () => {
          timer.cancel();
          others.delete(done);
          if (others.size === 0) waiting.delete(item);
          resolve();
        };
        const timer = clock.setTimer(done, ms);
        others.add(done);
      }),
    close() {
      for (const item of [...waiting.keys()]) ended(item);
    },
  };
}
