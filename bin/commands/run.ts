import { text } from 'node:stream/consumers';
import { Command, CommanderError } from 'commander';
import { asError, FieldloomError } from '../../lib/core/errors.js';
import { accessCommands } from './access.js';
import type { Terminal } from './context.js';
import { databaseCommands } from './database.js';
import { pondCommands } from './pond.js';
import { roastCommands } from './roast.js';
import { userCommands } from './user.js';

const EXIT_FAILURE = 1;
const EXIT_BAD_USE = 2;
const BAD_USE = ['invalid_input', 'invalid_setting', 'missing_setting'];

const processTerminal: Terminal = {
  environment: process.env,
  out: (line) => process.stdout.write(line),
  problem: (line) => process.stderr.write(line),
  input: () => text(process.stdin),
};

/** The whole command line. Commander ends no process and prints no error here: `runCommand` does, in one line. */
function createProgram(terminal: Terminal): Command {
  const program = new Command('fieldloom')
    .description(
      'logins, users, ponds, roasts and the database of a Fieldloom gateway, whether or not it runs',
    )
    .option('--json', 'print one JSON document')
    .exitOverride()
    .configureOutput({ writeOut: terminal.out, writeErr: terminal.problem, outputError: () => {} })
    .addHelpText(
      'after',
      '\nEnvironment:\n  FIELDLOOM_DIR  directory of the gateway (default .fieldloom)\n' +
        '  DATABASE_URL   its database (default sqlite:<FIELDLOOM_DIR>/fieldloom.db)',
    );
  accessCommands(program, terminal);
  userCommands(program, terminal);
  pondCommands(program, terminal);
  roastCommands(program, terminal);
  databaseCommands(program, terminal);
  for (const group of program.commands) {
    for (const command of [group, ...group.commands]) command.option('--json', 'print one JSON document');
  }
  return program;
}

function badUse({ code, message }: CommanderError): string {
  const line = message.replace(/^error: /, '').replaceAll(/\s*\n\s*/g, ' ');
  const unknown = code === 'commander.unknownOption' || code === 'commander.unknownCommand';
  return unknown ? `${line}; what is accepted is listed with --help` : line;
}

/** @returns the exit code: 0, 1 for a failure, 2 for bad use */
export async function execute(words: readonly string[], terminal: Terminal): Promise<number> {
  try {
    await createProgram(terminal).parseAsync([...words], { from: 'user' });
    return 0;
  } catch (error) {
    if (error instanceof CommanderError) {
      if (error.exitCode === 0) return 0;
      // A group without a command: its help has been printed.
      if (error.code !== 'commander.help') terminal.problem(`fieldloom: ${badUse(error)}\n`);
      return EXIT_BAD_USE;
    }
    terminal.problem(`fieldloom: ${asError(error).message}\n`);
    return error instanceof FieldloomError && BAD_USE.includes(error.code) ? EXIT_BAD_USE : EXIT_FAILURE;
  }
}

/** Runs one command of this process and sets its exit code. */
export async function runCommand(words: readonly string[]): Promise<void> {
  process.exitCode = await execute(words, processTerminal);
}
