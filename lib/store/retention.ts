import { sql } from 'kysely';
import { type Clock, systemClock } from '../core/clock.js';
import { type Log, silentLog } from '../core/log.js';
import { commandRetention } from './command-retention.js';
import { type DeletionRuns, startDeletionRuns } from './deletion-runs.js';
import { type DeviceRetentionSettings, deviceRetention } from './device-retention.js';
import { firmwareRetention } from './firmware-retention.js';
import { prepare } from './prepared.js';
import { type RoastRetentionSettings, roastRetention } from './roast-retention.js';
import type { Statement, Store } from './store.js';

const DAY_MS = 86_400_000;

export interface RetentionSettings extends DeviceRetentionSettings, RoastRetentionSettings {
  /** How long rows are kept, ms. */
  messageMs: number;
  stateChangeMs: number;
  deadLetterMs: number;
  /** Messages to and from devices. */
  mqttMessageMs: number;
  /** Commands that have ended, with their history and their execution. */
  commandMs: number;
  /** Firmware rollouts that have ended, with their deployments and history. */
  rolloutMs: number;
  /** How long a request may be said again under its idempotency key. */
  idempotencyMs: number;
  /** All payloads of dead letters together; beyond it the oldest go. */
  deadLetterBytes: number;
  /** Pause between two runs, ms. */
  everyMs: number;
}

export const RETENTION: RetentionSettings = {
  messageMs: 7 * DAY_MS,
  stateChangeMs: 400 * DAY_MS,
  deadLetterMs: 90 * DAY_MS,
  mqttMessageMs: 30 * DAY_MS,
  commandMs: 400 * DAY_MS,
  rolloutMs: 400 * DAY_MS,
  idempotencyMs: DAY_MS,
  readingMs: 400 * DAY_MS,
  alertMs: 400 * DAY_MS,
  recordingMs: 30 * DAY_MS,
  deadLetterBytes: 256 * 1024 * 1024,
  everyMs: 60_000,
};

/** Rows of one delete: others wait for no more than this. */
const BATCH = 500;

/** Tables whose ids are in the order of arrival. */
type AgingTable = 'message' | 'laundry_state_change' | 'laundry_liveness' | 'dead_letter' | 'mqtt_message';

const TIME: Record<AgingTable, string> = {
  message: 'at',
  laundry_state_change: 'received_at',
  laundry_liveness: 'at',
  dead_letter: 'received_at',
  mqtt_message: 'at',
};

type Deleted = Record<AgingTable | 'device_command' | 'command_idempotency' | 'firmware', number> &
  Awaited<ReturnType<ReturnType<typeof deviceRetention>>> &
  Awaited<ReturnType<ReturnType<typeof roastRetention>>>;

export type Retention = DeletionRuns<Deleted>;

export interface RetentionOptions {
  settings?: Partial<RetentionSettings>;
  clock?: Clock;
  log?: Log;
}

/** Deletes what is older than the settings say, at once and then again and again, in small batches. */
export function startRetention(
  store: Store,
  { settings: given = {}, clock = systemClock, log = silentLog }: RetentionOptions = {},
): Retention {
  const settings = { ...RETENTION, ...given };
  const deletions = {
    message: deletion(store, 'message'),
    laundry_state_change: deletion(store, 'laundry_state_change'),
    laundry_liveness: deletion(store, 'laundry_liveness'),
    dead_letter: deletion(store, 'dead_letter'),
    mqtt_message: deletion(store, 'mqtt_message'),
  };
  const commands = commandRetention(store, BATCH);
  const deleteRollouts = firmwareRetention(store, BATCH);
  const deleteOfDevices = deviceRetention(store, settings);
  const deleteOfRoasts = roastRetention(store, settings);

  /**
   * Reads on in the order of ids, which is the order of arrival, for as long as there are rows to delete. The time
   * of the row itself decides: where the clock was wrong for a while, one order is not the other.
   */
  async function deleteWhile(
    table: AgingTable,
    old: (row: { id: string; at: number; size: number }) => boolean,
    stopped: () => boolean,
  ) {
    let deleted = 0;
    let after = '';
    while (!stopped()) {
      const rows = await oldest(store, table, after);
      const ids = rows.filter(old).map(({ id }) => id);
      if (ids.length === 0) break;
      await store.commit(ids.map((id) => deletions[table]({ id })));
      deleted += ids.length;
      after = rows.at(-1)?.id ?? after;
    }
    return deleted;
  }

  async function deleteBatches(
    deleteSome: (before: number) => Promise<number>,
    before: number,
    stopped: () => boolean,
  ) {
    let deleted = 0;
    while (!stopped()) {
      const some = await deleteSome(before);
      if (some === 0) break;
      deleted += some;
    }
    return deleted;
  }

  async function run(stopped: () => boolean): Promise<Deleted> {
    const now = clock.now();
    const olderThan = (age: number) => (row: { at: number }) => row.at < now - age;
    const deleted = {
      message: await deleteWhile('message', olderThan(settings.messageMs), stopped),
      laundry_state_change: await deleteWhile(
        'laundry_state_change',
        olderThan(settings.stateChangeMs),
        stopped,
      ),
      laundry_liveness: await deleteWhile('laundry_liveness', olderThan(settings.stateChangeMs), stopped),
      dead_letter: await deleteWhile('dead_letter', olderThan(settings.deadLetterMs), stopped),
      mqtt_message: await deleteWhile('mqtt_message', olderThan(settings.mqttMessageMs), stopped),
      device_command: await deleteBatches(commands.deleteEnded, now - settings.commandMs, stopped),
      command_idempotency: await deleteBatches(
        commands.deleteIdempotency,
        now - settings.idempotencyMs,
        stopped,
      ),
      firmware: await deleteBatches(deleteRollouts, now - settings.rolloutMs, stopped),
    };
    let excess = (await deadLetterBytes(store)) - settings.deadLetterBytes;
    const isExcess = ({ size }: { size: number }) => {
      const goes = excess > 0;
      excess -= size;
      return goes;
    };
    deleted.dead_letter += await deleteWhile('dead_letter', isExcess, stopped);
    return {
      ...deleted,
      ...(await deleteOfDevices(now, stopped)),
      ...(await deleteOfRoasts(now, stopped)),
    };
  }

  return startDeletionRuns(run, { what: 'Old rows', everyMs: settings.everyMs, clock, log });
}

function deletion({ db }: Store, table: AgingTable): (values: { id: string }) => Statement {
  return prepare<{ id: string }>(db, (value) => db.deleteFrom(table).where('id', '=', value('id')));
}

async function oldest({ db }: Store, table: AgingTable, after: string) {
  const size = table === 'dead_letter' ? sql.ref<number>('size') : sql.lit(0);
  return db
    .selectFrom(table)
    .select(['id', sql.ref<number>(TIME[table]).as('at'), size.as('size')])
    .where('id', '>', after)
    .orderBy('id')
    .limit(BATCH)
    .execute();
}

async function deadLetterBytes({ db }: Store): Promise<number> {
  const { total } = await db
    .selectFrom('dead_letter')
    .select((is) => is.fn.sum<number | null>('size').as('total'))
    .executeTakeFirstOrThrow();
  return Number(total ?? 0);
}
