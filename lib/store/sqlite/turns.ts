/**
 * Who may speak to the writing connection. Single requests pass freely, in the order they came; while one holds
 * the connection for a transaction of several requests, all others wait.
 */
export class Turns {
  #held = false;
  readonly #waiting: { holds: boolean; go: () => void }[] = [];

  /** Runs `send` as soon as nobody holds the connection, at once where nobody does. */
  pass<T>(send: () => Promise<T>): Promise<T> {
    if (!this.#held && this.#waiting.length === 0) return send();
    return new Promise<void>((go) => {
      this.#waiting.push({ holds: false, go });
    }).then(send);
  }

  /** Fulfils when the connection is the caller's alone, until `release`. */
  hold(): Promise<void> {
    if (!this.#held && this.#waiting.length === 0) {
      this.#held = true;
      return Promise.resolve();
    }
    return new Promise((go) => {
      this.#waiting.push({ holds: true, go });
    });
  }

  release(): void {
    this.#held = false;
    while (!this.#held) {
      const next = this.#waiting.shift();
      if (next === undefined) return;
      this.#held = next.holds;
      next.go();
    }
  }
}
