import type { Kysely } from 'kysely';
import type { ColumnTypes } from './column-types.js';
import { createIndex, createTable } from './table.js';

/** Ponds: whose they are, and which place of which device they are. */
export async function pond(db: Kysely<never>, types: ColumnTypes): Promise<void> {
  await createTable(
    db,
    types,
    'pond',
    {
      pond_id: 'ms',
      name: 'text',
      owner_id: 'ms',
      device: 'longKey',
      position: 'ms',
      feed_limit_g: 'ms',
      thresholds: 'text',
      created_at: 'ms',
    },
    ['pond_id'],
  );
  await createIndex(db, 'pond', ['device', 'position'], { unique: true });
  await createIndex(db, 'pond', ['owner_id', 'pond_id']);
}
