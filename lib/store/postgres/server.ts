import { Client, type ClientConfig, escapeLiteral, type QueryResult } from 'pg';
import { asError, FieldloomError } from '../../core/errors.js';
import type { Server, Session, Verdict } from '../server/session.js';
import type { SqlValue } from '../store.js';

/** An answer that takes longer counts as a lost connection, ms. */
export const ANSWER_MS = 30_000;

const DEADLOCK = new Set(['40001', '40P01', '55P03']);

/** What an error of pg means, by the class of its SQLSTATE (PostgreSQL, "Error Codes"). */
export function judge(thrown: unknown): Verdict {
  const error = asError(thrown) as Error & { code?: string };
  const { code = '', message } = error;
  if (DEADLOCK.has(code)) return { kind: 'deadlock', error: unavailable(message, error) };
  if (!/^(21|22|23|42)/.test(code)) return { kind: 'away', error: unavailable(message, error) };
  return {
    kind: 'rejected',
    error: new FieldloomError('store_rejected', `the database refuses the statement: ${message}`, {
      details: { constraint: code.startsWith('23') },
      cause: error,
    }),
  };
}

function unavailable(message: string, cause: Error): FieldloomError {
  return new FieldloomError('store_unavailable', `the database cannot be used: ${message}`, { cause });
}

class PostgresSession implements Session {
  /** PostgreSQL takes 1 GiB; nothing of ours comes near. */
  readonly longestStatement = 256 * 1024 * 1024;
  readonly #client: Client;

  constructor(client: Client) {
    this.#client = client;
    // A lost connection is told by the next statement; without a listener it would end the process.
    client.on('error', () => {});
  }

  async run(sql: string): Promise<number[]> {
    const result: QueryResult | QueryResult[] = await this.#client.query(sql);
    return (Array.isArray(result) ? result : [result]).map(({ rowCount }) => rowCount ?? 0);
  }

  destroy(): void {
    this.#client.end().catch(() => {});
  }
}

/** PostgreSQL's text has no NUL: it is kept as the character for what cannot be shown. */
const withoutNul = (text: string) => (text.includes('\0') ? text.replaceAll('\0', '\ufffd') : text);

export function postgresServer(config: ClientConfig): Server {
  return {
    async connect() {
      const client = new Client(config);
      const session = new PostgresSession(client);
      await client.connect();
      // The locks of a gateway that stands still within a transaction must not hold up the others.
      await client.query('set idle_in_transaction_session_timeout = 10000');
      return session;
    },
    literal(value: SqlValue) {
      if (value === null) return 'null';
      if (typeof value === 'string') return escapeLiteral(withoutNul(value));
      if (value instanceof Uint8Array) return `'\\x${Buffer.from(value).toString('hex')}'::bytea`;
      return String(value);
    },
    split(sql) {
      const texts: string[] = [];
      const order: number[] = [];
      let from = 0;
      for (const { 0: found, 1: number, index } of sql.matchAll(/\$(\d+)/g)) {
        texts.push(sql.slice(from, index));
        order.push(Number(number) - 1);
        from = index + found.length;
      }
      texts.push(sql.slice(from));
      return { texts, order };
    },
    judge,
  };
}
