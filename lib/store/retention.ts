import { type Clock, systemClock, type Timer } from '../core/clock.js';
import { asError, hasCode } from '../core/errors.js';
import { type Log, silentLog } from '../core/log.js';
import { firstIdOf } from './ids.js';
import { prepare } from './prepared.js';
import type { Statement, Store } from './store.js';

const DAY_MS = 86_400_000;

export interface RetentionSettings {
  /** How long rows are kept, ms. */
  messageMs: number;
  stateChangeMs: number;
  deadLetterMs: number;
  /** All payloads of dead letters together; beyond it the oldest go. */
  deadLetterBytes: number;
  /** Pause between two runs, ms. */
  everyMs: number;
}

export const RETENTION: RetentionSettings = {
  messageMs: 7 * DAY_MS,
  stateChangeMs: 400 * DAY_MS,
  deadLetterMs: 90 * DAY_MS,
  deadLetterBytes: 256 * 1024 * 1024,
  everyMs: 60_000,
};

/** Rows of one delete: others wait for no more than this. */
const BATCH = 500;

type AgingTable = 'message' | 'laundry_state_change' | 'dead_letter';

export interface Retention {
  /** One run, now. @returns rows deleted, by table */
  run(): Promise<Record<AgingTable, number>>;
  /** Fulfils when a run that is under way has ended. */
  stop(): Promise<void>;
}

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
    dead_letter: deletion(store, 'dead_letter'),
  };
  let stopped = false;
  let timer: Timer | undefined;
  let underWay: Promise<unknown> = Promise.resolve();

  /** Deletes in the order of ids, which is the order of arrival. */
  async function deleteBefore(table: AgingTable, id: string): Promise<number> {
    let deleted = 0;
    while (!stopped) {
      const rows = await store.db
        .selectFrom(table)
        .select('id')
        .where('id', '<', id)
        .orderBy('id')
        .limit(BATCH)
        .execute();
      const last = rows.at(-1);
      if (last === undefined) break;
      await store.commit([deletions[table]({ last: last.id })]);
      deleted += rows.length;
    }
    return deleted;
  }

  async function run() {
    const now = clock.now();
    const deleted = {
      message: await deleteBefore('message', firstIdOf(now - settings.messageMs)),
      laundry_state_change: await deleteBefore(
        'laundry_state_change',
        firstIdOf(now - settings.stateChangeMs),
      ),
      dead_letter: await deleteBefore('dead_letter', firstIdOf(now - settings.deadLetterMs)),
    };
    const tooMany = await firstDeadLetterToKeep(store, settings.deadLetterBytes);
    if (tooMany !== undefined) deleted.dead_letter += await deleteBefore('dead_letter', tooMany);
    return deleted;
  }

  function runAndWait(): void {
    underWay = run()
      .catch((error: unknown) => {
        if (!hasCode(error, 'store_closed'))
          log.warn(`Old rows cannot be deleted: ${asError(error).message}`);
      })
      .finally(() => {
        if (!stopped) timer = clock.setTimer(runAndWait, settings.everyMs);
      });
  }

  runAndWait();
  return {
    run,
    async stop() {
      stopped = true;
      timer?.cancel();
      await underWay;
    },
  };
}

function deletion({ db }: Store, table: AgingTable): (values: { last: string }) => Statement {
  return prepare<{ last: string }>(db, (value) => db.deleteFrom(table).where('id', '<=', value('last')));
}

/** Undefined where all dead letters together are within the bound. */
async function firstDeadLetterToKeep({ db }: Store, bound: number): Promise<string | undefined> {
  const { total } = await db
    .selectFrom('dead_letter')
    .select((is) => is.fn.sum<number | null>('size').as('total'))
    .executeTakeFirstOrThrow();
  let excess = Number(total ?? 0) - bound;
  let after = '';
  while (excess > 0) {
    const rows = await db
      .selectFrom('dead_letter')
      .select(['id', 'size'])
      .where('id', '>', after)
      .orderBy('id')
      .limit(BATCH)
      .execute();
    if (rows.length === 0) break;
    for (const row of rows) {
      if (excess <= 0) return row.id;
      excess -= row.size;
      after = row.id;
    }
  }
  // Everything up to `after` goes: a space sorts right behind it.
  return after === '' ? undefined : `${after} `;
}
