import { DatabaseSync } from 'node:sqlite';
import { createConnection, type RowDataPacket } from 'mysql2/promise';
import { Client } from 'pg';

export interface RowCounter {
  /** Rows of the table; 0 where it is not made yet. */
  count(): Promise<number>;
  close(): Promise<void>;
}

/** Counts the rows of a table from outside: beside the candidate, and not through it. */
export function rowCounter(url: string, table: string): RowCounter {
  const query = `select count(*) as total from ${table}`;
  const none = () => 0;
  if (url.startsWith('mysql')) {
    const connecting = createConnection(url);
    return {
      count: async () =>
        (await connecting).query<RowDataPacket[]>(query).then(([rows]) => Number(rows[0]?.['total']), none),
      close: async () => (await connecting).end(),
    };
  }
  if (url.startsWith('postgres')) {
    const client = new Client(url);
    const connecting = client.connect();
    return {
      async count() {
        await connecting;
        return client.query(query).then(({ rows }) => Number(rows[0]?.total), none);
      },
      close: () => client.end(),
    };
  }
  return {
    async count() {
      let database: DatabaseSync | undefined;
      try {
        database = new DatabaseSync(url.slice('sqlite:'.length), { readOnly: true });
        return (database.prepare(query).get() as { total: number }).total;
      } catch {
        return 0;
      } finally {
        database?.close();
      }
    },
    async close() {},
  };
}
