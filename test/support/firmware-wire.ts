import type {
  CountsWire,
  DeploymentWire,
  ImageWire,
  RolloutWire,
  StageWire,
} from '../../client/firmware-wire.js';

const iso = (at: number) => new Date(at).toISOString();
export const STORE = '0b7e9a40-52c1-4d83-9c1e-6f0a7d1e4a03';
export const controllerOf = (number: number) => `7c2d1f64-8a35-4f19-b0c7-${String(number).padStart(12, '0')}`;

export function stageWire(targets: number, counts: CountsWire, part: Partial<StageWire> = {}): StageWire {
  return {
    ...{ percent: 100, targets, success_threshold: 1, error_threshold: 0.5, on_error: 'cancel', soak_s: 0 },
    ...{ approval: false, counts, stuck: 0 },
    ...part,
  };
}

/** A rollout as the gateway tells of it; its counts are the sums of its stages. @param at when it was made, epoch ms */
export function rolloutWire(at: number, part: Partial<RolloutWire> = {}): RolloutWire {
  const stages = part.stages ?? [
    stageWire(1, { COMPLETED: 1 }, { percent: 10 }),
    stageWire(9, { SCHEDULED: 9 }),
  ];
  const counts: CountsWire = {};
  for (const stage of stages) {
    for (const [state, count] of Object.entries(stage.counts)) {
      counts[state as keyof CountsWire] = (counts[state as keyof CountsWire] ?? 0) + count;
    }
  }
  return {
    id: 'r-1',
    ...{ name: null, state: 'RUNNING', waits_for: 'targets', reason: null, stage: 0, image_id: 'i-1' },
    ...{ firmware_version: '1.1.0', targets: stages.reduce((sum, { targets }) => sum + targets, 0), counts },
    ...{ stuck: 0, stages, deadline_s: 3600, verify_s: 0, rate_per_minute: null, max_in_progress: 1000 },
    ...{ supersede: false, force: null, wakes_at: null, created_at: iso(at), created_by: 'ann' },
    ...{ started_at: iso(at), ended_at: null },
    ...part,
  };
}

export function deploymentWire(
  at: number,
  number: number,
  part: Partial<DeploymentWire> = {},
): DeploymentWire {
  return {
    ...{ id: `d-${number}`, rollout_id: 'r-1', store_id: STORE, controller_id: controllerOf(number) },
    ...{ stage: 0, state: 'SCHEDULED', errors: [], late: false, cancel_lost: false, diverged: false },
    ...{ stuck: false, waiting: false, verifying: false, attempts: 0, superseded_by: null, retried_by: null },
    ...{ reported_version: null, created_at: iso(at), sent_at: null, acknowledged_at: null },
    ...{ deadline_at: null, ended_at: null },
    ...part,
  };
}

export function imageWire(at: number, part: Partial<ImageWire> = {}): ImageWire {
  return {
    ...{ id: 'i-1', version: '1.1.0', file_size: 262_144, checksum: 'a'.repeat(32), sha256: 'b'.repeat(64) },
    ...{ signature: null, created_at: iso(at), created_by: 'ann' },
    ...part,
  };
}
