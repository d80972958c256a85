import type { Kysely } from 'kysely';
import type { ColumnTypes } from './column-types.js';
import { createIndex, createTable } from './table.js';

/** The images that a gateway serves, and what a controller's agent remembers of its deployments. */
export async function firmwareImage(db: Kysely<never>, types: ColumnTypes): Promise<void> {
  await createTable(
    db,
    types,
    'firmware_image',
    {
      id: 'key',
      version: 'key',
      file_size: 'ms',
      checksum: 'key',
      sha256: 'key',
      signature: 'text?',
      created_at: 'ms',
      created_by: 'text?',
    },
    ['id'],
  );
  await createIndex(db, 'firmware_image', ['version'], { unique: true });
  await createTable(
    db,
    types,
    'firmware_agent',
    {
      agent: 'longKey',
      deployment_id: 'key',
      status: 'key',
      file: 'text?',
      correlation_id: 'text?',
      cancel_correlation_id: 'text?',
      acknowledged: 'integer',
      errors: 'text',
      fresh: 'integer',
      deadline_at: 'ms?',
      accepted_at: 'ms',
      updated_at: 'ms',
      replies: 'text',
      reply_count: 'integer',
    },
    ['agent', 'deployment_id'],
  );
}
