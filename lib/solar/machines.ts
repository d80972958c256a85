import type { Clock } from '../core/clock.js';
import { hasCode } from '../core/errors.js';
import type { MachineIds, MachineRecord, SolarStore, StatusChange, TelemetryRow } from './ports.js';
import { type MachineEvent, type MachineState, type Pulse, pulseOf, transition } from './state.js';

/** A machine as this gateway knows it. */
export interface Machine extends MachineIds {
  /** 0 until it is registered. */
  number: number;
  state: MachineState;
  revision: number;
  readonly pulse: Pulse;
  /** What `lastSeen` is in the store. */
  savedSeen: number;
  /** Events of its status that are not stored yet. */
  statusUnderWay: number;
  /** Rows on their way to the store. */
  rowsUnderWay: number;
  /** Called when no row is on its way any more. */
  quiet: (() => void)[];
  /** Time of its newest row; undefined where it has none. */
  newestAt: number | undefined;
  /** The newest row of this run of the gateway. */
  latest: TelemetryRow | undefined;
  /** What has to be known first: its number, or what it may be repeating. */
  preparing: Promise<void> | undefined;
  /** The newest connection that it may be repeating on, and the rows that it may repeat. */
  resumedAt: number;
  repeatable: TelemetryRow[];
}

/** Any whole number that the databases keep exactly; 0 is kept for what is not stored. */
const drawRevision = () => 1 + Math.floor(Math.random() * (Number.MAX_SAFE_INTEGER - 1));

const stateOf = ({ revision: _, lastSeen: __, intervalMs: ___, ...state }: MachineRecord): MachineState =>
  state;

export function newMachine({ companyId, machineId }: MachineIds, intervalMs: number): Machine {
  const state: MachineState = {
    companyId,
    machineId,
    number: 0,
    presence: 'new',
    reported: null,
    reportedAt: null,
    since: 0,
    leftAt: null,
  };
  return {
    companyId,
    machineId,
    number: 0,
    state,
    revision: 0,
    pulse: pulseOf(0, 0, intervalMs),
    savedSeen: 0,
    statusUnderWay: 0,
    rowsUnderWay: 0,
    quiet: [],
    newestAt: undefined,
    latest: undefined,
    preparing: undefined,
    resumedAt: 0,
    repeatable: [],
  };
}

/**
 * Takes what is stored of a machine. What was heard of it meanwhile counts on.
 * @param listeningSince silence before that was ours, epoch ms
 */
export function adopt(machine: Machine, record: MachineRecord, listeningSince: number): void {
  machine.number = record.number;
  machine.state = stateOf(record);
  machine.revision = record.revision;
  machine.savedSeen = record.lastSeen;
  const { lastSeen, silentSince } = machine.pulse;
  const stored = pulseOf(record.lastSeen, listeningSince, record.intervalMs);
  Object.assign(machine.pulse, {
    ...stored,
    lastSeen: Math.max(stored.lastSeen, lastSeen),
    silentSince: Math.max(stored.silentSince, silentSince),
  });
}

/** What another gateway has made of its status. */
export function takeUp(machine: Machine, record: MachineRecord): void {
  machine.state = stateOf(record);
  machine.revision = record.revision;
}

export const recordOf = ({ state, revision, pulse }: Machine): MachineRecord => ({
  ...state,
  revision,
  lastSeen: pulse.lastSeen,
  intervalMs: pulse.rhythm.intervalMs,
});

/**
 * One event of a machine's status: judged, stored, and only then its state. Another gateway may make the write void:
 * then the event is judged again by what is stored. Events of one machine are to be called one after another.
 * @returns the change; `stored` is false where the event did nothing
 * @throws what the store rejects with, other than store_conflict
 */
export async function happen(
  store: Pick<SolarStore, 'load' | 'saveStatus'>,
  clock: Clock,
  machine: Machine,
  event: MachineEvent,
): Promise<{ stored: boolean; change: StatusChange | undefined }> {
  for (;;) {
    const { state, effects } = transition(machine.state, event, clock.now());
    if (!effects.store) return { stored: false, change: undefined };
    const revision = drawRevision();
    const { change } = effects;
    const { lastSeen, rhythm } = machine.pulse;
    try {
      await store.saveStatus({
        expectedRevision: machine.revision,
        machine: { ...state, revision, lastSeen, intervalMs: rhythm.intervalMs },
        ...(change && { change }),
      });
    } catch (error) {
      if (!hasCode(error, 'store_conflict')) throw error;
      const found = await store.load(machine);
      // It may be stored all the same: the answer to a first try was lost.
      if (found?.revision !== revision) {
        if (found === undefined) throw error;
        machine.state = stateOf(found);
        machine.revision = found.revision;
        continue;
      }
    }
    machine.state = state;
    machine.revision = revision;
    machine.savedSeen = lastSeen;
    return { stored: true, change };
  }
}

/** Whether a message says what a row says: its time of receipt apart. */
export function saysTheSame(a: TelemetryRow, b: TelemetryRow): boolean {
  return (
    a.battery === b.battery &&
    a.solarV === b.solarV &&
    a.solarA === b.solarA &&
    a.water === b.water &&
    a.extra === b.extra
  );
}

/** A row of the machine is stored, or never will be. */
export function rowEnded(machine: Machine): void {
  machine.rowsUnderWay -= 1;
  if (machine.rowsUnderWay > 0 || machine.quiet.length === 0) return;
  for (const quiet of machine.quiet.splice(0)) quiet();
}

/** Fulfils when no row of the machine is on its way any more. */
export function rowsEnded(machine: Machine): Promise<void> {
  if (machine.rowsUnderWay === 0) return Promise.resolve();
  return new Promise((resolve) => {
    machine.quiet.push(resolve);
  });
}
