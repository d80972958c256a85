import type { MachineStatus } from '../laundry/ports.js';

/** What one machine did between two instants. */
export interface MachineStatistics {
  controllerId: string;
  relayId: number;
  /** Busy time inside the window, the running cycle's part included, ms. */
  busyMs: number;
  /** Cycles that ended inside the window. */
  cycles: number;
  /** Changes of state inside the window. */
  changes: number;
}

export interface Window {
  /** Inclusive, epoch ms. */
  from: number;
  /** Exclusive, epoch ms. */
  to: number;
}

/** A change of one machine, as far as it matters here. */
export interface Transition {
  at: number;
  status: MachineStatus;
  /** Null for a machine's first state: nothing is known of the time before. */
  previousStatus: MachineStatus | null;
}

/** What is known of a machine beside its changes inside the window. */
export interface Surroundings {
  /** The status through the whole window where it has no change inside; undefined where not known. */
  throughout: MachineStatus | undefined;
  /** Since when that is so, epoch ms; minus infinity where it was so before the window. */
  knownFrom: number;
  /** Until when the last status is known, epoch ms: now, or the last word of a controller that is away. */
  knownUntil: number;
}

/**
 * Busy time, finished cycles and changes inside the window. A cycle that crosses an edge counts with its part
 * inside; it is a finished cycle where its end is inside.
 * @param transitions all changes inside the window, oldest first
 */
export function statisticsOf(
  transitions: readonly Transition[],
  { throughout, knownFrom, knownUntil }: Surroundings,
  { from, to }: Window,
): Pick<MachineStatistics, 'busyMs' | 'cycles' | 'changes'> {
  let status = transitions.length === 0 ? throughout : (transitions[0]?.previousStatus ?? undefined);
  let since = transitions.length === 0 ? Math.max(from, knownFrom) : from;
  let busyMs = 0;
  let cycles = 0;
  for (const transition of transitions) {
    if (status === 'busy') busyMs += transition.at - since;
    if (transition.previousStatus === 'busy' && transition.status === 'idle') cycles += 1;
    status = transition.status;
    since = transition.at;
  }
  if (status === 'busy') busyMs += Math.max(0, Math.min(to, knownUntil) - since);
  return { busyMs, cycles, changes: transitions.length };
}
