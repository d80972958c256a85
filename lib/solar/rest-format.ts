import type { Bucket, Figures, MachineRecord, StatusChange, TelemetryRow } from './ports.js';
import { shownStatus } from './state.js';

/**
 * How REST, live feeds and flows name what is known of solar machines (contract.md "REST"). The only place that knows
 * these names. Times leave as ISO 8601 UTC.
 */

const instant = (ms: number) => new Date(ms).toISOString();
const instantOrNull = (ms: number | null) => (ms === null ? null : instant(ms));
const parsed = (json: string | null): unknown => (json === null ? null : JSON.parse(json));

/** A telemetry row. `at` is the time of measurement where the machine says one, else that of receipt. */
export function formatTelemetry(row: TelemetryRow) {
  return {
    at: instant(row.at),
    received_at: instant(row.receivedAt),
    battery: row.battery,
    solar_v: row.solarV,
    solar_a: row.solarA,
    water: row.water,
    extra: parsed(row.extra),
  };
}

const EXTRA = 'extra.';

function formatFigures([count, min, max, sum]: Figures) {
  return { min, max, mean: sum / count, count };
}

/** A minute or an hour: `at` is its begin. Numbers of `extra` have their dotted names there. */
export function formatBucket({ at, fields }: Bucket) {
  const named = (name: string) => {
    const figures = fields.get(name);
    return figures === undefined ? null : formatFigures(figures);
  };
  const extra = [...fields]
    .filter(([name]) => name === 'extra' || name.startsWith(EXTRA))
    .map(([name, figures]) => [name === 'extra' ? name : name.slice(EXTRA.length), formatFigures(figures)]);
  return {
    at: instant(at),
    battery: named('battery'),
    solar_v: named('solar_v'),
    solar_a: named('solar_a'),
    water: named('water'),
    extra: Object.fromEntries(extra) as Record<string, ReturnType<typeof formatFigures>>,
  };
}

/** Live state of a machine. `status` is what is to be shown, `last_status` what it has reported last itself. */
export function formatStatus(machine: MachineRecord) {
  const { presence, reported } = machine;
  return {
    company_id: machine.companyId,
    machine_id: machine.machineId,
    status: shownStatus(machine),
    last_status: reported?.status ?? null,
    online: presence !== 'offline' && presence !== 'stale',
    energy: reported?.energy ?? null,
    water: reported?.water ?? null,
    area: reported?.area ?? null,
    extra: parsed(reported?.others ?? null),
    received_at: instantOrNull(machine.reportedAt),
    since: instant(machine.since),
    last_seen: machine.lastSeen === 0 ? null : instant(machine.lastSeen),
  };
}

export function formatChange(change: Omit<StatusChange, 'companyId' | 'machineId'>) {
  return {
    status: change.status,
    previous_status: change.previousStatus,
    at: instant(change.at),
    restarted: change.restarted,
  };
}
