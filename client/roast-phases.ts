import type { EventType } from '../lib/roast/event.js';

export type PhaseKind = 'drying' | 'maillard' | 'development';

export const PHASE_WORDS: Readonly<Record<PhaseKind, string>> = {
  drying: 'Drying',
  maillard: 'Maillard',
  development: 'Development',
};

/** A part of a roast as it is shaded. Times are ms on the session's clock. */
export interface RoastPhase {
  kind: PhaseKind;
  fromMs: number;
  toMs: number;
  /** It goes on: its end is now. */
  open: boolean;
  /** Of the time from CHARGE to DROP, or to now. */
  share: number;
}

type Times = ReadonlyMap<EventType, { readonly timeMs: number }>;

/**
 * The phases of a roast up to now: drying from CHARGE to DRY_END, Maillard to FCs, development to DROP. A mark that was
 * left out does not end a phase: it goes on to the next one that there is.
 * @param nowMs end of what is known
 */
export function phasesOf(events: Times, nowMs: number): RoastPhase[] {
  const at = (type: EventType) => events.get(type)?.timeMs;
  const chargeMs = at('CHARGE');
  if (chargeMs === undefined) return [];
  const dropMs = at('DROP');
  const endMs = dropMs ?? nowMs;
  const dryEndMs = at('DRY_END');
  const crackMs = at('FCs');
  const starts: [PhaseKind, number | undefined][] = [
    ['drying', chargeMs],
    ['maillard', dryEndMs],
    ['development', crackMs],
  ];
  const begun = starts.filter(
    (start): start is [PhaseKind, number] =>
      start[1] !== undefined && start[1] >= chargeMs && start[1] <= endMs,
  );
  return begun
    .map(([kind, fromMs], index): RoastPhase => {
      const next = begun[index + 1]?.[1];
      const toMs = Math.max(fromMs, next ?? endMs);
      const whole = endMs - chargeMs;
      return {
        kind,
        fromMs,
        toMs,
        open: next === undefined && dropMs === undefined,
        share: whole > 0 ? (toMs - fromMs) / whole : 0,
      };
    })
    .filter(({ fromMs, toMs, open }) => toMs > fromMs || open);
}

/** Development time ratio up to now: null before FCs. */
export function developmentRatio(events: Times, nowMs: number): number | null {
  return phasesOf(events, nowMs).find(({ kind }) => kind === 'development')?.share ?? null;
}
