/** The tables of the firmware protocol; as in tables.ts, times are epoch ms and truth values 0 or 1. */
export interface FirmwareTables {
  firmware_rollout: FirmwareRolloutTable;
  firmware_rollout_store: FirmwareRolloutStoreTable;
  firmware_count: FirmwareCountTable;
  firmware_deployment: FirmwareDeploymentTable;
  firmware_history: FirmwareHistoryTable;
  firmware_controller: FirmwareControllerTable;
}

/** Key: id, a UUID version 7. */
export interface FirmwareRolloutTable {
  id: string;
  image_id: string;
  version: string;
  /** JSON: what does not change. */
  plan: string;
  state: string;
  phase: string;
  stage: number;
  reason: string | null;
  /** JSON: a number a stage. */
  tolerated: string;
  overruled: number;
  wake_at: number | null;
  started_at: number | null;
  ended_at: number | null;
  revision: number;
  created_at: number;
}

/** The stores that a rollout has targets in. Key: both columns. */
export interface FirmwareRolloutStoreTable {
  rollout_id: string;
  store_id: string;
}

/** Targets of a stage by the state of their present deployment; `STUCK` counts those too. Key: all but amount. */
export interface FirmwareCountTable {
  rollout_id: string;
  stage: number;
  state: string;
  amount: number;
}

/** Key: id, a UUID version 7; index on rollout_id, position. */
export interface FirmwareDeploymentTable {
  id: string;
  rollout_id: string;
  store_id: string;
  controller_id: string;
  stage: number;
  position: number;
  state: string;
  revision: number;
  correlation_id: string;
  attempts: number;
  cancel_attempts: number;
  /** JSON. */
  errors: string;
  late: number;
  cancel_lost: number;
  diverged: number;
  stuck: number;
  waiting: number;
  superseded_by: string | null;
  retried_by: string | null;
  reported_version: string | null;
  done_at: number | null;
  deadline_at: number | null;
  wake_at: number | null;
  created_at: number;
  sent_at: number | null;
  acknowledged_at: number | null;
  ended_at: number | null;
}

/** Append-only. Key: id; index on subject_id (a deployment or a rollout), id. */
export interface FirmwareHistoryTable {
  id: string;
  subject_id: string;
  rollout_id: string;
  event: string;
  from_state: string | null;
  to_state: string;
  detail: string | null;
  at: number;
}

/** What runs on a controller, and the deployment that it is busy with. Key: store_id, controller_id. */
export interface FirmwareControllerTable {
  store_id: string;
  controller_id: string;
  version: string | null;
  version_at: number | null;
  deployment_id: string | null;
}
