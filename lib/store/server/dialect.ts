import type {
  CompiledQuery,
  DatabaseConnection,
  Dialect,
  DialectAdapter,
  Driver,
  Kysely,
  QueryCompiler,
  QueryResult,
} from 'kysely';
import type { Verdict } from './session.js';

/** A dialect of Kysely whose errors are the library's (store.ts `Store.db`). */
export class JudgedDialect implements Dialect {
  readonly #inner: Dialect;
  readonly #judge: (error: unknown) => Verdict;

  constructor(inner: Dialect, judge: (error: unknown) => Verdict) {
    this.#inner = inner;
    this.#judge = judge;
  }

  createDriver(): Driver {
    return new JudgedDriver(this.#inner.createDriver(), this.#judge);
  }

  createQueryCompiler(): QueryCompiler {
    return this.#inner.createQueryCompiler();
  }

  createAdapter(): DialectAdapter {
    return this.#inner.createAdapter();
  }

  createIntrospector(db: Kysely<never>) {
    return this.#inner.createIntrospector(db);
  }
}

class JudgedDriver implements Driver {
  readonly #inner: Driver;
  readonly #judge: (error: unknown) => Verdict;

  constructor(inner: Driver, judge: (error: unknown) => Verdict) {
    this.#inner = inner;
    this.#judge = judge;
  }

  init(): Promise<void> {
    return this.#judged(() => this.#inner.init());
  }

  async acquireConnection(): Promise<JudgedConnection> {
    const connection = await this.#judged(() => this.#inner.acquireConnection());
    return new JudgedConnection(connection, (action) => this.#judged(action));
  }

  beginTransaction({ inner }: JudgedConnection, settings: Parameters<Driver['beginTransaction']>[1]) {
    return this.#judged(() => this.#inner.beginTransaction(inner, settings));
  }

  commitTransaction({ inner }: JudgedConnection): Promise<void> {
    return this.#judged(() => this.#inner.commitTransaction(inner));
  }

  rollbackTransaction({ inner }: JudgedConnection): Promise<void> {
    return this.#judged(() => this.#inner.rollbackTransaction(inner));
  }

  releaseConnection({ inner }: JudgedConnection): Promise<void> {
    return this.#inner.releaseConnection(inner);
  }

  destroy(): Promise<void> {
    return this.#inner.destroy();
  }

  async #judged<T>(action: () => Promise<T>): Promise<T> {
    try {
      return await action();
    } catch (error) {
      throw this.#judge(error).error;
    }
  }
}

class JudgedConnection implements DatabaseConnection {
  constructor(
    readonly inner: DatabaseConnection,
    readonly judged: <T>(action: () => Promise<T>) => Promise<T>,
  ) {}

  executeQuery<R>(query: CompiledQuery): Promise<QueryResult<R>> {
    return this.judged(() =>
      this.inner.executeQuery<R>({ ...query, parameters: query.parameters.map(bound) }),
    );
  }

  async *streamQuery<R>(query: CompiledQuery): AsyncIterableIterator<QueryResult<R>> {
    yield await this.executeQuery<R>(query);
  }
}

/** The libraries know bytes as Buffers alone. */
const bound = (value: unknown) =>
  value instanceof Uint8Array && !Buffer.isBuffer(value)
    ? Buffer.from(value.buffer, value.byteOffset, value.byteLength)
    : value;
