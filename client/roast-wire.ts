import type { RoastMachineBody, RoastProfile } from '../lib/roast/wire.js';
import type { TraceEvent, TraceReading } from './roast-trace.js';

export type SessionPhase = 'idle' | 'monitoring' | 'recording' | 'finished';
export type SessionAction = 'start_monitoring' | 'start_recording' | 'stop_recording' | 'reset';
export type Lock = 'free' | 'yours' | 'other';
export type DriverState = 'disconnected' | 'connecting' | 'connected' | 'reconnecting';
export type Severity = 'info' | 'warning' | 'critical';
export type MachineConfig = NonNullable<RoastMachineBody['config']>;
export type AlarmConfig = NonNullable<MachineConfig['alarms']>[number];

/** A roasting machine (contract: `GET /api/machines`). */
export interface MachineWire {
  id: string;
  name: string;
  driver: RoastMachineBody['driver'];
  sampling_interval_ms: number;
  config: MachineConfig;
  driver_state: DriverState;
  driver_name: string;
  driver_message: string;
  channels: string[];
  state: SessionPhase;
  session_id: string | null;
}

export interface AlarmWire {
  alarm_id: string;
  message: string;
  severity: Severity;
  timestamp_ms: number;
}

/** A session, whole (contract: `GET /api/machines/{id}/session`). */
export interface SessionWire {
  state: SessionPhase;
  session_id: string | null;
  started_at: string | null;
  timestamp_ms: number;
  events: TraceEvent[];
  temperatures: TraceReading[];
  control_values: Record<string, number>;
  alarms: AlarmWire[];
}

/** A saved roast without its samples (contract: `GET /api/profiles`). */
export interface ProfileHeadWire {
  id: string;
  name: string;
  machine_id: string | null;
  started_at: string | null;
  duration_ms: number;
  created_at: string;
}

interface PhaseWire {
  duration_ms: number;
  share: number;
  ror: number | null;
}

export interface StatisticsWire {
  total_ms: number | null;
  drying: PhaseWire | null;
  maillard: PhaseWire | null;
  development: PhaseWire | null;
  development_ratio: number | null;
  weight_loss: number | null;
}

/** A saved roast, whole (contract: `GET /api/profiles/{id}`). */
export type ProfileWire = RoastProfile & ProfileHeadWire & { statistics: StatisticsWire };
