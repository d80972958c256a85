import type { Kysely } from 'kysely';
import type { Tables } from './tables.js';

export type SqlValue = string | number | bigint | Uint8Array | null;

/** One compiled SQL statement. Build them with `prepare` (prepared.ts): compiling per message would be too slow. */
export interface Statement {
  readonly sql: string;
  readonly parameters: readonly SqlValue[];
  /**
   * The unit is void, and nothing of it is written, unless this statement changes exactly so many rows. An update that
   * sets what a row has already may count as none: let a guard set something new, such as a revision.
   */
  readonly affects?: number;
}

export type StoreState = 'open' | 'unavailable' | 'closed';

export interface Store {
  readonly dialect: 'sqlite' | 'mysql' | 'postgres';
  /**
   * For reading, and for administration. What arrives in streams goes through `commit`. A transaction of `db` holds
   * up all commits until it ends: keep it short, and never await a `commit` inside it.
   * Errors are FieldloomErrors: store_unavailable; store_rejected, with `details.constraint` true where a row breaks
   * a rule (a name that is taken).
   */
  readonly db: Kysely<Tables>;
  /**
   * Writes the statements of one unit, all or none, together with the units of others in one transaction. Fulfils
   * when that transaction is committed. Units are written in the order of the calls. While the database is away or
   * full the promise stays pending and the unit is tried again.
   * @throws FieldloomError store_conflict where a statement did not change `affects` rows; store_rejected where the
   *   database refuses the statement itself; store_closed after close
   */
  commit(unit: readonly Statement[]): Promise<void>;
  readonly state: StoreState;
  /** Why it is unavailable. */
  readonly reason: Error | undefined;
  onState(listener: (state: StoreState, reason?: Error) => void): () => void;
  /** Units waiting for their commit. */
  readonly pending: number;
  /** Copies the whole database to a file while it is in use. Embedded database only. */
  backup(file: string): Promise<void>;
  /** Commits what is waiting, then closes. */
  close(): Promise<void>;
}
