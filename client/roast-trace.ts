import { type EventType, effectiveEvents, type RoastEvent } from '../lib/roast/event.js';

/** A reading as the gateway tells it (seed: roast-protocol, `temperature`). Temperatures °C, rates °C/min. */
export interface TraceReading {
  timestamp_ms: number;
  bt: number | null;
  et: number | null;
  bt_ror: number | null;
  et_ror: number | null;
}

/** An event as the gateway tells it (seed: roast-protocol, `event`). */
export interface TraceEvent {
  event_type: EventType;
  timestamp_ms: number;
  auto_detected: boolean | null;
  bt_at_event: number | null;
  et_at_event: number | null;
  /** 1, 2, 3 … in the order in which they became known; where it is left out, that of the calls. */
  number?: number;
  detected_at_ms?: number;
  supersedes?: number | null;
}

/** One moment of a trace. */
export interface TracePoint {
  timeMs: number;
  bt: number | null;
  et: number | null;
  btRor: number | null;
  etRor: number | null;
}

/** Readings further apart than this are not one line, ms; or than three of their intervals. */
const GAP_MS = 5_000;

/**
 * One roast as it is drawn: columns that only grow, so that a reading costs the same after twenty minutes as after one.
 * Times are ms on the session's clock.
 */
export class RoastTrace {
  readonly times: number[] = [];
  readonly bt: (number | null)[] = [];
  readonly et: (number | null)[] = [];
  readonly btRor: (number | null)[] = [];
  readonly etRor: (number | null)[] = [];
  readonly #events = new Map<number, RoastEvent>();
  readonly #listeners = new Set<() => void>();
  #effective: ReadonlyMap<EventType, RoastEvent> = new Map();
  /** Another one: what was there is no longer. */
  generation = 0;
  #lastReadingMs = -Infinity;

  /** Told of each change. @returns what ends it */
  listen(changed: () => void): () => void {
    this.#listeners.add(changed);
    return () => this.#listeners.delete(changed);
  }

  /** The event of each type that counts. */
  get events(): ReadonlyMap<EventType, RoastEvent> {
    return this.#effective;
  }
  /** Null until the beans are in. */
  get chargeMs(): number | null {
    return this.#effective.get('CHARGE')?.timeMs ?? null;
  }
  /** Time of the last reading; -Infinity before the first. */
  get lastMs(): number {
    return this.#lastReadingMs;
  }
  get last(): TracePoint | undefined {
    return this.pointAt(this.times.length - 1);
  }

  pointAt(index: number): TracePoint | undefined {
    const timeMs = this.times[index];
    if (timeMs === undefined) return undefined;
    const value = (column: readonly (number | null)[]) => column[index] ?? null;
    return {
      timeMs,
      bt: value(this.bt),
      et: value(this.et),
      btRor: value(this.btRor),
      etRor: value(this.etRor),
    };
  }

  /** Adds a reading; one that is not after the last one is left out. @param intervalMs nominal, of the machine */
  append(reading: TraceReading, intervalMs = 1_000): boolean {
    if (!this.#add(reading, intervalMs)) return false;
    this.#tell();
    return true;
  }

  /** Adds an event, or corrects the one with its number. */
  mark(event: TraceEvent): void {
    this.#put(event);
    this.#tell();
  }

  /**
   * Takes a whole recording; readings that came meanwhile, after its last one, stay.
   * @param intervalMs nominal, of the machine
   */
  load(readings: readonly TraceReading[], events: readonly TraceEvent[], intervalMs = 1_000): void {
    const lastMs = readings.at(-1)?.timestamp_ms ?? -Infinity;
    const later = this.times
      .map((_, index) => this.pointAt(index) as TracePoint)
      .filter(({ timeMs, bt, et }) => timeMs > lastMs && (bt !== null || et !== null));
    this.#empty();
    for (const reading of readings) this.#add(reading, intervalMs);
    for (const { timeMs, bt, et, btRor, etRor } of later) {
      this.#add({ timestamp_ms: timeMs, bt, et, bt_ror: btRor, et_ror: etRor }, intervalMs);
    }
    for (const event of events) this.#put(event);
    this.#tell();
  }

  #empty(): void {
    for (const column of [this.times, this.bt, this.et, this.btRor, this.etRor]) column.length = 0;
    this.generation += 1;
    this.#lastReadingMs = -Infinity;
  }

  #add({ timestamp_ms, bt, et, bt_ror, et_ror }: TraceReading, intervalMs: number): boolean {
    if (timestamp_ms <= this.#lastReadingMs) return false;
    const gapMs = timestamp_ms - this.#lastReadingMs;
    // What nobody measured is no straight line: an empty moment breaks it.
    if (gapMs < Infinity && gapMs > Math.max(GAP_MS, 3 * intervalMs)) {
      this.#push(timestamp_ms - gapMs / 2, null, null, null, null);
    }
    this.#push(timestamp_ms, bt, et, bt_ror, et_ror);
    this.#lastReadingMs = timestamp_ms;
    return true;
  }

  #push(
    timeMs: number,
    bt: number | null,
    et: number | null,
    btRor: number | null,
    etRor: number | null,
  ): void {
    this.times.push(timeMs);
    this.bt.push(bt);
    this.et.push(et);
    this.btRor.push(btRor);
    this.etRor.push(etRor);
  }

  #put(event: TraceEvent): void {
    const number = event.number ?? this.#events.size + 1;
    this.#events.set(number, {
      number,
      type: event.event_type,
      source: event.auto_detected === false ? 'marked' : 'detected',
      timeMs: event.timestamp_ms,
      knownMs: event.detected_at_ms ?? event.timestamp_ms,
      bt: event.bt_at_event,
      et: event.et_at_event,
      supersedes: event.supersedes ?? null,
    });
    const inOrder = [...this.#events.values()].sort((a, b) => a.number - b.number);
    this.#effective = effectiveEvents(inOrder);
  }

  #tell(): void {
    for (const changed of this.#listeners) changed();
  }
}

/**
 * Index of the moment nearest to a time, by halving; -1 where there is none.
 * @param times ascending
 */
export function nearest(times: readonly number[], timeMs: number): number {
  let low = 0;
  let high = times.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((times[middle] as number) < timeMs) low = middle + 1;
    else high = middle;
  }
  if (low > 0 && timeMs - (times[low - 1] as number) < (times[low] as number) - timeMs) return low - 1;
  return times.length === 0 ? -1 : low;
}
