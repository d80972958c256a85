/** What the gateway's REST and live feed say about ponds (contract, REST; seed: pond-command-flow). */

export type CommandStatus =
  | 'PENDING'
  | 'SENT'
  | 'ACKNOWLEDGED'
  | 'COMPLETED'
  | 'FAILED'
  | 'EXPIRED'
  | 'CANCELLED';

export interface ThresholdWire {
  min?: number | null;
  max?: number | null;
}

export interface DeviceWire {
  online: boolean;
  /** Null until the device was heard for the first time. */
  last_seen: string | null;
  firmware_version?: string | null;
}

export interface AlertWire {
  alert_id: string;
  /** For example `temperature`. */
  parameter: string;
  value?: number | null;
  limit?: number | null;
  severity: 'info' | 'warning' | 'critical';
  message: string;
  raised_at: string;
  acknowledged_at?: string | null;
  acknowledged_by?: string | null;
  cleared_at?: string | null;
}

export interface PondWire {
  pond_id: number;
  name: string;
  device_id: string;
  position: number;
  feed_limit_g: number;
  thresholds?: Record<string, ThresholdWire> | null;
  device: DeviceWire | null;
  /** The newest value of each parameter. */
  readings: Record<string, { value: number; at: string }>;
  alerts: AlertWire[];
}

export interface TransitionWire {
  status: CommandStatus;
  /** What was seen: published, acknowledged, duplicate, anomaly, late, resent … */
  event: string;
  at: string;
  attempt: number;
  reason?: string | null;
  message?: string | null;
}

export interface CommandWire {
  command_id: string;
  status: CommandStatus;
  /** How often it was published. */
  attempts: number;
  reason?: string | null;
  /** The device's own words, or the gateway's. */
  message?: string | null;
  late?: boolean;
  history: TransitionWire[];
}

export interface ExecutionWire {
  execution_id: number;
  pond_id: number;
  action: string;
  status: string;
  parameters: Record<string, unknown>;
  created_at: string;
  completed_at: string | null;
  /** Null where nothing could be sent at all. */
  command?: CommandWire | null;
}

export interface ReadingWire {
  received_at: string;
  at: string;
  /** Null: of the device as a whole. */
  pond_position: number | null;
  values: Record<string, number>;
}

export type PondMessage =
  | { type: 'snapshot'; data: PondWire & { executions?: ExecutionWire[] } }
  | { type: 'execution'; data: ExecutionWire }
  | { type: 'reading'; data: ReadingWire }
  | { type: 'device'; data: DeviceWire }
  | { type: 'alert'; data: AlertWire };
