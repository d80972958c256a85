import type { DeadLetter } from '../core/dead-letter.js';

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
  /** Counts writes: a write of another gateway in between makes ours void (store_conflict). */
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
  /** With `revision` as it was loaded; stored with one more. 0: not stored yet. */
  controller: ControllerRecord;
  /** Machines that differ from what is stored. */
  machines: readonly MachineRecord[];
  changes: readonly StateChange[];
  deadLetters: readonly DeadLetter[];
  message?: MessageRecord;
}

export interface LaundryStore {
  loadAll(): Promise<{ controller: ControllerRecord; machines: MachineRecord[] }[]>;
  load(
    storeId: string,
    controllerId: string,
  ): Promise<{ controller: ControllerRecord; machines: MachineRecord[] } | undefined>;
  /** @throws FieldloomError store_conflict where the stored revision is another */
  save(write: LaundryWrite): Promise<void>;
  /** For messages that belong to no known controller, or none of whose parts was accepted. */
  refuse(deadLetters: readonly DeadLetter[], message?: MessageRecord): Promise<void>;
}
