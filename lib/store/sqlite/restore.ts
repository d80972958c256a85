import { chmod, copyFile, rm } from 'node:fs/promises';
import { Kysely, sql } from 'kysely';
import { asError, FieldloomError, hasCode } from '../../core/errors.js';
import { migrate, migrationsOf, refuseNewer } from '../migrate.js';
import { markRestored } from '../settings.js';
import type { Tables } from '../tables.js';
import { SqliteDriver } from './driver.js';

/**
 * Replaces the content of an embedded database by a backup's, in one transaction: whoever has the database open
 * sees all of the old content or all of the new. The file itself stays, so that nobody holds a deleted one. The
 * backup is checked and brought to this version in a copy; the file given is only read.
 * @param live path of the database, which this version's tables are in already
 * @throws FieldloomError backup_failed, migration_failed, store_unavailable
 */
export async function restoreSqlite(file: string, live: SqliteDriver, path: string): Promise<void> {
  const copy = `${path}.restore-${process.pid}`;
  try {
    await takeCopy(file, copy);
    await replaceContent(live, copy);
  } finally {
    for (const suffix of ['', '-wal', '-shm', '-journal']) await rm(copy + suffix, { force: true });
  }
}

async function takeCopy(file: string, copy: string): Promise<void> {
  await copyFile(file, copy).catch((error: unknown) => {
    throw new FieldloomError('backup_failed', `cannot read ${file}: ${asError(error).message}`, {
      cause: error,
    });
  });
  await chmod(copy, 0o600);
  let driver: SqliteDriver | undefined;
  try {
    driver = await SqliteDriver.open(copy);
    const db = new Kysely<never>({ dialect: driver.dialect });
    const { rows } = await sql<{ quick_check: string }>`pragma quick_check`.execute(db);
    if (rows[0]?.quick_check !== 'ok') throw notABackup(file, rows[0]?.quick_check ?? 'it cannot be read');
    const done = await migrationsOf(db);
    if (done === undefined) throw notABackup(file, 'it has none of the tables');
    refuseNewer(done);
    await migrate(db, driver.name);
  } catch (error) {
    if (hasCode(error, 'backup_failed') || hasCode(error, 'migration_failed')) throw error;
    throw notABackup(file, asError(error).message);
  } finally {
    await driver?.close();
  }
}

function notABackup(file: string, why: string): FieldloomError {
  return new FieldloomError('backup_failed', `${file} is not a whole Fieldloom database: ${why}`);
}

async function replaceContent(live: SqliteDriver, copy: string): Promise<void> {
  const db = new Kysely<Tables>({ dialect: live.dialect });
  // Attaching is not possible inside a transaction; it holds for the writing connection, which is ours alone.
  await sql`attach database ${copy} as restored`.execute(db);
  try {
    const tables = await db.introspection.getTables();
    await db.transaction().execute(async (transaction) => {
      for (const { name, columns } of tables) {
        const list = sql.join(columns.map((column) => sql.ref(column.name)));
        await sql`delete from main.${sql.table(name)}`.execute(transaction);
        await sql`
          insert into main.${sql.table(name)} (${list}) select ${list} from restored.${sql.table(name)}
        `.execute(transaction);
      }
      await transaction.executeQuery(markRestored({ db: transaction, dialect: 'sqlite' }).compile());
    });
  } finally {
    await sql`detach database restored`.execute(db);
  }
}
