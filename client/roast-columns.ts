import type { RoastTrace } from './roast-trace.js';

/** More points than this no screen shows. */
const MOST = 4_096;

/**
 * What of a trace is drawn: all of it while it is short, then every second reading, every fourth …, and always the newest
 * one and the breaks. It follows the trace by what is new in it, so that a drawing late in a long roast costs no more than
 * one in its middle.
 */
export class RoastColumns {
  readonly times: number[] = [];
  readonly bt: (number | null)[] = [];
  readonly et: (number | null)[] = [];
  readonly btRor: (number | null)[] = [];
  readonly etRor: (number | null)[] = [];
  /** Place of each in the trace. */
  readonly places: number[] = [];
  #trace: RoastTrace | undefined;
  #generation = 0;
  #every = 1;
  /** Place after the last one that was looked at. */
  #next = 0;

  /** Takes what is new. */
  follow(trace: RoastTrace): void {
    if (trace !== this.#trace || trace.generation !== this.#generation) {
      this.#trace = trace;
      this.#generation = trace.generation;
      this.#every = 1;
      this.#begin();
    }
    // The newest one stays only where it would have been taken anyway.
    const newest = this.places.at(-1);
    if (newest !== undefined && !this.#isTaken(trace, newest)) this.#drop();
    for (; this.#next < trace.times.length; this.#next += 1) {
      if (this.#isTaken(trace, this.#next)) this.#take(trace, this.#next);
    }
    if (this.times.length > MOST) {
      this.#every *= 2;
      this.#begin();
      this.follow(trace);
      return;
    }
    const last = trace.times.length - 1;
    if (last >= 0 && this.places.at(-1) !== last) this.#take(trace, last);
  }

  #isTaken({ bt, et }: RoastTrace, place: number): boolean {
    return place % this.#every === 0 || (bt[place] === null && et[place] === null);
  }

  #take(trace: RoastTrace, place: number): void {
    const { timeMs, bt, et, btRor, etRor } = trace.pointAt(place) ?? {};
    this.times.push(timeMs ?? 0);
    this.bt.push(bt ?? null);
    this.et.push(et ?? null);
    this.btRor.push(btRor ?? null);
    this.etRor.push(etRor ?? null);
    this.places.push(place);
  }

  #drop(): void {
    for (const column of this.#columns()) column.pop();
  }

  #begin(): void {
    for (const column of this.#columns()) column.length = 0;
    this.#next = 0;
  }

  #columns() {
    return [this.times, this.bt, this.et, this.btRor, this.etRor, this.places];
  }
}
