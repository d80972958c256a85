import { sql } from 'kysely';
import type { MachineRecord } from '../solar/ports.js';
import { shownStatus } from '../solar/state.js';
import { machineOf } from './solar-rows.js';
import type { Store } from './store.js';

export interface FailedSolarCommand {
  companyId: string;
  machineId: string;
  commandType: string;
  reason: string | null;
  createdAt: number;
}

export interface SolarOverview {
  /** Machines by what is shown of them. @param companies of these alone; undefined: of all */
  states(
    companies: readonly string[] | undefined,
  ): Promise<{ companies: number; states: Record<string, number> }>;
  /** Those that are offline or stale; who went last comes first. */
  away(companies: readonly string[] | undefined, limit: number): Promise<MachineRecord[]>;
  /** Machines whose newest command since then has failed; newest first. @param since epoch ms */
  failedCommands(companies: readonly string[] | undefined, since: number): Promise<FailedSolarCommand[]>;
  /**
   * Mean charge of the batteries by minute, of at most so many machines.
   * @param from epoch ms
   */
  battery(
    companies: readonly string[] | undefined,
    from: number,
    machines: number,
  ): Promise<{ machines: number; means: Map<number, number> }>;
}

/** Of the newest commands: more are no news. */
const COMMANDS = 1_000;

/** What a page that shows all solar machines at a glance asks. */
export function solarOverview({ db }: Pick<Store, 'db'>): SolarOverview {
  const machinesOf = (companies: readonly string[] | undefined) => {
    const query = db.selectFrom('solar_machine');
    return companies === undefined ? query : query.where('company_id', 'in', companies);
  };
  const none = (companies: readonly string[] | undefined) => companies?.length === 0;

  return {
    async states(companies) {
      if (none(companies)) return { companies: 0, states: {} };
      const rows = await machinesOf(companies)
        .select(['company_id', 'presence', 'status'])
        .select((is) => is.fn.countAll<number>().as('count'))
        .groupBy(['company_id', 'presence', 'status'])
        .execute();
      const states: Record<string, number> = {};
      for (const { presence, status, count } of rows) {
        const reported = status === null ? null : ({ status } as MachineRecord['reported']);
        const shown = shownStatus({ presence: presence as MachineRecord['presence'], reported });
        states[shown] = (states[shown] ?? 0) + Number(count);
      }
      return { companies: new Set(rows.map(({ company_id }) => company_id)).size, states };
    },

    async away(companies, limit) {
      if (none(companies)) return [];
      const rows = await machinesOf(companies)
        .selectAll()
        .where('presence', 'in', ['offline', 'stale'])
        .orderBy('since', 'desc')
        .limit(limit)
        .execute();
      return rows.map(machineOf);
    },

    async failedCommands(companies, since) {
      if (none(companies)) return [];
      const rows = await db
        .selectFrom('device_command')
        .select(['device', 'command_type', 'reason', 'status', 'created_at'])
        .where('created_at', '>=', since)
        .where('execution_id', 'is', null)
        .orderBy('created_at', 'desc')
        .limit(COMMANDS)
        .execute();
      const newest = new Map<string, (typeof rows)[number]>();
      for (const row of rows) if (!newest.has(row.device)) newest.set(row.device, row);
      return [...newest.values()].flatMap((row) => {
        // A machine is addressed by both ids; no other device has a slash in its name.
        const [companyId, machineId] = row.device.split('/');
        if (companyId === undefined || machineId === undefined) return [];
        if (companies !== undefined && !companies.includes(companyId)) return [];
        if (row.status !== 'FAILED' && row.status !== 'EXPIRED') return [];
        const { command_type: commandType, reason } = row;
        return [{ companyId, machineId, commandType, reason, createdAt: Number(row.created_at) }];
      });
    },

    async battery(companies, from, limit) {
      if (none(companies)) return { machines: 0, means: new Map() };
      const heard = await machinesOf(companies)
        .select('number')
        .where('last_seen', '>=', from)
        .orderBy('number')
        .limit(limit)
        .execute();
      const numbers = heard.map(({ number }) => Number(number));
      if (numbers.length === 0) return { machines: 0, means: new Map() };
      const minute = sql<number>`at - at % 60000`;
      const rows = await db
        .selectFrom('solar_telemetry')
        .select(minute.as('minute'))
        .select((is) => is.fn.avg<number>('battery').as('mean'))
        .where('machine', 'in', numbers)
        .where('at', '>=', from)
        .where('battery', 'is not', null)
        .groupBy(minute)
        .execute();
      return {
        machines: numbers.length,
        means: new Map(rows.map((row) => [Number(row.minute), Number(row.mean)])),
      };
    },
  };
}
