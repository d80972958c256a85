import type { Dialect } from 'kysely';
import { FieldloomError } from '../../core/errors.js';
import type { Driver, Unit, UnitResult } from '../driver.js';
import type { Store } from '../store.js';
import { ServerBatchWriter } from './batch-writer.js';
import { JudgedDialect } from './dialect.js';
import type { Server } from './session.js';

/** A database server: one connection for what arrives in streams, a pool for all else. */
export class ServerDriver implements Driver {
  readonly dialect: Dialect;
  readonly #writer: ServerBatchWriter;

  /** @param pool Kysely's dialect over a pool of connections, which it ends */
  constructor(
    readonly name: Store['dialect'],
    pool: Dialect,
    server: Server,
  ) {
    this.dialect = new JudgedDialect(pool, server.judge);
    this.#writer = new ServerBatchWriter(server);
  }

  commit(batch: readonly Unit[]): Promise<readonly UnitResult[]> {
    return this.#writer.commit(batch);
  }

  backup(): Promise<void> {
    const tool = this.name === 'mysql' ? 'mariadb-dump or mysqldump' : 'pg_dump';
    return Promise.reject(
      new FieldloomError('backup_failed', `only the embedded database is backed up here: use ${tool}`),
    );
  }

  close(): Promise<void> {
    return this.#writer.close();
  }
}
