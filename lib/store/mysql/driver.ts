import { CompiledQuery, MysqlDialect } from 'kysely';
import { createPool } from 'mysql2';
import { ServerDriver } from '../server/driver.js';
import { connectionOptions, SESSION_SETTINGS } from './options.js';
import { mysqlServer } from './server.js';

/** Connections beside the writing one. */
const POOL_SIZE = 8;

/** MySQL 8 or MariaDB 10.6 and later. @param url `mysql://user:password@host:port/database` */
export function mysqlDriver(url: string): ServerDriver {
  const pool = createPool({ ...connectionOptions(url), connectionLimit: POOL_SIZE });
  // A lost connection is told by its query; without a listener it could end the process.
  pool.on('connection', (connection) => connection.on('error', () => {}));
  const dialect = new MysqlDialect({
    pool,
    async onCreateConnection(connection) {
      for (const setting of SESSION_SETTINGS) await connection.executeQuery(CompiledQuery.raw(setting));
    },
  });
  return new ServerDriver('mysql', dialect, mysqlServer(url));
}
