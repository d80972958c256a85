import type { Dialect } from 'kysely';
import type { FieldloomError } from '../core/errors.js';
import type { Statement, Store } from './store.js';

export type Unit = readonly Statement[];

/** Undefined: committed. Else why this unit, and it alone, is void: store_conflict or store_rejected. */
export type UnitResult = FieldloomError | undefined;

/** One kind of database. Everything that a kind has of its own is behind this. */
export interface Driver {
  readonly name: Store['dialect'];
  /** For Kysely: reads, administration, migrations. Transactions take turns with `commit`. */
  readonly dialect: Dialect;
  /**
   * Writes the units in one transaction, in their order. May be called again before it has settled (the next batch
   * is then on its way while this one is written); batches are written in the order of the calls.
   * @returns one result a unit
   * @throws store_unavailable: nothing of this batch is written, nor of any batch given before this was known
   */
  commit(batch: readonly Unit[]): Promise<readonly UnitResult[]>;
  /** Copies the whole database to a file while it is in use. @throws FieldloomError backup_failed */
  backup(file: string): Promise<void>;
  close(): Promise<void>;
}
