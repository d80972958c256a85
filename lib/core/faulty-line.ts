import type { Clock, Timer } from './clock.js';
import { decideFate, type LinkFaults, seededRandom } from './link-faults.js';

export interface FaultyLineOptions<T> {
  faults: LinkFaults;
  /** The same seed gives the same faults. */
  seed: number;
  clock: Clock;
  arrived(message: T): void;
  dropped(message: T): void;
}

export interface FaultyLine<T> {
  /** Messages by what became of them; a message may be repeated, delayed and reordered at once. */
  readonly counts: Readonly<Record<'passed' | 'dropped' | 'repeated' | 'delayed' | 'reordered', number>>;
  send(message: T): void;
  /** Forgets what is still on its way; nothing arrives any more. */
  close(): void;
}

/** One held back leaves by itself after so long, ms, where no other message comes. */
const HELD_BACK_MS = 5_000;

/** A line that loses, repeats, delays and reorders messages as the faults say. */
export function createFaultyLine<T>({
  faults,
  seed,
  clock,
  arrived,
  dropped,
}: FaultyLineOptions<T>): FaultyLine<T> {
  const random = seededRandom(seed);
  const counts = { passed: 0, dropped: 0, repeated: 0, delayed: 0, reordered: 0 };
  const timers = new Set<Timer>();
  let held: { leave(): void; timer: Timer } | undefined;
  let closed = false;

  function after(ms: number, call: () => void): Timer {
    const timer = clock.setTimer(() => {
      timers.delete(timer);
      call();
    }, ms);
    timers.add(timer);
    return timer;
  }

  function leave(message: T, delaysMs: readonly number[]): void {
    for (const delayMs of delaysMs) {
      if (delayMs === 0) arrived(message);
      else after(delayMs, () => arrived(message));
    }
  }

  function release(): void {
    const last = held;
    held = undefined;
    if (last === undefined) return;
    last.timer.cancel();
    timers.delete(last.timer);
    last.leave();
  }

  return {
    counts,
    send(message) {
      if (closed) return;
      const fate = decideFate(faults, random);
      if (fate.dropped) {
        counts.dropped += 1;
        dropped(message);
        return;
      }
      counts.passed += 1;
      if (fate.delaysMs.length > 1) counts.repeated += 1;
      if (fate.delaysMs.some((ms) => ms > 0)) counts.delayed += 1;
      if (fate.heldBack && held === undefined) {
        counts.reordered += 1;
        held = { leave: () => leave(message, fate.delaysMs), timer: after(HELD_BACK_MS, release) };
        return;
      }
      leave(message, fate.delaysMs);
      release();
    },
    close() {
      closed = true;
      for (const timer of timers) timer.cancel();
      timers.clear();
      held = undefined;
    },
  };
}
