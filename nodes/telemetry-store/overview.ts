import type { UserPrincipal } from '../../lib/access/principal.js';
import { formatCurve, minutesOfLastHour } from '../../lib/core/last-hour.js';
import type { MachineRecord } from '../../lib/solar/ports.js';
import { formatStatus } from '../../lib/solar/rest-format.js';
import type { SolarOverview } from '../../lib/store/solar-overview.js';

/** Machines that are named; how many there are is told all the same. */
const NAMED = 50;
const DAY_MS = 86_400_000;
/** The mean of a fleet's batteries is known well enough from so many. */
const CURVE_MACHINES = 500;
/** It goes through an hour of rows: it is not asked more often, ms. */
const CURVE_KEPT_MS = 20_000;
const CURVES = 100;

export interface SolarPartPorts {
  overview: SolarOverview;
  withLastSeen(machine: MachineRecord): MachineRecord;
}

/** Asks for the solar machines at a glance, as far as one may see them: those of one's own companies alone. */
export function solarPart({ overview, withLastSeen }: SolarPartPorts) {
  const kept = new Map<string, { at: number; curve: ReturnType<typeof batteryCurve> }>();

  async function batteryCurve(companies: readonly string[] | undefined, now: number) {
    const minutes = minutesOfLastHour(now);
    const { machines, means } = await overview.battery(companies, minutes[0] as number, CURVE_MACHINES);
    const rounded = (mean: number | undefined) => (mean === undefined ? null : Math.round(mean * 100) / 100);
    return {
      ...formatCurve(
        minutes,
        minutes.map((minute) => rounded(means.get(minute))),
      ),
      machines,
    };
  }

  function keptCurve(companies: readonly string[] | undefined, now: number) {
    const key = JSON.stringify(companies ?? null);
    const old = kept.get(key);
    if (old !== undefined && now >= old.at && now - old.at < CURVE_KEPT_MS) return old.curve;
    if (kept.size >= CURVES) kept.clear();
    const curve = batteryCurve(companies, now);
    kept.set(key, { at: now, curve });
    // What failed is not kept.
    curve.catch(() => kept.delete(key));
    return curve;
  }

  return async (principal: UserPrincipal | undefined, now: number) => {
    const companies = principal === undefined || principal.admin ? undefined : principal.companies;
    const [{ companies: count, states }, away, failed, battery] = await Promise.all([
      overview.states(companies),
      overview.away(companies, NAMED),
      overview.failedCommands(companies, now - DAY_MS),
      keptCurve(companies, now),
    ]);
    return {
      companies: count,
      machines: Object.values(states).reduce((sum, many) => sum + many, 0),
      states,
      away: away.map((machine) => formatStatus(withLastSeen(machine))),
      failed_commands: failed.slice(0, NAMED).map((command) => ({
        company_id: command.companyId,
        machine_id: command.machineId,
        command: command.commandType,
        reason: command.reason,
        created_at: new Date(command.createdAt).toISOString(),
      })),
      battery,
    };
  };
}
