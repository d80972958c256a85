import { sql } from 'kysely';
import { type Clock, systemClock } from '../core/clock.js';
import { FieldloomError } from '../core/errors.js';
import { type Log, silentLog } from '../core/log.js';
import { beginOf, HOUR_MS } from '../solar/rollup.js';
import { type DeletionRuns, startDeletionRuns } from './deletion-runs.js';
import { dropEmptyChunks, isHypertable } from './postgres/hypertable.js';
import { prepare } from './prepared.js';
import type { Statement, Store } from './store.js';

const DAY_MS = 86_400_000;

export interface SolarRetentionSettings {
  /** How long rows are kept, ms, by their time of measurement. */
  rawMs: number;
  /** Minutes, and changes of status. */
  minuteMs: number;
  hourMs: number;
  /** Pause between two runs, ms. */
  everyMs: number;
}

/** protocols.md "Solar" */
export const SOLAR_RETENTION: SolarRetentionSettings = {
  rawMs: 90 * DAY_MS,
  minuteMs: 400 * DAY_MS,
  hourMs: 5 * 365 * DAY_MS,
  everyMs: HOUR_MS,
};

/** Rows of one delete: others wait for no more than this. */
const BATCH = 500;

type Series = 'solar_telemetry' | 'solar_minute' | 'solar_hour' | 'solar_status_change';
const SERIES: readonly Series[] = ['solar_telemetry', 'solar_minute', 'solar_hour', 'solar_status_change'];

export type SolarDeleted = Record<Series | 'solar_message', number>;

export type SolarRetention = DeletionRuns<SolarDeleted>;

/**
 * Minutes are made of rows, and hours of minutes: what is summed up must not go before its sum.
 * @throws FieldloomError invalid_setting
 */
export function checkRetention({ rawMs, minuteMs, hourMs }: SolarRetentionSettings): void {
  if (rawMs >= DAY_MS && minuteMs >= rawMs && hourMs >= minuteMs) return;
  const days = [rawMs, minuteMs, hourMs].map((ms) => ms / DAY_MS).join(', ');
  throw new FieldloomError(
    'invalid_setting',
    `rows, minutes and hours are kept for ${days} days: accepted is 1 day or more, each as long as the one before`,
  );
}

/**
 * Deletes what is older than the settings say, at once and then again and again: machine by machine, as the keys of the
 * series begin, and in small batches.
 * @throws FieldloomError invalid_setting
 */
export function startSolarRetention(
  store: Store,
  {
    settings: given = {},
    clock = systemClock,
    log = silentLog,
  }: { settings?: Partial<SolarRetentionSettings>; clock?: Clock; log?: Log } = {},
): SolarRetention {
  const settings = { ...SOLAR_RETENTION, ...given };
  checkRetention(settings);
  const { db } = store;
  const deletions = Object.fromEntries(
    SERIES.map((table) => [
      table,
      prepare<{ machine: number; at: number }>(db, (value) =>
        db.deleteFrom(table).where('machine', '=', value('machine')).where('at', '<=', value('at')),
      ),
    ]),
  ) as Record<Series, (values: { machine: number; at: number }) => Statement>;
  const deleteMessage = prepare<{ machine: number; digest: string }>(db, (value) =>
    db
      .deleteFrom('solar_message')
      .where('machine', '=', value('machine'))
      .where('digest', '=', value('digest')),
  );

  async function deleteSeries(
    table: Series,
    machine: number,
    before: number,
    stopped: () => boolean,
  ): Promise<number> {
    let deleted = 0;
    while (!stopped()) {
      const rows = await db
        .selectFrom(table)
        .select(sql.ref<number>('at').as('at'))
        .where('machine', '=', machine)
        .where('at', '<', before)
        .orderBy('at')
        .limit(BATCH)
        .execute();
      const last = rows.at(-1);
      if (last === undefined) break;
      await store.commit([deletions[table]({ machine, at: Number(last.at) })]);
      deleted += rows.length;
      if (rows.length < BATCH) break;
    }
    return deleted;
  }

  async function deleteMessages(before: number, stopped: () => boolean): Promise<number> {
    let deleted = 0;
    while (!stopped()) {
      const rows = await db
        .selectFrom('solar_message')
        .select(['machine', 'digest'])
        .where('at', '<', before)
        .orderBy('at')
        .limit(BATCH)
        .execute();
      if (rows.length === 0) break;
      await store.commit(
        rows.map(({ machine, digest }) => deleteMessage({ machine: Number(machine), digest })),
      );
      deleted += rows.length;
    }
    return deleted;
  }

  async function run(stopped: () => boolean): Promise<SolarDeleted> {
    const now = clock.now();
    const deleted: SolarDeleted = {
      solar_telemetry: 0,
      solar_minute: 0,
      solar_hour: 0,
      solar_status_change: 0,
      solar_message: await deleteMessages(now - settings.rawMs, stopped),
    };
    const machines = await db.selectFrom('solar_rollup').select(['machine', 'rolled_until']).execute();
    for (const { machine, rolled_until } of machines) {
      if (stopped()) break;
      const number = Number(machine);
      // Whole hours go, and only what is rolled up: after a long pause that comes first.
      const rawBefore = Math.min(now - settings.rawMs, Number(rolled_until));
      const before: Record<Series, number> = {
        solar_telemetry: beginOf(rawBefore, HOUR_MS),
        solar_minute: beginOf(now - settings.minuteMs, HOUR_MS),
        solar_hour: now - settings.hourMs,
        solar_status_change: now - settings.minuteMs,
      };
      for (const table of SERIES) deleted[table] += await deleteSeries(table, number, before[table], stopped);
    }
    if (store.dialect === 'postgres' && (await isHypertable(db, 'solar_telemetry'))) {
      await dropEmptyChunks(db, 'solar_telemetry', now - settings.rawMs);
    }
    return deleted;
  }

  return startDeletionRuns(run, { what: 'solar: old rows', everyMs: settings.everyMs, clock, log });
}
