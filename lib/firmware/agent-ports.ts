import type { FirmwareFile } from './codec.js';

/** The last three are ends. */
export type AgentStatus = 'downloading' | 'installing' | 'cancelling' | 'completed' | 'failed' | 'cancelled';

/** What an agent says: the acknowledgement, one of three ends. */
export type Reply = 'ack' | 'completed' | 'failed' | 'cancel_ack';

export interface PendingReply {
  /** Of this deployment, rising: tells a reply from a later one of the same kind. */
  number: number;
  reply: Reply;
  /** Of the request that it answers. */
  correlationId: string | null;
}

/** A deployment as a controller's agent knows it. */
export interface AgentRecord {
  deploymentId: string;
  status: AgentStatus;
  /** Null where no command of it was accepted: malformed, or cancelled before it came. */
  file: FirmwareFile | null;
  /** Of its update_firmware. */
  correlationId: string | null;
  /** Of its cancel_update_firmware. */
  cancelCorrelationId: string | null;
  /** Its update_firmware was acknowledged. */
  acknowledged: boolean;
  /** Why it failed. */
  errors: readonly string[];
  /** A file put together of several pieces was wrong once: it was downloaded anew. */
  fresh: boolean;
  /** When downloading, or installing, takes too long; epoch ms. Null once ended. */
  deadlineAt: number | null;
  acceptedAt: number;
  updatedAt: number;
  /** Not acknowledged by the broker yet, oldest first: they survive a restart. */
  replies: readonly PendingReply[];
  replyCount: number;
}

/** One agent's deployments on disk (table `firmware_agent`). */
export interface AgentStore {
  all(): Promise<AgentRecord[]>;
  /** Fulfils when all of it is committed. */
  save(record: AgentRecord, forget: readonly string[]): Promise<void>;
}

export interface Interruption {
  outcome: 'interrupted';
  reason: string;
  /** Some bytes came. */
  progressed: boolean;
  /** Not before so long. */
  retryAfterMs?: number;
  /** No more tries in a row than these; else until the deadline. */
  tries?: number;
}

export type FetchOutcome =
  /** The file is there, whole, and every check has passed. */
  | { outcome: 'ready' }
  /** The connection was lost, or the server cannot just now: worth another try. */
  | Interruption
  /** A check failed. `pieced`: the file was put together of several pieces. It is removed. */
  | { outcome: 'wrong'; errors: string[]; pieced: boolean }
  /** No try would help. */
  | { outcome: 'refused'; errors: string[] };

/** Where downloading stands. */
export interface Progress {
  phase: 'downloading' | 'verifying';
  bytes: number;
}

/** The agent's folder, and how files come into it. One file a deployment. */
export interface AgentFiles {
  pathOf(deploymentId: string): string;
  /** Bytes that the folder has room for; undefined where the file system does not say. */
  freeBytes(): Promise<number | undefined>;
  /**
   * Goes on with the download where it stopped, then checks the file. Never rejects.
   * @param signal stops it; the outcome is then of no interest
   */
  fetch(
    deploymentId: string,
    file: FirmwareFile,
    signal: AbortSignal,
    onProgress: (progress: Progress) => void,
  ): Promise<FetchOutcome>;
  remove(deploymentId: string): Promise<void>;
  /** Removes the files of all other deployments. */
  sweep(keep: string | undefined): Promise<void>;
}
