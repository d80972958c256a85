import type {
  ControllerRecord,
  LaundryStore,
  LaundryWrite,
  LivenessChange,
  MessageRecord,
} from '../laundry/ports.js';
import { deadLetterStatement, deadLetters } from './dead-letters.js';
import { newId } from './ids.js';
import { type LaundryQueries, laundryQueries } from './laundry-queries.js';
import { loadControllers } from './laundry-rows.js';
import { messageStatement } from './messages.js';
import { insertOnce, placeholders, prepare, upsert } from './prepared.js';
import type { Statement, Store } from './store.js';
import type {
  LaundryControllerTable,
  LaundryLivenessTable,
  LaundryMachineTable,
  LaundryStateChangeTable,
} from './tables.js';

/** The laundry's rows: what its rules write and load (lib/laundry/ports.ts), and what REST and pages ask. */
export function laundryStore(store: Store): LaundryStore & LaundryQueries {
  const statements = laundryStatements(store);
  const { countEarlier } = deadLetters(store);
  return {
    ...laundryQueries(store),
    countEarlier,
    loadAll: () => loadControllers(store),
    async load(storeId, controllerId) {
      const [found] = await loadControllers(store, storeId, controllerId);
      return found;
    },
    save: (write) => store.commit(statements.save(write)),
    refuse: (letters, message) => store.commit(statements.refuse(letters, message)),
  };
}

/** Compiled once; a message then costs no more than filling in its values. */
function laundryStatements(store: Store) {
  const { db } = store;
  const insertController = prepare<LaundryControllerTable>(
    db,
    (value) =>
      insertOnce(store, 'laundry_controller', placeholders<'laundry_controller'>(value, CONTROLLER), [
        'store_id',
        'controller_id',
      ]),
    { affects: 1 },
  );
  const updateController = prepare<LaundryControllerTable & { expected_revision: number }>(
    db,
    (value) =>
      db
        .updateTable('laundry_controller')
        .set({
          revision: value('revision'),
          last_seen: value('last_seen'),
          interval_ms: value('interval_ms'),
          online: value('online'),
        })
        .where('store_id', '=', value('store_id'))
        .where('controller_id', '=', value('controller_id'))
        .where('revision', '=', value('expected_revision')),
    { affects: 1 },
  );
  const upsertMachine = prepare<LaundryMachineTable>(db, (value) =>
    upsert(store, 'laundry_machine', placeholders<'laundry_machine'>(value, MACHINE), [
      'store_id',
      'controller_id',
      'relay_id',
    ]),
  );
  const insertChange = prepare<LaundryStateChangeTable>(db, (value) =>
    insertOnce(store, 'laundry_state_change', placeholders<'laundry_state_change'>(value, CHANGE), ['id']),
  );
  const insertLiveness = prepare<LaundryLivenessTable>(db, (value) =>
    insertOnce(store, 'laundry_liveness', placeholders<'laundry_liveness'>(value, LIVENESS), ['id']),
  );
  const deadLetter = deadLetterStatement(store);
  const messageOf = messageStatement(store, 'laundry');

  const controllerOf = (controller: ControllerRecord, expectedRevision: number) => {
    const row = {
      store_id: controller.storeId,
      controller_id: controller.controllerId,
      revision: controller.revision,
      last_seen: controller.lastSeen,
      interval_ms: controller.intervalMs,
      online: controller.online ? 1 : 0,
      expected_revision: expectedRevision,
    };
    // The guard comes first: a unit that is void by it has written nothing that would have to be undone.
    return expectedRevision === 0 ? insertController(row) : updateController(row);
  };
  const livenessOf = ({ storeId, controllerId }: ControllerRecord, { online, at }: LivenessChange) =>
    insertLiveness({
      id: newId(),
      store_id: storeId,
      controller_id: controllerId,
      online: online ? 1 : 0,
      at,
    });

  return {
    save({
      expectedRevision,
      controller,
      machines,
      changes,
      deadLetters,
      liveness,
      message,
    }: LaundryWrite): Statement[] {
      const { storeId, controllerId } = controller;
      const unit = [controllerOf(controller, expectedRevision)];
      for (const machine of machines) {
        unit.push(
          upsertMachine({
            store_id: storeId,
            controller_id: controllerId,
            relay_id: machine.relayId,
            machine_type: machine.machineType,
            status: machine.status,
            last_updated: machine.lastUpdated,
            since: machine.since,
            busy_ms: machine.busyMs,
            cycles: machine.cycles,
          }),
        );
      }
      for (const change of changes) {
        unit.push(
          insertChange({
            id: newId(),
            store_id: change.storeId,
            controller_id: change.controllerId,
            relay_id: change.relayId,
            machine_type: change.machineType,
            status: change.status,
            previous_status: change.previousStatus,
            duration_ms: change.durationMs,
            last_updated: change.lastUpdated,
            received_at: change.receivedAt,
          }),
        );
      }
      for (const letter of deadLetters) unit.push(deadLetter(letter));
      if (liveness !== undefined) unit.push(livenessOf(controller, liveness));
      if (message !== undefined) unit.push(messageOf(message));
      return unit;
    },
    refuse(letters: LaundryWrite['deadLetters'], message: MessageRecord | undefined): Statement[] {
      const unit = letters.map(deadLetter);
      if (message !== undefined) unit.push(messageOf(message));
      return unit;
    },
  };
}

const CONTROLLER = ['store_id', 'controller_id', 'revision', 'last_seen', 'interval_ms', 'online'] as const;
const MACHINE = [
  'store_id',
  'controller_id',
  'relay_id',
  'machine_type',
  'status',
  'last_updated',
  'since',
  'busy_ms',
  'cycles',
] as const;
const CHANGE = [
  'id',
  'store_id',
  'controller_id',
  'relay_id',
  'machine_type',
  'status',
  'previous_status',
  'duration_ms',
  'last_updated',
  'received_at',
] as const;
const LIVENESS = ['id', 'store_id', 'controller_id', 'online', 'at'] as const;
