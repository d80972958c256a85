import type { DeviceStore, DeviceWrite, StoredAlert, StoredDevice } from '../command/device-ports.js';
import { deadLetterStatement, deadLetters } from './dead-letters.js';
import { loadDevices, positionColumn, storedAlertOf } from './device-rows.js';
import type {
  DeviceAlertTable,
  DeviceLatestTable,
  DeviceReadingTable,
  DeviceTable,
} from './device-tables.js';
import { newId } from './ids.js';
import { messageStatement } from './messages.js';
import { insertOnce, placeholders, prepare, upsert } from './prepared.js';
import type { Statement, Store } from './store.js';

/** The rows of devices' own messages, as their rules write and load them (lib/command/device-ports.ts). */
export function deviceStore(store: Store): DeviceStore {
  const { db } = store;
  const statements = deviceStatements(store);
  const { countEarlier } = deadLetters(store);
  return {
    countEarlier,
    loadAll: () => loadDevices(store),
    async load(device) {
      const [found] = await loadDevices(store, device);
      return found;
    },

    async countReadings(device, digest, from, to) {
      const { count } = await db
        .selectFrom('device_reading')
        .select((is) => is.fn.countAll<number>().as('count'))
        .where('device', '=', device)
        .where('digest', '=', digest)
        // What says no time of its own has that of its receipt.
        .where('at', '>', from)
        .where('at', '<=', to)
        .executeTakeFirstOrThrow();
      return Number(count);
    },

    async hasReading(device, digest) {
      const row = await db
        .selectFrom('device_reading')
        .select('id')
        .where('device', '=', device)
        .where('digest', '=', digest)
        .limit(1)
        .executeTakeFirst();
      return row !== undefined;
    },

    async loadAlert(alertId) {
      const row = await db
        .selectFrom('device_alert')
        .selectAll()
        .where('alert_id', '=', alertId)
        .executeTakeFirst();
      return row === undefined ? undefined : storedAlertOf(row);
    },

    save: (write) => store.commit(statements.save(write)),
    refuse: (letters, message) =>
      store.commit([...letters.map(statements.deadLetter), statements.message(message)]),
  };
}

/** Compiled once; a message then costs no more than filling in its values. */
function deviceStatements(store: Store) {
  const { db } = store;
  const insertDevice = prepare<DeviceTable>(
    db,
    (value) => insertOnce(store, 'device', placeholders<'device'>(value, DEVICE), ['device']),
    { affects: 1 },
  );
  const updateDevice = prepare<DeviceTable & { expected_revision: number }>(
    db,
    (value) => {
      const { device: _, ...columns } = placeholders<'device'>(value, DEVICE);
      return db
        .updateTable('device')
        .set(columns)
        .where('device', '=', value('device'))
        .where('revision', '=', value('expected_revision'));
    },
    { affects: 1 },
  );
  const insertReading = prepare<DeviceReadingTable>(db, (value) =>
    db.insertInto('device_reading').values(placeholders<'device_reading'>(value, READING)),
  );
  const upsertLatest = prepare<DeviceLatestTable>(db, (value) =>
    upsert(store, 'device_latest', placeholders<'device_latest'>(value, LATEST), [
      'device',
      'position',
      'parameter',
    ]),
  );
  const upsertAlert = prepare<DeviceAlertTable>(db, (value) =>
    upsert(store, 'device_alert', placeholders<'device_alert'>(value, ALERT), ['alert_id']),
  );
  const messageOf = messageStatement(store, 'device');
  const message = ({ topic, outcome, at }: NonNullable<DeviceWrite['message']>) =>
    messageOf({ direction: 'in', topic, outcome, correlationId: null, at });

  const deviceOf = (device: StoredDevice, expectedRevision: number) => {
    const row = {
      device: device.device,
      revision: device.revision,
      last_seen: device.lastSeen,
      online: device.online ? 1 : 0,
      interval_ms: device.intervalMs,
      started_at: device.startedAt,
      firmware_version: device.firmwareVersion,
      startup_digest: device.startupDigest,
      startup_received_at: device.startupReceivedAt,
      expected_revision: expectedRevision,
    };
    // The guard comes first: a unit that is void by it has written nothing that would have to be undone.
    return expectedRevision === 0 ? insertDevice(row) : updateDevice(row);
  };
  const alertOf = (alert: StoredAlert) =>
    upsertAlert({
      alert_id: alert.alertId,
      device: alert.device,
      position: positionColumn(alert.position),
      parameter: alert.parameter,
      value: alert.value,
      limit_value: alert.limit,
      severity: alert.severity,
      message: alert.message,
      raised_at: alert.raisedAt,
      acknowledged_at: alert.acknowledgedAt,
      acknowledged_by: alert.acknowledgedBy,
      cleared_at: alert.clearedAt,
      said_at: alert.saidAt,
      known: JSON.stringify(alert.known),
    });

  return {
    message,
    deadLetter: deadLetterStatement(store),
    save(write: DeviceWrite): Statement[] {
      const { device } = write.device;
      const unit = [deviceOf(write.device, write.expectedRevision)];
      if (write.reading !== undefined) {
        const { position, at, receivedAt, values, extra, digest } = write.reading;
        unit.push(
          insertReading({
            device,
            at,
            id: newId(),
            position: positionColumn(position),
            received_at: receivedAt,
            readings: JSON.stringify(values),
            extra: Object.keys(extra).length === 0 ? null : JSON.stringify(extra),
            digest,
          }),
        );
      }
      for (const { position, parameter, value, at } of write.latest) {
        unit.push(upsertLatest({ device, position: positionColumn(position), parameter, value, at }));
      }
      if (write.alert !== undefined) unit.push(alertOf(write.alert));
      if (write.message !== undefined) unit.push(message(write.message));
      return unit;
    },
  };
}

const DEVICE = [
  'device',
  'revision',
  'last_seen',
  'online',
  'interval_ms',
  'started_at',
  'firmware_version',
  'startup_digest',
  'startup_received_at',
] as const;
const READING = ['device', 'at', 'id', 'position', 'received_at', 'readings', 'extra', 'digest'] as const;
const LATEST = ['device', 'position', 'parameter', 'value', 'at'] as const;
const ALERT = [
  'alert_id',
  'device',
  'position',
  'parameter',
  'value',
  'limit_value',
  'severity',
  'message',
  'raised_at',
  'acknowledged_at',
  'acknowledged_by',
  'cleared_at',
  'said_at',
  'known',
] as const;
