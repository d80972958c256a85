import { randomBytes } from 'node:crypto';
import { createConnection } from 'mysql2/promise';
import { Client } from 'pg';

/** Says one thing to a database server. */
export async function tell(url: string, sql: string): Promise<void> {
  if (url.startsWith('mysql')) {
    const connection = await createConnection(url);
    await connection.query(sql);
    await connection.end();
    return;
  }
  const client = new Client(url);
  await client.connect();
  await client.query(sql);
  await client.end();
}

/**
 * A new, empty database on a server.
 * @param server `mysql://…` or `postgres://…` of a user that may make databases
 */
export async function newDatabase(server: string): Promise<{ url: string; drop(): Promise<void> }> {
  const name = `fieldloom_${randomBytes(6).toString('hex')}`;
  await tell(server, `create database ${name}`);
  const url = new URL(server);
  url.pathname = `/${name}`;
  const force = server.startsWith('mysql') ? '' : ' with (force)';
  return { url: url.href, drop: () => tell(server, `drop database ${name}${force}`) };
}
