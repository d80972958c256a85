/** A place in a heap: what is needed to take an item out before its turn. */
export interface Place<T> {
  readonly item: T;
  index: number;
}

/** Gives the least item first, in logarithmic time however many there are, and lets go of any item as fast. */
export class Heap<T> {
  readonly #places: Place<T>[] = [];
  readonly #isBefore: (a: T, b: T) => boolean;

  constructor(isBefore: (a: T, b: T) => boolean) {
    this.#isBefore = isBefore;
  }

  get size(): number {
    return this.#places.length;
  }

  get first(): T | undefined {
    return this.#places[0]?.item;
  }

  add(item: T): Place<T> {
    const place = { item, index: this.#places.length };
    this.#places.push(place);
    this.#rise(place);
    return place;
  }

  /** The first item, taken out. */
  take(): T | undefined {
    const first = this.#places[0];
    if (first !== undefined) this.remove(first);
    return first?.item;
  }

  /** A place that has been left already is no error. */
  remove(place: Place<T>): void {
    const { index } = place;
    if (index < 0) return;
    place.index = -1;
    const last = this.#places.pop() as Place<T>;
    if (last === place) return;
    this.#put(last, index);
    this.#rise(last);
    this.#sink(last);
  }

  #put(place: Place<T>, index: number): void {
    this.#places[index] = place;
    place.index = index;
  }

  #rise(place: Place<T>): void {
    while (place.index > 0) {
      const { index } = place;
      const above = this.#places[(index - 1) >> 1] as Place<T>;
      if (!this.#isBefore(place.item, above.item)) return;
      this.#put(place, above.index);
      this.#put(above, index);
    }
  }

  #sink(place: Place<T>): void {
    for (;;) {
      const { index } = place;
      const left = this.#places[2 * index + 1];
      const right = this.#places[2 * index + 2];
      if (left === undefined) return;
      const below = right !== undefined && this.#isBefore(right.item, left.item) ? right : left;
      if (!this.#isBefore(below.item, place.item)) return;
      this.#put(place, below.index);
      this.#put(below, index);
    }
  }
}
