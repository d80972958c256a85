import { PostgresDialect } from 'kysely';
import { type ClientConfig, Pool, types } from 'pg';
import { ServerDriver } from '../server/driver.js';
import { ANSWER_MS, postgresServer } from './server.js';

/** Connections beside the writing one. */
const POOL_SIZE = 8;
const CONNECT_MS = 5_000;

const INT8 = 20;
const NUMERIC = 1700;

/** All our whole numbers, sums of them too, are numbers that JavaScript keeps exactly. */
const numbersAsNumbers: NonNullable<ClientConfig['types']> = {
  getTypeParser: ((id: number, format?: 'text' | 'binary') =>
    id === INT8 || id === NUMERIC ? Number : types.getTypeParser(id, format as 'text')) as never,
};

/** PostgreSQL 13 and later. @param url `postgres://user:password@host:port/database`, with `?sslmode=` as libpq has it */
export function postgresDriver(url: string): ServerDriver {
  const config: ClientConfig = {
    connectionString: url,
    connectionTimeoutMillis: CONNECT_MS,
    query_timeout: ANSWER_MS,
    keepAlive: true,
    application_name: 'fieldloom',
    types: numbersAsNumbers,
  };
  const pool = new Pool({ ...config, max: POOL_SIZE });
  // A lost connection is told by its query, or by the next one; without listeners it would end the process.
  pool.on('error', () => {});
  pool.on('connect', (client) => client.on('error', () => {}));
  return new ServerDriver('postgres', new PostgresDialect({ pool }), postgresServer(config));
}
