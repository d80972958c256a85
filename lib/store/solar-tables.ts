/** The tables of solar machines; rules for all tables: tables.ts. */
export interface SolarTables {
  solar_machine: SolarMachineTable;
  solar_status_change: SolarStatusChangeTable;
  solar_telemetry: SolarTelemetryTable;
  solar_message: SolarMessageTable;
  solar_minute: SolarBucketTable;
  solar_hour: SolarBucketTable;
  solar_rollup: SolarRollupTable;
  solar_rollup_mark: SolarRollupMarkTable;
}

/** Key: company_id, machine_id. `number` is given by us and stands for both in all other tables; unique. */
export interface SolarMachineTable {
  company_id: string;
  machine_id: string;
  number: number;
  revision: number;
  presence: string;
  status: string | null;
  energy: number | null;
  water: number | null;
  area: number | null;
  /** JSON: further fields of the status message. */
  others: string | null;
  reported_at: number | null;
  since: number;
  left_at: number | null;
  last_seen: number;
  interval_ms: number;
}

/** Append-only. Key: machine, at, id. */
export interface SolarStatusChangeTable {
  machine: number;
  at: number;
  id: string;
  status: string;
  previous_status: string | null;
  restarted: number;
}

/** Append-only, one row a message. Key: machine, at, id: a machine over a span of time is one range of it. */
export interface SolarTelemetryTable {
  machine: number;
  at: number;
  id: number;
  received_at: number;
  battery: number | null;
  solar_v: number | null;
  solar_a: number | null;
  water: number | null;
  /** JSON. */
  extra: string | null;
}

/** Messages that say which one they are, where the key of their row does not. Key: machine, digest; index on at. */
export interface SolarMessageTable {
  machine: number;
  digest: string;
  at: number;
}

/** A minute or an hour of a machine. Key: machine, at. */
export interface SolarBucketTable {
  machine: number;
  /** Its begin. */
  at: number;
  /** JSON: count, min, max and sum by name. */
  fields: string;
}

/** How far a machine is rolled up. Key: machine. */
export interface SolarRollupTable {
  machine: number;
  rolled_until: number;
  revision: number;
}

/** Minutes to be rolled up again, once for each row that came late. Key: minute, machine, token. */
export interface SolarRollupMarkTable {
  minute: number;
  machine: number;
  token: number;
}
