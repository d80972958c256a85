import type { Clock, Timer } from './clock.js';

/** Two looks at the deadlines are at least so far apart, ms. */
const SHORTEST_WAIT_MS = 250;

export interface SilenceWatch {
  /** Somebody's deadline is at `instant` now, epoch ms; a later one than the next look costs nothing. */
  expect(instant: number): void;
  stop(): void;
}

/**
 * One timer for the deadlines of all machines. It is set to the earliest; most deadlines move on with a message
 * long before that, so it goes off seldom, and then every machine is looked at.
 * @param look treats those whose deadline has passed; its answer is the earliest deadline then, or Infinity
 */
export function watchSilence(clock: Clock, look: (now: number) => number): SilenceWatch {
  let timer: Timer | undefined;
  let timerAt = Infinity;
  let stopped = false;

  function expect(instant: number): void {
    if (instant >= timerAt || stopped) return;
    timer?.cancel();
    timerAt = instant;
    timer = clock.setTimer(wake, instant - clock.now());
  }

  function wake(): void {
    timerAt = Infinity;
    const now = clock.now();
    const earliest = look(now);
    if (earliest < Infinity) expect(Math.max(earliest, now + SHORTEST_WAIT_MS));
  }

  return {
    expect,
    stop() {
      stopped = true;
      timer?.cancel();
    },
  };
}
