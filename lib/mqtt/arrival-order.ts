class Place {
  ready = false;

  constructor(readonly release: () => void | Promise<void>) {}
}

/**
 * Lets results out in the order in which their causes came in, whenever each of them is ready. MQTT wants
 * acknowledgements in the order of the messages (3.1.1, 4.6), while their handlers end in any order.
 */
export class ArrivalOrder {
  readonly #waiting: Place[] = [];
  #releasing = false;

  get size(): number {
    return this.#waiting.length;
  }

  /**
   * Takes the next place. `release` runs once the place is ready and all before it are released; where it answers
   * with a promise, the next one waits for it. It must not throw or reject.
   * @returns call it when the place is ready
   */
  enter(release: () => void | Promise<void>): () => void {
    const place = new Place(release);
    this.#waiting.push(place);
    return () => {
      place.ready = true;
      this.#advance();
    };
  }

  #advance(): void {
    while (!this.#releasing && this.#waiting[0]?.ready === true) {
      const step = this.#waiting.shift()?.release();
      if (step === undefined) continue;
      this.#releasing = true;
      const goOn = () => {
        this.#releasing = false;
        this.#advance();
      };
      step.then(goOn, goOn);
    }
  }
}
