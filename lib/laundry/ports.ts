import type { DeadLetter } from '../core/dead-letter.js';
import type { EarlierLetters } from '../core/redelivery.js';

export type MachineStatus = 'idle' | 'busy';
export type MachineType = 'washer' | 'dryer' | null;

/** One machine (a relay of a controller) as last accepted. Times are epoch milliseconds UTC. */
export interface MachineRecord {
  relayId: number;
  machineType: MachineType;
  status: MachineStatus;
  /** The state's own time: newest wins. */
  lastUpdated: number;
  /** When it entered its present status. */
  since: number;
  /** Finished busy time over all its life, ms; the running cycle is not in it. */
  busyMs: number;
  /** Finished cycles (busy, then idle) over all its life. */
  cycles: number;
}

/** A controller, without its machines. */
export interface ControllerRecord {
  storeId: string;
  controllerId: string;
  /**
   * A number that no two writes of a controller share (the backend draws it): a write of another gateway in between
   * makes ours void (store_conflict), also where several of ours are in flight, each built on the one before.
   */
  revision: number;
  lastSeen: number;
  /** Learnt from its own rhythm. */
  intervalMs: number;
  online: boolean;
}

export interface StateChange {
  storeId: string;
  controllerId: string;
  relayId: number;
  machineType: MachineType;
  status: MachineStatus;
  /** Null for a machine's first state. */
  previousStatus: MachineStatus | null;
  /** Time in the previous status, ms; null for the first. */
  durationMs: number | null;
  lastUpdated: number;
  receivedAt: number;
}

/** A controller came or went. */
export interface LivenessChange {
  online: boolean;
  /** Epoch ms: of the message it came back with, or of the last one before it went away. */
  at: number;
}

/** One line of the append-only history of messages (protocols.md "Common"). */
export interface MessageRecord {
  direction: 'in' | 'out';
  topic: string;
  /** accepted, partly_refused, duplicate, stale … */
  outcome: string;
  correlationId: string | null;
  at: number;
}

/** All that one message changes: written together or not at all. */
export interface LaundryWrite {
  /** The revision that must be stored for this write to count. 0: the controller is not stored yet. */
  expectedRevision: number;
  /** Stored as it is, with its new revision. */
  controller: ControllerRecord;
  /** Machines that differ from what is stored. */
  machines: readonly MachineRecord[];
  changes: readonly StateChange[];
  deadLetters: readonly DeadLetter[];
  liveness?: LivenessChange;
  message?: MessageRecord;
}

export interface LaundryStore extends EarlierLetters {
  loadAll(): Promise<{ controller: ControllerRecord; machines: MachineRecord[] }[]>;
  load(
    storeId: string,
    controllerId: string,
  ): Promise<{ controller: ControllerRecord; machines: MachineRecord[] } | undefined>;
  /** @throws FieldloomError store_conflict where the stored revision is not `expectedRevision` */
  save(write: LaundryWrite): Promise<void>;
  /** For messages that belong to no known controller, or none of whose parts was accepted. */
  refuse(deadLetters: readonly DeadLetter[], message?: MessageRecord): Promise<void>;
}

/** A state that a reporter has seen and that waits to be sent, or is the newest of its relay. */
export interface QueuedReport {
  /** UUID version 7, given by the reporter: the order of ids is the order of sending. */
  id: string;
  relayId: number;
  machineType: MachineType;
  status: MachineStatus;
  lastUpdated: number;
}

/**
 * One reporter's states on disk (table `laundry_report`, by its name `<storeId>/<controllerId>`). The reporter
 * removes what is acknowledged and no longer the newest of its relay; so the newest state of each relay is always
 * there, and a restart knows them all.
 */
export interface ReportQueue {
  /** Everything, oldest id first. */
  all(): Promise<QueuedReport[]>;
  /** Fulfils when all of them are committed. */
  add(reports: readonly QueuedReport[]): Promise<void>;
  /** Ids that are not there are no error. */
  remove(ids: readonly string[]): Promise<void>;
}
