import type { Clock, Timer } from '../lib/core/clock.js';

/** A task that is done again and again: one run at a time, `everyMs` of rest between two. */
export class Repeat {
  private timer: Timer | undefined;
  private nextAt = 0;
  private running = false;
  private again = false;
  private stopped = false;

  /** @param task never rejects @param everyMs rest after a run, asked anew each time */
  constructor(
    private readonly clock: Clock,
    private readonly everyMs: () => number,
    private readonly task: () => Promise<void>,
  ) {}

  /** Runs at once; during a run, once more right after it. */
  now(): void {
    if (this.stopped) return;
    if (this.running) {
      this.again = true;
      return;
    }
    this.timer?.cancel();
    this.timer = undefined;
    this.running = true;
    this.task().finally(() => {
      this.running = false;
      if (this.again) {
        this.again = false;
        this.now();
      } else {
        this.within(this.everyMs());
      }
    });
  }

  /** Sees to it that the next run begins no later than in `ms`. */
  within(ms: number): void {
    if (this.stopped || this.running) return;
    const at = this.clock.now() + ms;
    if (this.timer !== undefined && this.nextAt <= at) return;
    this.timer?.cancel();
    this.nextAt = at;
    this.timer = this.clock.setTimer(() => this.now(), ms);
  }

  stop(): void {
    this.stopped = true;
    this.timer?.cancel();
  }
}
