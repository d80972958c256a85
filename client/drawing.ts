import type { Clock, Timer } from '../lib/core/clock.js';

const DRAW_WITHIN_MS = 100;
const TICK_MS = 1000;

/** When a page is drawn: at once, then not again for a moment, and each second since ages go on by themselves. */
export class Drawing {
  private drawTimer: Timer | undefined;
  private drawAgain = false;
  private tickTimer: Timer | undefined;
  private closed = false;

  /** @param visible false while nobody can see the page: it is then drawn only when something happens */
  constructor(
    private readonly clock: Clock,
    private readonly visible: () => boolean,
    private readonly show: () => void,
  ) {}

  /** At once, then not again for a moment: a thousand messages a second are ten drawings. */
  draw(): void {
    if (this.closed) return;
    if (this.drawTimer !== undefined) {
      this.drawAgain = true;
      return;
    }
    this.drawAgain = false;
    this.drawTimer = this.clock.setTimer(() => {
      this.drawTimer = undefined;
      if (this.drawAgain) this.draw();
    }, DRAW_WITHIN_MS);
    this.show();
  }

  /** At once, whatever was drawn just before: what a person's press shows takes the focus as it appears. */
  now(): void {
    this.drawTimer?.cancel();
    this.drawTimer = undefined;
    this.draw();
  }

  /** Begins to draw each second. */
  tick(): void {
    this.tickTimer = this.clock.setTimer(() => {
      if (this.visible()) this.draw();
      this.tick();
    }, TICK_MS);
  }

  close(): void {
    this.closed = true;
    this.drawTimer?.cancel();
    this.tickTimer?.cancel();
  }
}
