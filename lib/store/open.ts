import { Kysely } from 'kysely';
import { type Clock, systemClock } from '../core/clock.js';
import { asError, FieldloomError } from '../core/errors.js';
import { type Log, silentLog } from '../core/log.js';
import type { Driver } from './driver.js';
import { GroupCommit } from './group-commit.js';
import { migrate } from './migrate.js';
import { SqliteDriver } from './sqlite/driver.js';
import type { Statement, Store, StoreState } from './store.js';
import type { Tables } from './tables.js';

export interface StoreOptions {
  log?: Log;
  clock?: Clock;
  /** How long a lock of another process is waited for before the store counts as unavailable, ms (default 1,000). */
  busyMs?: number;
}

/**
 * Opens the database, brings its tables to this version, and takes up group commit.
 * @param url `sqlite:<path>`, `mysql://user:password@host/database` (also MariaDB) or `postgres://…`
 * @throws FieldloomError invalid_setting, store_unavailable, migration_failed
 */
export async function openStore(url: string, options: StoreOptions = {}): Promise<Store> {
  const { log = silentLog, clock = systemClock, busyMs } = options;
  const driver = await openDriver(url, busyMs);
  const db = new Kysely<Tables>({ dialect: driver.dialect });
  try {
    await migrate(db as unknown as Kysely<never>, driver.name);
  } catch (error) {
    await driver.close();
    throw error;
  }
  return new OpenStore(driver, db, log, clock);
}

/** The path of an embedded database's URL, or undefined for a database server's. @throws FieldloomError invalid_setting */
export function embeddedPath(url: string): string | undefined {
  const [scheme = '', path = ''] = split(url);
  if (scheme === 'sqlite' && path !== '' && path !== ':memory:') return path;
  if (['mysql', 'mariadb', 'postgres', 'postgresql'].includes(scheme)) return undefined;
  // A URL may hold a password: no more than its scheme is repeated.
  throw new FieldloomError(
    'invalid_setting',
    `DATABASE_URL ${scheme === 'sqlite' ? url : `begins with "${scheme}:"`}: accepted is sqlite:<path of a file>, ` +
      'mysql://user:password@host/database or postgres://user:password@host/database',
    { details: { setting: 'DATABASE_URL' } },
  );
}

function split(url: string): string[] {
  const colon = url.indexOf(':');
  return colon < 0 ? [url] : [url.slice(0, colon), url.slice(colon + 1)];
}

async function openDriver(url: string, busyMs: number | undefined): Promise<Driver> {
  const path = embeddedPath(url);
  if (path !== undefined) return SqliteDriver.open(path, busyMs === undefined ? {} : { busyMs });
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  if (parsed === undefined || parsed.hostname === '' || parsed.pathname.length < 2) {
    throw new FieldloomError(
      'invalid_setting',
      `DATABASE_URL names no host or no database: accepted is ${split(url)[0]}://user:password@host/database`,
      { details: { setting: 'DATABASE_URL' } },
    );
  }
  // A driver is loaded only where it is used.
  if (/^(mysql|mariadb):/.test(url)) return (await import('./mysql/driver.js')).mysqlDriver(url);
  return (await import('./postgres/driver.js')).postgresDriver(url);
}

class OpenStore implements Store {
  readonly dialect: Store['dialect'];
  readonly db: Kysely<Tables>;
  readonly #driver: Driver;
  readonly #log: Log;
  readonly #commits: GroupCommit;
  readonly #listeners = new Set<(state: StoreState, reason?: Error) => void>();
  #state: StoreState = 'open';
  #reason: Error | undefined;
  #closed: Promise<void> | undefined;

  constructor(driver: Driver, db: Kysely<Tables>, log: Log, clock: Clock) {
    this.dialect = driver.name;
    this.db = db;
    this.#driver = driver;
    this.#log = log;
    this.#commits = new GroupCommit(driver, clock, (state, reason) => this.#become(state, reason));
  }

  get state() {
    return this.#state;
  }

  get reason() {
    return this.#reason;
  }

  get pending() {
    return this.#commits.pending;
  }

  commit(unit: readonly Statement[]): Promise<void> {
    return this.#commits.commit(unit);
  }

  onState(listener: (state: StoreState, reason?: Error) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  backup(file: string): Promise<void> {
    return this.#driver.backup(file);
  }

  close(): Promise<void> {
    this.#closed ??= this.#commits.close().then(async () => {
      await this.db.destroy();
      await this.#driver.close();
      this.#become('closed');
    });
    return this.#closed;
  }

  #become(state: StoreState, reason?: Error): void {
    if (state === 'unavailable') this.#log.warn(`Store unavailable: ${reason?.message}; it is tried again`);
    else if (this.#state === 'unavailable') this.#log.info('Store available again');
    this.#state = state;
    this.#reason = reason;
    for (const listener of this.#listeners) {
      try {
        listener(state, reason);
      } catch (error) {
        this.#log.error(`A listener of the store's state failed: ${asError(error).message}`);
      }
    }
  }
}
