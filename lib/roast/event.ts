/** Every event of a roast, in the order in which they usually come (seed: roast-protocol, `event`). */
export const EVENT_TYPES = ['CHARGE', 'TP', 'DRY_END', 'FCs', 'FCe', 'SCs', 'SCe', 'DROP', 'COOL'] as const;

export type EventType = (typeof EVENT_TYPES)[number];

/** One event as it is kept: none is ever taken away, a later one only stands in for it (`effectiveEvents`). */
export interface RoastEvent {
  /** 1, 2, 3 … in the order in which they became known. */
  readonly number: number;
  readonly type: EventType;
  readonly source: 'detected' | 'marked';
  /** When it happened: backdated to the break, or what the person said. */
  readonly timeMs: number;
  /** When it became known. */
  readonly knownMs: number;
  /** Temperatures at `timeMs`, °C; null where the recording has none within 15 s. */
  readonly bt: number | null;
  readonly et: number | null;
  /** Number of the event that this one corrects; null where it is the first of its type. */
  readonly supersedes: number | null;
}

/**
 * The event of each type that counts: the last one marked by a person, else the last one detected (roast.md "Events": a
 * marked event overrides a detected one, both stay in the record).
 */
export function effectiveEvents(events: readonly RoastEvent[]): ReadonlyMap<EventType, RoastEvent> {
  const effective = new Map<EventType, RoastEvent>();
  for (const event of events) {
    const known = effective.get(event.type);
    if (known?.source === 'marked' && event.source === 'detected') continue;
    effective.set(event.type, event);
  }
  return effective;
}
