import type { Kysely } from 'kysely';
import type { ColumnTypes } from './column-types.js';
import { createIndex, createTable } from './table.js';

/** Rollouts, their deployments with their history, and what runs on each controller. */
export async function firmware(db: Kysely<never>, types: ColumnTypes): Promise<void> {
  await createTable(
    db,
    types,
    'firmware_rollout',
    {
      id: 'key',
      image_id: 'key',
      version: 'key',
      plan: 'text',
      state: 'key',
      phase: 'key',
      stage: 'integer',
      reason: 'text?',
      tolerated: 'text',
      overruled: 'integer',
      wake_at: 'ms?',
      started_at: 'ms?',
      ended_at: 'ms?',
      revision: 'ms',
      created_at: 'ms',
    },
    ['id'],
  );
  await createTable(db, types, 'firmware_rollout_store', { rollout_id: 'key', store_id: 'key' }, [
    'rollout_id',
    'store_id',
  ]);
  await createTable(
    db,
    types,
    'firmware_count',
    { rollout_id: 'key', stage: 'integer', state: 'key', amount: 'ms' },
    ['rollout_id', 'stage', 'state'],
  );
  await createTable(
    db,
    types,
    'firmware_deployment',
    {
      id: 'key',
      rollout_id: 'key',
      store_id: 'key',
      controller_id: 'key',
      stage: 'integer',
      position: 'ms',
      state: 'key',
      revision: 'ms',
      correlation_id: 'key',
      attempts: 'integer',
      cancel_attempts: 'integer',
      errors: 'text',
      late: 'integer',
      cancel_lost: 'integer',
      diverged: 'integer',
      stuck: 'integer',
      waiting: 'integer',
      superseded_by: 'key?',
      retried_by: 'key?',
      reported_version: 'key?',
      done_at: 'ms?',
      deadline_at: 'ms?',
      wake_at: 'ms?',
      created_at: 'ms',
      sent_at: 'ms?',
      acknowledged_at: 'ms?',
      ended_at: 'ms?',
    },
    ['id'],
  );
  // Of columns that never change, so that a change of state writes no index.
  await createIndex(db, 'firmware_deployment', ['rollout_id', 'position']);
  await createIndex(db, 'firmware_deployment', ['controller_id', 'id']);
  await createTable(
    db,
    types,
    'firmware_history',
    {
      id: 'key',
      subject_id: 'key',
      rollout_id: 'key',
      event: 'key',
      from_state: 'key?',
      to_state: 'key',
      detail: 'text?',
      at: 'ms',
    },
    ['id'],
  );
  await createIndex(db, 'firmware_history', ['subject_id', 'id']);
  await createTable(
    db,
    types,
    'firmware_controller',
    {
      store_id: 'key',
      controller_id: 'key',
      version: 'key?',
      version_at: 'ms?',
      deployment_id: 'key?',
    },
    ['store_id', 'controller_id'],
  );
}
