import type {
  ControllerRecord,
  MachineRecord,
  MachineStatus,
  MachineType,
  StateChange,
} from '../laundry/ports.js';
import type { Store } from './store.js';
import type { LaundryControllerTable, LaundryMachineTable, LaundryStateChangeTable } from './tables.js';

export interface ControllerWithMachines {
  controller: ControllerRecord;
  machines: MachineRecord[];
}

export function controllerOf(row: LaundryControllerTable): ControllerRecord {
  return {
    storeId: row.store_id,
    controllerId: row.controller_id,
    revision: row.revision,
    lastSeen: row.last_seen,
    intervalMs: row.interval_ms,
    online: row.online === 1,
  };
}

export function machineOf(row: LaundryMachineTable): MachineRecord {
  return {
    relayId: row.relay_id,
    machineType: row.machine_type as MachineType,
    status: row.status as MachineStatus,
    lastUpdated: row.last_updated,
    since: row.since,
    busyMs: row.busy_ms,
    cycles: row.cycles,
  };
}

export function changeOf(row: LaundryStateChangeTable): StateChange {
  return {
    storeId: row.store_id,
    controllerId: row.controller_id,
    relayId: row.relay_id,
    machineType: row.machine_type as MachineType,
    status: row.status as MachineStatus,
    previousStatus: row.previous_status as MachineStatus | null,
    durationMs: row.duration_ms,
    lastUpdated: row.last_updated,
    receivedAt: row.received_at,
  };
}

/**
 * Controllers with their machines, in the order of their ids: all, one store's, or one. One query, so
 * that a controller and its machines are never of different revisions.
 */
export async function loadControllers(
  { db }: Pick<Store, 'db'>,
  storeId?: string,
  controllerId?: string,
): Promise<ControllerWithMachines[]> {
  let query = db
    .selectFrom('laundry_controller as controller')
    .leftJoin('laundry_machine as machine', (join) =>
      join
        .onRef('machine.store_id', '=', 'controller.store_id')
        .onRef('machine.controller_id', '=', 'controller.controller_id'),
    )
    .select([
      'controller.store_id',
      'controller.controller_id',
      'revision',
      'last_seen',
      'interval_ms',
      'online',
      'relay_id',
      'machine_type',
      'status',
      'last_updated',
      'since',
      'busy_ms',
      'cycles',
    ])
    .orderBy('controller.store_id')
    .orderBy('controller.controller_id')
    .orderBy('relay_id');
  if (storeId !== undefined) query = query.where('controller.store_id', '=', storeId);
  if (controllerId !== undefined) query = query.where('controller.controller_id', '=', controllerId);

  const found: ControllerWithMachines[] = [];
  for (const row of await query.execute()) {
    let last = found.at(-1);
    const { storeId: store, controllerId: id } = last?.controller ?? {};
    if (last === undefined || store !== row.store_id || id !== row.controller_id) {
      last = { controller: controllerOf(row), machines: [] };
      found.push(last);
    }
    if (row.relay_id !== null) last.machines.push(machineOf(row as LaundryMachineTable));
  }
  return found;
}
