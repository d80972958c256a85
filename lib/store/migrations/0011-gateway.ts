import type { Kysely } from 'kysely';
import type { ColumnTypes } from './column-types.js';
import { createTable } from './table.js';

/** The gateways that are there, and which of them drives what only one may drive. */
export async function gateway(db: Kysely<never>, types: ColumnTypes): Promise<void> {
  await createTable(db, types, 'gateway', { id: 'key', name: 'longKey', beat: 'ms' }, ['id']);
  await createTable(db, types, 'gateway_task', { task: 'key', lease: 'key', term: 'ms', mark: 'ms' }, [
    'task',
  ]);
}
