import type { UserPrincipal } from '../../lib/access/principal.js';
import { VALUE_COUNTS_MS } from '../../lib/command/limits.js';
import { formatExecution, formatReading } from '../../lib/command/pond-format.js';
import { FieldloomError } from '../../lib/core/errors.js';
import type { PondOverview } from '../../lib/store/pond-overview.js';
import type { PondRest } from './ports.js';
import { pondView } from './view.js';

/** Ponds that are told whole, those with alerts first. */
const TOLD = 50;
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
/** Readings of the curve: one each five seconds is more than a small curve can show. */
const READINGS = 720;
/** What devices call the oxygen in the water (schemas/command/sensors.schema.json). */
const OXYGEN = ['dissolved_oxygen', 'oxygen', 'do'];

/**
 * A user's ponds at a glance; the pond API always wants a token, and so does this. Ponds that may need somebody are told
 * as their own path tells them, with their newest execution: what needs attention is then judged as on their page.
 * @throws FieldloomError unauthenticated
 */
export async function pondsPart(
  rest: Pick<PondRest, 'ponds' | 'executions' | 'devices'>,
  overview: PondOverview,
  principal: UserPrincipal | undefined,
  now: number,
) {
  if (principal === undefined) throw new FieldloomError('unauthenticated', 'a token is wanted');
  const ownerId = principal.admin ? undefined : principal.userId;
  const all = await overview.ponds(ownerId);
  const ids = all.map(({ pondId }) => pondId);
  const alerted = await overview.alerted(ownerId);
  const failed = await overview.failed(ids, now - DAY_MS);
  const outside = await overview.outside(ownerId, now - VALUE_COUNTS_MS);
  const offline = all.filter(({ online }) => online === false).map(({ pondId }) => pondId);
  const calling = [...new Set([...alerted, ...offline, ...failed, ...outside])];
  const [told, lowest] = await Promise.all([
    Promise.all(calling.slice(0, TOLD).map((pondId) => whole(rest, pondId))),
    lowestOxygen(rest, await overview.lowest(ownerId, OXYGEN, now - HOUR_MS), now),
  ]);
  return {
    ponds: all.length,
    ponds_online: all.filter(({ online }) => online === true).length,
    ponds_offline: offline.length,
    ponds_alerted: alerted.length,
    ponds_outside: outside.length,
    calling: told.filter((one) => one !== undefined),
    lowest_oxygen: lowest,
  };
}

async function whole(rest: Pick<PondRest, 'ponds' | 'executions' | 'devices'>, pondId: number) {
  const pond = await rest.ponds().find(pondId);
  if (pond === undefined) return undefined;
  const [view, page] = await Promise.all([
    pondView(rest, pond),
    rest.executions().executionsOf(pondId, { limit: 1 }),
  ]);
  const [newest] = page.items;
  return { pond: view, execution: newest === undefined ? null : formatExecution(newest) };
}

async function lowestOxygen(
  rest: Pick<PondRest, 'ponds' | 'devices'>,
  found: Awaited<ReturnType<PondOverview['lowest']>>,
  now: number,
) {
  const pond = found && (await rest.ponds().find(found.pondId));
  if (found === undefined || pond === undefined) return null;
  const { device, position, name, thresholds } = pond;
  const asked = { from: now - HOUR_MS, limit: READINGS };
  const readings = await rest.devices()?.queries.readings(device, position, asked);
  return {
    pond_id: found.pondId,
    name,
    parameter: found.parameter,
    value: found.value,
    at: new Date(found.at).toISOString(),
    threshold: thresholds[found.parameter] ?? null,
    readings: (readings?.items ?? []).map(formatReading),
  };
}
