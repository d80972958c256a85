import { heard, type LivenessSettings, patience, type Rhythm, rhythmOf } from '../core/liveness.js';
import { isOffline } from './codec.js';
import type { MachineRecord, Presence, ReportedStatus, StatusChange } from './ports.js';

/**
 * One machine: what its messages do to its status (protocols.md "Solar"). Telemetry of a machine that is online does
 * nothing here but beat (below).
 *
 * | event            | online             | leaving                   | offline, stale | new            |
 * | ---------------- | ------------------ | ------------------------- | -------------- | -------------- |
 * | status           | change if another  | online: change, restarted | online: change | online: change |
 * | telemetry        | –                  | online: change, restarted | online: change | online: change |
 * | status `offline` | leaving            | –                         | offline: change from stale | offline: change |
 * | 5 s later        | –                  | offline: change           | –              | –              |
 * | silence          | stale: change      | –                         | –              | –              |
 * | kept by the      | as status, but says nothing of whether it is there now: only what differs counts    |
 * |   broker         |                    |                           |                |                |
 *
 * A machine that said offline and is silent stays offline: it is not stale. Messages count in the order of arrival.
 */
export type MachineState = Omit<MachineRecord, 'revision' | 'lastSeen' | 'intervalMs'>;

export type MachineEvent =
  | {
      type: 'status';
      reported: ReportedStatus;
      receivedAt: number;
      /** The broker had kept it, or it is a dead letter read again. */
      past: boolean;
    }
  | { type: 'telemetry'; receivedAt: number }
  /** It has been silent since `lastSeen`, longer than its rhythm allows. */
  | { type: 'silence'; lastSeen: number }
  /** Time has passed since it said offline. */
  | { type: 'left' };

export interface MachineEffects {
  /** The state is to be stored. */
  store: boolean;
  change: StatusChange | undefined;
}

/** Offline and back within this time, ms, is one event (protocols.md "Solar"). */
export const RESTART_MS = 5_000;

/** What is shown of a machine that has reported no status of its own. */
const WITHOUT_STATUS = 'online';

export function shownStatus({ presence, reported }: Pick<MachineState, 'presence' | 'reported'>): string {
  if (presence === 'offline' || presence === 'stale') return presence;
  return reported?.status ?? WITHOUT_STATUS;
}

/** @param now epoch milliseconds UTC */
export function transition(
  state: MachineState,
  event: MachineEvent,
  now: number,
): { state: MachineState; effects: MachineEffects } {
  switch (event.type) {
    case 'status':
      return takeStatus(state, event);
    case 'telemetry':
      if (state.presence === 'online') return nothing(state);
      return become(state, 'online', state.reported, event.receivedAt);
    case 'silence':
      if (state.presence !== 'online') return nothing(state);
      return become(state, 'stale', state.reported, event.lastSeen);
    case 'left':
      if (state.presence !== 'leaving' || now < (state.leftAt ?? 0) + RESTART_MS) return nothing(state);
      return become(state, 'offline', state.reported, state.leftAt ?? now);
  }
}

const nothing = (state: MachineState) => ({ state, effects: { store: false, change: undefined } });

function takeStatus(
  state: MachineState,
  { reported, receivedAt, past }: Extract<MachineEvent, { type: 'status' }>,
): { state: MachineState; effects: MachineEffects } {
  const { presence } = state;
  if (isOffline(reported.status)) {
    if (presence === 'leaving' || presence === 'offline') return nothing(state);
    if (presence === 'online' && !past) {
      return {
        state: { ...state, presence: 'leaving', leftAt: receivedAt },
        effects: { store: true, change: undefined },
      };
    }
    return become(state, 'offline', state.reported, receivedAt);
  }
  // What the broker has kept is known already, unless it came while we were away.
  if (past && presence !== 'new' && isSame(state.reported, reported)) return nothing(state);
  const next = { ...state, reportedAt: receivedAt };
  return become(next, past && presence === 'stale' ? 'stale' : 'online', reported, receivedAt);
}

const isSame = (known: ReportedStatus | null, said: ReportedStatus) =>
  known !== null &&
  known.status === said.status &&
  known.energy === said.energy &&
  known.water === said.water &&
  known.area === said.area &&
  known.others === said.others;

function become(
  state: MachineState,
  presence: Presence,
  reported: ReportedStatus | null,
  at: number,
): { state: MachineState; effects: MachineEffects } {
  const before = state.presence === 'new' ? null : shownStatus(state);
  const restarted = state.presence === 'leaving' && presence === 'online';
  const next: MachineState = { ...state, presence, reported, leftAt: null };
  const status = shownStatus(next);
  if (status === before && !restarted) return { state: next, effects: { store: true, change: undefined } };
  const { companyId, machineId } = state;
  const change = { companyId, machineId, status, previousStatus: before, at, restarted };
  return { state: { ...next, since: at }, effects: { store: true, change } };
}

/** When a machine was heard, which every message changes: kept apart from its state, and changed in place. */
export interface Pulse {
  lastSeen: number;
  /** From when on silence counts: the last message, or the start of the gateway where that is later. */
  silentSince: number;
  rhythm: Rhythm;
}

/** Its rhythm is learnt at most so often, ms: no shorter interval is told apart. */
const LEARN_MS = 1_000;

export const pulseOf = (lastSeen: number, silentSince: number, intervalMs: number): Pulse => ({
  lastSeen,
  silentSince: Math.max(lastSeen, silentSince),
  rhythm: rhythmOf(intervalMs),
});

/**
 * A message came.
 * @param periodic it is telemetry, which a machine sends by its own period
 * @returns whether the rhythm is another now
 */
export function beat(pulse: Pulse, at: number, periodic: boolean, settings: LivenessSettings): boolean {
  if (at > pulse.lastSeen) pulse.lastSeen = at;
  if (at > pulse.silentSince) pulse.silentSince = at;
  if (!periodic) return false;
  const { quietAt } = pulse.rhythm;
  if (quietAt !== undefined && at - quietAt < LEARN_MS) return false;
  pulse.rhythm = heard(pulse.rhythm, at, at, true, settings);
  return true;
}

/** When a machine becomes stale if it stays silent, epoch ms. */
export function silentAt({ silentSince, rhythm }: Pulse, settings: LivenessSettings): number {
  return silentSince + patience(rhythm, settings);
}

/** When time alone does something to a machine, epoch ms; Infinity where it does nothing. */
export function deadlineOf(state: MachineState, pulse: Pulse, settings: LivenessSettings): number {
  if (state.presence === 'leaving') return (state.leftAt ?? 0) + RESTART_MS;
  return state.presence === 'online' ? silentAt(pulse, settings) : Infinity;
}
