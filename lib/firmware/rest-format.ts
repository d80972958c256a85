import { DEPLOYMENT_STATES, type Deployment, type DeploymentState } from './deployment-record.js';
import type { HistoryRecord, StoredRollout } from './ports.js';
import { type StageCounts, waitsFor } from './rollout.js';

/**
 * How REST, live feeds and the outputs of the node name what firmware rollouts know (contract.md "REST"). The only place
 * that knows these names. Times leave as ISO 8601 UTC.
 */

const instant = (ms: number) => new Date(ms).toISOString();
const instantOrNull = (ms: number | null) => (ms === null ? null : instant(ms));

/** States that no target is in are left out. */
function formatCounts(counts: readonly StageCounts[]): Partial<Record<DeploymentState, number>> {
  const sums: Partial<Record<DeploymentState, number>> = {};
  for (const state of DEPLOYMENT_STATES) {
    const sum = counts.reduce((total, { states }) => total + states[state], 0);
    if (sum > 0) sums[state] = sum;
  }
  return sums;
}

const stuckIn = (counts: readonly StageCounts[]) => counts.reduce((sum, { stuck }) => sum + stuck, 0);

export function formatRollout({ plan, rollout }: StoredRollout) {
  const { terms, image } = plan;
  return {
    id: plan.id,
    name: plan.name,
    state: rollout.state,
    waits_for: waitsFor(rollout),
    reason: rollout.reason,
    stage: rollout.stage,
    image_id: image.imageId,
    firmware_version: image.version,
    targets: plan.stages.reduce((sum, { targets }) => sum + targets, 0),
    counts: formatCounts(rollout.counts),
    stuck: stuckIn(rollout.counts),
    stages: plan.stages.map((stage, index) => ({
      percent: stage.percent,
      targets: stage.targets,
      success_threshold: stage.successThreshold,
      error_threshold: stage.errorThreshold,
      on_error: stage.onError,
      soak_s: stage.soakMs / 1000,
      approval: stage.approval,
      counts: formatCounts(rollout.counts.slice(index, index + 1)),
      stuck: stuckIn(rollout.counts.slice(index, index + 1)),
    })),
    ack_timeout_s: terms.ackTimeoutMs / 1000,
    deadline_s: terms.deadlineMs / 1000,
    verify_s: terms.verifyMs === null ? 0 : terms.verifyMs / 1000,
    rate_per_minute: plan.ratePerMinute,
    max_in_progress: plan.maxInProgress,
    supersede: plan.supersede,
    force: plan.forceReason === null ? null : { reason: plan.forceReason },
    wakes_at: instantOrNull(rollout.wakeAt),
    created_at: instant(plan.createdAt),
    created_by: plan.createdBy,
    started_at: instantOrNull(rollout.startedAt),
    ended_at: instantOrNull(rollout.endedAt),
  };
}

/** A deployment without its history. */
export function formatDeployment(deployment: Deployment) {
  return {
    id: deployment.id,
    rollout_id: deployment.rolloutId,
    store_id: deployment.storeId,
    controller_id: deployment.controllerId,
    stage: deployment.stage,
    state: deployment.state,
    errors: deployment.errors,
    late: deployment.late,
    cancel_lost: deployment.cancelLost,
    diverged: deployment.diverged,
    stuck: deployment.stuck,
    waiting: deployment.waiting,
    verifying: deployment.state === 'IN_PROGRESS' && deployment.doneAt !== null,
    attempts: deployment.attempts,
    superseded_by: deployment.supersededBy,
    retried_by: deployment.retriedBy,
    reported_version: deployment.reportedVersion,
    created_at: instant(deployment.createdAt),
    sent_at: instantOrNull(deployment.sentAt),
    acknowledged_at: instantOrNull(deployment.acknowledgedAt),
    deadline_at: instantOrNull(deployment.deadlineAt),
    ended_at: instantOrNull(deployment.endedAt),
  };
}

export function formatHistory(lines: readonly HistoryRecord[]) {
  return lines.map(({ at, event, from, to, detail }) => ({ at: instant(at), event, from, to, detail }));
}
