import type { UserPrincipal } from '../../lib/access/principal.js';
import { formatCurve, minutesOfLastHour } from '../../lib/core/last-hour.js';
import { busyCurve } from '../../lib/laundry/busy-curve.js';
import type { LaundryOverview } from '../../lib/store/laundry-overview.js';

/** Controllers that are named; how many there are is told all the same. */
const NAMED = 50;

/** The laundries at a glance, as far as one may see them. */
export async function laundryPart(
  overview: LaundryOverview,
  principal: UserPrincipal | undefined,
  now: number,
) {
  const own = principal === undefined || principal.admin ? undefined : principal.stores;
  const totals = await overview.totals(own);
  const minutes = minutesOfLastHour(now);
  const offline = totals.offlineControllers === 0 ? [] : await overview.offline(totals.stores, NAMED);
  const happened = await overview.busyMinutes(totals.stores, minutes[0] as number);
  return {
    stores: totals.stores.length,
    controllers: totals.controllers,
    controllers_offline: totals.offlineControllers,
    machines: totals.machines,
    offline: offline.map(({ storeId, controllerId, lastSeen, machines }) => ({
      store_id: storeId,
      controller_id: controllerId,
      last_seen: new Date(lastSeen).toISOString(),
      machines,
    })),
    busy: formatCurve(minutes, busyCurve(minutes, happened, totals.machines.busy)),
  };
}
