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

/** FIELDLOOM_DIR as an absolute path, default `.fieldloom`: Node-RED's user directory, database, secrets. */
export function fieldloomDirectory(environment: Environment): string {
  return resolve(text(environment, 'FIELDLOOM_DIR') ?? '.fieldloom');
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
