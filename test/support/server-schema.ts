import { Kysely, sql } from 'kysely';
import { Migrator } from 'kysely/migration';
import { columnTypes } from '../../lib/store/migrations/column-types.js';
import { MIGRATIONS } from '../../lib/store/migrations/index.js';
import { mysqlDriver } from '../../lib/store/mysql/driver.js';
import { postgresDriver } from '../../lib/store/postgres/driver.js';
import type { ServerDriver } from '../../lib/store/server/driver.js';
import { rowsOf } from './released-schema.js';

type Tables = Record<string, Record<string, unknown>>;

const driverOf = (url: string): ServerDriver => (url.startsWith('mysql') ? mysqlDriver : postgresDriver)(url);

async function within<T>(
  url: string,
  work: (db: Kysely<Tables>, driver: ServerDriver) => Promise<T>,
): Promise<T> {
  const driver = driverOf(url);
  const db = new Kysely<Tables>({ dialect: driver.dialect });
  try {
    return await work(db, driver);
  } finally {
    await db.destroy();
    await driver.close();
  }
}

/** Makes the tables of a released version in an empty database of a server. @param names its migrations */
export async function makeReleased(url: string, names: readonly string[]): Promise<void> {
  await within(url, async (db, { name: dialect }) => {
    const up = (name: string) => ({
      up: async (inside: Kysely<never>) => MIGRATIONS[name]?.(inside, columnTypes(dialect), dialect),
    });
    const migrator = new Migrator({
      db: db as unknown as Kysely<never>,
      migrationTableName: 'schema_migration',
      migrationLockTableName: 'schema_migration_lock',
      provider: { getMigrations: async () => Object.fromEntries(names.map((name) => [name, up(name)])) },
    });
    const { error } = await migrator.migrateToLatest();
    if (error !== undefined) throw error;
  });
}

/** Every column and index of a server's database, a line each, as the server tells it. */
export function serverOutline(url: string): Promise<string[]> {
  return within(url, async (db, { name: dialect }) => {
    const columns =
      dialect === 'mysql'
        ? // How wide a whole number is printed is MariaDB's to say and no longer MySQL's.
          sql<{ line: string }>`select concat_ws(' ', table_name, column_name,
            regexp_replace(column_type, 'int[(][0-9]+[)]', 'int'), collation_name, is_nullable) as line
            from information_schema.columns where table_schema = database()`
        : sql<{
            line: string;
          }>`select concat_ws(' ', table_name, column_name, data_type, character_maximum_length,
            collation_name, is_nullable) as line
            from information_schema.columns where table_schema = 'public'`;
    const indexes =
      dialect === 'mysql'
        ? sql<{ line: string }>`select concat_ws(' ', 'index', table_name, index_name, non_unique,
            group_concat(column_name order by seq_in_index)) as line
            from information_schema.statistics where table_schema = database()
            group by table_name, index_name, non_unique`
        : sql<{ line: string }>`select indexdef as line from pg_indexes where schemaname = 'public'`;
    const lines = [...(await columns.execute(db)).rows, ...(await indexes.execute(db)).rows];
    return lines.map(({ line }) => line).sort();
  });
}

/** Copies rows of an embedded database into a server's of the same tables. */
export async function copyRows(file: string, url: string, tables: readonly string[]): Promise<void> {
  await within(url, async (db) => {
    for (const table of tables) {
      for (const row of rowsOf(file, table)) {
        const values = Object.entries(row).map(([name, value]) => [
          name,
          value instanceof Uint8Array ? Buffer.from(value) : value,
        ]);
        await db.insertInto(table).values(Object.fromEntries(values)).execute();
      }
    }
  });
}

/** How many rows each table has. */
export function countRows(url: string, tables: readonly string[]): Promise<Record<string, number>> {
  return within(url, async (db) => {
    const counts: Record<string, number> = {};
    for (const table of tables) {
      const { rows } = await db
        .selectFrom(table)
        .select((is) => is.fn.countAll<number>().as('rows'))
        .executeTakeFirstOrThrow();
      counts[table] = Number(rows);
    }
    return counts;
  });
}
