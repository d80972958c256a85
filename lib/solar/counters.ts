import type { ErrorCode } from '../core/errors.js';

/** What has come since the start, for `/metrics`. */
export interface SolarCounters {
  /** Telemetry messages that became rows. */
  telemetry: number;
  /** Of them, those whose minute had to be rolled up again. */
  late: number;
  status: number;
  duplicates: number;
  statusChanges: number;
  restarts: number;
  /** Refused messages by error code. */
  refused: Partial<Record<ErrorCode, number>>;
}

export const newSolarCounters = (): SolarCounters => ({
  telemetry: 0,
  late: 0,
  status: 0,
  duplicates: 0,
  statusChanges: 0,
  restarts: 0,
  refused: {},
});
