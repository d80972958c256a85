/** What the gateway's REST and live feed say about firmware (contract, REST and WebSocket). */

export type DeploymentState =
  | 'SCHEDULED'
  | 'SENT'
  | 'IN_PROGRESS'
  | 'COMPLETED'
  | 'FAILED'
  | 'CANCELLING'
  | 'CANCELLED'
  | 'TIMED_OUT'
  | 'REJECTED'
  | 'SUPERSEDED';

export type RolloutState =
  | 'DRAFT'
  | 'RUNNING'
  | 'PAUSED'
  | 'WAITING_APPROVAL'
  | 'COMPLETED'
  | 'ABORTED'
  | 'CANCELLED';

/** States that no target is in are left out. */
export type CountsWire = Partial<Record<DeploymentState, number>>;

export interface StageWire {
  /** Cumulative; null where the stage is a list. */
  percent: number | null;
  /** Of this stage alone. */
  targets: number;
  /** Shares from 0 to 1. */
  success_threshold: number;
  error_threshold: number;
  on_error: 'cancel' | 'pause';
  soak_s: number;
  approval: boolean;
  counts: CountsWire;
  stuck: number;
}

export interface HistoryWire {
  at: string;
  event: string;
  from: string | null;
  to: string;
  detail: string | null;
}

export interface RolloutWire {
  id: string;
  name: string | null;
  state: RolloutState;
  waits_for: 'gate' | 'soak' | 'approval' | 'targets' | null;
  reason: string | null;
  /** From 0. */
  stage: number;
  image_id: string;
  firmware_version: string;
  targets: number;
  counts: CountsWire;
  stuck: number;
  stages: StageWire[];
  deadline_s: number;
  verify_s: number;
  rate_per_minute: number | null;
  max_in_progress: number;
  supersede: boolean;
  force: { reason: string } | null;
  wakes_at: string | null;
  created_at: string;
  created_by: string | null;
  started_at: string | null;
  ended_at: string | null;
  /** Only of one rollout that was asked for. */
  history?: HistoryWire[];
}

export interface DeploymentWire {
  id: string;
  rollout_id: string;
  store_id: string;
  controller_id: string;
  stage: number;
  state: DeploymentState;
  errors: string[];
  late: boolean;
  cancel_lost: boolean;
  diverged: boolean;
  stuck: boolean;
  /** Its controller cannot be reached. */
  waiting: boolean;
  /** Installed; the controller has yet to report its version. */
  verifying: boolean;
  attempts: number;
  superseded_by: string | null;
  retried_by: string | null;
  reported_version: string | null;
  created_at: string;
  sent_at: string | null;
  acknowledged_at: string | null;
  deadline_at: string | null;
  ended_at: string | null;
  /** Oldest first; not in messages of the live feed. */
  history?: HistoryWire[];
}

export interface ImageWire {
  id: string;
  version: string;
  file_size: number;
  /** MD5. */
  checksum: string;
  sha256: string;
  signature: string | null;
  created_at: string;
  created_by: string | null;
}

export type FirmwareMessage =
  | { type: 'snapshot'; data: RolloutWire }
  | { type: 'rollout'; data: RolloutWire }
  | { type: 'deployment'; received_at: string; data: DeploymentWire };
