import { setImmediate } from 'node:timers/promises';
import type { AlertChange } from '../../lib/command/alerts.js';
import type {
  DeviceMessage,
  DeviceStore,
  DeviceWrite,
  LatestValue,
  StoredAlert,
  StoredDevice,
  StoredReading,
} from '../../lib/command/device-ports.js';
import { createDeviceBackend, type DeviceBackendOptions } from '../../lib/command/events-backend.js';
import type { DeviceEvent } from '../../lib/command/events-codec.js';
import type { Alert, DeviceRecord } from '../../lib/command/ports.js';
import type { DeadLetter } from '../../lib/core/dead-letter.js';
import { FieldloomError } from '../../lib/core/errors.js';
import { silentLog } from '../../lib/core/log.js';
import { type FakeClock, fakeClock } from './fake-clock.js';
import { DEVICE, SENT_AT } from './responder.js';

interface Unit {
  commit(): void;
  resolve(): void;
  reject(error: Error): void;
}

/** The devices' rows as their port promises them; what is written waits until a test commits it. */
export function modelDevices() {
  const devices = new Map<string, StoredDevice>();
  const latest = new Map<string, LatestValue & { device: string }>();
  const alerts = new Map<string, StoredAlert>();
  const readings: StoredReading[] = [];
  const messages: DeviceMessage[] = [];
  const letters: DeadLetter[] = [];
  const units: Unit[] = [];
  const later = (commit: () => void) =>
    new Promise<void>((resolve, reject) => {
      units.push({ commit, resolve, reject });
    });

  function write({ expectedRevision, device, reading, latest: newest, alert, message }: DeviceWrite): void {
    if ((devices.get(device.device)?.revision ?? 0) !== expectedRevision) {
      throw new FieldloomError('store_conflict', 'another revision is stored');
    }
    devices.set(device.device, device);
    if (reading !== undefined) readings.push(reading);
    for (const each of newest) {
      latest.set(`${device.device} ${each.position} ${each.parameter}`, { ...each, device: device.device });
    }
    if (alert !== undefined) alerts.set(alert.alertId, alert);
    if (message !== undefined) messages.push(message);
  }

  const loaded = (device: StoredDevice) => {
    const own = [...alerts.values()].filter((alert) => alert.device === device.device);
    const newest = new Map(own.map((alert) => [`${alert.position} ${alert.parameter}`, alert]));
    return {
      device,
      latest: [...latest.values()].filter((value) => value.device === device.device),
      alerts: [...newest.values()],
    };
  };
  const matching = (device: string, digest: string) =>
    readings.filter((reading) => reading.device === device && reading.digest === digest);

  const store: DeviceStore = {
    countEarlier: async ({ payload }, before) =>
      letters.filter((kept) => kept.payload.equals(payload) && kept.receivedAt < before).length,
    loadAll: async () => [...devices.values()].map(loaded),
    async load(device) {
      const found = devices.get(device);
      return found && loaded(found);
    },
    countReadings: async (device, digest, from, to) =>
      matching(device, digest).filter(({ at }) => at > from && at <= to).length,
    hasReading: async (device, digest) => matching(device, digest).length > 0,
    loadAlert: async (alertId) => alerts.get(alertId),
    save: (unit) => later(() => write(unit)),
    refuse: (refused, message) =>
      later(() => {
        letters.push(...refused);
        messages.push(message);
      }),
  };

  return {
    store,
    devices,
    latest,
    alerts,
    readings,
    messages,
    letters,
    get pending() {
      return units.length;
    },
    async step() {
      const unit = units.shift();
      try {
        unit?.commit();
        unit?.resolve();
      } catch (error) {
        unit?.reject(error as Error);
      }
      await setImmediate();
    },
    async settle() {
      await setImmediate();
      while (units.length > 0) await this.step();
    },
    /** Commits the oldest unit, and answers as if it had met another write: its first answer was lost. */
    async stepAnsweringConflict() {
      const unit = units.shift();
      try {
        unit?.commit();
      } finally {
        unit?.reject(new FieldloomError('store_conflict', 'the row is there already'));
        await setImmediate();
      }
    },
    async fail(error: Error) {
      units.shift()?.reject(error);
      await setImmediate();
    },
    /** Commits the oldest unit, and nobody hears of it any more; forgets the rest, as a kill does. */
    kill({ committing = false } = {}) {
      try {
        if (committing) units.shift()?.commit();
      } catch {
        // It met another write.
      }
      units.length = 0;
    },
  };
}

/** A gateway on these rows, with everything that it has told. */
export async function gateway(
  { store }: Pick<ReturnType<typeof modelDevices>, 'store'>,
  {
    clock = fakeClock(SENT_AT),
    settings = {},
    prefix = 'alert',
  }: { clock?: FakeClock; settings?: DeviceBackendOptions['settings']; prefix?: string } = {},
) {
  let ids = 0;
  const backend = createDeviceBackend({
    store,
    clock,
    log: silentLog,
    newId: () => {
      ids += 1;
      return `${prefix}-${ids}`;
    },
    settings,
  });
  const readings: DeviceEvent[] = [];
  const heartbeats: DeviceEvent[] = [];
  const startups: DeviceEvent[] = [];
  const liveness: DeviceRecord[] = [];
  const alerts: [AlertChange, Alert][] = [];
  const refused: DeadLetter[] = [];
  backend.listen({
    reading: (each) => readings.push(each),
    heartbeat: (each) => heartbeats.push(each),
    startup: (each) => startups.push(each),
    device: (each, change) => change !== 'started' && liveness.push(each),
    alert: (alert, change) => alerts.push([change, alert]),
    refused: (each) => refused.push(each),
  });
  await backend.start();
  const handle = (
    end: string,
    content: object | string,
    { device = DEVICE, ...arrival }: { device?: string; resumedAt?: number; retain?: boolean } = {},
  ) =>
    backend.handle({
      topic: `devices/${device}/${end}`,
      payload: Buffer.from(typeof content === 'string' ? content : JSON.stringify(content)),
      receivedAt: clock.now(),
      ...arrival,
    });
  return {
    backend,
    clock,
    readings,
    heartbeats,
    startups,
    liveness,
    alerts,
    refused,
    handle,
    sensors: (content: object | string, arrival?: Parameters<typeof handle>[2]) =>
      handle('data/sensors', content, arrival),
    heartbeat: (content: object | string = {}, arrival?: Parameters<typeof handle>[2]) =>
      handle('data/heartbeat', content, arrival),
    startup: (content: object | string = {}, arrival?: Parameters<typeof handle>[2]) =>
      handle('data/startup', content, arrival),
    threshold: (content: object | string, arrival?: Parameters<typeof handle>[2]) =>
      handle('threshold', content, arrival),
  };
}
