import type { ErrorCode } from '../core/errors.js';
import type { Tally } from './state.js';

/** What has come since the start, for `/metrics`. */
export interface Counters {
  /** Messages of which something was accepted. */
  messages: number;
  /** Machines by fate. */
  changed: number;
  renewed: number;
  duplicate: number;
  stale: number;
  clockSkew: number;
  /** Refused messages and parts of messages by error code. */
  refused: Partial<Record<ErrorCode, number>>;
  /** Times that a controller came and went. */
  cameOnline: number;
  wentOffline: number;
}

export function newCounters(): Counters {
  return {
    messages: 0,
    changed: 0,
    renewed: 0,
    duplicate: 0,
    stale: 0,
    clockSkew: 0,
    refused: {},
    cameOnline: 0,
    wentOffline: 0,
  };
}

export function countTally(counters: Counters, tally: Tally): void {
  counters.changed += tally.changed;
  counters.renewed += tally.renewed;
  counters.duplicate += tally.duplicate;
  counters.stale += tally.stale;
  counters.clockSkew += tally.clockSkew;
}

export function countRefused(counters: Counters, code: ErrorCode): void {
  counters.refused[code] = (counters.refused[code] ?? 0) + 1;
}
