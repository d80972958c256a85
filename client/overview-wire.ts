import type { RolloutState, RolloutWire } from './firmware-wire.js';
import type { ExecutionWire, PondWire, ReadingWire } from './pond-wire.js';

/** What `GET /overview` answers (schemas/openapi.yaml). */
export interface OverviewWire {
  at: string;
  laundry: Part<LaundryPart>;
  ponds: Part<PondsPart>;
  firmware: Part<FirmwarePart>;
  solar: Part<SolarPart>;
  roast: Part<RoastPart>;
  refused: Part<RefusedPart>;
}

export type Part<Ready> =
  | ({ state: 'ready' } & Ready)
  /** No node of it is in the running flows. */
  | { state: 'absent' }
  /** Shown to somebody who has logged in, or to somebody else. */
  | { state: 'unauthenticated' }
  | { state: 'forbidden' }
  | { state: 'failed'; code: string; message: string };

export interface CurveWire {
  from: string;
  step_s: number;
  values: (number | null)[];
}

export interface LaundryPart {
  stores: number;
  controllers: number;
  controllers_offline: number;
  machines: { busy: number; idle: number; unknown: number };
  /** At most 50, those that went last. */
  offline: { store_id: string; controller_id: string; last_seen: string; machines: number }[];
  busy: CurveWire;
}

export interface PondsPart {
  ponds: number;
  ponds_online: number;
  ponds_offline: number;
  ponds_alerted: number;
  /** With a value of the last hour outside its limits. */
  ponds_outside: number;
  /** At most 50 that may need somebody, each with its newest execution. */
  calling: { pond: PondWire; execution: ExecutionWire | null }[];
  lowest_oxygen: {
    pond_id: number;
    name: string;
    parameter: string;
    value: number;
    at: string;
    threshold: { min?: number | null; max?: number | null } | null;
    readings: ReadingWire[];
  } | null;
}

export interface FirmwarePart {
  rollouts: Partial<Record<RolloutState, number>>;
  rollouts_total: number;
  completed_24h: number;
  failed_24h: number;
  /** At most 50: those that have not ended, and those that have stopped by themselves in the last 24 hours. */
  calling: RolloutWire[];
  /** Controllers that completed in each minute. */
  completed: CurveWire;
}

export interface SolarPart {
  companies: number;
  machines: number;
  /** By what is shown of a machine: `offline` (by its last will), `stale`, or what it says of itself. */
  states: Record<string, number>;
  /** At most 50, those that went last. */
  away: { company_id: string; machine_id: string; status: string; since: string; last_seen: string | null }[];
  failed_commands: {
    company_id: string;
    machine_id: string;
    command: string;
    reason: string | null;
    created_at: string;
  }[];
  /** Mean charge, %. */
  battery: CurveWire & { machines: number };
}

export type RoastState = 'idle' | 'monitoring' | 'recording' | 'finished';

export interface RoastMachineWire {
  id: string;
  name: string;
  state: RoastState;
  driver_state: 'disconnected' | 'connecting' | 'connected' | 'reconnecting';
  driver_message: string;
  alarms: { id: string; message: string; severity: 'info' | 'warning' | 'critical' }[];
}

export interface RoastPart {
  machines: RoastMachineWire[];
  /** Of the machine that began to roast last, °C. */
  bean_temperature: (CurveWire & { machine_id: string; name: string }) | null;
}

export interface RefusedPart {
  /** In the last 24 hours. */
  protocols: { protocol: string; count: number; newest_at: string }[];
}
