import type { Clock, Timer } from './clock.js';

/** Deadlines of many things with one timer: setting and removing one costs no more than the logarithm of their number. */
export interface Deadlines<K> {
  /** `key` falls due at `instant` (epoch ms) instead of any time set before; null: not at all. */
  set(key: K, instant: number | null): void;
  readonly size: number;
  /** Calls back nobody any more. */
  stop(): void;
}

interface Entry<K> {
  key: K;
  at: number;
  /** Place in the heap. */
  index: number;
}

/** @param due called once for each deadline that has passed, earliest first; it may set new ones */
export function createDeadlines<K>(clock: Clock, due: (key: K) => void): Deadlines<K> {
  const heap: Entry<K>[] = [];
  const entries = new Map<K, Entry<K>>();
  let timer: Timer | undefined;
  let timerAt = Infinity;
  let stopped = false;

  const at = (index: number) => heap[index] as Entry<K>;
  function place(entry: Entry<K>, index: number): void {
    heap[index] = entry;
    entry.index = index;
  }
  function rise(entry: Entry<K>): void {
    let { index } = entry;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if (at(parent).at <= entry.at) break;
      place(at(parent), index);
      index = parent;
    }
    place(entry, index);
  }
  function sink(entry: Entry<K>): void {
    let { index } = entry;
    for (;;) {
      let child = 2 * index + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && at(child + 1).at < at(child).at) child += 1;
      if (at(child).at >= entry.at) break;
      place(at(child), index);
      index = child;
    }
    place(entry, index);
  }
  function remove(entry: Entry<K>): void {
    entries.delete(entry.key);
    const last = heap.pop() as Entry<K>;
    if (last === entry) return;
    last.index = entry.index;
    rise(last);
    sink(last);
  }

  function arm(): void {
    const earliest = heap[0]?.at ?? Infinity;
    if (stopped || earliest === timerAt) return;
    timer?.cancel();
    timer = undefined;
    timerAt = earliest;
    if (earliest < Infinity) timer = clock.setTimer(wake, Math.max(0, earliest - clock.now()));
  }

  function wake(): void {
    timerAt = Infinity;
    const now = clock.now();
    for (let first = heap[0]; first !== undefined && first.at <= now && !stopped; first = heap[0]) {
      remove(first);
      due(first.key);
    }
    arm();
  }

  return {
    set(key, instant) {
      const known = entries.get(key);
      if (known !== undefined) remove(known);
      if (instant !== null && !stopped) {
        const entry = { key, at: instant, index: heap.length };
        entries.set(key, entry);
        heap.push(entry);
        rise(entry);
      }
      arm();
    },
    get size() {
      return heap.length;
    },
    stop() {
      stopped = true;
      timer?.cancel();
    },
  };
}
