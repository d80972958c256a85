import type { SqlValue } from '../store.js';

/** What a worker thread is started with. */
export interface WorkerSettings {
  path: string;
  readOnly: boolean;
  /** How long SQLite itself waits for a lock of another process, ms. */
  busyMs: number;
}

/** What a parameter is, in `BatchRequest.kinds`. */
export const NULL = 0;
export const NUMBER = 1;
export const OTHER = 2;

/**
 * Many units as few long arrays of primitives: that is what structured cloning copies fastest. `codes` holds, for
 * each unit, the number of its statements, then three numbers each: statement number, number of parameters, and
 * `affects` or -1. `kinds` holds what each parameter is; its value is the next one of `numbers` or of `others`.
 */
export interface BatchRequest {
  kind: 'batch';
  id: number;
  /** A batch of a round that has failed is not written (driver.ts `commit`). */
  round: number;
  codes: Int32Array;
  kinds: Uint8Array;
  numbers: Float64Array;
  /** Texts, bytes and large integers. */
  others: SqlValue[];
  /** Statement numbers that are new, with their text. */
  learn: [number, string][];
  /** Statement numbers that will not be used after this batch. */
  forget: number[];
}

export interface QueryRequest {
  kind: 'query';
  id: number;
  sql: string;
  parameters: readonly SqlValue[];
  /** Whether the number of changed rows is wanted. */
  changes: boolean;
}

export type Request = BatchRequest | QueryRequest | { kind: 'close'; id: number };

export interface Failure {
  message: string;
  /**
   * away: the database cannot be used now, and nothing was written. busy: the same, since another process holds
   * the lock. constraint: a row breaks a rule. refused: any other statement that can never succeed. conflict: not
   * as many rows as `affects` says.
   */
  kind: 'away' | 'busy' | 'constraint' | 'refused' | 'conflict';
}

export interface QueryAnswer {
  rows: Record<string, unknown>[];
  changes: number;
  insertId: number | bigint;
}

export type Answer =
  | { id: number; failures: [number, Failure][] }
  | ({ id: number } & QueryAnswer)
  | { id: number; failure: Failure }
  | { id: number; closed: true };
