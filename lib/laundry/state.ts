import { heard, type LivenessSettings, patience, type Rhythm, rhythmOf } from '../core/liveness.js';
import type { MachineReport, MachineStateMessage } from './codec.js';
import type { ControllerRecord, MachineRecord, StateChange } from './ports.js';

/**
 * One controller and its machines: what its messages do to them (protocols.md "Laundry: machine state").
 *
 * | event    | state                                       | does                                                  |
 * | -------- | ------------------------------------------- | ----------------------------------------------------- |
 * | message  | offline or new                              | online; then each machine as below                    |
 * |          | machine unknown                             | taken; change with no previous status                 |
 * |          | state newer, other status                   | taken; change with the time spent in the old status   |
 * |          | state newer, same status                    | renewed: last_updated and machine_type move, no change |
 * |          | same last_updated, same content             | duplicate                                             |
 * |          | same last_updated, other content            | the later message wins (see `outranks`), else stale   |
 * |          | state older                                 | stale: nothing                                        |
 * |          | machine absent from the message             | keeps its state                                       |
 * |          | machine_type null, or absent                | the known type stays                                  |
 * |          | last_updated > 5 min ahead of our clock     | taken as the time of receipt; clock_skew              |
 * | deadline | online, silent for the missed intervals     | offline; the machines keep their last state           |
 * |          | offline, or heard of since                  | nothing                                               |
 * | restored | any                                         | the count of missed intervals begins now              |
 */

/** A machine, and which message its state is from. */
interface Machine extends MachineRecord {
  /**
   * Timestamp of the newest message with this state. Kept in memory alone: after a restart the first message to
   * contradict a state of the same `last_updated` wins.
   */
  reportedAt: number;
}

export interface ControllerState {
  readonly storeId: string;
  readonly controllerId: string;
  readonly online: boolean;
  /** Time of receipt of the newest message, epoch ms; 0 before the first. */
  readonly lastSeen: number;
  /** From when on silence counts: the last message, or the start of the gateway where that is later. */
  readonly silentSince: number;
  readonly rhythm: Rhythm;
  readonly machines: ReadonlyMap<number, Machine>;
}

export type ControllerEvent =
  /** `replayed`: a dead letter read again says nothing of whether the controller speaks now. */
  | { type: 'message'; message: MachineStateMessage; receivedAt: number; replayed?: boolean }
  | { type: 'deadline' }
  | { type: 'restored' };

/** How many machines of a message met each fate. */
export interface Tally {
  changed: number;
  renewed: number;
  duplicate: number;
  stale: number;
  clockSkew: number;
}

/** What is to be done: to be stored, then told. */
export interface Effects {
  /** Machines that differ from what is stored. */
  records: MachineRecord[];
  changes: StateChange[];
  /** Set where the controller came or went. */
  liveness: 'online' | 'offline' | undefined;
  tally: Tally;
}

/** How far ahead of our clock a state may be before its own time is not believed. */
const SKEW_MS = 5 * 60 * 1000;

export function newController(
  storeId: string,
  controllerId: string,
  settings: LivenessSettings,
): ControllerState {
  return {
    storeId,
    controllerId,
    online: false,
    lastSeen: 0,
    silentSince: 0,
    rhythm: rhythmOf(settings.intervalMs),
    machines: new Map(),
  };
}

/** The state of a controller as the store has it. */
export function storedController(
  controller: ControllerRecord,
  machines: readonly MachineRecord[],
): ControllerState {
  return {
    storeId: controller.storeId,
    controllerId: controller.controllerId,
    online: controller.online,
    lastSeen: controller.lastSeen,
    silentSince: controller.lastSeen,
    rhythm: rhythmOf(controller.intervalMs),
    machines: new Map(machines.map((machine) => [machine.relayId, { ...machine, reportedAt: -Infinity }])),
  };
}

/** What of a controller is stored; the machines are stored by `Effects.records`. */
export function recordOf(state: ControllerState, revision: number): ControllerRecord {
  return {
    storeId: state.storeId,
    controllerId: state.controllerId,
    revision,
    lastSeen: state.lastSeen,
    intervalMs: state.rhythm.intervalMs,
    online: state.online,
  };
}

/** When an online controller that stays silent is offline, epoch ms; Infinity while it is offline. */
export function deadlineOf(state: ControllerState, settings: LivenessSettings): number {
  return state.online ? state.silentSince + patience(state.rhythm, settings) : Infinity;
}

const noEffects = (): Effects => ({
  records: [],
  changes: [],
  liveness: undefined,
  tally: { changed: 0, renewed: 0, duplicate: 0, stale: 0, clockSkew: 0 },
});

/**
 * @param now epoch milliseconds UTC at this gateway
 * @returns a new state; the old one is untouched, and is the same where nothing has changed
 */
