/** Keeps the order of arrival where some of what arrives has to be prepared first and some does not. */
export interface Turns {
  /** True where nothing of this key is being prepared: what arrives now need not wait. */
  isFree(key: string): boolean;
  /**
   * Fulfils with what was prepared, when everything of this key that came before has been handed on.
   * @throws what `prepared` rejects with; the next one goes on nevertheless
   */
  wait<T>(key: string, prepared: Promise<T>): Promise<T>;
}

export function createTurns(): Turns {
  const last = new Map<string, Promise<void>>();

  async function after<T>(before: Promise<void> | undefined, prepared: Promise<T>): Promise<T> {
    // Only handled late where another one comes first: it is no unhandled rejection until then.
    prepared.catch(() => {});
    await before;
    return prepared;
  }

  return {
    isFree: (key) => !last.has(key),
    wait(key, prepared) {
      const mine = after(last.get(key), prepared);
      const ignore = () => {};
      // One step later than `mine`, so that whoever waits for it has taken it before the next one comes.
      const turn = mine.then(ignore, ignore).then(() => {
        if (last.get(key) === turn) last.delete(key);
      });
      last.set(key, turn);
      return mine;
    },
  };
}
