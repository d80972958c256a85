import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { FieldloomError } from '../lib/core/errors.js';

export type Environment = Readonly<Record<string, string | undefined>>;

const SERVERS = ['mysql:', 'mariadb:', 'postgres:', 'postgresql:'];
const ACCEPTED =
  'sqlite:<file>, mysql://user:password@host/database or postgres://user:password@host/database';

/** Set and not empty: `FIELDLOOM_DIR= npm start` means the default. */
function text(environment: Environment, name: string): string | undefined {
  const value = environment[name]?.trim();
  return value === '' ? undefined : value;
}

/** Where `npm install` puts this package in a user directory of Node-RED. */
const INSTALLED = join('node_modules', '@fieldloom', 'node-red-fieldloom');

/** True in the user directory of a Node-RED that this package is installed in: there its database is. */
function isUserDirectory(directory: string): boolean {
  return existsSync(join(directory, INSTALLED, 'package.json'));
}

/**
 * FIELDLOOM_DIR as an absolute path: Node-RED's user directory, database, secrets. By default the current directory
 * where this package is installed in it, else `.fieldloom`, which is the start command's own.
 */
export function fieldloomDirectory(environment: Environment, current = process.cwd()): string {
  const named = text(environment, 'FIELDLOOM_DIR');
  return resolve(current, named ?? (isUserDirectory(current) ? '.' : '.fieldloom'));
}

/**
 * DATABASE_URL, default `sqlite:<FIELDLOOM_DIR>/fieldloom.db` (contract.md "Start and test").
 * @throws FieldloomError invalid_setting; a password in the URL is not repeated
 */
export function databaseUrl(environment: Environment): string {
  const value = text(environment, 'DATABASE_URL');
  if (value === undefined) return `sqlite:${join(fieldloomDirectory(environment), 'fieldloom.db')}`;
  if (/^sqlite:./.test(value)) return value;
  const parsed = URL.canParse(value) ? new URL(value) : undefined;
  if (parsed === undefined || !SERVERS.includes(parsed.protocol) || parsed.hostname === '') {
    throw new FieldloomError(
      'invalid_setting',
      `DATABASE_URL=${value.replace(/\/\/.*@/, '//…@')}: accepted is ${ACCEPTED}`,
      { details: { name: 'DATABASE_URL' } },
    );
  }
  return value;
}
