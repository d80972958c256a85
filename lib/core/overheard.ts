import type { Clock } from './clock.js';

/** Longer than it takes until a dead gateway's work is taken over. */
const KEEP_MS = 60_000;
/** The oldest go first. */
const MOST = 20_000;

/**
 * What a gateway has heard and another one answers for. Where that one is gone before it has stored it, whoever takes
 * over its work finds it here; its own session at the broker has it besides.
 */
export interface Overheard<T> {
  add(item: T): void;
  /** All of the last minute, oldest first; they are no longer kept. */
  take(): T[];
}

export function createOverheard<T>(clock: Pick<Clock, 'now'>): Overheard<T> {
  let kept: { at: number; item: T }[] = [];
  let first = 0;

  const isOver = (index: number, now: number) => {
    const entry = kept[index];
    return entry !== undefined && (entry.at < now - KEEP_MS || kept.length - index > MOST);
  };

  function forget(): void {
    const now = clock.now();
    while (isOver(first, now)) first += 1;
    if (first < 1_000 && first < kept.length) return;
    kept = kept.slice(first);
    first = 0;
  }

  return {
    add(item) {
      kept.push({ at: clock.now(), item });
      forget();
    },
    take() {
      forget();
      const items = kept.slice(first).map(({ item }) => item);
      kept = [];
      first = 0;
      return items;
    },
  };
}
