/** How much of the past is kept for clients that come back, ms (seed: roast-protocol, Reconnection Strategy). */
export const RING_MS = 60_000;

export interface RingEntry {
  /** 1, 2, 3 … over all clocks. */
  readonly seq: number;
  /** When it became known, on the session's clock. */
  readonly atMs: number;
  readonly text: string;
  /** A reading: what its time is known by to clients. */
  readonly reading: boolean;
}

/** What a client that was away asks by. */
export interface SyncRequest {
  /** Of the last reading it has; undefined where it has none. */
  readonly lastMs: number | undefined;
  /** The clock of that time; undefined where the client does not say. */
  readonly sessionId: string | undefined;
}

export interface SyncAnswer {
  /** In their order, each once. */
  readonly entries: readonly RingEntry[];
  /** What the client misses and the ring holds no more. */
  readonly gap: { readonly fromMs: number; readonly toMs: number } | null;
}

/**
 * The last 60 s of what was told on one clock, by time, at whatever rate it was told (roast.md "Sessions").
 */
export interface Ring {
  add(entry: Pick<RingEntry, 'atMs' | 'text' | 'reading'>): void;
  /** Another clock begins: what was told on the one before is forgotten. */
  restart(sessionId: string | null): void;
  /**
   * What is newer than the client's last reading. A time of another clock (another session, or later than now) is
   * answered with everything.
   * @param nowMs what the session's clock shows
   */
  since(request: SyncRequest, nowMs: number): SyncAnswer;
  /** What was told after the entry of this number and time; `gap` where some of it is held no more. */
  after(seq: number, atMs: number): SyncAnswer;
  /** Of the newest entry; 0 before the first. */
  readonly seq: number;
}

export function createRing(lengthMs = RING_MS): Ring {
  let sessionId: string | null = null;
  let entries: RingEntry[] = [];
  let first = 0;
  let seq = 0;
  /** Number of the first entry on this clock. */
  let firstOfClock = 1;
  /** The newest that is held no more. */
  let forgottenMs = -Infinity;

  function forget(beforeMs: number): void {
    while (first < entries.length && (entries[first] as RingEntry).atMs < beforeMs) {
      forgottenMs = (entries[first] as RingEntry).atMs;
      first += 1;
    }
    // Moved up seldom, so that adding costs the same however many there are.
    if (first > 64 && first > entries.length / 2) {
      entries = entries.slice(first);
      first = 0;
    }
  }

  return {
    add(entry) {
      seq += 1;
      entries.push({ ...entry, seq });
      forget(entry.atMs - lengthMs);
    },
    restart(id) {
      sessionId = id;
      entries = [];
      first = 0;
      forgottenMs = -Infinity;
      firstOfClock = seq + 1;
    },
    since({ lastMs, sessionId: ofClient }, nowMs) {
      forget(nowMs - lengthMs);
      const all = entries.slice(first);
      const otherClock = ofClient !== undefined && ofClient !== sessionId;
      if (lastMs === undefined || otherClock || lastMs > nowMs) return { entries: all, gap: null };
      // Who has a reading has all that was told before it; what came after it may have the same time.
      const newer = all.slice(all.findLastIndex(({ reading, atMs }) => reading && atMs <= lastMs) + 1);
      if (forgottenMs <= lastMs) return { entries: newer, gap: null };
      return { entries: newer, gap: { fromMs: lastMs, toMs: newer[0]?.atMs ?? nowMs } };
    },
    after(last, lastMs) {
      // Numbers are given in row, so the place of one is known.
      const oldest = entries[first];
      const from = oldest === undefined ? entries.length : first + Math.max(0, last + 1 - oldest.seq);
      const newer = entries.slice(from);
      const expected = Math.max(last + 1, firstOfClock);
      const missed = newer[0] === undefined ? seq >= expected : newer[0].seq > expected;
      return {
        entries: newer,
        gap: missed ? { fromMs: Math.min(lastMs, forgottenMs), toMs: newer[0]?.atMs ?? forgottenMs } : null,
      };
    },
    get seq() {
      return seq;
    },
  };
}
