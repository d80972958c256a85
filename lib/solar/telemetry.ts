import type { Clock } from '../core/clock.js';
import { hasCode } from '../core/errors.js';
import type { SolarArrival } from './backend-ports.js';
import type { SolarCounters } from './counters.js';
import { type Machine, rowEnded, rowsEnded, saysTheSame } from './machines.js';
import type { Append, RowIds, SolarStore, TelemetryRow } from './ports.js';
import { LATE_MS, ROLLUP_LAG_MS } from './rollups.js';

export interface TelemetryIntakeOptions {
  store: Pick<SolarStore, 'append' | 'mark' | 'rowsBefore'>;
  clock: Clock;
  counters: SolarCounters;
  /** With several gateways. */
  elsewhere?: { ownRows: RowIds | undefined } | undefined;
  /** Reads again and again until it can be read. */
  patiently<T>(read: () => Promise<T>): Promise<T>;
  /** Messages of the machine wait for this, in their order. */
  prepare(machine: Machine, work: () => Promise<void>): void;
  /** The machine has been heard. @param periodic by its own period, not of its past as fast as it goes */
  hear(machine: Machine, receivedAt: number, periodic: boolean): void;
  /** A row is on its way to the store; it is committed. */
  arrived(machine: Machine, row: TelemetryRow): void;
  kept(machine: Machine, row: TelemetryRow): void;
}

export interface TelemetryIntake {
  /** Fulfils when the message is a committed row. @throws what the store rejects with */
  take(machine: Machine, arrival: SolarArrival, append: Append): Promise<void>;
}

/** A row that is older when it is committed may have been missed by its rollup. */
const MISSED_MS = (LATE_MS + ROLLUP_LAG_MS) / 2;
/**
 * Messages that may still be without an acknowledgement when a connection is lost came within so long before it, ms. A
 * gateway that is killed, starts again and is killed before its broker has heard it lies in between too; a machine's
 * message before the last one does not, at the usual interval.
 */
const UNACKNOWLEDGED_MS = 25_000;
const MOST_REPEATABLE = 1_000;

/** Brings telemetry into the store, each message once (ingest.md "Same message twice"). */
export function createTelemetryIntake(options: TelemetryIntakeOptions): TelemetryIntake {
  const { store, clock, counters, elsewhere, patiently, prepare } = options;
  const ownRows = elsewhere?.ownRows;
  /** Ids of rows: no two gateways draw the same beginning, nor do two runs of one. */
  const firstId =
    ownRows === undefined
      ? Math.floor(Math.random() * 2 ** 32) * 2 ** 20
      : ownRows.first + Math.floor(Math.random() * 2 ** 12) * 2 ** 20;
  let nextId = 0;

  /** What a machine may be repeating that speaks over a connection since `resumedAt` (ingest.md "Same message twice"). */
  async function findRepeatable(machine: Machine, resumedAt: number): Promise<void> {
    await rowsEnded(machine);
    let newest = machine.newestAt;
    if (newest === undefined && elsewhere === undefined) return;
    const before = (since: number, limit: number) =>
      patiently(() => store.rowsBefore(machine.number, { after: since, before: resumedAt }, limit, ownRows));
    // What other gateways have stored is known to the store alone.
    if (newest === undefined || newest >= resumedAt || elsewhere !== undefined) {
      const [last] = await before(0, 1);
      newest = last?.at;
    }
    if (newest === undefined) return;
    const rows = await before(newest - UNACKNOWLEDGED_MS, MOST_REPEATABLE);
    machine.repeatable = rows.filter(({ id }) => id >= 0);
  }

  function isRepeated(machine: Machine, row: TelemetryRow): boolean {
    const index = machine.repeatable.findIndex((kept) => saysTheSame(kept, row));
    if (index < 0) return false;
    machine.repeatable.splice(index, 1);
    return true;
  }

  function take(machine: Machine, arrival: SolarArrival, append: Append): Promise<void> {
    const { resumedAt, retain } = arrival;
    if (resumedAt !== undefined && resumedAt > machine.resumedAt) {
      machine.resumedAt = resumedAt;
      prepare(machine, () => findRepeatable(machine, resumedAt));
    }
    if (retain === true && !append.identified) return takeKept(machine, arrival, append);
    if (machine.preparing !== undefined) return whenPrepared(machine, () => keep(machine, arrival, append));
    return keep(machine, arrival, append);
  }

  function whenPrepared(machine: Machine, work: () => Promise<void>): Promise<void> {
    return (machine.preparing ?? Promise.resolve()).then(work);
  }

  /** The broker had kept it: it is the same at each start. */
  function takeKept(machine: Machine, arrival: SolarArrival, append: Append): Promise<void> {
    return whenPrepared(machine, async () => {
      const span = { after: 0, before: arrival.receivedAt + 1 };
      const rows = await patiently(() => store.rowsBefore(machine.number, span, MOST_REPEATABLE));
      if (rows.some((row) => saysTheSame(row, append.row))) counters.duplicates += 1;
      else await keep(machine, arrival, append);
    });
  }

  /** The path of every telemetry message: what is done here is done some ten thousand times a second. */
  function keep(machine: Machine, arrival: SolarArrival, append: Append): Promise<void> {
    const { row } = append;
    const isPast = arrival.retain === true;
    row.machine = machine.number;
    append.late = row.at < clock.now() - LATE_MS;
    if (!isPast) options.hear(machine, arrival.receivedAt, !append.late);
    if (!append.identified) {
      // What comes when nothing can come again any more is new, though it says the same.
      const mayRepeat = arrival.resumedAt !== undefined && machine.repeatable.length > 0;
      if (mayRepeat && isRepeated(machine, row)) return repeated(machine, append);
      row.id = firstId + (nextId++ % 2 ** 20);
    }
    machine.rowsUnderWay += 1;
    options.arrived(machine, row);
    return store.append(append).then(
      () => kept(machine, append),
      (error: unknown) => {
        rowEnded(machine);
        if (append.identified && hasCode(error, 'store_conflict')) return repeated(machine, append);
        throw error;
      },
    );
  }

  function kept(machine: Machine, append: Append): Promise<void> | undefined {
    const { row, late } = append;
    counters.telemetry += 1;
    if (late) counters.late += 1;
    if (machine.newestAt === undefined || row.at >= machine.newestAt) {
      machine.newestAt = row.at;
      machine.latest = row;
    }
    rowEnded(machine);
    options.kept(machine, row);
    // It took too long on its way into the store.
    if (!late && row.at < clock.now() - MISSED_MS) return store.mark(row.machine, row.at);
    return undefined;
  }

  /** It is a row; a kill may have come between that row and its mark. */
  function repeated(machine: Machine, { row }: Append): Promise<void> {
    counters.duplicates += 1;
    if (row.at >= clock.now() - LATE_MS) return Promise.resolve();
    return store.mark(machine.number, row.at);
  }

  return { take };
}
