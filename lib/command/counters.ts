import type { ErrorCode } from '../core/errors.js';
import type { FailureReason } from './ports.js';

/** What has happened since the start, for `/metrics`. */
export interface Counters {
  submitted: number;
  /** Ends in time: `completed`, or why not. */
  ends: Record<'completed' | FailureReason, number>;
  /** Publishes after the first. */
  retries: number;
  /** Acknowledgements after the end that told something new. */
  late: number;
  /** Acknowledgements that told nothing new. */
  duplicates: number;
  anomalies: number;
  /** Refused acknowledgements by error code. */
  refused: Partial<Record<ErrorCode, number>>;
}

/** Which one counts what transition.ts says. */
export const COUNTER = {
  retry: 'retries',
  duplicate: 'duplicates',
  late: 'late',
  anomaly: 'anomalies',
} as const;

export function newCounters(): Counters {
  return {
    submitted: 0,
    ends: {
      completed: 0,
      device: 0,
      timeout: 0,
      execution_timeout: 0,
      not_connected: 0,
      cancelled: 0,
      expired: 0,
    },
    retries: 0,
    late: 0,
    duplicates: 0,
    anomalies: 0,
    refused: {},
  };
}
