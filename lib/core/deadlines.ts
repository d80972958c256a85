import type { Clock, Timer } from './clock.js';
import { Heap, type Place } from './heap.js';

/** So many are called in one turn of the event loop; the others follow at once. */
const AT_ONCE = 500;

interface Deadline<T> {
  item: T;
  at: number;
}

export interface Deadlines<T> {
  /** The item's one deadline, epoch ms; null: none. */
  set(item: T, at: number | null): void;
  readonly size: number;
  stop(): void;
}

/**
 * Many deadlines, one timer: setting and removing one costs no more than the logarithm of their number.
 * @param due called with an item whose deadline has come, which then has none
 */
export function createDeadlines<T>(clock: Clock, due: (item: T) => void): Deadlines<T> {
  const heap = new Heap<Deadline<T>>((a, b) => a.at < b.at);
  const places = new Map<T, Place<Deadline<T>>>();
  let timer: Timer | undefined;
  let timerAt = Infinity;
  let stopped = false;

  function arm(at: number): void {
    if (at >= timerAt || stopped) return;
    timer?.cancel();
    timerAt = at;
    timer = clock.setTimer(look, at - clock.now());
  }

  function look(): void {
    timerAt = Infinity;
    const now = clock.now();
    for (let count = 0; count < AT_ONCE; count += 1) {
      const first = heap.first;
      if (first === undefined || first.at > now || stopped) break;
      heap.take();
      places.delete(first.item);
      due(first.item);
    }
    if (heap.first !== undefined) arm(heap.first.at);
  }

  return {
    set(item, at) {
      const place = places.get(item);
      if (place !== undefined) {
        if (place.item.at === at) return;
        heap.remove(place);
        places.delete(item);
      }
      if (at === null || stopped) return;
      places.set(item, heap.add({ item, at }));
      arm(at);
    },
    get size() {
      return heap.size;
    },
    stop() {
      stopped = true;
      timer?.cancel();
    },
  };
}
