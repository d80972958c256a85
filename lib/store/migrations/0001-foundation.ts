import type { Kysely } from 'kysely';
import type { ColumnTypes } from './column-types.js';
import { createIndex, createTable } from './table.js';

/** Laundry, messages, dead letters, logins, the embedded broker's memory, outbox, settings. */
export async function foundation(db: Kysely<never>, types: ColumnTypes): Promise<void> {
  await laundry(db, types);
  await messages(db, types);
  await access(db, types);
  await mqtt(db, types);
  await createTable(db, types, 'setting', { name: 'longKey', value: 'text' }, ['name']);
}

async function laundry(db: Kysely<never>, types: ColumnTypes): Promise<void> {
  await createTable(
    db,
    types,
    'laundry_controller',
    {
      store_id: 'key',
      controller_id: 'key',
      revision: 'ms',
      last_seen: 'ms',
      interval_ms: 'ms',
      online: 'integer',
    },
    ['store_id', 'controller_id'],
  );
  await createTable(
    db,
    types,
    'laundry_machine',
    {
      store_id: 'key',
      controller_id: 'key',
      relay_id: 'ms',
      machine_type: 'key?',
      status: 'key',
      last_updated: 'ms',
      since: 'ms',
      busy_ms: 'ms',
      cycles: 'ms',
    },
    ['store_id', 'controller_id', 'relay_id'],
  );
  await createTable(
    db,
    types,
    'laundry_state_change',
    {
      id: 'key',
      store_id: 'key',
      controller_id: 'key',
      relay_id: 'ms',
      machine_type: 'key?',
      status: 'key',
      previous_status: 'key?',
      duration_ms: 'ms?',
      last_updated: 'ms',
      received_at: 'ms',
    },
    ['id'],
  );
  // One index for a shop and for each of its machines: every further index whose entries do not come in order costs
  // a page written a row (a third of all throughput), and a shop has few machines to read past.
  await createIndex(db, 'laundry_state_change', ['store_id', 'last_updated']);
  await createTable(
    db,
    types,
    'laundry_liveness',
    { id: 'key', store_id: 'key', controller_id: 'key', online: 'integer', at: 'ms' },
    ['id'],
  );
  await createIndex(db, 'laundry_liveness', ['store_id', 'at']);
  await createTable(
    db,
    types,
    'laundry_report',
    {
      id: 'key',
      reporter: 'longKey',
      relay_id: 'ms',
      machine_type: 'key?',
      status: 'key',
      last_updated: 'ms',
    },
    ['id'],
  );
  await createIndex(db, 'laundry_report', ['reporter', 'id']);
}

async function messages(db: Kysely<never>, types: ColumnTypes): Promise<void> {
  await createTable(
    db,
    types,
    'message',
    {
      id: 'key',
      protocol: 'key',
      direction: 'key',
      topic: 'text',
      outcome: 'key',
      correlation_id: 'text?',
      at: 'ms',
    },
    ['id'],
  );
  await createTable(
    db,
    types,
    'dead_letter',
    {
      id: 'key',
      protocol: 'key',
      topic: 'text',
      code: 'key',
      message: 'text',
      pointer: 'text?',
      payload_digest: 'key',
      size: 'ms',
      received_at: 'ms',
      // Last, so that reading the other columns does not touch it.
      payload: 'bytes',
    },
    ['id'],
  );
  await createIndex(db, 'dead_letter', ['payload_digest']);
}

async function access(db: Kysely<never>, types: ColumnTypes): Promise<void> {
  await createTable(
    db,
    types,
    'access_client',
    {
      username: 'longKey',
      role: 'key',
      store_id: 'text?',
      controller_id: 'text?',
      company: 'text?',
      machine: 'text?',
      device: 'text?',
      salt: 'text',
      hash: 'text',
      cost: 'integer',
      created_at: 'ms',
      changed_at: 'ms',
      revoked: 'integer',
    },
    ['username'],
  );
  await createTable(
    db,
    types,
    'access_user',
    {
      user_id: 'ms',
      name: 'longKey',
      salt: 'text',
      hash: 'text',
      cost: 'integer',
      admin: 'integer',
      created_at: 'ms',
      changed_at: 'ms',
      revoked: 'integer',
    },
    ['user_id'],
  );
  await createIndex(db, 'access_user', ['name'], { unique: true });
  await createTable(db, types, 'access_user_scope', { user_id: 'ms', kind: 'key', value: 'longKey' }, [
    'user_id',
    'kind',
    'value',
  ]);
}

async function mqtt(db: Kysely<never>, types: ColumnTypes): Promise<void> {
  const packet = { topic: 'text', payload: 'bytes', qos: 'integer' } as const;
  await createTable(db, types, 'mqtt_retained', { topic_key: 'key', ...packet, stored_at: 'ms' }, [
    'topic_key',
  ]);
  await createTable(
    db,
    types,
    'mqtt_will',
    { client_id: 'longKey', username: 'longKey', ...packet, retain: 'integer', stored_at: 'ms' },
    ['client_id'],
  );
  await createTable(
    db,
    types,
    'mqtt_session',
    { client_id: 'longKey', username: 'longKey', disconnected_at: 'ms?' },
    ['client_id'],
  );
  await createTable(
    db,
    types,
    'mqtt_subscription',
    { client_id: 'longKey', filter_key: 'key', filter: 'text', qos: 'integer', options: 'text' },
    ['client_id', 'filter_key'],
  );
  await createTable(
    db,
    types,
    'mqtt_outgoing',
    {
      id: 'key',
      client_id: 'longKey',
      broker_id: 'key',
      broker_counter: 'ms',
      message_id: 'integer?',
      cmd: 'key',
      ...packet,
      retain: 'integer',
      stored_at: 'ms',
    },
    ['id'],
  );
  await createIndex(db, 'mqtt_outgoing', ['client_id', 'id']);
  await createTable(
    db,
    types,
    'mqtt_incoming',
    { client_id: 'longKey', message_id: 'integer', ...packet, retain: 'integer', stored_at: 'ms' },
    ['client_id', 'message_id'],
  );
  await createTable(
    db,
    types,
    'outbox',
    { id: 'key', connection: 'longKey', ...packet, retain: 'integer', created_at: 'ms' },
    ['id'],
  );
  await createIndex(db, 'outbox', ['connection', 'id']);
}
