/** What the gateway's REST and live feed say about laundries (contract, REST and WebSocket). */

export type MachineStatus = 'idle' | 'busy' | 'unknown';
export type MachineType = 'washer' | 'dryer' | null;

export interface MachineWire {
  relay_id: number;
  machine_type: MachineType;
  /** `unknown` while its controller is offline. */
  status: MachineStatus;
  /** What it was when its controller was last heard. */
  last_status?: MachineStatus;
  last_updated: string;
  since: string;
}

export interface ControllerWire {
  controller_id: string;
  online: boolean;
  last_seen: string;
  machines: MachineWire[];
}

export interface StoreWire {
  store_id: string;
  controllers: ControllerWire[];
}

export interface ChangeWire {
  controller_id: string;
  relay_id: number;
  machine_type: MachineType;
  status: MachineStatus;
  /** Null for a machine's first state. */
  previous_status: MachineStatus | null;
  last_updated: string;
  received_at: string;
}

/** A controller came, or went: `at` is when it was last heard then. */
export interface LivenessWire {
  controller_id: string;
  online: boolean;
  at: string;
}

export interface StatisticsWire {
  controller_id: string;
  relay_id: number;
  busy_s: number;
  /** 0 to 1 of the time asked for. */
  busy_share: number;
  cycles: number;
  changes: number;
}

export interface DeadLetterWire {
  id: string | number;
  received_at: string;
  protocol: string;
  topic: string;
  code: string;
  message: string;
  pointer?: string | null;
  payload_base64: string;
}

export type LaundryMessage =
  | { type: 'snapshot'; data: StoreWire }
  | { type: 'change'; data: ChangeWire }
  | { type: 'controller'; data: { controller_id: string; online: boolean; last_seen: string } };
