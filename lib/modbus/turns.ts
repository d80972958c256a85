/** One thing at a time; what is urgent goes before what waits. */
export interface Turns {
  /** Fulfils when it is one's turn: `next` must follow. */
  mine(urgent: boolean): Promise<void>;
  next(): void;
}

export function createTurns(): Turns {
  const urgentOnes: (() => void)[] = [];
  const others: (() => void)[] = [];
  let busy = false;
  return {
    mine(urgent) {
      if (busy) return new Promise((go) => (urgent ? urgentOnes : others).push(go));
      busy = true;
      return Promise.resolve();
    },
    next() {
      const go = urgentOnes.shift() ?? others.shift();
      if (go === undefined) busy = false;
      else go();
    },
  };
}
