import type { Clock } from '../../lib/core/clock.js';

export interface FakeClock extends Clock {
  /** Moves time on; timers that fall due are called in order, at their time. */
  advance(ms: number): void;
  /** Timers that wait. */
  readonly waiting: number;
}

/** Time that stands still until the test moves it. */
export function fakeClock(start = Date.UTC(2024, 0, 15, 9)): FakeClock {
  let now = start;
  const timers = new Set<{ at: number; callback: () => void }>();
  return {
    now: () => now,
    setTimer(callback, delayMs) {
      const timer = { at: now + Math.max(0, delayMs), callback };
      timers.add(timer);
      return { cancel: () => timers.delete(timer) };
    },
    advance(ms) {
      const end = now + ms;
      for (;;) {
        const due = [...timers].filter((timer) => timer.at <= end).sort((a, b) => a.at - b.at)[0];
        if (due === undefined) break;
        timers.delete(due);
        now = Math.max(now, due.at);
        due.callback();
      }
      now = end;
    },
    get waiting() {
      return timers.size;
    },
  };
}
