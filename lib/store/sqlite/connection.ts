import { DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite';
import type { Failure, WorkerSettings } from './messages.js';

const REMEMBERED_QUERIES = 200;

// Primary result codes of SQLite (sqlite.org/rescode.html) that say: not now, and not because of the statement.
const BUSY = [5, 6];
const AWAY = [7, 8, 9, 10, 11, 13, 14, 15, 17, 22, 26];
const CONSTRAINT = 19;
const FULL = 13;

export function failureOf(thrown: unknown): Failure {
  const { message, errcode } = thrown as { message: string; errcode?: number };
  const code = errcode === undefined ? -1 : errcode & 0xff;
  if (BUSY.includes(code)) return { kind: 'busy', message };
  if (AWAY.includes(code)) return { kind: 'away', message };
  return { kind: code === CONSTRAINT ? 'constraint' : 'refused', message };
}

/** One SQLite connection of a worker thread, opened when it is first used and again after the disk failed it. */
export class Connection {
  readonly #settings: WorkerSettings;
  #database: DatabaseSync | undefined;
  #queries = new Map<string, StatementSync>();
  /** Rises when the connection is opened anew: statements prepared before are gone. */
  opened = 0;

  constructor(settings: WorkerSettings) {
    this.#settings = settings;
  }

  get database(): DatabaseSync {
    this.#database ??= this.#open();
    return this.#database;
  }

  #open(): DatabaseSync {
    const { path, readOnly, busyMs } = this.#settings;
    const database = new DatabaseSync(path, { readOnly });
    try {
      database.exec(`pragma busy_timeout = ${busyMs}`);
      if (!readOnly) {
        // A commit is on the disk when it returns (synchronous FULL), readers never wait for it (WAL).
        database.exec(
          'pragma journal_mode = wal; pragma synchronous = full; pragma journal_size_limit = 67108864',
        );
        database.exec('pragma wal_autocheckpoint = 16000; pragma cache_size = -32000');
      }
      database.exec('pragma temp_store = memory');
    } catch (error) {
      database.close();
      throw error;
    }
    this.opened += 1;
    return database;
  }

  /** Runs any statement; its prepared form is kept for the next time. */
  query(sql: string, parameters: readonly unknown[]): Record<string, unknown>[] {
    let statement = this.#queries.get(sql);
    if (statement === undefined) {
      statement = this.database.prepare(sql);
      if (this.#queries.size >= REMEMBERED_QUERIES) {
        this.#queries.delete(this.#queries.keys().next().value as string);
      }
    } else this.#queries.delete(sql);
    this.#queries.set(sql, statement);
    return statement.all(...(parameters as SQLInputValue[]));
  }

  lastChange(): { changes: number; insertId: number | bigint } {
    const [row] = this.query('select changes() as changes, last_insert_rowid() as "insertId"', []);
    return row as { changes: number; insertId: number };
  }

  /** After a failure of the disk the next use opens anew; a full disk or a lock leaves the connection as it is. */
  failed(thrown: unknown): Failure {
    const failure = failureOf(thrown);
    const code = (thrown as { errcode?: number }).errcode ?? 0;
    if (failure.kind === 'away' && (code & 0xff) !== FULL) this.close();
    return failure;
  }

  close(): void {
    const database = this.#database;
    this.#database = undefined;
    this.#queries.clear();
    database?.close();
  }
}
