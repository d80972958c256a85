import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  hashPassword,
  newSecret,
  type PasswordHash,
  SECRET_COST,
  verifyPassword,
} from '../lib/access/password.js';
import type { EditorLogin } from './editor.js';

const FILE = 'editor-login.json';

/**
 * The editor's login (access.md "People and programs"), made at first start: only a hash of its password is kept.
 * @param directory of the secrets
 */
export async function editorLogin(
  directory: string,
): Promise<EditorLogin & { newPassword: string | undefined }> {
  const file = join(directory, FILE);
  let stored = await readFile(file, 'utf8').then(
    (text) => JSON.parse(text) as PasswordHash,
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return undefined;
      throw error;
    },
  );
  let newPassword: string | undefined;
  if (stored === undefined) {
    newPassword = newSecret();
    stored = await hashPassword(newPassword, SECRET_COST);
    await mkdir(directory, { recursive: true, mode: 0o700 });
    await writeFile(file, `${JSON.stringify(stored)}\n`, { mode: 0o600 });
  }
  const hash = stored;
  return {
    username: 'admin',
    newPassword,
    verify: (password) => verifyPassword(password, hash, SECRET_COST),
  };
}
