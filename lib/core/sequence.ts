/** Runs what belongs together one after another, in the order of the calls; what does not, side by side. */
export interface Sequence {
  /** Fulfils or rejects as `task` does; one that rejects does not stop those behind it. */
  run<T>(key: string, task: () => Promise<T>): Promise<T>;
  /** Fulfils when nothing is under way any more. */
  idle(): Promise<void>;
}

export function createSequence(): Sequence {
  const last = new Map<string, Promise<unknown>>();
  return {
    run(key, task) {
      const before = last.get(key);
      const mine = before === undefined ? task() : before.then(task);
      const ended = mine.then(
        () => {},
        () => {},
      );
      last.set(key, ended);
      void ended.then(() => {
        if (last.get(key) === ended) last.delete(key);
      });
      return mine;
    },
    async idle() {
      while (last.size > 0) await Promise.all(last.values());
    },
  };
}
