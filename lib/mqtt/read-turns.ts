/** So many packets, of all clients together, are handed to the broker in one turn of the event loop. */
const AT_ONCE = 100;

/**
 * Shares the event loop between the clients and everybody else in the process: with fifty that send as fast as they
 * can, all would else be read to the end before a timer or another socket has its turn.
 */
export class ReadTurns {
  #left = AT_ONCE;
  #scheduled = false;
  readonly #waiting = new Set<() => void>();

  /** How many packets may still be handed over in this turn. */
  get left(): number {
    return this.#left;
  }

  /** So many were handed over. */
  take(packets: number): void {
    this.#left = Math.max(0, this.#left - packets);
    this.#schedule();
  }

  /** Calls back in the next turn, in the order in which others have asked. */
  wait(goOn: () => void): void {
    this.#waiting.add(goOn);
    this.#schedule();
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      this.#left = AT_ONCE;
      const waiting = [...this.#waiting];
      this.#waiting.clear();
      for (const goOn of waiting) goOn();
    });
  }
}
