import type { AgentRecord, AgentStatus, AgentStore } from '../firmware/agent-ports.js';
import { placeholders, prepare, upsert } from './prepared.js';
import type { Store } from './store.js';
import type { FirmwareAgentTable } from './tables.js';

const COLUMNS = [
  'agent',
  'deployment_id',
  'status',
  'file',
  'correlation_id',
  'cancel_correlation_id',
  'acknowledged',
  'errors',
  'fresh',
  'deadline_at',
  'accepted_at',
  'updated_at',
  'replies',
  'reply_count',
] as const;

const recordOf = (row: FirmwareAgentTable): AgentRecord => ({
  deploymentId: row.deployment_id,
  status: row.status as AgentStatus,
  file: row.file === null ? null : JSON.parse(row.file),
  correlationId: row.correlation_id,
  cancelCorrelationId: row.cancel_correlation_id,
  acknowledged: row.acknowledged === 1,
  errors: JSON.parse(row.errors),
  fresh: row.fresh === 1,
  deadlineAt: row.deadline_at === null ? null : Number(row.deadline_at),
  acceptedAt: Number(row.accepted_at),
  updatedAt: Number(row.updated_at),
  replies: JSON.parse(row.replies),
  replyCount: row.reply_count,
});

/** One agent's deployments. @param agent its name, `<storeId>/<controllerId>` */
export function agentStore(store: Store, agent: string): AgentStore {
  const { db } = store;
  const write = prepare<FirmwareAgentTable>(db, (value) =>
    upsert(store, 'firmware_agent', placeholders<'firmware_agent'>(value, COLUMNS), [
      'agent',
      'deployment_id',
    ]),
  );
  const removal = prepare<{ id: string }>(db, (value) =>
    db.deleteFrom('firmware_agent').where('agent', '=', agent).where('deployment_id', '=', value('id')),
  );
  return {
    async all() {
      const rows = await db.selectFrom('firmware_agent').selectAll().where('agent', '=', agent).execute();
      return rows.map(recordOf);
    },
    save: (record, forget) =>
      store.commit([
        write({
          agent,
          deployment_id: record.deploymentId,
          status: record.status,
          file: record.file === null ? null : JSON.stringify(record.file),
          correlation_id: record.correlationId,
          cancel_correlation_id: record.cancelCorrelationId,
          acknowledged: record.acknowledged ? 1 : 0,
          errors: JSON.stringify(record.errors),
          fresh: record.fresh ? 1 : 0,
          deadline_at: record.deadlineAt,
          accepted_at: record.acceptedAt,
          updated_at: record.updatedAt,
          replies: JSON.stringify(record.replies),
          reply_count: record.replyCount,
        }),
        ...forget.map((id) => removal({ id })),
      ]),
  };
}
