import type { Kysely } from 'kysely';
import type { ColumnTypes } from './column-types.js';
import { createIndex, createTable } from './table.js';

/** Executions, commands and their history, messages of devices, idempotency keys, numbers. */
export async function command(db: Kysely<never>, types: ColumnTypes): Promise<void> {
  await createTable(
    db,
    types,
    'automation_execution',
    {
      execution_id: 'ms',
      pond_id: 'ms',
      execution_type: 'key',
      action: 'key',
      priority: 'key',
      status: 'key',
      user_id: 'ms?',
      parameters: 'text',
      created_at: 'ms',
      completed_at: 'ms?',
      command_id: 'key',
    },
    ['execution_id'],
  );
  await createIndex(db, 'automation_execution', ['pond_id', 'created_at']);
  await createTable(
    db,
    types,
    'device_command',
    {
      id: 'key',
      dispatcher: 'longKey',
      device: 'longKey',
      topic: 'text',
      payload: 'text',
      command_type: 'longKey',
      parameters: 'text',
      priority: 'ms',
      acknowledged: 'integer',
      ack_timeout_ms: 'ms',
      max_retries: 'ms',
      execution_timeout_ms: 'ms',
      status: 'key',
      phase: 'key',
      reason: 'key?',
      message: 'text?',
      attempts: 'ms',
      late: 'integer',
      revision: 'ms',
      waits_for_broker: 'integer',
      expires_at: 'ms?',
      wake_at: 'ms?',
      created_at: 'ms',
      sent_at: 'ms?',
      acknowledged_at: 'ms?',
      completed_at: 'ms?',
      execution_id: 'ms?',
    },
    ['id'],
  );
  await createIndex(db, 'device_command', ['dispatcher', 'status']);
  await createIndex(db, 'device_command', ['created_at']);
  await createTable(
    db,
    types,
    'device_command_transition',
    {
      command_id: 'key',
      id: 'key',
      status: 'key',
      attempt: 'ms',
      reason: 'key?',
      message: 'text?',
      event: 'key',
      at: 'ms',
    },
    ['command_id', 'id'],
  );
  await createTable(
    db,
    types,
    'mqtt_message',
    {
      id: 'key',
      device: 'longKey',
      topic: 'text',
      direction: 'key',
      message_type: 'key',
      success: 'integer',
      correlation_id: 'key?',
      at: 'ms',
      payload: 'bytes',
    },
    ['id'],
  );
  await createIndex(db, 'mqtt_message', ['device', 'id']);
  await createTable(
    db,
    types,
    'command_idempotency',
    { user_id: 'ms', idempotency_key: 'longKey', digest: 'key', execution_id: 'ms', created_at: 'ms' },
    ['user_id', 'idempotency_key'],
  );
  await createIndex(db, 'command_idempotency', ['created_at']);
  await createTable(db, types, 'number_sequence', { name: 'longKey', next_number: 'ms' }, ['name']);
}
