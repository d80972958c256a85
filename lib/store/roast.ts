import { type Clock, systemClock } from '../core/clock.js';
import { FieldloomError, hasCode } from '../core/errors.js';
import type { MachineDefinition } from '../roast/machine-definition.js';
import type { RoastStore } from '../roast/ports.js';
import { insertOnce, placeholders, prepare } from './prepared.js';
import {
  controlOf,
  eventOf,
  leadInText,
  machineOf,
  pointOf,
  rowOfEvent,
  rowOfPoint,
  sessionOf,
} from './roast-rows.js';
import type {
  RoastControlTable,
  RoastEventTable,
  RoastMachineTable,
  RoastPointTable,
  RoastSessionTable,
} from './roast-tables.js';
import type { Store } from './store.js';

const MACHINE = [
  'id',
  'name',
  'company_id',
  'driver',
  'sampling_ms',
  'config',
  'connected',
  'session_id',
  'created_at',
] as const;
const SESSION = ['id', 'machine_id', 'phase', 'started_at', 'ended_ms', 'lead_in'] as const;
const POINT = ['session_id', 'at_ms', 'bt', 'et', 'bt_ror', 'et_ror', 'extra'] as const;
const EVENT = [
  'session_id',
  'number',
  'type',
  'source',
  'given',
  'at_ms',
  'known_ms',
  'bt',
  'et',
  'supersedes',
] as const;
const CONTROL = ['session_id', 'number', 'at_ms', 'channel', 'value'] as const;

const columnsOf = ({ name, driver, samplingMs, config }: MachineDefinition) => ({
  name,
  driver,
  sampling_ms: samplingMs,
  config: JSON.stringify(config),
});

/** The rows of roasting machines and their sessions (lib/roast/ports.ts). */
export function roastStore(store: Store, { clock = systemClock }: { clock?: Clock } = {}): RoastStore {
  const { db } = store;
  const insertMachine = prepare<RoastMachineTable>(
    db,
    (value) => insertOnce(store, 'roast_machine', placeholders<'roast_machine'>(value, MACHINE), ['id']),
    { affects: 1 },
  );
  const updateMachine = prepare<Pick<RoastMachineTable, 'id' | 'name' | 'driver' | 'sampling_ms' | 'config'>>(
    db,
    (value) =>
      db
        .updateTable('roast_machine')
        .set({
          name: value('name'),
          driver: value('driver'),
          sampling_ms: value('sampling_ms'),
          config: value('config'),
        })
        .where('id', '=', value('id')),
  );
  const deleteMachine = prepare<{ id: string }>(db, (value) =>
    db.deleteFrom('roast_machine').where('id', '=', value('id')),
  );
  const setConnected = prepare<{ id: string; connected: number }>(db, (value) =>
    db
      .updateTable('roast_machine')
      .set({ connected: value('connected') })
      .where('id', '=', value('id')),
  );
  const setSession = prepare<{ id: string; session_id: string | null }>(db, (value) =>
    db
      .updateTable('roast_machine')
      .set({ session_id: value('session_id') })
      .where('id', '=', value('id')),
  );
  const insertSession = prepare<RoastSessionTable>(db, (value) =>
    db.insertInto('roast_session').values(placeholders<'roast_session'>(value, SESSION)),
  );
  const forgetMonitoring = prepare<{ machine_id: string }>(db, (value) =>
    db
      .deleteFrom('roast_session')
      .where('machine_id', '=', value('machine_id'))
      .where('phase', '=', 'monitoring'),
  );
  const endSession = prepare<{ id: string; ended_ms: number }>(db, (value) =>
    db
      .updateTable('roast_session')
      .set({ phase: 'finished', ended_ms: value('ended_ms') })
      .where('id', '=', value('id')),
  );
  const insertPoint = prepare<RoastPointTable>(db, (value) =>
    db.insertInto('roast_point').values(placeholders<'roast_point'>(value, POINT)),
  );
  const insertEvent = prepare<RoastEventTable>(db, (value) =>
    db.insertInto('roast_event').values(placeholders<'roast_event'>(value, EVENT)),
  );
  const insertControl = prepare<RoastControlTable>(db, (value) =>
    db.insertInto('roast_control').values(placeholders<'roast_control'>(value, CONTROL)),
  );

  return {
    async machines() {
      const rows = await db
        .selectFrom('roast_machine')
        .selectAll()
        .orderBy('created_at')
        .orderBy('id')
        .execute();
      return rows.map(machineOf);
    },

    async addMachine(definition) {
      const { id } = definition;
      try {
        await store.commit([
          insertMachine({
            id,
            company_id: definition.companyId,
            ...columnsOf(definition),
            connected: 0,
            session_id: null,
            created_at: clock.now(),
          }),
        ]);
      } catch (error) {
        if (!hasCode(error, 'store_conflict')) throw error;
        throw new FieldloomError('conflict', `there is a machine ${id} already`, { cause: error });
      }
    },

    updateMachine: (definition) =>
      store.commit([updateMachine({ id: definition.id, ...columnsOf(definition) })]),

    removeMachine: (id) => store.commit([forgetMonitoring({ machine_id: id }), deleteMachine({ id })]),

    setConnected: (id, connected) => store.commit([setConnected({ id, connected: connected ? 1 : 0 })]),

    async session(sessionId) {
      const of = <T extends 'roast_point' | 'roast_event' | 'roast_control'>(table: T) =>
        db
          .selectFrom(table as 'roast_point')
          .selectAll()
          .where('session_id', '=', sessionId);
      const row = await db
        .selectFrom('roast_session')
        .selectAll()
        .where('id', '=', sessionId)
        .executeTakeFirst();
      if (row === undefined) return undefined;
      const points = await of('roast_point').orderBy('at_ms').execute();
      const events = await of('roast_event')
        .orderBy('number' as 'at_ms')
        .execute();
      const controls = await of('roast_control')
        .orderBy('number' as 'at_ms')
        .execute();
      return {
        ...sessionOf(row),
        points: points.map(pointOf),
        events: (events as unknown as RoastEventTable[]).map(eventOf),
        controls: (controls as unknown as RoastControlTable[]).map(controlOf),
      };
    },

    beginSession: ({ sessionId, machineId, phase, startedAt, leadIn }) =>
      store.commit([
        forgetMonitoring({ machine_id: machineId }),
        insertSession({
          id: sessionId,
          machine_id: machineId,
          phase,
          started_at: startedAt,
          ended_ms: null,
          lead_in: leadInText(leadIn),
        }),
        setSession({ id: machineId, session_id: sessionId }),
      ]),

    endSession: (sessionId, endedMs) => store.commit([endSession({ id: sessionId, ended_ms: endedMs })]),

    leaveSession: (machineId) =>
      store.commit([
        forgetMonitoring({ machine_id: machineId }),
        setSession({ id: machineId, session_id: null }),
      ]),

    addPoint: (sessionId, point) => store.commit([insertPoint(rowOfPoint(sessionId, point))]),
    addEvent: (sessionId, event) => store.commit([insertEvent(rowOfEvent(sessionId, event))]),
    addControl: (sessionId, number, { timeMs, channel, value }) =>
      store.commit([insertControl({ session_id: sessionId, number, at_ms: timeMs, channel, value })]),
  };
}
