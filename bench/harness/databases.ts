import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { newDatabase } from '../../test/support/database.js';
import { serviceUrl } from '../../test/support/services.js';

export const DATABASES = ['sqlite', 'mysql', 'postgres'] as const;
export type Database = (typeof DATABASES)[number];

const SERVERS = { mysql: 'TEST_MYSQL_URL', postgres: 'TEST_POSTGRES_URL' } as const;

/**
 * An empty database for one run: a file in a folder of its own, or one on the server that `TEST_MYSQL_URL` or
 * `TEST_POSTGRES_URL` names.
 */
export async function benchDatabase(kind: Database): Promise<{ url: string; drop(): Promise<void> }> {
  if (kind !== 'sqlite') return newDatabase(serviceUrl(SERVERS[kind]));
  const directory = await mkdtemp(join(tmpdir(), 'fieldloom-bench-'));
  return {
    url: `sqlite:${join(directory, 'fieldloom.db')}`,
    drop: () => rm(directory, { recursive: true, force: true }),
  };
}
