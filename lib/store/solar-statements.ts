import type {
  Append,
  Bucket,
  MachineRecord,
  RollupStore,
  StatusWrite,
  TelemetryRow,
} from '../solar/ports.js';
import { beginOf, MINUTE_MS } from '../solar/rollup.js';
import { newId } from './ids.js';
import { insertOnce, PreparedStatement, placeholders, prepare, upsert } from './prepared.js';
import { fieldsText, machineRow } from './solar-rows.js';
import type {
  SolarBucketTable,
  SolarMachineTable,
  SolarMessageTable,
  SolarRollupMarkTable,
  SolarRollupTable,
  SolarStatusChangeTable,
  SolarTelemetryTable,
} from './solar-tables.js';
import type { SqlValue, Statement, Store } from './store.js';

/* Arrays that wait for their commit are copied instead of written as literals: as PreparedStatement. */
const NO_PARAMETERS: readonly SqlValue[] = Array(9).fill(null);
const NO_UNIT: readonly Statement[] = [{ sql: '', parameters: [] }];

function unitOf(statement: Statement): Statement[] {
  const unit = NO_UNIT.slice();
  unit[0] = statement;
  return unit;
}

/** In the order of the columns. */
function parametersOf(row: TelemetryRow): SqlValue[] {
  const parameters = NO_PARAMETERS.slice();
  parameters[0] = row.machine;
  parameters[1] = row.at;
  parameters[2] = row.id;
  parameters[3] = row.receivedAt;
  parameters[4] = row.battery;
  parameters[5] = row.solarV;
  parameters[6] = row.solarA;
  parameters[7] = row.water;
  parameters[8] = row.extra;
  return parameters;
}

