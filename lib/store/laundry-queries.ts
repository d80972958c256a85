import { FieldloomError } from '../core/errors.js';
import type { LivenessChange, MachineStatus, StateChange } from '../laundry/ports.js';
import { type ControllerWithMachines, changeOf, loadControllers } from './laundry-rows.js';
import {
  type MachineStatistics,
  type Surroundings,
  statisticsOf,
  type Transition,
  type Window,
} from './laundry-statistics.js';
import { type Page, type PageRequest, pageLimit, pageOf, readCursor } from './page.js';
import type { Store } from './store.js';

export interface HistoryFilter extends PageRequest {
  controllerId?: string;
  relayId?: number;
  /** By the state's own time: `from` inclusive, `to` exclusive, epoch ms. */
  from?: number;
  to?: number;
}

export interface LivenessFilter extends PageRequest {
  controllerId?: string;
  /** `from` inclusive, `to` exclusive, epoch ms. */
  from?: number;
  to?: number;
}

export interface LaundryQueries {
  /** Ids of all stores that have a controller. */
  storeIds(): Promise<string[]>;
  /** One store's controllers with their machines, in the order of their ids; none where it is unknown. */
  machinesOf(storeId: string): Promise<ControllerWithMachines[]>;
  /** State changes, newest first. @throws FieldloomError invalid_input */
  history(storeId: string, filter?: HistoryFilter): Promise<Page<StateChange & { id: string }>>;
  /** When controllers came and went, newest first. @throws FieldloomError invalid_input */
  livenessHistory(
    storeId: string,
    filter?: LivenessFilter,
  ): Promise<Page<LivenessChange & { controllerId: string }>>;
  /**
   * What each machine of a store did inside the window.
   * @param now the present, epoch ms: a running cycle counts up to it, or up to the last word of a controller that
   *   is offline
   * @throws FieldloomError invalid_input
   */
  statistics(storeId: string, window: Window, now: number): Promise<MachineStatistics[]>;
}

export function laundryQueries(store: Pick<Store, 'db'>): LaundryQueries {
  const { db } = store;
  return {
    async storeIds() {
      const rows = await db
        .selectFrom('laundry_controller')
        .select('store_id')
        .distinct()
        .orderBy('store_id')
        .execute();
      return rows.map(({ store_id }) => store_id);
    },

    machinesOf: (storeId) => loadControllers(store, storeId),

    async history(storeId, filter = {}) {
      const { controllerId, relayId, from, to, cursor } = filter;
      const limit = pageLimit(filter);
      let query = db
        .selectFrom('laundry_state_change')
        .selectAll()
        .where('store_id', '=', storeId)
        .orderBy('last_updated', 'desc')
        .orderBy('id', 'desc')
        .limit(limit + 1);
      if (controllerId !== undefined) query = query.where('controller_id', '=', controllerId);
      if (relayId !== undefined) query = query.where('relay_id', '=', relayId);
      if (from !== undefined) query = query.where('last_updated', '>=', from);
      if (to !== undefined) query = query.where('last_updated', '<', to);
      if (cursor !== undefined) {
        const [at, id] = readCursor(cursor, 'number', 'string');
        // The first condition is what the index can use; the second cuts the rows of that very millisecond.
        query = query
          .where('last_updated', '<=', at)
          .where((is) => is.or([is('last_updated', '<', at), is('id', '<', id)]));
      }
      return pageOf(
        await query.execute(),
        limit,
        (row) => ({ id: row.id, ...changeOf(row) }),
        (row) => [row.last_updated, row.id],
      );
    },

    async livenessHistory(storeId, filter = {}) {
      const { controllerId, from, to, cursor } = filter;
      const limit = pageLimit(filter);
      let query = db
        .selectFrom('laundry_liveness')
        .selectAll()
        .where('store_id', '=', storeId)
        .orderBy('at', 'desc')
        .orderBy('id', 'desc')
        .limit(limit + 1);
      if (controllerId !== undefined) query = query.where('controller_id', '=', controllerId);
      if (from !== undefined) query = query.where('at', '>=', from);
      if (to !== undefined) query = query.where('at', '<', to);
      if (cursor !== undefined) {
        const [at, id] = readCursor(cursor, 'number', 'string');
        query = query.where('at', '<=', at).where((is) => is.or([is('at', '<', at), is('id', '<', id)]));
      }
      return pageOf(
        await query.execute(),
        limit,
        (row) => ({ controllerId: row.controller_id, online: row.online === 1, at: Number(row.at) }),
        (row) => [Number(row.at), row.id],
      );
    },

    async statistics(storeId, window, now) {
      if (!(window.from <= window.to)) {
        throw new FieldloomError(
          'invalid_input',
          `from is ${window.from} and to is ${window.to}: from comes first`,
        );
      }
      const [controllers, inside] = await Promise.all([
        loadControllers(store, storeId),
        transitions(store, storeId, window),
      ]);
      const quiet = controllers.some(({ controller, machines }) =>
        machines.some(
          (machine) =>
            machine.since >= window.to && !inside.has(keyOf(controller.controllerId, machine.relayId)),
        ),
      );
      const after = quiet ? await statusBefore(store, storeId, window.to) : new Map<string, MachineStatus>();
      return controllers.flatMap(({ controller, machines }) =>
        machines.map((machine) => {
          const { controllerId, online, lastSeen } = controller;
          const key = keyOf(controllerId, machine.relayId);
          const surroundings: Surroundings = {
            knownFrom: machine.since < window.to ? machine.since : Number.NEGATIVE_INFINITY,
            throughout: machine.since < window.to ? machine.status : after.get(key),
            knownUntil: online || machine.since >= window.to ? now : Math.min(now, lastSeen),
          };
          return {
            controllerId,
            relayId: machine.relayId,
            ...statisticsOf(inside.get(key) ?? [], surroundings, window),
          };
        }),
      );
    },
  };
}

