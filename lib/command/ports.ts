import type { DeadLetter } from '../core/dead-letter.js';
import type { EarlierLetters } from '../core/redelivery.js';

/** seed: pond-command-flow, 9; EXPIRED and CANCELLED are ours (protocols.md "Commands"). */
export type CommandStatus =
  | 'PENDING'
  | 'SENT'
  | 'ACKNOWLEDGED'
  | 'COMPLETED'
  | 'FAILED'
  | 'EXPIRED'
  | 'CANCELLED';

export type FailureReason =
  | 'device'
  | 'timeout'
  | 'execution_timeout'
  | 'not_connected'
  | 'cancelled'
  | 'expired';

/** Where a command stands in the table of transition.ts; finer than its status. */
export type CommandPhase =
  /** Not published: waits for its turn or for the broker. */
  | 'queued'
  /** An attempt is counted and handed to the link; the broker has not confirmed it. */
  | 'publishing'
  /** The broker has it; the acknowledgement clock runs. */
  | 'awaiting_ack'
  /** Waits to be sent again. */
  | 'backoff'
  /** Acknowledged without an outcome; the execution clock runs. */
  | 'executing'
  | 'ended';

/** How one command is driven; stored with it, so that a changed node does not change commands on their way. */
export interface CommandTerms {
  /** False: the device sends no acknowledgement (solar); published is completed. */
  acknowledged: boolean;
  ackTimeoutMs: number;
  /** Publishes after the first. */
  maxRetries: number;
  /** From an acknowledgement that leaves open whether it worked. */
  executionTimeoutMs: number;
}

/** DeviceCommand of the seed. */
export interface CommandRecord {
  /** command_id, a UUID. */
  id: string;
  /** Name of the dispatcher that drives it: one a `device-command` node. */
  dispatcher: string;
  /** Whose turn it takes: commands of one device go out in order. */
  device: string;
  topic: string;
  /** JSON text, the same in every attempt. */
  payload: string;
  commandType: string;
  parameters: Readonly<Record<string, unknown>>;
  /** Greater goes first. */
  priority: number;
  terms: CommandTerms;
  status: CommandStatus;
  phase: CommandPhase;
  reason: FailureReason | null;
  /** The device's own words, or ours for people. */
  message: string | null;
  /** Publishes begun: stored before each of them. */
  attempts: number;
  /** Its outcome came after its end: after FAILED(timeout) a success makes it COMPLETED. */
  late: boolean;
  /** A number that no two writes share, drawn for each: what compare-and-set compares. */
  revision: number;
  /** Stays PENDING while the broker is away, and spends no attempt. */
  waitsForBroker: boolean;
  expiresAt: number | null;
  /** The next moment at which something is to be done, epoch ms; null: nothing by itself. */
  wakeAt: number | null;
  createdAt: number;
  sentAt: number | null;
  acknowledgedAt: number | null;
  completedAt: number | null;
  /** The AutomationExecution it belongs to; null for a command of a flow. */
  executionId: number | null;
}

/** One line of a command's history. */
export interface CommandTransition {
  commandId: string;
  status: CommandStatus;
  attempt: number;
  reason: FailureReason | null;
  message: string | null;
  /** What was seen: published, acknowledged, duplicate, anomaly, late, resent … */
  event: string;
  at: number;
}

/** seed: AutomationExecution. EXECUTING until its command ends. */
export interface ExecutionRecord {
  executionId: number;
  pondId: number;
  executionType: string;
  action: string;
  priority: string;
  status: 'PENDING' | 'EXECUTING' | 'COMPLETED' | 'FAILED';
  userId: number | null;
  parameters: Readonly<Record<string, unknown>>;
  createdAt: number;
  completedAt: number | null;
}

/** What of an execution changes with the end of its command. */
export type ExecutionEnd = Pick<ExecutionRecord, 'executionId' | 'completedAt'> & {
  status: 'COMPLETED' | 'FAILED';
};

/** What a REST client may say again without a second command: its key, and what the first request was. */
export interface IdempotencyRecord {
  userId: number;
  key: string;
  /** SHA-256 in hex of method, path and body. */
  digest: string;
  executionId: number;
  createdAt: number;
}

/** seed: MQTTMessage. */
export interface MqttMessageRecord {
  device: string;
  topic: string;
  direction: 'in' | 'out';
  messageType: string;
  payload: string;
  success: boolean;
  /** The command's id. */
  correlationId: string | null;
  at: number;
}

/** All that one step changes: written together or not at all. */
export interface CommandWrite {
  command: CommandRecord;
  /** The revision that must be stored for this write to count; 0: it is not stored yet. */
  expectedRevision: number;
  transitions: readonly CommandTransition[];
  messages: readonly MqttMessageRecord[];
  /** Only with a new command: its row. */
  execution?: ExecutionRecord;
  /** How the execution of a stored command has ended. */
  executionEnd?: ExecutionEnd;
  /** Only with a new command. */
  idempotency?: IdempotencyRecord;
}

