import { readFile } from 'node:fs/promises';
import { basename, extname } from 'node:path';
import type { Command } from 'commander';
import { asError, FieldloomError } from '../../lib/core/errors.js';
import type { Profile } from '../../lib/roast/profile.js';
import { parseProfile } from '../../lib/roast/profile-codec.js';
import { roastProfiles } from '../../lib/store/roast-profiles.js';
import { type Output, print, type Terminal, table, withAccess } from './context.js';

/** @throws FieldloomError naming the file */
async function read(file: string): Promise<Profile> {
  let bytes: Buffer;
  try {
    bytes = await readFile(file);
  } catch (error) {
    throw new FieldloomError('not_found', `${file}: ${asError(error).message}`, { cause: error });
  }
  try {
    const profile = parseProfile(bytes);
    const title = profile.title === '' ? basename(file, extname(file)) : profile.title;
    return { ...profile, title };
  } catch (error) {
    throw new FieldloomError('invalid_input', `${file}: ${asError(error).message}`, { cause: error });
  }
}

/** `fieldloom roast …`: saved roasts (contract.md "Command line"). */
export function roastCommands(parent: Command, terminal: Terminal): void {
  const roast = parent.command('roast').description('roast profiles');

  roast
    .command('import')
    .argument('<file...>', 'Artisan .alog, CSV or JSON, told by the content')
    .description('save profiles; all of them, or none where one cannot be read')
    .option('--company <id>', "whose they become; everyone's without it")
    .action(async (files: string[], { company }: { company?: string }, command: Command) => {
      const profiles: Profile[] = [];
      for (const file of files) profiles.push(await read(file));
      const saved = await withAccess(terminal, async (_access, store) => {
        const repository = roastProfiles(store);
        const entries = [];
        for (const profile of profiles) {
          entries.push(await repository.add(profile, { companyId: company ?? null }));
        }
        return entries;
      });
      const imported = saved.map(({ id, name }, index) => ({ id, name, file: files[index] ?? '' }));
      const text = table(
        ['PROFILE', 'NAME', 'FILE'],
        imported.map(({ id, name, file }) => [id, name, file]),
      );
      print(terminal, command.optsWithGlobals<Output>(), { imported }, text);
    });
}
