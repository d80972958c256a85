import type { Kysely } from 'kysely';
import type { ColumnTypes } from './column-types.js';
import { createIndex, createTable } from './table.js';

/** Solar machines: live state, history, and its sums by minutes and hours. */
export async function solar(db: Kysely<never>, types: ColumnTypes): Promise<void> {
  await createTable(
    db,
    types,
    'solar_machine',
    {
      company_id: 'longKey',
      machine_id: 'longKey',
      number: 'ms',
      revision: 'ms',
      presence: 'key',
      status: 'text?',
      energy: 'real?',
      water: 'real?',
      area: 'real?',
      others: 'text?',
      reported_at: 'ms?',
      since: 'ms',
      left_at: 'ms?',
      last_seen: 'ms',
      interval_ms: 'ms',
    },
    ['company_id', 'machine_id'],
  );
  await createIndex(db, 'solar_machine', ['number'], { unique: true });
  // A live feed names the machine alone.
  await createIndex(db, 'solar_machine', ['machine_id']);
  // The series lie in the order of their keys: a machine's month is read in one go, and written in one place.
  const series = { clustered: true };
  await createTable(
    db,
    types,
    'solar_status_change',
    { machine: 'ms', at: 'ms', id: 'key', status: 'text', previous_status: 'text?', restarted: 'integer' },
    ['machine', 'at', 'id'],
    series,
  );
  await createTable(
    db,
    types,
    'solar_telemetry',
    {
      machine: 'ms',
      at: 'ms',
      id: 'ms',
      received_at: 'ms',
      battery: 'real?',
      solar_v: 'real?',
      solar_a: 'real?',
      water: 'real?',
      extra: 'text?',
    },
    ['machine', 'at', 'id'],
    series,
  );
  await createTable(
    db,
    types,
    'solar_message',
    { machine: 'ms', digest: 'key', at: 'ms' },
    ['machine', 'digest'],
    series,
  );
  await createIndex(db, 'solar_message', ['at']);
  for (const table of ['solar_minute', 'solar_hour']) {
    await createTable(
      db,
      types,
      table,
      { machine: 'ms', at: 'ms', fields: 'text' },
      ['machine', 'at'],
      series,
    );
  }
  await createTable(db, types, 'solar_rollup', { machine: 'ms', rolled_until: 'ms', revision: 'ms' }, [
    'machine',
  ]);
  await createTable(
    db,
    types,
    'solar_rollup_mark',
    { minute: 'ms', machine: 'ms', token: 'ms' },
    ['minute', 'machine', 'token'],
    series,
  );
}
