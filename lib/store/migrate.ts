import type { Kysely } from 'kysely';
import { Migrator } from 'kysely/migration';
import { asError, FieldloomError, hasCode } from '../core/errors.js';
import { columnTypes } from './migrations/column-types.js';
import { MIGRATIONS } from './migrations/index.js';
import type { Store } from './store.js';

const DONE = 'schema_migration';
const LOCK = 'schema_migration_lock';

/** Names of the migrations that a database has had; undefined where it is none of ours. */
export async function migrationsOf(db: Kysely<never>): Promise<string[] | undefined> {
  const tables = await db.introspection.getTables({ withInternalKyselyTables: true });
  if (!tables.some(({ name }) => name === DONE)) return undefined;
  const rows = await (db as unknown as Kysely<{ [DONE]: { name: string } }>)
    .selectFrom(DONE)
    .select('name')
    .orderBy('name')
    .execute();
  return rows.map(({ name }) => name);
}

/**
 * Brings the tables to this version. Several processes may do so at once: the first does it, the others wait.
 * @throws FieldloomError migration_failed, also where a newer version has written this database; store_unavailable
 */
export async function migrate(db: Kysely<never>, dialect: Store['dialect']): Promise<void> {
  const done = (await migrationsOf(db)) ?? [];
  refuseNewer(done);
  if (done.length === Object.keys(MIGRATIONS).length) return;
  const types = columnTypes(dialect);
  const migrator = new Migrator({
    db,
    migrationTableName: DONE,
    migrationLockTableName: LOCK,
    provider: {
      async getMigrations() {
        const entries = Object.entries(MIGRATIONS).map(
          ([name, up]) => [name, { up: (inside: Kysely<never>) => up(inside, types, dialect) }] as const,
        );
        return Object.fromEntries(entries);
      },
    },
  });
  const { error, results } = await migrator.migrateToLatest();
  if (error === undefined) return;
  if (hasCode(error, 'store_unavailable')) throw error;
  refuseNewer((await migrationsOf(db)) ?? []);
  const failed = results?.find(({ status }) => status === 'Error')?.migrationName ?? 'the migrations';
  throw new FieldloomError('migration_failed', `${failed} cannot be run: ${asError(error).message}`, {
    cause: error,
  });
}

/** @throws FieldloomError migration_failed */
export function refuseNewer(done: readonly string[]): void {
  const unknown = done.filter((name) => !(name in MIGRATIONS));
  if (unknown.length === 0) return;
  throw new FieldloomError(
    'migration_failed',
    `the database was written by a newer version of Fieldloom (${unknown.join(', ')}): install that version, ` +
      'or restore a backup of this one',
    { details: { unknown } },
  );
}
