/**
 * How often a machine speaks, learnt from its own messages, and when its silence means that it is away.
 *
 * Machines send periodically and many of them besides at each change, so a gap between messages need not say anything
 * of the period. Two messages in a row that only the period has sent do: no event lies between them. Only those gaps
 * are learnt from. The interval is the middle of the last five, so that one outage does not stretch it; a last gap
 * that is longer, yet within the limit, counts at once, because a machine may slow down step by step (adaptive
 * interval) and must not be called offline for it.
 */
export interface Rhythm {
  /** ms */
  readonly intervalMs: number;
  /** The last gaps between messages without an event, ms; oldest first. */
  readonly gaps: readonly number[];
  /** When the last message came, if the period sent it: epoch ms. */
  readonly quietAt: number | undefined;
  /** Its timestamp: a repeated message has the same and says nothing of the period. */
  readonly quietTimestamp: number;
}

/** Settings of liveness (protocols.md "Laundry", "Commands"). */
export interface LivenessSettings {
  /** Assumed until learnt, ms. */
  intervalMs: number;
  /** Missed intervals after which a machine is offline. */
  missed: number;
}

export const LIVENESS: LivenessSettings = { intervalMs: 30_000, missed: 3 };

const REMEMBERED = 5;
const SHORTEST_MS = 1_000;
const LONGEST_MS = 60 * 60 * 1000;

/** A rhythm of which only the interval is known: at first, and after a restart. */
export function rhythmOf(intervalMs: number): Rhythm {
  return { intervalMs, gaps: Array(REMEMBERED).fill(intervalMs), quietAt: undefined, quietTimestamp: 0 };
}

/** How long a machine of this rhythm may be silent, ms. */
export function patience(rhythm: Rhythm, settings: LivenessSettings): number {
  return rhythm.intervalMs * settings.missed;
}

/**
 * The rhythm after a message.
 * @param at time of receipt, epoch ms
 * @param timestamp the message's own, epoch ms
 * @param quiet no event, but the period sent it
 */
export function heard(
  rhythm: Rhythm,
  at: number,
  timestamp: number,
  quiet: boolean,
  settings: LivenessSettings,
): Rhythm {
  if (!quiet) return rhythm.quietAt === undefined ? rhythm : { ...rhythm, quietAt: undefined };
  if (rhythm.quietAt === undefined) return { ...rhythm, quietAt: at, quietTimestamp: timestamp };
  if (timestamp <= rhythm.quietTimestamp) return rhythm;
  const gap = Math.min(Math.max(at - rhythm.quietAt, SHORTEST_MS), LONGEST_MS);
  const gaps = [...rhythm.gaps.slice(1), gap];
  const middle = [...gaps].sort((a, b) => a - b)[REMEMBERED >> 1] as number;
  const intervalMs = gap > patience(rhythm, settings) ? middle : Math.max(middle, gap);
  return { intervalMs, gaps, quietAt: at, quietTimestamp: timestamp };
}
