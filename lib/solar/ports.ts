import type { DeadLetter } from '../core/dead-letter.js';
import type { EarlierLetters } from '../core/redelivery.js';

/** Which machine: ids as in its topic. A machine id may be used by several companies. */
export interface MachineIds {
  companyId: string;
  machineId: string;
}

/**
 * Whether a machine is there. `leaving`: it has said offline a moment ago, and may be back in a moment. `stale`: it has
 * said nothing for too long, which is not the same as offline.
 */
export type Presence = 'new' | 'online' | 'leaving' | 'offline' | 'stale';

/** What a machine says of itself (seed: solar-mqtt, 2. Status). */
export interface ReportedStatus {
  status: string;
  energy: number | null;
  water: number | null;
  area: number | null;
  /** JSON of the message's other fields; null where there are none. */
  others: string | null;
}

/** A machine as it is stored. Times are epoch milliseconds UTC. */
export interface MachineRecord extends MachineIds {
  /** Ours, short: what the rows of its series are found by. */
  number: number;
  /** A number that no two writes share (drawn for each): what compare-and-set compares. */
  revision: number;
  presence: Presence;
  /** The last that it reported while it was there; null before the first. */
  reported: ReportedStatus | null;
  /** When that came. */
  reportedAt: number | null;
  /** Since when its shown status is what it is. */
  since: number;
  /** When it said offline, while it is leaving. */
  leftAt: number | null;
  lastSeen: number;
  /** Learnt from its own rhythm. */
  intervalMs: number;
}

/** Its shown status became another. */
export interface StatusChange extends MachineIds {
  /** As shown: what it reported, `online`, `offline` or `stale`. */
  status: string;
  previousStatus: string | null;
  /** Since when. */
  at: number;
  /** It said offline and was back within moments. */
  restarted: boolean;
}

/** One telemetry message as a row. Null: not measured. */
export interface TelemetryRow {
  /** The machine's number. */
  machine: number;
  /** Time of measurement where the machine says one that can be believed, else of receipt. */
  at: number;
  /** Tells rows of one instant apart: counted up, or below 0 and made of what the message says. */
  id: number;
  receivedAt: number;
  battery: number | null;
  solarV: number | null;
  solarA: number | null;
  water: number | null;
  /** JSON. */
  extra: string | null;
}

/** Ids of the rows of one gateway. */
export interface RowIds {
  first: number;
  last: number;
}

export interface Append {
  row: TelemetryRow;
  /** The message says which one it is: rejects with store_conflict where it is a row already. */
  identified: boolean;
  /** Where its row's key does not hold what it says: SHA-256 in hex of that. */
  digest: string | null;
  /** It comes after its minute may have been rolled up: that is to be done again. */
  late: boolean;
}

export interface StatusWrite {
  /** The revision that must be stored for this write to count. */
  expectedRevision: number;
  machine: MachineRecord;
  change?: StatusChange;
}

export interface SolarStore extends EarlierLetters {
  /** All machines, with the time of their newest row; `newestAt` is undefined for one without any. */
  loadAll(): Promise<(MachineRecord & { newestAt: number | undefined })[]>;
  load(ids: MachineIds): Promise<MachineRecord | undefined>;
  /** The machine as stored, or stored now with a number of its own. Another gateway may do the same at once. */
  register(ids: MachineIds, now: number, intervalMs: number): Promise<MachineRecord>;
  /** Fulfils when the row is committed. @throws FieldloomError store_conflict, as Append says */
  append(append: Append): Promise<void>;
  /** The minute of this instant is to be rolled up again. */
  mark(machine: number, at: number): Promise<void>;
  /** Rows of `after < at < before`, newest first. @param ids only those whose ids are of these */
  rowsBefore(
    machine: number,
    span: { after: number; before: number },
    limit: number,
    ids?: RowIds,
  ): Promise<TelemetryRow[]>;
  /** @throws FieldloomError store_conflict where the stored revision is not `expectedRevision` */
  saveStatus(write: StatusWrite): Promise<void>;
  /** When these were last heard: only ever later. */
  saveSeen(machines: readonly Pick<MachineRecord, 'number' | 'lastSeen' | 'intervalMs'>[]): Promise<void>;
  refuse(letters: readonly DeadLetter[]): Promise<void>;
}

/** Count, least, greatest and sum of one number over a span of time. */
export type Figures = [count: number, min: number, max: number, sum: number];

/** The numbers of a span of time by name: `battery`, `extra.temp`, `extra.motor.temp`. */
export type Fields = Map<string, Figures>;

/** A minute or an hour of a machine. */
export interface Bucket {
  /** Its begin. */
  at: number;
  fields: Fields;
}

/** What is to be rolled up of a machine. */
export interface RollupState {
  /** All rows from before this instant are rolled up, except in minutes that are marked. */
  rolledUntil: number;
  /** As in MachineRecord. */
  revision: number;
}

export interface RollupStore {
  rollupState(machine: number): Promise<RollupState | undefined>;
  /** Machines of marked minutes, at most `limit` marks, oldest minutes first. */
  marks(limit: number): Promise<{ machine: number; minute: number; token: number }[]>;
  /** Rows of `from <= at < to` in the order of time, after the row `after`. */
  rows(
    machine: number,
    span: { from: number; to: number },
    after: Pick<TelemetryRow, 'at' | 'id'> | undefined,
    limit: number,
  ): Promise<TelemetryRow[]>;
  /** Minutes of `from <= at < to`. */
  minutes(machine: number, from: number, to: number): Promise<Bucket[]>;
  /** All or nothing. @throws FieldloomError store_conflict where the stored revision is not `expectedRevision` */
  saveRollup(write: {
    machine: number;
    expectedRevision: number;
    state: RollupState;
    minutes: readonly Bucket[];
    hours: readonly Bucket[];
    /** Marks that this write has dealt with. */
    marks: readonly { minute: number; token: number }[];
  }): Promise<void>;
}