export interface CommandStore extends EarlierLetters {
  /** Commands of this dispatcher that have not ended, in the order of their ids. */
  loadOpen(dispatcher: string): Promise<CommandRecord[]>;
  load(id: string): Promise<CommandRecord | undefined>;
  /** Dispatchers of this node that have commands that have not ended: of this name, or `<node>@…` (shared-dispatcher.ts). */
  openDispatchers(node: string): Promise<string[]>;
  /** Commands of these dispatchers that have not ended are another's from now on, with a revision of their own. */
  takeOver(from: readonly string[], dispatcher: string): Promise<void>;
  /**
   * @throws FieldloomError store_conflict where the stored revision is not `expectedRevision`; for a new command also
   *   where its id, its execution's id or its idempotency key is taken
   */
  save(write: CommandWrite): Promise<void>;
  /** Transitions and messages that change no command: a duplicate acknowledgement, an anomaly. */
  note(transitions: readonly CommandTransition[], messages: readonly MqttMessageRecord[]): Promise<void>;
  refuse(letters: readonly DeadLetter[], message?: MqttMessageRecord): Promise<void>;
}

/** What is asked of a dispatcher. */
export interface CommandRequest {
  /** Made by us where absent. */
  id?: string;
  device: string;
  commandType: string;
  parameters: Readonly<Record<string, unknown>>;
  /** Further values that the topic or the envelope of the profile wants, for example `pond_position`. */
  values?: Readonly<Record<string, unknown>>;
  /** Default 0. */
  priority?: number;
  expiresAt?: number;
  /** False: where the broker is away the command is stored as FAILED(not_connected). Default true. */
  waitForBroker?: boolean;
  terms?: Partial<CommandTerms>;
  execution?: ExecutionRecord;
  idempotency?: IdempotencyRecord;
}

export interface DispatcherListener {
  /** After each stored change; `command` is as it is after that step. */
  changed?(command: CommandRecord, transition: CommandTransition): void;
  /** An acknowledgement that contradicts the end that is stored. */
  anomaly?(command: CommandRecord, transition: CommandTransition): void;
  refused?(letter: DeadLetter): void;
  /** COMPLETED in time: from its first publish to its acknowledgement, as far as one run of the gateway has seen both. */
  roundTrip?(command: CommandRecord, ms: number): void;
}

/** Drives the commands of one `device-command` node; the API and flows submit to the same one. */
export interface Dispatcher {
  readonly connected: boolean;
  /**
   * Fulfils when the command is stored, before it is published.
   * @throws FieldloomError invalid_input (parameters, topic values), conflict (the id is taken), what the store throws
   */
  submit(request: CommandRequest): Promise<CommandRecord>;
  /** @throws FieldloomError not_found; conflict where it has ended */
  cancel(id: string): Promise<CommandRecord>;
  /** The command when it has ended, or as it is after `withinMs`. @throws FieldloomError not_found */
  outcome(id: string, withinMs: number): Promise<CommandRecord>;
  listen(listener: DispatcherListener): () => void;
  /** Fulfils when nothing is on its way any more. */
  close(): Promise<void>;
}

/** A sensor value of a device, as it was stored. */
export interface Reading {
  device: string;
  /** Null: of the device as a whole. */
  position: number | null;
  /** Time of measurement where the device says it, else of receipt. */
  at: number;
  receivedAt: number;
  /** Finite numbers by name, as the device names them. */
  values: Readonly<Record<string, number>>;
}

export interface DeviceRecord {
  device: string;
  online: boolean;
  lastSeen: number;
  startedAt: number | null;
  firmwareVersion: string | null;
  intervalMs: number;
}

export interface Alert {
  alertId: string;
  device: string;
  position: number | null;
  /** For example `temperature`. */
  parameter: string;
  value: number | null;
  limit: number | null;
  severity: 'info' | 'warning' | 'critical';
  message: string;
  raisedAt: number;
  acknowledgedAt: number | null;
  acknowledgedBy: string | null;
  clearedAt: number | null;
}

/** What pages and REST ask of the devices' rows. `before` and `from`/`to` are epoch ms. */
export interface DeviceQueries {
  device(device: string): Promise<DeviceRecord | undefined>;
  /** Newest first; readings of the position and of the device as a whole. */
  readings(
    device: string,
    position: number,
    page: { from?: number; to?: number; limit: number; cursor?: string },
  ): Promise<{ items: Reading[]; nextCursor: string | undefined }>;
  /** The newest value of each parameter. */
  latest(device: string, position: number): Promise<Record<string, { value: number; at: number }>>;
  /** Raised and not cleared, or all; newest first. */
  alerts(device: string, position: number, page: { open: boolean; limit: number }): Promise<Alert[]>;
  alert(alertId: string): Promise<Alert | undefined>;
}
