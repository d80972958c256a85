import type { FieldloomError } from '../../core/errors.js';
import type { SqlValue } from '../store.js';

/** One connection to a database server, for the batches of `commit`. */
export interface Session {
  /**
   * Sends several statements, separated by semicolons, in one go.
   * @returns how many rows each of them changed
   * @throws the library's own error; `judge` says what it means
   */
  run(sql: string): Promise<number[]>;
  /** The server takes no longer text, bytes. */
  readonly longestStatement: number;
  /** Ends it at once; what is under way is lost. */
  destroy(): void;
}

/** What the databases have of their own in writing a batch. */
export interface Server {
  /** @throws the library's own error */
  connect(): Promise<Session>;
  /** A value as it stands in the text of a statement. */
  literal(value: SqlValue): string;
  /** Splits a compiled statement at its placeholders; `order` tells which parameter stands at each of them. */
  split(sql: string): { texts: string[]; order: number[] };
  /** What an error of the library means for the unit, or for all. */
  judge(error: unknown): Verdict;
}

export type Verdict =
  /** The database cannot be used now: everything is tried again. */
  | { kind: 'away'; error: FieldloomError }
  /** Lost against another transaction: the same batch can be tried again at once. */
  | { kind: 'deadlock'; error: FieldloomError }
  /** This statement can never succeed. */
  | { kind: 'rejected'; error: FieldloomError };
