import type { Deployment, DeploymentState } from '../firmware/deployment-record.js';
import type { ControllerRecord, HistoryRecord, RolloutPlan, StoredRollout } from '../firmware/ports.js';
import { noCounts, type RolloutPhase, type RolloutStateName, type StageCounts } from '../firmware/rollout.js';
import type {
  FirmwareControllerTable,
  FirmwareCountTable,
  FirmwareDeploymentTable,
  FirmwareHistoryTable,
  FirmwareRolloutTable,
} from './firmware-tables.js';
import type { Store } from './store.js';

/** The row of `firmware_count` that counts stuck deployments beside their states. */
export const STUCK = 'STUCK';

export function rowOfRollout({ plan, rollout, revision }: StoredRollout): FirmwareRolloutTable {
  return {
    id: plan.id,
    image_id: plan.image.imageId,
    version: plan.image.version,
    plan: JSON.stringify(plan),
    state: rollout.state,
    phase: rollout.phase,
    stage: rollout.stage,
    reason: rollout.reason,
    tolerated: JSON.stringify(rollout.tolerated),
    overruled: rollout.overruled ? 1 : 0,
    wake_at: rollout.wakeAt,
    started_at: rollout.startedAt,
    ended_at: rollout.endedAt,
    revision,
    created_at: plan.createdAt,
  };
}

function rolloutOf(row: FirmwareRolloutTable, rows: readonly FirmwareCountTable[]): StoredRollout {
  const plan = JSON.parse(row.plan) as RolloutPlan;
  return {
    plan,
    revision: row.revision,
    rollout: {
      id: row.id,
      state: row.state as RolloutStateName,
      phase: row.phase as RolloutPhase,
      stage: row.stage,
      reason: row.reason,
      tolerated: JSON.parse(row.tolerated) as number[],
      overruled: row.overruled === 1,
      wakeAt: row.wake_at,
      startedAt: row.started_at,
      endedAt: row.ended_at,
      counts: countsOf(rows, plan.stages.length),
    },
  };
}

function countsOf(rows: readonly FirmwareCountTable[], stages: number): StageCounts[] {
  const counts = Array.from({ length: stages }, () => {
    const none = noCounts();
    return { states: { ...none.states } as Record<DeploymentState, number>, stuck: 0 };
  });
  for (const { stage, state, amount } of rows) {
    const found = counts[stage];
    if (found === undefined) continue;
    if (state === STUCK) found.stuck = amount;
    else found.states[state as DeploymentState] = amount;
  }
  return counts;
}

/** Rollouts with their counts, in the order of the rows given. */
export async function withCounts(
  { db }: Pick<Store, 'db'>,
  rows: readonly FirmwareRolloutTable[],
): Promise<StoredRollout[]> {
  if (rows.length === 0) return [];
  const ids = rows.map(({ id }) => id);
  const counts = await db.selectFrom('firmware_count').selectAll().where('rollout_id', 'in', ids).execute();
  const byRollout = new Map<string, FirmwareCountTable[]>(ids.map((id) => [id, []]));
  for (const count of counts) byRollout.get(count.rollout_id)?.push(count);
  return rows.map((row) => rolloutOf(row, byRollout.get(row.id) ?? []));
}

const flag = (value: boolean) => (value ? 1 : 0);

export function rowOfDeployment(deployment: Deployment): FirmwareDeploymentTable {
  return {
    id: deployment.id,
    rollout_id: deployment.rolloutId,
    store_id: deployment.storeId,
    controller_id: deployment.controllerId,
    stage: deployment.stage,
    position: deployment.position,
    state: deployment.state,
    revision: deployment.revision,
    correlation_id: deployment.correlationId,
    attempts: deployment.attempts,
    cancel_attempts: deployment.cancelAttempts,
    errors: JSON.stringify(deployment.errors),
    late: flag(deployment.late),
    cancel_lost: flag(deployment.cancelLost),
    diverged: flag(deployment.diverged),
    stuck: flag(deployment.stuck),
    waiting: flag(deployment.waiting),
    superseded_by: deployment.supersededBy,
    retried_by: deployment.retriedBy,
    reported_version: deployment.reportedVersion,
    done_at: deployment.doneAt,
    deadline_at: deployment.deadlineAt,
    wake_at: deployment.wakeAt,
    created_at: deployment.createdAt,
    sent_at: deployment.sentAt,
    acknowledged_at: deployment.acknowledgedAt,
    ended_at: deployment.endedAt,
  };
}

export function deploymentOf(row: FirmwareDeploymentTable): Deployment {
  return {
    id: row.id,
    rolloutId: row.rollout_id,
    storeId: row.store_id,
    controllerId: row.controller_id,
    stage: row.stage,
    position: row.position,
    state: row.state as DeploymentState,
    revision: row.revision,
    correlationId: row.correlation_id,
    attempts: row.attempts,
    cancelAttempts: row.cancel_attempts,
    errors: JSON.parse(row.errors) as string[],
    late: row.late === 1,
    cancelLost: row.cancel_lost === 1,
    diverged: row.diverged === 1,
    stuck: row.stuck === 1,
    waiting: row.waiting === 1,
    supersededBy: row.superseded_by,
    retriedBy: row.retried_by,
    reportedVersion: row.reported_version,
    doneAt: row.done_at,
    deadlineAt: row.deadline_at,
    wakeAt: row.wake_at,
    createdAt: row.created_at,
    sentAt: row.sent_at,
    acknowledgedAt: row.acknowledged_at,
    endedAt: row.ended_at,
  };
}

export function historyOf(row: FirmwareHistoryTable): HistoryRecord {
  return {
    subjectId: row.subject_id,
    rolloutId: row.rollout_id,
    event: row.event,
    from: row.from_state,
    to: row.to_state,
    detail: row.detail,
    at: row.at,
  };
}

export function controllerOf(row: FirmwareControllerTable): ControllerRecord {
  return {
    storeId: row.store_id,
    controllerId: row.controller_id,
    version: row.version,
    versionAt: row.version_at,
    deploymentId: row.deployment_id,
  };
}