export function transition(
  state: ControllerState,
  event: ControllerEvent,
  now: number,
  settings: LivenessSettings,
): { state: ControllerState; effects: Effects } {
  const effects = noEffects();
  switch (event.type) {
    case 'restored':
      return { state: { ...state, silentSince: Math.max(state.silentSince, now) }, effects };
    case 'deadline':
      if (deadlineOf(state, settings) > now) return { state, effects };
      effects.liveness = 'offline';
      return { state: { ...state, online: false }, effects };
    case 'message': {
      const machines = takeMachines(state, event.message, event.receivedAt, effects);
      const lastSeen = Math.max(state.lastSeen, event.receivedAt);
      if (event.replayed === true) return { state: { ...state, machines, lastSeen }, effects };
      if (!state.online) effects.liveness = 'online';
      const quiet = effects.tally.changed === 0;
      const { receivedAt, message } = event;
      return {
        state: {
          ...state,
          machines,
          online: true,
          lastSeen,
          silentSince: Math.max(state.silentSince, receivedAt),
          rhythm: heard(state.rhythm, receivedAt, message.timestamp, quiet, settings),
        },
        effects,
      };
    }
  }
}

function takeMachines(
  state: ControllerState,
  message: MachineStateMessage,
  receivedAt: number,
  effects: Effects,
): ReadonlyMap<number, Machine> {
  const { tally } = effects;
  const machines = new Map(state.machines);
  // By relay, because a message may name one twice and a row is to be written once.
  const records = new Map<number, MachineRecord>();
  for (const sent of message.machines) {
    const skewed = sent.lastUpdated > receivedAt + SKEW_MS;
    if (skewed) tally.clockSkew += 1;
    const report = skewed ? { ...sent, lastUpdated: receivedAt } : sent;
    const known = machines.get(report.relayId);
    if (known !== undefined && isSame(known, report)) {
      tally.duplicate += 1;
      if (message.timestamp > known.reportedAt) {
        machines.set(report.relayId, { ...known, reportedAt: message.timestamp });
      }
      continue;
    }
    if (known !== undefined && !outranks(report, message.timestamp, known)) {
      tally.stale += 1;
      continue;
    }
    const machine = takeState(known, report, message.timestamp);
    machines.set(report.relayId, machine);
    records.set(report.relayId, machine);
    if (known?.status === report.status) {
      tally.renewed += 1;
      continue;
    }
    tally.changed += 1;
    effects.changes.push({
      storeId: state.storeId,
      controllerId: state.controllerId,
      relayId: report.relayId,
      machineType: machine.machineType,
      status: report.status,
      previousStatus: known?.status ?? null,
      durationMs: known === undefined ? null : timeIn(known, report),
      lastUpdated: report.lastUpdated,
      receivedAt,
    });
  }
  for (const { reportedAt: _, ...record } of records.values() as Iterable<Machine>)
    effects.records.push(record);
  return machines;
}

function isSame(known: Machine, report: MachineReport): boolean {
  return (
    report.lastUpdated === known.lastUpdated &&
    report.status === known.status &&
    (report.machineType === null || report.machineType === known.machineType)
  );
}

/**
 * Newest wins. A clock of whole seconds can give two states the same `last_updated`; then the later message wins,
 * by its own timestamp, and if these are equal too the greater word: busy over idle, washer over dryer. So the order
 * of arrival never matters.
 */
function outranks(report: MachineReport, timestamp: number, known: Machine): boolean {
  if (report.lastUpdated !== known.lastUpdated) return report.lastUpdated > known.lastUpdated;
  if (timestamp !== known.reportedAt) return timestamp > known.reportedAt;
  if (report.status !== known.status) return report.status === 'busy';
  return known.machineType === null || report.machineType === 'washer';
}

const timeIn = (known: Machine, report: MachineReport) => Math.max(0, report.lastUpdated - known.since);

/** The machine in its new state, with its cycle counted where one has ended. */
function takeState(known: Machine | undefined, report: MachineReport, reportedAt: number): Machine {
  const { relayId, status, lastUpdated } = report;
  const machineType = report.machineType ?? known?.machineType ?? null;
  if (known === undefined) {
    return {
      relayId,
      machineType,
      status,
      lastUpdated,
      since: lastUpdated,
      busyMs: 0,
      cycles: 0,
      reportedAt,
    };
  }
  if (known.status === status) return { ...known, machineType, lastUpdated, reportedAt };
  const finished = known.status === 'busy';
  return {
    relayId,
    machineType,
    status,
    lastUpdated,
    since: lastUpdated,
    busyMs: known.busyMs + (finished ? timeIn(known, report) : 0),
    cycles: known.cycles + (finished ? 1 : 0),
    reportedAt,
  };
}
