import { mkdir, open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Dialect } from 'kysely';
import { asError, FieldloomError } from '../../core/errors.js';
import type { Driver, Unit, UnitResult } from '../driver.js';
import { BatchEncoder } from './batch-encoder.js';
import { patiently, SqliteThreadDialect } from './dialect.js';
import { rejected, storeError } from './failures.js';
import type { Failure, QueryAnswer } from './messages.js';
import { Thread } from './thread.js';
import { Turns } from './turns.js';

/** SQLite waits so long for another process's lock before the batch counts as not written. */
const BUSY_MS = 1_000;

export interface SqliteOptions {
  busyMs?: number;
}

/** SQLite in two worker threads: one writes, one reads, so that neither a slow disk nor a long read stalls others. */
export class SqliteDriver implements Driver {
  readonly name = 'sqlite';
  readonly dialect: Dialect;
  readonly #path: string;
  readonly #busyMs: number;
  readonly #writer: Thread;
  readonly #reader: Thread;
  readonly #turns = new Turns();
  readonly #encoder = new BatchEncoder();
  #encoderOf = 0;
  #round = 0;

  /**
   * Opens the database file, which is made, with its folder, where there is none; only the user may read it.
   * @throws FieldloomError store_unavailable
   */
  static async open(path: string, options: SqliteOptions = {}): Promise<SqliteDriver> {
    const driver = new SqliteDriver(path, options);
    try {
      await mkdir(dirname(path), { recursive: true });
      await (await open(path, 'a', 0o600)).close();
      await driver.#firstUse();
      return driver;
    } catch (error) {
      await driver.close();
      if (error instanceof FieldloomError) throw error;
      throw new FieldloomError('store_unavailable', `cannot open ${path}: ${asError(error).message}`, {
        cause: error,
      });
    }
  }

  private constructor(path: string, { busyMs = BUSY_MS }: SqliteOptions = {}) {
    this.#path = path;
    this.#busyMs = busyMs;
    this.#writer = new Thread({ path, readOnly: false, busyMs });
    this.#reader = new Thread({ path, readOnly: true, busyMs });
    this.dialect = new SqliteThreadDialect({
      writer: this.#writer,
      reader: this.#reader,
      turns: this.#turns,
    });
  }

  /** The writer first: it makes the file what the reader can open. */
  async #firstUse(): Promise<void> {
    await patiently(() =>
      this.#writer.ask({
        kind: 'query',
        sql: 'select count(*) from sqlite_schema',
        parameters: [],
        changes: false,
      }),
    );
  }

  commit(batch: readonly Unit[]): Promise<readonly UnitResult[]> {
    return this.#turns.pass(() => this.#write(batch));
  }

  async #write(batch: readonly Unit[]): Promise<readonly UnitResult[]> {
    this.#writer.start();
    if (this.#encoderOf !== this.#writer.started) {
      this.#encoder.reset();
      this.#encoderOf = this.#writer.started;
    }
    const round = this.#round;
    const results: UnitResult[] = new Array(batch.length);
    try {
      const request = this.#encoder.encode(batch, results);
      const { failures } = await this.#writer.ask<{ id: number; failures: [number, Failure][] }>({
        kind: 'batch',
        round,
        ...request,
      });
      for (const [index, failure] of failures) results[index] = rejected(failure);
      return results;
    } catch (error) {
      this.#round = Math.max(this.#round, round + 1);
      throw storeError(error);
    }
  }

  async backup(file: string): Promise<void> {
    const partial = `${file}.partial`;
    const thread = new Thread({ path: this.#path, readOnly: true, busyMs: this.#busyMs });
    try {
      await rm(partial, { force: true });
      // SQLite writes into an empty file too, and this one is nobody else's to read.
      await (await open(partial, 'wx', 0o600)).close();
      await thread.ask<{ id: number } & QueryAnswer>({
        kind: 'query',
        sql: 'vacuum into ?',
        parameters: [partial],
        changes: false,
      });
      const handle = await open(partial, 'r+');
      await handle.sync();
      await handle.close();
      await rename(partial, file);
    } catch (error) {
      await rm(partial, { force: true });
      throw new FieldloomError(
        'backup_failed',
        `cannot write the backup ${file}: ${asError(error).message}`,
        {
          cause: error,
        },
      );
    } finally {
      await thread.close();
    }
  }

  async close(): Promise<void> {
    await this.#reader.close();
    await this.#writer.close();
  }
}
