import type { Clock, Timer } from '../core/clock.js';
import { asError, hasCode } from '../core/errors.js';
import type { Log } from '../core/log.js';
import type { Bucket, RollupStore, TelemetryRow } from './ports.js';
import { beginOf, createTally, HOUR_MS, MINUTE_MS, type Tally } from './rollup.js';

/** A minute is rolled up so long after its end, ms: what comes later marks it. */
export const ROLLUP_LAG_MS = 2 * MINUTE_MS;
/** A row older than this on arrival is late, ms: the rest of the lag is for its way into the store. */
export const LATE_MS = MINUTE_MS;

const EVERY_MS = MINUTE_MS;
/** A machine is rolled up in every fifth run: what is not rolled up yet is summed up when it is asked for. */
const ROUNDS = 5;
/** Rows read at once: summing them up holds up the event loop for some milliseconds. */
const PAGE = 500;
/** Rolled up in one write, ms. */
const SPAN_MS = HOUR_MS;
const MARKS = 1_000;
const TRIES = 5;
/** Machines rolled up side by side: their writes share commits, and there are database connections left for others. */
const LANES = 4;

export interface RollupsOptions {
  store: RollupStore;
  clock: Clock;
  log: Log;
}

export interface Rollups {
  /** The machine has a row of this instant. Cheap: called for every message. */
  expect(machine: number, at: number): void;
  /** Rolls up all that is due now, as the timer does. */
  run(): Promise<void>;
  /** Fulfils when a run that is under way has ended. */
  stop(): Promise<void>;
}

/**
 * Sums up telemetry by minutes and hours (ingest.md "The store"). What is rolled up is always read anew from the rows,
 * and a write counts only where nobody else has rolled up the machine in between; so it is right whatever dies when,
 * and with several gateways.
 */
