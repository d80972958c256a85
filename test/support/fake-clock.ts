import type { Clock } from '../../lib/core/clock.js';

export interface FakeClock extends Clock {
  /** Moves time on, calling back what falls due in order, each at its own time. */
  advance(ms: number): void;
  /** Moves the clock alone, as a correction of a wrong clock does: timers keep their distance. */
  shift(ms: number): void;
  /** Timers that wait. */
  readonly timers: number;
}

/** A clock that stands still until a test moves it. `start` is epoch milliseconds UTC. */
export function fakeClock(start = Date.UTC(2024, 0, 15, 9, 0, 0)): FakeClock {
  let now = start;
  let order = 0;
  const waiting = new Set<{ at: number; order: number; callback: () => void }>();

  function next(until: number) {
    let first: { at: number; order: number; callback: () => void } | undefined;
    for (const timer of waiting) {
      if (timer.at > until) continue;
      if (
        first === undefined ||
        timer.at < first.at ||
        (timer.at === first.at && timer.order < first.order)
      ) {
        first = timer;
      }
    }
    return first;
  }

  return {
    now: () => now,
    setTimer(callback, delayMs) {
      order += 1;
      const timer = { at: now + Math.max(delayMs, 0), order, callback };
      waiting.add(timer);
      return { cancel: () => waiting.delete(timer) };
    },
    advance(ms) {
      const until = now + ms;
      for (let timer = next(until); timer !== undefined; timer = next(until)) {
        waiting.delete(timer);
        now = Math.max(now, timer.at);
        timer.callback();
      }
      now = until;
    },
    shift(ms) {
      now += ms;
      for (const timer of waiting) timer.at += ms;
    },
    get timers() {
      return waiting.size;
    },
  };
}
