import type { Kysely } from 'kysely';
import type { ColumnTypes } from './column-types.js';
import { createIndex, createTable } from './table.js';

/** Devices, their readings and alerts, and what a device has seen of commands. */
export async function device(db: Kysely<never>, types: ColumnTypes): Promise<void> {
  await createTable(
    db,
    types,
    'device',
    {
      device: 'longKey',
      revision: 'ms',
      last_seen: 'ms',
      online: 'integer',
      interval_ms: 'ms',
      started_at: 'ms?',
      firmware_version: 'text?',
      startup_digest: 'key?',
      startup_received_at: 'ms?',
    },
    ['device'],
  );
  await createTable(
    db,
    types,
    'device_reading',
    {
      device: 'longKey',
      at: 'ms',
      id: 'key',
      position: 'integer',
      received_at: 'ms',
      readings: 'text',
      extra: 'text?',
      digest: 'key',
    },
    // The key is also the index of what people ask: a device, over a span of time.
    ['device', 'at', 'id'],
  );
  // For each message that says which one it is: whether it is there already, however long ago.
  await createIndex(db, 'device_reading', ['device', 'digest']);
  await createTable(
    db,
    types,
    'device_latest',
    { device: 'longKey', position: 'integer', parameter: 'key', value: 'real', at: 'ms' },
    ['device', 'position', 'parameter'],
  );
  await createTable(
    db,
    types,
    'device_alert',
    {
      alert_id: 'key',
      device: 'longKey',
      position: 'integer',
      parameter: 'key',
      value: 'real?',
      limit_value: 'real?',
      severity: 'key',
      message: 'text',
      raised_at: 'ms',
      acknowledged_at: 'ms?',
      acknowledged_by: 'longKey?',
      cleared_at: 'ms?',
      said_at: 'ms',
      known: 'text',
    },
    ['alert_id'],
  );
  await createIndex(db, 'device_alert', ['device', 'raised_at']);
  await createTable(
    db,
    types,
    'responder_command',
    {
      device: 'longKey',
      command_id: 'longKey',
      state: 'key',
      answer: 'text?',
      received_at: 'ms',
      expires_at: 'ms?',
    },
    ['device', 'command_id'],
  );
  await createIndex(db, 'responder_command', ['device', 'state']);
  await createIndex(db, 'responder_command', ['expires_at']);
}
