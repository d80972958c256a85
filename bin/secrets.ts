import { randomBytes } from 'node:crypto';
import { mkdir, open, readFile } from 'node:fs/promises';
import { dirname } from 'node:path';

/**
 * The secret in `file`, made where there is none yet: 32 random bytes in base64url, readable by its owner alone.
 * Two starts at once agree on one secret.
 */
export async function secret(
  file: string,
  make = () => randomBytes(32).toString('base64url'),
): Promise<string> {
  const present = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (present !== undefined) return present.trim();
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  try {
    const handle = await open(file, 'wx', 0o600);
    const made = make();
    await handle.writeFile(`${made}\n`);
    await handle.close();
    return made;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return secret(file, make);
    throw error;
  }
}
