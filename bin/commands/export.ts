import { randomBytes } from 'node:crypto';
import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { Command } from 'commander';
import { mosquittoFiles } from '../../lib/access/mosquitto.js';
import { createPolicy } from '../../lib/access/policy.js';
import { FieldloomError } from '../../lib/core/errors.js';
import { directoryOf, type Output, print, type Terminal, withAccess } from './context.js';

interface ExportOptions extends Output {
  format?: string;
  directory?: string;
  prefix?: string;
}

/** Complete or not at all: a broker may read it at any moment. Its owner alone can read it. */
async function replaceFile(file: string, content: string): Promise<void> {
  const temporary = `${file}-${randomBytes(6).toString('hex')}`;
  try {
    await writeFile(temporary, content, { mode: 0o600, flush: true });
    await rename(temporary, file);
  } finally {
    await rm(temporary, { force: true });
  }
}

function exportText(files: { passwords: string; acl: string }, logins: number, unhashed: readonly string[]) {
  const lines = [`${logins} logins for Mosquitto:`, `  ${files.passwords}`, `  ${files.acl}`];
  if (unhashed.length > 0) {
    lines.push(
      'Left out, since their passwords are older than this export; rotate them once:',
      ...unhashed.map((username) => `  ${username}`),
    );
  }
  return lines.join('\n');
}

/** `fieldloom access export`: the logins as files for a broker that cannot ask (access.md "Other brokers"). */
export function exportCommand(access: Command, terminal: Terminal): void {
  access
    .command('export')
    .description('the logins and their topics as files for a broker that cannot ask for them')
    .option('--format <format>', 'for which broker: mosquitto')
    .option('--directory <directory>', 'where to write (default: mosquitto in the directory of the gateway)')
    .option('--prefix <prefix>', 'what stands before all topics, for example lms/', '')
    .action(async (_options: object, command: Command) => {
      const options = command.optsWithGlobals<ExportOptions>();
      if (options.format !== 'mosquitto') {
        const found = options.format === undefined ? 'is missing' : `is ${options.format}`;
        throw new FieldloomError('invalid_input', `--format ${found}: accepted is mosquitto`);
      }
      const policy = createPolicy([options.prefix ?? '']);
      const logins = await withAccess(terminal, (open) => open.mosquittoLogins());
      const { passwords, acl, unhashed } = mosquittoFiles(logins, policy);
      const directory = resolve(options.directory ?? join(directoryOf(terminal), 'mosquitto'));
      await mkdir(directory, { recursive: true, mode: 0o700 });
      const files = { passwords: join(directory, 'passwords'), acl: join(directory, 'acl') };
      await replaceFile(files.passwords, passwords);
      await replaceFile(files.acl, acl);
      const exported = logins.length - unhashed.length;
      print(
        terminal,
        options,
        { ...files, logins: exported, rotate: unhashed },
        exportText(files, exported, unhashed),
      );
    });
}
