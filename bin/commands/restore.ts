import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { access, chmod, copyFile, mkdir, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { backup, DatabaseSync } from 'node:sqlite';
import { setTimeout as delay } from 'node:timers/promises';
import { asError, FieldloomError } from '../../lib/core/errors.js';
import { openStore } from '../../lib/store/open.js';

const BUSY_FOR_MS = 30_000;

const exists = (file: string) =>
  access(file, constants.F_OK).then(
    () => true,
    () => false,
  );

/** @throws FieldloomError invalid_input where `file` is no whole backup of ours */
function checkBackup(file: string): void {
  let database: DatabaseSync | undefined;
  try {
    database = new DatabaseSync(file, { readOnly: true });
    const result = database.prepare('pragma integrity_check(1)').get() as { integrity_check: string };
    if (result.integrity_check !== 'ok') throw new Error(result.integrity_check);
    const ours = database.prepare("select 1 from sqlite_schema where name = 'access_client'").get();
    if (ours === undefined) throw new Error('it holds none of its tables');
  } catch (error) {
    throw new FieldloomError(
      'invalid_input',
      `FILE ${file} is no backup of a Fieldloom database: ${asError(error).message}`,
      { cause: error },
    );
  } finally {
    database?.close();
  }
}

/** Writes all pages in one transaction: others see the old content or the new, also after a crash in the middle. */
async function overwrite(from: string, into: string): Promise<void> {
  const source = new DatabaseSync(from, { readOnly: true });
  const deadline = Date.now() + BUSY_FOR_MS;
  try {
    for (;;) {
      try {
        await backup(source, into, { rate: 1_000_000 });
        return;
      } catch (error) {
        // A running gateway holds the lock while it commits; SQLite's copy does not wait by itself.
        if (Date.now() > deadline) {
          throw new FieldloomError('store_unavailable', `cannot write ${into}: ${asError(error).message}`, {
            cause: error,
          });
        }
        await delay(20);
      }
    }
  } finally {
    source.close();
  }
}

async function keepPrevious(database: string): Promise<string> {
  const previous = `${database}.before-restore`;
  const store = await openStore(`sqlite:${database}`);
  try {
    await store.backup(previous);
  } finally {
    await store.close();
  }
  return previous;
}

/**
 * Puts the content of a backup in place of the database, which may be in use. The backup is checked and brought to
 * the tables of this version before anything is overwritten, and what was there before is kept in a file beside it.
 * @param file absolute path of the backup, which stays as it is
 * @param database absolute path of the database; made where it is not there
 * @throws FieldloomError not_found, invalid_input, migration_failed, backup_failed, store_unavailable
 */
export async function restoreDatabase(
  file: string,
  database: string,
): Promise<{ previous: string | undefined }> {
  if (!(await exists(file))) throw new FieldloomError('not_found', `there is no file ${file}`);
  checkBackup(file);
  await mkdir(dirname(database), { recursive: true });
  const copy = join(dirname(database), `.restore-${randomBytes(6).toString('hex')}.db`);
  try {
    await copyFile(file, copy, constants.COPYFILE_EXCL);
    await chmod(copy, 0o600);
    await (await openStore(`sqlite:${copy}`)).close();
    const previous = (await exists(database)) ? await keepPrevious(database) : undefined;
    await (await openStore(`sqlite:${database}`)).close();
    await overwrite(copy, database);
    return { previous };
  } finally {
    for (const end of ['', '-wal', '-shm']) await rm(copy + end, { force: true });
  }
}