/** Compiled once; a message then costs no more than filling in its values. */
export function solarStatements(store: Store) {
  const { db } = store;
  const insertMachine = prepare<SolarMachineTable>(
    db,
    (value) =>
      insertOnce(store, 'solar_machine', placeholders<'solar_machine'>(value, MACHINE), [
        'company_id',
        'machine_id',
      ]),
    { affects: 1 },
  );
  const insertRollup = prepare<SolarRollupTable>(db, (value) =>
    insertOnce(store, 'solar_rollup', placeholders<'solar_rollup'>(value, ROLLUP), ['machine']),
  );
  const updateMachine = prepare<SolarMachineTable & { expected_revision: number }>(
    db,
    (value) => {
      const {
        company_id: _,
        machine_id: __,
        number: ___,
        ...columns
      } = placeholders<'solar_machine'>(value, MACHINE);
      return db
        .updateTable('solar_machine')
        .set(columns)
        .where('company_id', '=', value('company_id'))
        .where('machine_id', '=', value('machine_id'))
        .where('revision', '=', value('expected_revision'));
    },
    { affects: 1 },
  );
  const updateSeen = prepare<{ number: number; last_seen: number; interval_ms: number }>(db, (value) =>
    db
      .updateTable('solar_machine')
      .set({ last_seen: value('last_seen'), interval_ms: value('interval_ms') })
      .where('number', '=', value('number'))
      .where('last_seen', '<', value('last_seen')),
  );
  const insertChange = prepare<SolarStatusChangeTable>(db, (value) =>
    insertOnce(store, 'solar_status_change', placeholders<'solar_status_change'>(value, CHANGE), [
      'machine',
      'at',
      'id',
    ]),
  );
  const insertMessage = prepare<SolarMessageTable>(
    db,
    (value) =>
      insertOnce(store, 'solar_message', placeholders<'solar_message'>(value, MESSAGE), [
        'machine',
        'digest',
      ]),
    { affects: 1 },
  );
  const insertMark = prepare<SolarRollupMarkTable>(db, (value) =>
    insertOnce(store, 'solar_rollup_mark', placeholders<'solar_rollup_mark'>(value, MARK), [
      'minute',
      'machine',
      'token',
    ]),
  );
  const deleteMark = prepare<SolarRollupMarkTable>(db, (value) =>
    db
      .deleteFrom('solar_rollup_mark')
      .where('minute', '=', value('minute'))
      .where('machine', '=', value('machine'))
      .where('token', '=', value('token')),
  );
  const upsertBucket = (table: 'solar_minute' | 'solar_hour') =>
    prepare<SolarBucketTable>(db, (value) =>
      upsert(store, table, placeholders<'solar_minute'>(value, BUCKET), ['machine', 'at']),
    );
  const upsertMinute = upsertBucket('solar_minute');
  const upsertHour = upsertBucket('solar_hour');
  const moveRollup = prepare<SolarRollupTable & { expected_revision: number }>(
    db,
    (value) =>
      db
        .updateTable('solar_rollup')
        .set({ rolled_until: value('rolled_until'), revision: value('revision') })
        .where('machine', '=', value('machine'))
        .where('revision', '=', value('expected_revision')),
    { affects: 1 },
  );
  const telemetrySql = telemetryInsert(store);

  const mark = (machine: number, at: number): Statement =>
    insertMark({ machine, minute: beginOf(at, MINUTE_MS), token: newToken() });
  const bucketRow = (machine: number, { at, fields }: Bucket) => ({
    machine,
    at,
    fields: fieldsText(fields),
  });

  return {
    mark,

    register: (machine: SolarMachineTable, rolledUntil: number): Statement[] => [
      insertMachine(machine),
      insertRollup({ machine: machine.number, rolled_until: rolledUntil, revision: 1 }),
    ],

    /** One statement for most messages. What guards comes first: a unit that is void by it has written nothing. */
    append({ row, identified, digest, late }: Append): readonly Statement[] {
      const { machine, at } = row;
      const affects = identified && digest === null ? 1 : undefined;
      const insert = new PreparedStatement(telemetrySql, parametersOf(row), affects);
      if (digest === null && !late) return unitOf(insert);
      const unit: Statement[] = digest === null ? [insert] : [insertMessage({ machine, digest, at }), insert];
      if (late) unit.push(mark(machine, at));
      return unit;
    },

    status({ expectedRevision, machine, change }: StatusWrite): Statement[] {
      const unit = [updateMachine({ ...machineRow(machine), expected_revision: expectedRevision })];
      if (change !== undefined) {
        unit.push(
          insertChange({
            machine: machine.number,
            at: change.at,
            id: newId(),
            status: change.status,
            previous_status: change.previousStatus,
            restarted: change.restarted ? 1 : 0,
          }),
        );
      }
      return unit;
    },

    seen: ({ number, lastSeen, intervalMs }: Pick<MachineRecord, 'number' | 'lastSeen' | 'intervalMs'>) =>
      updateSeen({ number, last_seen: lastSeen, interval_ms: intervalMs }),

    rollup({
      machine,
      expectedRevision,
      state,
      minutes,
      hours,
      marks,
    }: Parameters<RollupStore['saveRollup']>[0]): Statement[] {
      return [
        moveRollup({
          machine,
          rolled_until: state.rolledUntil,
          revision: state.revision,
          expected_revision: expectedRevision,
        }),
        ...minutes.map((bucket) => upsertMinute(bucketRow(machine, bucket))),
        ...hours.map((bucket) => upsertHour(bucketRow(machine, bucket))),
        ...marks.map(({ minute, token }) => deleteMark({ machine, minute, token })),
      ];
    },
  };
}

/** Tells marks of one minute apart. */
const newToken = () => Math.floor(Math.random() * Number.MAX_SAFE_INTEGER);

/** The text alone: its values stand in the order of the columns, so that a message needs no names to be looked up. */
function telemetryInsert(store: Store): string {
  const insert = prepare<SolarTelemetryTable>(store.db, (value) =>
    insertOnce(store, 'solar_telemetry', placeholders<'solar_telemetry'>(value, TELEMETRY), [
      'machine',
      'at',
      'id',
    ]),
  );
  const places = Object.fromEntries(TELEMETRY.map((column, index) => [column, index]));
  const { sql, parameters } = insert(places as unknown as SolarTelemetryTable);
  if (parameters.some((place, index) => place !== index)) throw new Error(`columns out of order: ${sql}`);
  return sql;
}

const MACHINE = [
  'company_id',
  'machine_id',
  'number',
  'revision',
  'presence',
  'status',
  'energy',
  'water',
  'area',
  'others',
  'reported_at',
  'since',
  'left_at',
  'last_seen',
  'interval_ms',
] as const;
const CHANGE = ['machine', 'at', 'id', 'status', 'previous_status', 'restarted'] as const;
const TELEMETRY = [
  'machine',
  'at',
  'id',
  'received_at',
  'battery',
  'solar_v',
  'solar_a',
  'water',
  'extra',
] as const;
const MESSAGE = ['machine', 'digest', 'at'] as const;
const BUCKET = ['machine', 'at', 'fields'] as const;
const ROLLUP = ['machine', 'rolled_until', 'revision'] as const;
const MARK = ['minute', 'machine', 'token'] as const;
