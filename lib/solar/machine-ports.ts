import type { QoS } from '../core/link.js';

/** What a machine measures, by the names of the protocol (seed: solar-mqtt, 1. Telemetry). */
export interface Measurement {
  battery?: number | null;
  solar_v?: number | null;
  solar_a?: number | null;
  water?: number | null;
  /** Any JSON. */
  extra?: unknown;
  [name: string]: unknown;
}

/** What a machine says of itself (seed: solar-mqtt, 2. Status). */
export interface MachineStatus {
  status: string;
  energy?: number | null;
  water?: number | null;
  area?: number | null;
  [name: string]: unknown;
}

/** A telemetry message that waits for its acknowledgement. */
export interface QueuedTelemetry {
  /** UUID version 7: the order of ids is the order of the messages. */
  id: string;
  topic: string;
  payload: Buffer;
  qos: QoS;
  retain: boolean;
  /** Epoch milliseconds UTC. */
  createdAt: number;
}

/** One machine's telemetry that waits, on disk. */
export interface TelemetryQueue {
  /** Oldest first. */
  all(): Promise<QueuedTelemetry[]>;
  /** Fulfils when it is kept whatever dies. */
  add(queued: QueuedTelemetry): Promise<void>;
  remove(id: string): Promise<void>;
}

/** Which commands a machine has been told, by the ids that they carry. */
export interface ToldCommands {
  has(commandId: string): Promise<boolean>;
  /** Fulfils when it is kept whatever dies. */
  add(commandId: string, now: number): Promise<void>;
}
