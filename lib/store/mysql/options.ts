import type { ConnectionOptions } from 'mysql2';

const CONNECT_MS = 5_000;

/**
 * How all connections are made. `-FOUND_ROWS`: an update counts the rows that it has changed, and an insert of a row
 * that is there already counts none, which the guards of commits (`affects`) lean on.
 * @param url `mysql://user:password@host:port/database`, also `mariadb://`; `?ssl=1` for TLS with a known authority
 */
export function connectionOptions(url: string): ConnectionOptions {
  const { hostname, port, username, password, pathname, searchParams } = new URL(url);
  const ssl = searchParams.get('ssl');
  return {
    host: hostname.replace(/^\[|\]$/g, ''),
    port: port === '' ? 3306 : Number(port),
    user: decodeURIComponent(username),
    password: decodeURIComponent(password),
    database: decodeURIComponent(pathname.slice(1)),
    ...(ssl !== null && ssl !== '0' && { ssl: {} }),
    charset: 'utf8mb4_bin',
    timezone: 'Z',
    flags: ['-FOUND_ROWS'],
    supportBigNumbers: true,
    decimalNumbers: true,
    connectTimeout: CONNECT_MS,
  };
}

/**
 * Said on each new connection: what the texts of statements and the guards of commits lean on. MariaDB, which alone
 * reads its `M!`, ends the transaction of a gateway that stands still within it: its locks would hold up the others.
 */
export const SESSION_SETTINGS = [
  "set session sql_mode = 'STRICT_TRANS_TABLES,NO_ENGINE_SUBSTITUTION' /*M! , idle_transaction_timeout = 10 */",
  'set session transaction isolation level read committed',
] as const;