export function createRollups({ store, clock, log }: RollupsOptions): Rollups {
  /** Machines with rows that are not rolled up yet, and the time of the newest. */
  const expected = new Map<number, number>();
  let round = 0;
  let stopped = false;
  let timer: Timer | undefined;
  let underWay: Promise<void> = Promise.resolve();

  async function addRows(machine: number, from: number, to: number, tally: Tally): Promise<number> {
    let count = 0;
    let after: TelemetryRow | undefined;
    do {
      const rows = await store.rows(machine, { from, to }, after, PAGE);
      for (const row of rows) tally.addRow(row);
      count += rows.length;
      after = rows.length === PAGE ? rows.at(-1) : undefined;
    } while (after !== undefined);
    return count;
  }

  /** The hours of these minutes, with the other minutes that they have in the store. */
  async function hoursOf(machine: number, minutes: readonly Bucket[]): Promise<Bucket[]> {
    const tally = createTally(HOUR_MS);
    for (const hour of new Set(minutes.map(({ at }) => beginOf(at, HOUR_MS)))) {
      const all = new Map<number, Bucket>();
      for (const bucket of await store.minutes(machine, hour, hour + HOUR_MS)) all.set(bucket.at, bucket);
      for (const bucket of minutes) if (beginOf(bucket.at, HOUR_MS) === hour) all.set(bucket.at, bucket);
      for (const bucket of all.values()) tally.addBucket(bucket);
    }
    return tally.buckets();
  }

  /** @returns whether there is more of it to roll up */
  async function rollUp(machine: number, until: number): Promise<boolean> {
    const state = await store.rollupState(machine);
    if (state === undefined || until <= state.rolledUntil) return false;
    // A machine may have been silent for months.
    const [first] = await store.rows(machine, { from: state.rolledUntil, to: until }, undefined, 1);
    if (first === undefined) return false;
    const from = beginOf(first.at, MINUTE_MS);
    const to = Math.min(until, from + SPAN_MS);
    const tally = createTally(MINUTE_MS);
    await addRows(machine, from, to, tally);
    const minutes = tally.buckets();
    await store.saveRollup({
      machine,
      expectedRevision: state.revision,
      state: { rolledUntil: to, revision: drawRevision() },
      minutes,
      hours: await hoursOf(machine, minutes),
      marks: [],
    });
    return to < until;
  }

  async function rollUpMarked(
    machine: number,
    marks: readonly { minute: number; token: number }[],
  ): Promise<void> {
    const state = await store.rollupState(machine);
    if (state === undefined) return;
    const tally = createTally(MINUTE_MS);
    for (const minute of new Set(marks.map((mark) => mark.minute))) {
      // What is not rolled up yet will be, with this row.
      if (minute < state.rolledUntil) await addRows(machine, minute, minute + MINUTE_MS, tally);
    }
    const minutes = tally.buckets();
    await store.saveRollup({
      machine,
      expectedRevision: state.revision,
      state: { rolledUntil: state.rolledUntil, revision: drawRevision() },
      minutes,
      hours: await hoursOf(machine, minutes),
      marks,
    });
  }

  /** False where other gateways were faster again and again: what is left is done in a later run. */
  async function unlessOvertaken(work: () => Promise<unknown>): Promise<boolean> {
    for (let tries = 0; tries < TRIES; tries += 1) {
      try {
        await work();
        return true;
      } catch (error) {
        if (!hasCode(error, 'store_conflict')) throw error;
      }
    }
    return false;
  }

  async function rollUpOne(machine: number, until: number): Promise<void> {
    while (!stopped && (await rollUp(machine, until)));
  }

  async function rollUpMarks(): Promise<void> {
    while (!stopped) {
      const marks = await store.marks(MARKS);
      const byMachine = new Map<number, { minute: number; token: number }[]>();
      for (const { machine, minute, token } of marks) {
        const list = byMachine.get(machine) ?? [];
        byMachine.set(machine, list);
        list.push({ minute, token });
      }
      let overtaken = false;
      for (const [machine, its] of byMachine) {
        if (!(await unlessOvertaken(() => rollUpMarked(machine, its)))) overtaken = true;
      }
      if (marks.length < MARKS || overtaken) return;
    }
  }

  async function rollUpAll(isDue: (machine: number) => boolean): Promise<void> {
    await rollUpMarks();
    const until = beginOf(clock.now() - ROLLUP_LAG_MS, MINUTE_MS);
    const due = [...expected].filter(([machine]) => isDue(machine)).values();
    let failure: { error: unknown } | undefined;
    async function lane(): Promise<void> {
      for (const [machine, newest] of due) {
        if (stopped || failure !== undefined) return;
        try {
          const done = await unlessOvertaken(() => rollUpOne(machine, until));
          if (done && newest < until && expected.get(machine) === newest) expected.delete(machine);
        } catch (error) {
          failure ??= { error };
        }
      }
    }
    await Promise.all(Array.from({ length: LANES }, lane));
    if (failure !== undefined) throw failure.error;
  }

  function inTurn(work: () => Promise<void>): Promise<void> {
    const next = underWay.then(work);
    underWay = next.catch(() => {});
    return next;
  }

  function wait(): void {
    timer = clock.setTimer(() => {
      round += 1;
      inTurn(() => rollUpAll((machine) => (machine + round) % ROUNDS === 0))
        .catch((error: unknown) => {
          if (!hasCode(error, 'store_closed')) log.warn(`solar: rollups wait: ${asError(error).message}`);
        })
        .finally(() => {
          if (!stopped) wait();
        });
    }, EVERY_MS);
  }
  wait();

  return {
    expect(machine, at) {
      const newest = expected.get(machine);
      if (newest === undefined || at > newest) expected.set(machine, at);
    },
    run: () => inTurn(() => rollUpAll(() => true)),
    async stop() {
      stopped = true;
      timer?.cancel();
      await underWay;
    },
  };
}

const drawRevision = () => 1 + Math.floor(Math.random() * (Number.MAX_SAFE_INTEGER - 1));
