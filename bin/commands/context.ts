import { Access } from '../../lib/access/access.js';
import type { Log } from '../../lib/core/log.js';
import { openStore } from '../../lib/store/open.js';
import type { Store } from '../../lib/store/store.js';
import { databaseUrl, type Environment, fieldloomDirectory } from '../database-url.js';

/** Where a command reads and writes; a test gives its own. */
export interface Terminal {
  environment: Environment;
  out(text: string): void;
  problem(text: string): void;
  /** Standard input to its end. */
  input(): Promise<string>;
}

export interface Output {
  /** One JSON document instead of text. */
  json: boolean;
}

/** What a command leaves on standard output, and nothing else: the document, or the text for people. */
export function print(terminal: Terminal, { json }: Output, document: unknown, text: string): void {
  terminal.out(json ? `${JSON.stringify(document, null, 2)}\n` : `${text}\n`);
}

/** Standard output is the command's answer alone. */
function logTo(terminal: Terminal): Log {
  const say = (text: string) => terminal.problem(`fieldloom: ${text}\n`);
  return { debug() {}, info() {}, warn: say, error: say };
}

/** Opens the database with the logins and users of this installation, whether or not the system runs, and closes them after `use`. */
export async function withAccess<T>(
  terminal: Terminal,
  use: (access: Access, store: Store) => Promise<T>,
): Promise<T> {
  const log = logTo(terminal);
  const store = await openStore(databaseUrl(terminal.environment), { log });
  try {
    const access = await Access.open(store, { log });
    try {
      return await use(access, store);
    } finally {
      access.close();
    }
  } finally {
    await store.close();
  }
}

export function directoryOf(terminal: Terminal): string {
  return fieldloomDirectory(terminal.environment);
}

/** Rows under headings, in columns as wide as their widest value. */
export function table(headings: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = [headings, ...rows];
  const widths = headings.map((_heading, column) => Math.max(...all.map((row) => row[column]?.length ?? 0)));
  return all
    .map((row) =>
      row
        .map((value, column) => value.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}
