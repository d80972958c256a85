import { EVENT_TYPES, type EventType } from '../roast/event.js';
import type { DriverKind, MachineConfig } from '../roast/machine-definition.js';
import type { AppliedControl, StoredEvent, StoredMachine, StoredSession } from '../roast/ports.js';
import type { Sample } from '../roast/reading.js';
import type { Point } from '../roast/session.js';
import type {
  RoastControlTable,
  RoastEventTable,
  RoastMachineTable,
  RoastPointTable,
  RoastSessionTable,
} from './roast-tables.js';

/** A number that a driver of a database may give as text. */
const number = (value: number | null): number | null => (value === null ? null : Number(value));

export function machineOf(row: RoastMachineTable): StoredMachine {
  return {
    definition: {
      id: row.id,
      name: row.name,
      companyId: row.company_id,
      driver: row.driver as DriverKind,
      samplingMs: Number(row.sampling_ms),
      config: JSON.parse(row.config) as MachineConfig,
    },
    connected: Number(row.connected) === 1,
    sessionId: row.session_id,
    createdAt: Number(row.created_at),
  };
}

export function sessionOf(row: RoastSessionTable): Omit<StoredSession, 'points' | 'events' | 'controls'> {
  return {
    sessionId: row.id,
    phase: row.phase as StoredSession['phase'],
    startedAt: Number(row.started_at),
    endedMs: number(row.ended_ms),
    leadIn: (JSON.parse(row.lead_in) as [number, number | null, number | null][]).map(
      ([timeMs, bt, et]): Sample => ({ timeMs, bt, et }),
    ),
  };
}

/** Columns without their names: there may be hundreds of readings. */
export const leadInText = (leadIn: readonly Sample[]): string =>
  JSON.stringify(leadIn.map(({ timeMs, bt, et }) => [timeMs, bt, et]));

export function pointOf(row: RoastPointTable): Point {
  return {
    timeMs: Number(row.at_ms),
    bt: number(row.bt),
    et: number(row.et),
    btRor: number(row.bt_ror),
    etRor: number(row.et_ror),
    extra: row.extra === null ? {} : (JSON.parse(row.extra) as Point['extra']),
  };
}

export function rowOfPoint(sessionId: string, point: Point): RoastPointTable {
  return {
    session_id: sessionId,
    at_ms: point.timeMs,
    bt: point.bt,
    et: point.et,
    bt_ror: point.btRor,
    et_ror: point.etRor,
    extra: Object.keys(point.extra).length === 0 ? null : JSON.stringify(point.extra),
  };
}

export function eventOf(row: RoastEventTable): StoredEvent {
  return {
    given: Number(row.given) === 1,
    event: {
      number: Number(row.number),
      type: EVENT_TYPES.find((type) => type === row.type) as EventType,
      source: row.source === 'detected' ? 'detected' : 'marked',
      timeMs: Number(row.at_ms),
      knownMs: Number(row.known_ms),
      bt: number(row.bt),
      et: number(row.et),
      supersedes: number(row.supersedes),
    },
  };
}

export function rowOfEvent(sessionId: string, { event, given }: StoredEvent): RoastEventTable {
  return {
    session_id: sessionId,
    number: event.number,
    type: event.type,
    source: event.source,
    given: given ? 1 : 0,
    at_ms: event.timeMs,
    known_ms: event.knownMs,
    bt: event.bt,
    et: event.et,
    supersedes: event.supersedes,
  };
}

export const controlOf = (row: RoastControlTable): AppliedControl => ({
  timeMs: Number(row.at_ms),
  channel: row.channel,
  value: Number(row.value),
});
