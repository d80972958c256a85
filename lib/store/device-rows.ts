import type {
  KnownMessage,
  LatestValue,
  LoadedDevice,
  StoredAlert,
  StoredDevice,
  StoredReading,
} from '../command/device-ports.js';
import type { Alert } from '../command/ports.js';
import type {
  DeviceAlertTable,
  DeviceLatestTable,
  DeviceReadingTable,
  DeviceTable,
} from './device-tables.js';
import type { Store } from './store.js';

/** A column of a key cannot be null, and positions begin with 1: 0 is the device as a whole. */
export const positionColumn = (position: number | null): number => position ?? 0;
const positionOf = (column: number): number | null => (column === 0 ? null : column);

const optional = (column: number | null): number | null => (column === null ? null : Number(column));

export function deviceOf(row: DeviceTable): StoredDevice {
  return {
    device: row.device,
    revision: Number(row.revision),
    online: row.online === 1,
    lastSeen: Number(row.last_seen),
    intervalMs: Number(row.interval_ms),
    startedAt: optional(row.started_at),
    firmwareVersion: row.firmware_version,
    startupDigest: row.startup_digest,
    startupReceivedAt: optional(row.startup_received_at),
  };
}

export function readingOf(row: DeviceReadingTable): StoredReading {
  return {
    device: row.device,
    position: positionOf(row.position),
    at: Number(row.at),
    receivedAt: Number(row.received_at),
    values: JSON.parse(row.readings) as Record<string, number>,
    extra: row.extra === null ? {} : (JSON.parse(row.extra) as Record<string, unknown>),
    digest: row.digest,
  };
}

export function latestOf(row: DeviceLatestTable): LatestValue {
  return {
    position: positionOf(row.position),
    parameter: row.parameter,
    value: row.value,
    at: Number(row.at),
  };
}

export function alertOf(row: DeviceAlertTable): Alert {
  return {
    alertId: row.alert_id,
    device: row.device,
    position: positionOf(row.position),
    parameter: row.parameter,
    value: row.value,
    limit: row.limit_value,
    severity: row.severity as Alert['severity'],
    message: row.message,
    raisedAt: Number(row.raised_at),
    acknowledgedAt: optional(row.acknowledged_at),
    acknowledgedBy: row.acknowledged_by,
    clearedAt: optional(row.cleared_at),
  };
}

export function storedAlertOf(row: DeviceAlertTable): StoredAlert {
  return { ...alertOf(row), saidAt: Number(row.said_at), known: JSON.parse(row.known) as KnownMessage[] };
}

/** Devices with their newest values and the newest alert of each parameter, in the order of their ids: all, or one. */
export async function loadDevices({ db }: Pick<Store, 'db'>, device?: string): Promise<LoadedDevice[]> {
  let devices = db.selectFrom('device').selectAll().orderBy('device');
  let latest = db.selectFrom('device_latest').selectAll();
  // While an alert is open no other of its parameter is raised, so the newest is the open one where there is one.
  let newest = db
    .selectFrom('device_alert')
    .select((is) => is.fn.max('alert_id').as('alert_id'))
    .groupBy(['device', 'position', 'parameter']);
  if (device !== undefined) {
    devices = devices.where('device', '=', device);
    latest = latest.where('device', '=', device);
    newest = newest.where('device', '=', device);
  }
  const alerts = db
    .selectFrom(newest.as('newest'))
    .innerJoin('device_alert', 'device_alert.alert_id', 'newest.alert_id')
    .selectAll('device_alert');

  const found = new Map<string, LoadedDevice>();
  for (const row of await devices.execute()) {
    found.set(row.device, { device: deviceOf(row), latest: [], alerts: [] });
  }
  for (const row of await latest.execute()) found.get(row.device)?.latest.push(latestOf(row));
  for (const row of await alerts.execute()) found.get(row.device)?.alerts.push(storedAlertOf(row));
  return [...found.values()];
}
