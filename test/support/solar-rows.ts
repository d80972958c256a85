import { sql } from 'kysely';
import type { Store } from '../../lib/store/store.js';

/** Rows of a machine in one insert: a database server lets a recursion go no deeper than 1,000. */
const RUN = 720;

export interface TelemetryRun {
  /** Of the first row, epoch ms. */
  begin: number;
  intervalMs: number;
  /** Rows of each machine. */
  each: number;
}

/**
 * Telemetry of all machines that there are, made inside the database, which is much faster than to send it. In
 * PostgreSQL's heap rows lie as they came, all machines side by side; the others keep them in the order of their keys.
 */
export async function makeTelemetry(
  { db, dialect }: Pick<Store, 'db' | 'dialect'>,
  { begin, intervalMs, each }: TelemetryRun,
): Promise<void> {
  const order = sql.raw(dialect === 'postgres' ? 'tick.at, m.number' : 'm.number, tick.at');
  for (let from = 0; from < each; from += RUN) {
    const first = begin + from * intervalMs;
    const last = begin + (Math.min(each, from + RUN) - 1) * intervalMs;
    await sql`
      insert into solar_telemetry (machine, at, id, received_at, battery, solar_v, solar_a, water, extra)
      with recursive tick (at) as (
        select ${sql.lit(first)} union all
        select at + ${sql.lit(intervalMs)} from tick where at < ${sql.lit(last)}
      )
      select m.number, tick.at, tick.at, tick.at, 12 + (tick.at % 997000) / 500000.0, 20, 4.5, 80,
        concat('{"temp":', round(30 + (tick.at % 991000) / 100000.0, 2), ',"vibration":0.01}')
      from tick cross join solar_machine m order by ${order}
    `.execute(db);
  }
  // PostgreSQL does so by itself, but not at once: it would plan for a table that it believes to be empty.
  if (dialect === 'postgres') await sql`analyze solar_telemetry`.execute(db);
}
