import type { UserPrincipal } from '../../lib/access/principal.js';
import { formatCurve, minutesOfLastHour } from '../../lib/core/last-hour.js';
import { formatRollout } from '../../lib/firmware/rest-format.js';
import type { FirmwareOverview } from '../../lib/store/firmware-overview.js';

/** Rollouts that are told whole. */
const TOLD = 50;
const DAY_MS = 86_400_000;

/** The rollouts at a glance, as far as one may see them: those of one's own stores alone. */
export async function firmwarePart(
  overview: FirmwareOverview,
  principal: UserPrincipal | undefined,
  now: number,
) {
  const stores = principal === undefined || principal.admin ? undefined : principal.stores;
  const minutes = minutesOfLastHour(now);
  const [states, calling, ended] = await Promise.all([
    overview.states(stores),
    overview.calling(stores, now - DAY_MS, TOLD),
    overview.ended(stores, now - DAY_MS),
  ]);
  const count = (wanted: readonly string[]) =>
    ended.reduce((sum, row) => sum + (wanted.includes(row.state) ? row.count : 0), 0);
  const completed = new Map<number, number>();
  for (const { minute, state, count: amount } of ended) {
    if (state === 'COMPLETED') completed.set(minute, (completed.get(minute) ?? 0) + amount);
  }
  return {
    rollouts: states,
    rollouts_total: Object.values(states).reduce((sum, many) => sum + many, 0),
    completed_24h: count(['COMPLETED']),
    failed_24h: count(['FAILED', 'TIMED_OUT']),
    calling: calling.map(formatRollout),
    completed: formatCurve(
      minutes,
      minutes.map((minute) => completed.get(minute) ?? 0),
    ),
  };
}
