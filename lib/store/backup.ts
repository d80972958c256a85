import { Kysely } from 'kysely';
import { FieldloomError } from '../core/errors.js';
import { migrate } from './migrate.js';
import { embeddedPath, openStore } from './open.js';
import { SqliteDriver } from './sqlite/driver.js';
import { restoreSqlite } from './sqlite/restore.js';

/**
 * Copies the embedded database to a file, consistent, while the system may be running.
 * @param url as DATABASE_URL
 * @throws FieldloomError backup_failed, invalid_setting
 */
export async function backup(file: string, url: string): Promise<void> {
  pathOf(url);
  const store = await openStore(url);
  try {
    await store.backup(file);
  } finally {
    await store.close();
  }
}

/**
 * Puts a backup's content into the embedded database, while the system may be running: all of it or, on an error,
 * nothing. A running gateway notices by `watchRestored` and loads anew.
 * @param url as DATABASE_URL
 * @throws FieldloomError backup_failed (not a whole Fieldloom database), migration_failed (of a newer version),
 *   store_unavailable, invalid_setting
 */
export async function restore(file: string, url: string): Promise<void> {
  const path = pathOf(url);
  const driver = await SqliteDriver.open(path);
  try {
    await migrate(new Kysely<never>({ dialect: driver.dialect }), driver.name);
    await restoreSqlite(file, driver, path);
  } finally {
    await driver.close();
  }
}

function pathOf(url: string): string {
  const path = embeddedPath(url);
  if (path !== undefined) return path;
  throw new FieldloomError(
    'invalid_setting',
    'DATABASE_URL is a database server: backup and restore are for the embedded database (sqlite:<path of a file>); ' +
      "use the server's own tools",
    { details: { setting: 'DATABASE_URL' } },
  );
}
