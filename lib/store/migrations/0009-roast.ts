import type { Kysely } from 'kysely';
import type { ColumnTypes } from './column-types.js';
import { createIndex, createTable } from './table.js';

/** Roasting machines, their sessions reading by reading, and saved profiles. */
export async function roast(db: Kysely<never>, types: ColumnTypes): Promise<void> {
  await createTable(
    db,
    types,
    'roast_machine',
    {
      id: 'key',
      name: 'text',
      driver: 'key',
      sampling_ms: 'integer',
      config: 'text',
      connected: 'integer',
      session_id: 'key?',
      created_at: 'ms',
    },
    ['id'],
  );
  await createTable(
    db,
    types,
    'roast_session',
    {
      id: 'key',
      machine_id: 'key',
      phase: 'key',
      started_at: 'ms',
      ended_ms: 'ms?',
      lead_in: 'text',
    },
    ['id'],
  );
  await createIndex(db, 'roast_session', ['machine_id', 'id']);
  await createTable(
    db,
    types,
    'roast_point',
    {
      session_id: 'key',
      at_ms: 'ms',
      bt: 'real?',
      et: 'real?',
      bt_ror: 'real?',
      et_ror: 'real?',
      extra: 'text?',
    },
    ['session_id', 'at_ms'],
  );
  await createTable(
    db,
    types,
    'roast_event',
    {
      session_id: 'key',
      number: 'integer',
      type: 'key',
      source: 'key',
      given: 'integer',
      at_ms: 'ms',
      known_ms: 'ms',
      bt: 'real?',
      et: 'real?',
      supersedes: 'integer?',
    },
    ['session_id', 'number'],
  );
  await createTable(
    db,
    types,
    'roast_control',
    { session_id: 'key', number: 'integer', at_ms: 'ms', channel: 'key', value: 'real' },
    ['session_id', 'number'],
  );
  await createTable(
    db,
    types,
    'roast_profile',
    {
      id: 'key',
      name: 'text',
      machine_id: 'key?',
      session_id: 'key?',
      started_at: 'ms?',
      duration_ms: 'ms',
      body: 'bytes',
      created_at: 'ms',
    },
    ['id'],
  );
}
