import type { Clock } from '../../lib/core/clock.js';
import type { DeadLetter } from '../../lib/core/dead-letter.js';
import { silentLog } from '../../lib/core/log.js';
import { createSolarBackend } from '../../lib/solar/backend.js';
import type { SolarBackend, SolarBackendOptions } from '../../lib/solar/backend-ports.js';
import type { MachineIds, MachineRecord, StatusChange, TelemetryRow } from '../../lib/solar/ports.js';
import { solarStore } from '../../lib/store/solar.js';
import type { Store } from '../../lib/store/store.js';

/** The seed's messages, as they stand. */
export const TELEMETRY = `{
  "battery": 13.5,
  "solar_v": 21.2,
  "solar_a": 4.5,
  "water": 80,
  "extra": {
    "temp": 32.5,
    "vibration": 0.01
  }
}`;
export const STATUS = `{
  "status": "Running",
  "energy": 150.5,
  "water": 25.0,
  "area": 450.0
}`;
export const COMMAND = `{
  "command": "start_cleaning",
  "params": {
    "speed": 5,
    "mode": "auto"
  }
}`;
export const WILL = '{"status": "offline"}';

export const IDS: MachineIds = { companyId: '1', machineId: 'A' };

export const topicOf = (kind: 'telemetry' | 'status', { companyId, machineId }: MachineIds = IDS) =>
  `company/${companyId}/machine/${machineId}/${kind}`;

/** What a backend has told so far. */
export interface Told {
  telemetry: { machine: MachineIds; row: TelemetryRow }[];
  arrived: TelemetryRow[];
  status: { machine: MachineRecord; change: StatusChange | undefined }[];
  refused: DeadLetter[];
}

export const changesOf = (told: Told) =>
  told.status.flatMap(({ change }) => (change === undefined ? [] : [change]));

export interface SolarSite {
  backend: SolarBackend;
  store: ReturnType<typeof solarStore>;
  told: Told;
  /** Hands a message over as a link does; time of receipt is the clock's. */
  say(
    kind: 'telemetry' | 'status',
    payload: string | object,
    options?: { ids?: MachineIds; resumedAt?: number; retain?: boolean },
  ): Promise<void>;
}

/** A gateway's solar backend on a real store, under the test's clock. */
export async function solarSite(
  database: Store,
  clock: Clock,
  settings: SolarBackendOptions['settings'] = {},
  store: ReturnType<typeof solarStore> = solarStore(database),
  elsewhere?: SolarBackendOptions['elsewhere'],
): Promise<SolarSite> {
  const backend = createSolarBackend({
    ...{ store, clock, log: silentLog, settings },
    ...(elsewhere && { elsewhere }),
  });
  const told: Told = { telemetry: [], arrived: [], status: [], refused: [] };
  backend.listen({
    telemetry: (machine, row) => void told.telemetry.push({ machine, row }),
    arrived: (_machine, row) => void told.arrived.push(row),
    status: (machine, change) => void told.status.push({ machine, change }),
    refused: (letter) => void told.refused.push(letter),
  });
  await backend.start();
  return {
    backend,
    store,
    told,
    say(kind, payload, { ids, resumedAt, retain = false } = {}) {
      const text = typeof payload === 'string' ? payload : JSON.stringify(payload);
      return backend.handle({
        topic: topicOf(kind, ids),
        payload: Buffer.from(text),
        receivedAt: clock.now(),
        retain,
        ...(resumedAt !== undefined && { resumedAt }),
      });
    },
  };
}