const keyOf = (controllerId: string, relayId: number) => `${controllerId}/${relayId}`;

async function transitions({ db }: Pick<Store, 'db'>, storeId: string, { from, to }: Window) {
  const rows = await db
    .selectFrom('laundry_state_change')
    .select(['controller_id', 'relay_id', 'last_updated', 'status', 'previous_status'])
    .where('store_id', '=', storeId)
    .where('last_updated', '>=', from)
    .where('last_updated', '<', to)
    .orderBy('last_updated')
    .orderBy('id')
    .execute();
  const found = new Map<string, Transition[]>();
  for (const row of rows) {
    const key = keyOf(row.controller_id, row.relay_id);
    const list = found.get(key) ?? [];
    if (list.length === 0) found.set(key, list);
    list.push({
      at: row.last_updated,
      status: row.status as MachineStatus,
      previousStatus: row.previous_status as MachineStatus | null,
    });
  }
  return found;
}

/** For each machine that changed at `at` or later: its status before, as its first change after it says. */
async function statusBefore({ db }: Pick<Store, 'db'>, storeId: string, at: number) {
  const first = db
    .selectFrom('laundry_state_change')
    .select(['controller_id', 'relay_id'])
    .select((is) => is.fn.min('last_updated').as('first'))
    .where('store_id', '=', storeId)
    .where('last_updated', '>=', at)
    .groupBy(['controller_id', 'relay_id']);
  const rows = await db
    .selectFrom(first.as('after'))
    .innerJoin('laundry_state_change as change', (join) =>
      join
        .onRef('change.last_updated', '=', 'after.first')
        .onRef('change.controller_id', '=', 'after.controller_id')
        .onRef('change.relay_id', '=', 'after.relay_id'),
    )
    .select(['change.controller_id', 'change.relay_id', 'change.previous_status'])
    .where('change.store_id', '=', storeId)
    .orderBy('change.id', 'desc')
    .execute();
  const found = new Map<string, MachineStatus>();
  for (const row of rows) {
    if (row.previous_status !== null) {
      found.set(keyOf(row.controller_id, row.relay_id), row.previous_status as MachineStatus);
    }
  }
  return found;
}
