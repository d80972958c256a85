import type { Api } from './api.js';
import type { ControllerWire, StoreWire } from './laundry-wire.js';
import { listPages } from './lists.js';

export interface FleetController {
  /** `<store id>/<controller id>`. */
  key: string;
  controllerId: string;
  online: boolean;
}

export interface FleetStore {
  storeId: string;
  controllers: readonly FleetController[];
}

const LIST_PAGE = 1000;
const LIST_PAGES = 10;

const byId = (a: ControllerWire, b: ControllerWire) => (a.controller_id < b.controller_id ? -1 : 1);

/** All controllers that the gateway knows, by store. @throws ApiError */
export async function loadFleet(api: Api): Promise<FleetStore[]> {
  const storeIds: string[] = [];
  for await (const items of listPages<{ store_id: string }>(api, `stores?limit=${LIST_PAGE}`, LIST_PAGES)) {
    storeIds.push(...items.map(({ store_id }) => store_id));
  }
  const fleet: FleetStore[] = [];
  for (const storeId of storeIds.sort()) {
    const store = (await api.request(`stores/${encodeURIComponent(storeId)}/machines`)) as StoreWire;
    const controllers = store.controllers.sort(byId).map(({ controller_id: controllerId, online }) => ({
      ...{ key: `${storeId}/${controllerId}`, controllerId, online },
    }));
    fleet.push({ storeId, controllers });
  }
  return fleet;
}
