import type { Clock } from '../core/clock.js';
import type { DeadLetter } from '../core/dead-letter.js';
import type { Refusal } from '../core/envelope.js';
import type { Message } from '../core/link.js';
import type { LivenessSettings } from '../core/liveness.js';
import type { Log } from '../core/log.js';
import type { SolarMessageKind } from './codec.js';
import type { SolarCounters } from './counters.js';
import type { Elsewhere } from './elsewhere.js';
import type {
  MachineIds,
  MachineRecord,
  RollupStore,
  SolarStore,
  StatusChange,
  TelemetryRow,
} from './ports.js';

/** A message as it came from a link or a wire. */
export type SolarArrival = Pick<Message, 'topic' | 'payload' | 'receivedAt' | 'resumedAt'> & {
  /** Default false. */
  retain?: boolean;
};

/** What is told, once each, for each machine in the order of its messages. */
export interface SolarListener {
  /** A row is committed. */
  telemetry?(machine: MachineIds, row: TelemetryRow): void;
  /** A telemetry message is good, and on its way to the store. */
  arrived?(machine: MachineIds, row: TelemetryRow): void;
  /** A status is committed; `change` where what is shown of the machine became another. */
  status?(machine: MachineRecord, change: StatusChange | undefined): void;
  refused?(letter: DeadLetter): void;
}

export interface SolarBackendOptions {
  store: SolarStore & RollupStore;
  clock: Clock;
  log: Log;
  /** With several gateways on one store. */
  elsewhere?: Elsewhere;
  settings?: Partial<LivenessSettings> & {
    /** Before the topics, for example `lms`. */
    prefix?: string;
    /** How long rows are kept, ms: no message is taken for older (default 90 days). */
    rawMs?: number;
  };
}

export interface SolarBackend {
  /** MQTT filters of the topics to be handled. */
  readonly filters: Readonly<Record<SolarMessageKind, string>>;
  readonly counters: SolarCounters;
  /** Machines known, and how many of them are online, stale and offline. */
  count(): { known: number; online: number; stale: number; offline: number };
  /** Loads what is stored. Messages handled before that wait for it. */
  start(): Promise<void>;
  /**
   * Fulfils when the message is one committed row or dead letter: it is the MQTT acknowledgement.
   * @throws what the store rejects with; the message is then not acknowledged
   */
  handle(arrival: SolarArrival): Promise<void>;
  /** Reads a dead letter again. It says nothing of whether the machine is there, and makes no new dead letter. */
  replay(letter: DeadLetter): Promise<{ refusal: Refusal | undefined }>;
  /** The machine as it is now; undefined where it was never heard. */
  machine(ids: MachineIds): (MachineRecord & { latest: TelemetryRow | undefined }) | undefined;
  /** All machines of these companies, or of all where undefined. */
  machines(companyId?: string): MachineRecord[];
  /** Calls back from now on; the answer removes the listener. */
  listen(listener: SolarListener): () => void;
  /** Rolls up what is due, now. */
  rollUp(): Promise<void>;
  /** Fulfils when nothing is on its way any more; what comes later is rejected. */
  close(): Promise<void>;
}
