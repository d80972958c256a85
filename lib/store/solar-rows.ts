import type {
  Bucket,
  Fields,
  Figures,
  MachineRecord,
  Presence,
  StatusChange,
  TelemetryRow,
} from '../solar/ports.js';
import type {
  SolarBucketTable,
  SolarMachineTable,
  SolarStatusChangeTable,
  SolarTelemetryTable,
} from './solar-tables.js';

export function machineRow(machine: MachineRecord): SolarMachineTable {
  const { reported } = machine;
  return {
    company_id: machine.companyId,
    machine_id: machine.machineId,
    number: machine.number,
    revision: machine.revision,
    presence: machine.presence,
    status: reported?.status ?? null,
    energy: reported?.energy ?? null,
    water: reported?.water ?? null,
    area: reported?.area ?? null,
    others: reported?.others ?? null,
    reported_at: machine.reportedAt,
    since: machine.since,
    left_at: machine.leftAt,
    last_seen: machine.lastSeen,
    interval_ms: machine.intervalMs,
  };
}

const instantOrNull = (value: number | null) => (value === null ? null : Number(value));

export function machineOf(row: SolarMachineTable): MachineRecord {
  const { status, energy, water, area, others } = row;
  return {
    companyId: row.company_id,
    machineId: row.machine_id,
    number: Number(row.number),
    revision: Number(row.revision),
    presence: row.presence as Presence,
    reported: status === null ? null : { status, energy, water, area, others },
    reportedAt: instantOrNull(row.reported_at),
    since: Number(row.since),
    leftAt: instantOrNull(row.left_at),
    lastSeen: Number(row.last_seen),
    intervalMs: Number(row.interval_ms),
  };
}

export const changeOf = (
  row: SolarStatusChangeTable,
): Omit<StatusChange, 'companyId' | 'machineId'> & { id: string } => ({
  id: row.id,
  status: row.status,
  previousStatus: row.previous_status,
  at: Number(row.at),
  restarted: Number(row.restarted) === 1,
});

export const telemetryOf = (row: SolarTelemetryTable): TelemetryRow => ({
  machine: Number(row.machine),
  at: Number(row.at),
  id: Number(row.id),
  receivedAt: Number(row.received_at),
  battery: row.battery,
  solarV: row.solar_v,
  solarA: row.solar_a,
  water: row.water,
  extra: row.extra,
});

/** Bytes of a text column. */
const LARGEST_TEXT = 65_535;

/** JSON of the figures; names past what a column can hold are left out. */
export function fieldsText(fields: Fields): string {
  const parts: string[] = [];
  let bytes = 2;
  for (const [name, figures] of fields) {
    const part = `${JSON.stringify(name)}:${JSON.stringify(figures)}`;
    bytes += Buffer.byteLength(part) + 1;
    if (bytes > LARGEST_TEXT) break;
    parts.push(part);
  }
  return `{${parts.join(',')}}`;
}

export const bucketOf = ({ at, fields }: Pick<SolarBucketTable, 'at' | 'fields'>): Bucket => ({
  at: Number(at),
  fields: new Map(Object.entries(JSON.parse(fields) as Record<string, Figures>)),
});
