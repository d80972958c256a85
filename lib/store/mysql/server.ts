import { escape as escapeText } from 'mysql2';
import { type Connection, createConnection, type ResultSetHeader, type RowDataPacket } from 'mysql2/promise';
import { asError, FieldloomError } from '../../core/errors.js';
import type { Server, Session, Verdict } from '../server/session.js';
import type { SqlValue } from '../store.js';
import { connectionOptions, SESSION_SETTINGS } from './options.js';

/** An answer that takes longer counts as a lost connection, ms. */
const ANSWER_MS = 30_000;

/** Error numbers without a telling SQLSTATE that say nothing of the statement: full disk, read-only, lock, restart. */
const AWAY = new Set([3, 1021, 1026, 1030, 1053, 1114, 1180, 1206, 1290, 1317, 1836, 1927]);
const DEADLOCK = new Set([1205, 1213]);

interface ServerError extends Error {
  errno?: number;
  sqlState?: string;
  fatal?: boolean;
}

/** What an error of mysql2 means (MariaDB and MySQL, SQLSTATE classes of ISO 9075). */
export function judge(thrown: unknown): Verdict {
  const error = asError(thrown) as ServerError;
  const { errno = 0, sqlState = '', message } = error;
  if (DEADLOCK.has(errno)) return { kind: 'deadlock', error: unavailable(message, error) };
  const telling = /^(21|22|23|42|HY)/.test(sqlState) && error.fatal !== true && !AWAY.has(errno);
  if (!telling) return { kind: 'away', error: unavailable(message, error) };
  return {
    kind: 'rejected',
    error: new FieldloomError('store_rejected', `the database refuses the statement: ${message}`, {
      details: { constraint: sqlState.startsWith('23') },
      cause: error,
    }),
  };
}

function unavailable(message: string, cause: Error): FieldloomError {
  return new FieldloomError('store_unavailable', `the database cannot be used: ${message}`, { cause });
}

class MysqlSession implements Session {
  readonly #connection: Connection;

  constructor(
    connection: Connection,
    readonly longestStatement: number,
  ) {
    this.#connection = connection;
    // A lost connection is told by the next statement; without a listener it would end the process.
    connection.on('error', () => {});
  }

  async run(sql: string): Promise<number[]> {
    const [result] = await this.#connection.query<ResultSetHeader | ResultSetHeader[]>({
      sql,
      timeout: ANSWER_MS,
    });
    return (Array.isArray(result) ? result : [result]).map(({ affectedRows }) => affectedRows);
  }

  destroy(): void {
    this.#connection.destroy();
  }
}

/** @param url `mysql://user:password@host:port/database` */
export function mysqlServer(url: string): Server {
  return {
    async connect() {
      const options = { ...connectionOptions(url), multipleStatements: true };
      const connection = await createConnection(options);
      await connection.query(SESSION_SETTINGS.join(';'));
      const [rows] = await connection.query<RowDataPacket[]>('select @@max_allowed_packet as longest');
      return new MysqlSession(connection, Number(rows[0]?.['longest']));
    },
    literal(value: SqlValue) {
      if (value === null) return 'null';
      if (typeof value === 'string') return escapeText(value);
      if (value instanceof Uint8Array) return `from_base64('${Buffer.from(value).toString('base64')}')`;
      return String(value);
    },
    split(sql) {
      const texts = sql.split('?');
      return { texts, order: texts.slice(1).map((_text, index) => index) };
    },
    judge,
  };
}
