import { setTimeout as delay } from 'node:timers/promises';
import {
  type CompiledQuery,
  type DatabaseConnection,
  type Dialect,
  type DialectAdapter,
  type Driver,
  type Kysely,
  type QueryResult,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
} from 'kysely';
import { FieldloomError } from '../../core/errors.js';
import type { SqlValue } from '../store.js';
import { storeError } from './failures.js';
import type { QueryAnswer } from './messages.js';
import { type Thread, ThreadFailure } from './thread.js';
import type { Turns } from './turns.js';

interface Threads {
  writer: Thread;
  reader: Thread;
  turns: Turns;
}

/** So long a single statement waits for another process that holds the lock, ms. */
const PATIENCE_MS = 15_000;
const PAUSE_MS = 50;

/** Kysely's SQLite, spoken to threads: what only reads goes to the reader, all else to the writer. */
export class SqliteThreadDialect implements Dialect {
  readonly #threads: Threads;

  constructor(threads: Threads) {
    this.#threads = threads;
  }

  createDriver(): Driver {
    return new SqliteThreadDriver(this.#threads);
  }

  createQueryCompiler() {
    return new SqliteQueryCompiler();
  }

  createAdapter(): DialectAdapter {
    return new TransactionalSqliteAdapter();
  }

  createIntrospector(db: Kysely<never>) {
    return new SqliteIntrospector(db);
  }
}

/** Migrations run in one transaction, begun as immediate: that is the lock between processes. */
class TransactionalSqliteAdapter extends SqliteAdapter {
  override get supportsTransactionalDdl() {
    return true;
  }

  override get supportsMultipleConnections() {
    return true;
  }
}

class SqliteThreadDriver implements Driver {
  readonly #threads: Threads;

  constructor(threads: Threads) {
    this.#threads = threads;
  }

  async init() {}

  async acquireConnection() {
    return new ThreadConnection(this.#threads);
  }

  beginTransaction(connection: ThreadConnection) {
    return connection.begin();
  }

  commitTransaction(connection: ThreadConnection) {
    return connection.commit();
  }

  rollbackTransaction(connection: ThreadConnection) {
    return connection.rollback();
  }

  releaseConnection(connection: ThreadConnection) {
    return connection.rollback();
  }

  async destroy() {
    // The threads are the store's, which closes them.
  }
}

function onlyReads({ query, sql }: CompiledQuery): boolean {
  return query.kind === 'SelectQueryNode' || (query.kind === 'RawNode' && /^\s*select\b/i.test(sql));
}

const bound = (value: unknown) =>
  value instanceof Uint8Array && value.byteLength !== value.buffer.byteLength ? new Uint8Array(value) : value;

class ThreadConnection implements DatabaseConnection {
  readonly #threads: Threads;
  #transaction: 'none' | 'open' | 'lost' = 'none';

  constructor(threads: Threads) {
    this.#threads = threads;
  }

  async executeQuery<R>(query: CompiledQuery): Promise<QueryResult<R>> {
    const { reader, writer, turns } = this.#threads;
    if (this.#transaction === 'lost') throw transactionLost();
    if (this.#transaction === 'open') {
      try {
        return await ask<R>(writer, query);
      } catch (error) {
        if (error instanceof ThreadFailure && error.failure.kind === 'away') this.#transaction = 'lost';
        throw storeError(error);
      }
    }
    return patiently(() =>
      onlyReads(query) ? ask<R>(reader, query) : turns.pass(() => ask<R>(writer, query)),
    );
  }

  async *streamQuery<R>(query: CompiledQuery): AsyncIterableIterator<QueryResult<R>> {
    yield await this.executeQuery<R>(query);
  }

  async begin(): Promise<void> {
    await this.#threads.turns.hold();
    this.#transaction = 'open';
    try {
      await patiently(() => this.#command('begin immediate'));
    } catch (error) {
      this.#release();
      throw storeError(error);
    }
  }

  async commit(): Promise<void> {
    if (this.#transaction === 'lost') throw transactionLost();
    try {
      await this.#command('commit');
    } catch (error) {
      throw storeError(error);
    }
    this.#release();
  }

  /** Gives the turn back in any case; where SQLite has rolled back already there is nothing to do. */
  async rollback(): Promise<void> {
    if (this.#transaction === 'none') return;
    await this.#command('rollback').catch(() => {});
    this.#release();
  }

  #release(): void {
    this.#transaction = 'none';
    this.#threads.turns.release();
  }

  async #command(sql: string): Promise<void> {
    await this.#threads.writer.ask({ kind: 'query', sql, parameters: [], changes: false });
  }
}

async function ask<R>(thread: Thread, { query, sql, parameters }: CompiledQuery): Promise<QueryResult<R>> {
  const reads = query.kind === 'SelectQueryNode';
  const { rows, changes, insertId } = await thread.ask<{ id: number } & QueryAnswer>({
    kind: 'query',
    sql,
    parameters: parameters.map(bound) as SqlValue[],
    changes: !reads,
  });
  if (reads) return { rows: rows as R[] };
  return { rows: rows as R[], numAffectedRows: BigInt(changes), insertId: BigInt(insertId) };
}

/** Tries again while another process holds the lock. @throws FieldloomError */
export async function patiently<T>(attempt: () => Promise<T>): Promise<T> {
  const end = performance.now() + PATIENCE_MS;
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      const busy = error instanceof ThreadFailure && error.failure.kind === 'busy';
      if (!busy || performance.now() > end) throw storeError(error);
      await delay(PAUSE_MS);
    }
  }
}

function transactionLost(): FieldloomError {
  return new FieldloomError(
    'store_unavailable',
    'the transaction was lost with the database: begin it again',
  );
}
