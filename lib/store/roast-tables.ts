export interface RoastTables {
  roast_machine: RoastMachineTable;
  roast_session: RoastSessionTable;
  roast_point: RoastPointTable;
  roast_event: RoastEventTable;
  roast_control: RoastControlTable;
  roast_profile: RoastProfileTable;
}

/** Key: id. */
export interface RoastMachineTable {
  id: string;
  name: string;
  /** Null: everyone's. */
  company_id: string | null;
  driver: string;
  sampling_ms: number;
  /** JSON, as REST takes it. */
  config: string;
  /** It is to be connected. */
  connected: number;
  /** Null while idle. */
  session_id: string | null;
  created_at: number;
}

/** Key: id; index on machine_id, id. */
export interface RoastSessionTable {
  id: string;
  machine_id: string;
  phase: string;
  /** When its clock was 0. */
  started_at: number;
  /** On its clock. */
  ended_ms: number | null;
  /** JSON: readings before it, on its clock. */
  lead_in: string;
}

/** Append-only: a reading, on the session's clock. Key: session_id, at_ms. */
export interface RoastPointTable {
  session_id: string;
  at_ms: number;
  bt: number | null;
  et: number | null;
  bt_ror: number | null;
  et_ror: number | null;
  /** JSON: further channels; null where there are none. */
  extra: string | null;
}

/** Append-only. Key: session_id, number. */
export interface RoastEventTable {
  session_id: string;
  number: number;
  type: string;
  source: string;
  /** Somebody said so; 0: computed from the readings. */
  given: number;
  at_ms: number;
  known_ms: number;
  bt: number | null;
  et: number | null;
  supersedes: number | null;
}

/** Append-only: a control that was applied. Key: session_id, number. */
export interface RoastControlTable {
  session_id: string;
  number: number;
  at_ms: number;
  channel: string;
  value: number;
}

/** Key: id. */
export interface RoastProfileTable {
  id: string;
  name: string;
  /** Null: everyone's. */
  company_id: string | null;
  machine_id: string | null;
  session_id: string | null;
  started_at: number | null;
  duration_ms: number;
  /** The profile as JSON (schemas/roast/profile.schema.json), gzip. */
  body: Uint8Array;
  created_at: number;
}
