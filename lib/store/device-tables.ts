/** The tables of devices' own messages and of the device's end of commands; rules for all tables: tables.ts. */
export interface DeviceTables {
  device: DeviceTable;
  device_reading: DeviceReadingTable;
  device_latest: DeviceLatestTable;
  device_alert: DeviceAlertTable;
  responder_command: ResponderCommandTable;
}

/** Key: device. */
export interface DeviceTable {
  device: string;
  /** What compare-and-set compares. */
  revision: number;
  last_seen: number;
  online: number;
  interval_ms: number;
  started_at: number | null;
  firmware_version: string | null;
  startup_digest: string | null;
  startup_received_at: number | null;
}

/** Append-only, one row a message. Key: device, at, id; index on device, digest. */
export interface DeviceReadingTable {
  device: string;
  /** Time of measurement. */
  at: number;
  id: string;
  /** 0: the device as a whole. */
  position: number;
  received_at: number;
  /** JSON: numbers by name. */
  readings: string;
  /** JSON: what the message said besides; null where nothing. */
  extra: string | null;
  digest: string;
}

/** The newest value of each parameter. Key: device, position, parameter. */
export interface DeviceLatestTable {
  device: string;
  /** 0: the device as a whole. */
  position: number;
  parameter: string;
  value: number;
  at: number;
}

/** Key: alert_id; index on device, raised_at. Where raised_at is 0 it is no alert (lib/command/alerts.ts). */
export interface DeviceAlertTable {
  alert_id: string;
  device: string;
  /** 0: the device as a whole. */
  position: number;
  parameter: string;
  value: number | null;
  limit_value: number | null;
  severity: string;
  message: string;
  raised_at: number;
  acknowledged_at: number | null;
  acknowledged_by: string | null;
  cleared_at: number | null;
  said_at: number;
  /** JSON: digests of its last messages and when they came. */
  known: string;
}

/** What a responder has seen. Key: device, command_id; indexes on device and state, and on expires_at. */
export interface ResponderCommandTable {
  device: string;
  command_id: string;
  /** told, answered (not published yet) or published. */
  state: string;
  /** JSON; null while it is told. */
  answer: string | null;
  received_at: number;
  /** May be forgotten from then on; null while it is not answered. */
  expires_at: number | null;
}
