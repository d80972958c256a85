import type { SQLInputValue, StatementSync } from 'node:sqlite';
import { type Connection, failureOf } from './connection.js';
import { type BatchRequest, type Failure, NULL, NUMBER } from './messages.js';

interface Known {
  sql: string;
  prepared: StatementSync | undefined;
}

/** Thrown inside to begin the batch again with a savepoint around each unit. */
class UnitHalfWritten extends Error {}

/** Writes batches of units, each batch in one transaction (messages.ts `BatchRequest`). */
export class BatchWriter {
  readonly #connection: Connection;
  readonly #known = new Map<number, Known>();
  #opened = 0;
  #failedRound = -1;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  /**
   * @returns the units that are void, and why; the others are committed
   * @throws what SQLite says where nothing could be written
   */
  write(batch: BatchRequest): [number, Failure][] {
    for (const [number, sql] of batch.learn) this.#known.set(number, { sql, prepared: undefined });
    try {
      if (batch.round <= this.#failedRound) {
        throw Object.assign(new Error('an earlier batch could not be written'), { errcode: 17 });
      }
      if (this.#connection.database && this.#opened !== this.#connection.opened) {
        for (const known of this.#known.values()) known.prepared = undefined;
        this.#opened = this.#connection.opened;
      }
      try {
        return this.#transaction(batch, false);
      } catch (error) {
        if (error instanceof UnitHalfWritten) return this.#transaction(batch, true);
        throw error;
      }
    } catch (error) {
      this.#failedRound = batch.round;
      throw error;
    } finally {
      for (const number of batch.forget) this.#known.delete(number);
    }
  }

  #transaction(batch: BatchRequest, savepoints: boolean): [number, Failure][] {
    this.#run('begin immediate');
    try {
      const failures = this.#units(batch, savepoints);
      this.#run('commit');
      return failures;
    } catch (error) {
      try {
        this.#run('rollback');
      } catch {
        // SQLite itself has rolled back already.
      }
      throw error;
    }
  }

  #units(batch: BatchRequest, savepoints: boolean): [number, Failure][] {
    const { codes } = batch;
    const values = new Values(batch);
    const failures: [number, Failure][] = [];
    let code = 0;
    for (let unit = 0; code < codes.length; unit += 1) {
      const statements = codes[code++] as number;
      if (savepoints) this.#run('savepoint unit');
      let failure: Failure | undefined;
      for (let index = 0; index < statements; index += 1) {
        const number = codes[code++] as number;
        const count = codes[code++] as number;
        const affects = codes[code++] as number;
        const parameters = values.next(count);
        if (failure === undefined) {
          failure = this.#statement(number, parameters, affects, index, savepoints);
        }
      }
      if (failure !== undefined) {
        failures.push([unit, failure]);
        if (savepoints) this.#run('rollback to unit');
      }
      if (savepoints) this.#run('release unit');
    }
    return failures;
  }

  #statement(
    number: number,
    parameters: SQLInputValue[],
    affects: number,
    index: number,
    savepoints: boolean,
  ) {
    let failure: Failure;
    let written = index;
    try {
      const { changes } = this.#prepared(number).run(...parameters);
      if (affects < 0 || changes === affects) return undefined;
      written += Number(changes);
      failure = { kind: 'conflict', message: `${changes} rows changed instead of ${affects}` };
    } catch (error) {
      failure = failureOf(error);
      if (failure.kind === 'away' || failure.kind === 'busy') throw error;
    }
    // Most void units fail with their first statement, a guard that changed nothing: then there is nothing to undo.
    if (written > 0 && !savepoints) throw new UnitHalfWritten();
    return failure;
  }

  #prepared(number: number): StatementSync {
    const known = this.#known.get(number) as Known;
    known.prepared ??= this.#connection.database.prepare(known.sql);
    return known.prepared;
  }

  #run(sql: string): void {
    this.#connection.query(sql, []);
  }
}

/** The parameters of a batch, one statement's after the other's. */
class Values {
  readonly #batch: BatchRequest;
  #kind = 0;
  #number = 0;
  #other = 0;

  constructor(batch: BatchRequest) {
    this.#batch = batch;
  }

  next(count: number): SQLInputValue[] {
    const { kinds, numbers, others } = this.#batch;
    const values: SQLInputValue[] = new Array(count);
    for (let index = 0; index < count; index += 1) {
      const kind = kinds[this.#kind++];
      if (kind === NUMBER) values[index] = numbers[this.#number++] as number;
      else values[index] = kind === NULL ? null : (others[this.#other++] as SQLInputValue);
    }
    return values;
  }
}
