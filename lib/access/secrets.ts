import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { copyFile, link, mkdir, open, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { FieldloomError } from '../core/errors.js';

const codeOf = (error: unknown) => (error as NodeJS.ErrnoException).code;

async function read(file: string): Promise<string | undefined> {
  try {
    return (await readFile(file, 'utf8')).trim();
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/** Puts a complete file in its place, unless another stands there by now. */
async function place(temporary: string, file: string): Promise<void> {
  try {
    await link(temporary, file);
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return;
    // Some file systems of memory cards know no links.
    await copyFile(temporary, file, constants.COPYFILE_EXCL).catch((later: unknown) => {
      if (codeOf(later) !== 'EEXIST') throw later;
    });
  }
}

/**
 * The secret of this name, made at first use: 32 random bytes in base64url, in a file that its owner alone can read.
 * Processes that start at once agree on one.
 * @param directory made, for its owner alone, where it is not there
 * @param name of the file, for example `jwt-secret`
 * @throws FieldloomError invalid_setting where the file holds fewer than 32 characters
 */
export async function secret(directory: string, name: string): Promise<string> {
  const file = join(directory, name);
  let found = await read(file);
  if (found === undefined) {
    await mkdir(directory, { recursive: true, mode: 0o700 });
    const temporary = join(directory, `.${name}-${randomBytes(6).toString('hex')}`);
    try {
      const handle = await open(temporary, 'wx', 0o600);
      try {
        await handle.writeFile(`${randomBytes(32).toString('base64url')}\n`);
        await handle.sync();
      } finally {
        await handle.close();
      }
      await place(temporary, file);
    } finally {
      await rm(temporary, { force: true });
    }
    found = await read(file);
  }
  if (found === undefined || found.length < 32) {
    throw new FieldloomError(
      'invalid_setting',
      `the secret in ${file} has ${found?.length ?? 0} characters: accepted are 32 or more; remove the file to get a new one`,
    );
  }
  return found;
}
