import type { ControllerRecord, LivenessChange, MachineRecord, MachineStatus, StateChange } from './ports.js';

/**
 * How REST and live feeds name what the laundry knows (contract.md "REST"). The only place that knows these names.
 * Times leave as ISO 8601 UTC.
 */

const instant = (ms: number) => new Date(ms).toISOString();

export interface ControllerWithMachines {
  controller: ControllerRecord;
  machines: readonly MachineRecord[];
}

/** What a person is told of a machine: nobody knows while its controller is offline. */
function shownStatus(controller: ControllerRecord, machine: MachineRecord): MachineStatus | 'unknown' {
  return controller.online ? machine.status : 'unknown';
}

export function formatMachine(controller: ControllerRecord, machine: MachineRecord) {
  return {
    relay_id: machine.relayId,
    machine_type: machine.machineType,
    status: shownStatus(controller, machine),
    last_status: machine.status,
    since: instant(machine.since),
    last_updated: instant(machine.lastUpdated),
  };
}

export function formatController(controller: Pick<ControllerRecord, 'controllerId' | 'online' | 'lastSeen'>) {
  return {
    controller_id: controller.controllerId,
    online: controller.online,
    last_seen: instant(controller.lastSeen),
  };
}

/** Answer of `GET /stores/{store_id}/machines`, and the snapshot of its live feed; by controller and relay. */
export function formatStore(storeId: string, controllers: readonly ControllerWithMachines[]) {
  return {
    store_id: storeId,
    controllers: [...controllers]
      .sort((a, b) => (a.controller.controllerId < b.controller.controllerId ? -1 : 1))
      .map(({ controller, machines }) => ({
        ...formatController(controller),
        machines: [...machines]
          .sort((a, b) => a.relayId - b.relayId)
          .map((machine) => formatMachine(controller, machine)),
      })),
  };
}

/** A controller came, or went: `at` is when it was last heard then. */
export function formatLivenessChange(change: LivenessChange & { controllerId: string }) {
  return { controller_id: change.controllerId, online: change.online, at: instant(change.at) };
}

export function formatChange(change: StateChange) {
  return {
    controller_id: change.controllerId,
    relay_id: change.relayId,
    machine_type: change.machineType,
    status: change.status,
    previous_status: change.previousStatus,
    duration_s: change.durationMs === null ? null : change.durationMs / 1000,
    last_updated: instant(change.lastUpdated),
    received_at: instant(change.receivedAt),
  };
}

/** One machine over a span of time. */
export interface MachineStatistics {
  controllerId: string;
  relayId: number;
  busyMs: number;
  /** Cycles that ended in the span. */
  cycles: number;
  /** Changes of state in the span. */
  changes: number;
}

/** @param spanMs length of the span asked for */
export function formatStatistics(statistics: MachineStatistics, spanMs: number) {
  return {
    controller_id: statistics.controllerId,
    relay_id: statistics.relayId,
    busy_s: statistics.busyMs / 1000,
    busy_share: spanMs > 0 ? Math.round((statistics.busyMs / spanMs) * 10_000) / 10_000 : 0,
    cycles: statistics.cycles,
    changes: statistics.changes,
  };
}
