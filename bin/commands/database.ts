import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { FieldloomError } from '../../lib/core/errors.js';
import { embeddedPath, openStore } from '../../lib/store/open.js';
import { databaseUrl } from '../database-url.js';
import { type Output, print, type Terminal } from './context.js';
import { restoreDatabase } from './restore.js';

/** The file of the embedded database. @throws FieldloomError invalid_setting where it is a database server's */
function databaseFile(terminal: Terminal): string {
  const path = embeddedPath(databaseUrl(terminal.environment));
  if (path === undefined) {
    throw new FieldloomError(
      'invalid_setting',
      'DATABASE_URL names a database server: backup and restore are for the embedded database, use the tools of the server',
    );
  }
  return resolve(path);
}

/** `fieldloom backup`, `fieldloom restore`: of the embedded database, while it is in use (contract.md). */
export function databaseCommands(parent: Command, terminal: Terminal): void {
  parent
    .command('backup <file>')
    .description('copy the embedded database to a file, while it is in use')
    .action(async (file: string, _options: object, command: Command) => {
      const path = databaseFile(terminal);
      if (!existsSync(path)) throw new FieldloomError('not_found', `there is no database ${path} yet`);
      const target = resolve(file);
      if (target === path) {
        throw new FieldloomError(
          'invalid_input',
          `FILE is ${file}: accepted is another file than the database itself`,
        );
      }
      const store = await openStore(`sqlite:${path}`);
      try {
        await store.backup(target);
      } finally {
        await store.close();
      }
      print(
        terminal,
        command.optsWithGlobals<Output>(),
        { file: target },
        `The database is copied to ${target}.`,
      );
    });

  parent
    .command('restore <file>')
    .description('put the content of a backup in place of the embedded database, while it is in use')
    .action(async (file: string, _options: object, command: Command) => {
      const { previous } = await restoreDatabase(resolve(file), databaseFile(terminal));
      const kept = previous === undefined ? '' : `\nWhat was there before is kept in ${previous}.`;
      print(
        terminal,
        command.optsWithGlobals<Output>(),
        { restored: resolve(file), previous: previous ?? null },
        `The database is restored from ${resolve(file)}: logins and users too are as they were then.${kept}`,
      );
    });
}
