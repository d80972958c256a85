import type { MachineWire, SolarMessage, StatusChangeWire, StatusWire, TelemetryWire } from './solar-wire.js';

/** One telemetry message; null is not measured. Times are epoch milliseconds UTC. */
export interface Row {
  at: number;
  battery: number | null;
  solarV: number | null;
  solarA: number | null;
  water: number | null;
  extra: unknown;
}

export interface Machine {
  key: string;
  companyId: string;
  machineId: string;
  /** As shown: what it reports itself, `online`, `offline` or `stale`. */
  status: string;
  lastStatus: string | undefined;
  online: boolean;
  /** Watt hours, litres and square metres, as it counts them. */
  energy: number | null;
  waterUsed: number | null;
  area: number | null;
  since: number;
  /** When it reported its status last. */
  reportedAt: number | undefined;
  lastSeen: number | undefined;
  telemetry: Row | undefined;
}

/** A status that became another. */
export interface Change {
  status: string;
  previousStatus: string | null;
  at: number;
  restarted: boolean;
}

/** The machines of one company, in the order of their ids. Never changed in place. */
export interface Fleet {
  companyId: string;
  machines: readonly Machine[];
  /** Where each stands in `machines`, by its id. */
  places: ReadonlyMap<string, number>;
}

export const machineKey = (companyId: string, machineId: string) => `${companyId}/${machineId}`;

/** `M2` comes before `M10`. */
export const byName = new Intl.Collator(undefined, { numeric: true }).compare;

const fleetOf = (companyId: string, machines: readonly Machine[]): Fleet => ({
  companyId,
  machines,
  places: new Map(machines.map(({ machineId }, place) => [machineId, place])),
});

export const emptyFleet = (companyId: string): Fleet => fleetOf(companyId, []);

/** The fleet after one message of its live feed. Types that this page does not know change nothing. */
export function applyMessage(fleet: Fleet, message: SolarMessage): Fleet {
  switch (message.type) {
    case 'snapshot': {
      const machines = message.data.machines.map(machineOf);
      return fleetOf(
        fleet.companyId,
        machines.sort((a, b) => byName(a.machineId, b.machineId)),
      );
    }
    case 'telemetry':
      return changeMachine(fleet, message.machine_id, (machine) => withTelemetry(machine, message.data));
    case 'status':
      return changeMachine(fleet, message.machine_id, (machine) => withStatus(machine, message.data));
    default:
      return fleet;
  }
}

function changeMachine(fleet: Fleet, machineId: string, change: (machine: Machine) => Machine): Fleet {
  const place = fleet.places.get(machineId);
  if (place === undefined) {
    const machines = [...fleet.machines, change(newMachine(fleet.companyId, machineId))];
    return fleetOf(
      fleet.companyId,
      machines.sort((a, b) => byName(a.machineId, b.machineId)),
    );
  }
  const machines = [...fleet.machines];
  machines[place] = change(fleet.machines[place] as Machine);
  return { ...fleet, machines };
}

const newMachine = (companyId: string, machineId: string): Machine => ({
  key: machineKey(companyId, machineId),
  companyId,
  machineId,
  status: 'online',
  lastStatus: undefined,
  online: true,
  energy: null,
  waterUsed: null,
  area: null,
  since: 0,
  reportedAt: undefined,
  lastSeen: undefined,
  telemetry: undefined,
});

function withTelemetry(machine: Machine, data: TelemetryWire): Machine {
  const row = rowOf(data);
  const lastSeen = latest(machine.lastSeen, Date.parse(data.received_at));
  // A row that comes late is not the newest one.
  const isOld = machine.telemetry !== undefined && row.at < machine.telemetry.at;
  return { ...machine, lastSeen, telemetry: isOld ? machine.telemetry : row };
}

function withStatus(machine: Machine, data: StatusWire): Machine {
  const told = statusOf(data);
  return { ...machine, ...told, lastSeen: latest(machine.lastSeen, told.lastSeen) };
}

const latest = (a: number | undefined, b: number | undefined) =>
  a === undefined || b === undefined ? (a ?? b) : Math.max(a, b);

const instantOf = (text: string | null) => (text === null ? undefined : Date.parse(text));

function statusOf(wire: StatusWire): Omit<Machine, 'key' | 'companyId' | 'machineId' | 'telemetry'> {
  return {
    status: wire.status,
    lastStatus: wire.last_status ?? undefined,
    online: wire.online,
    energy: wire.energy,
    waterUsed: wire.water,
    area: wire.area,
    since: Date.parse(wire.since),
    reportedAt: instantOf(wire.received_at),
    lastSeen: instantOf(wire.last_seen),
  };
}

export function machineOf(wire: MachineWire): Machine {
  return {
    key: machineKey(wire.company_id, wire.machine_id),
    companyId: wire.company_id,
    machineId: wire.machine_id,
    ...statusOf(wire),
    telemetry: wire.telemetry === null ? undefined : rowOf(wire.telemetry),
  };
}

export const rowOf = (wire: TelemetryWire): Row => ({
  at: Date.parse(wire.at),
  battery: wire.battery,
  solarV: wire.solar_v,
  solarA: wire.solar_a,
  water: wire.water,
  extra: wire.extra,
});

export const changeOf = (wire: StatusChangeWire): Change => ({
  status: wire.status,
  previousStatus: wire.previous_status,
  at: Date.parse(wire.at),
  restarted: wire.restarted,
});
