import { mayRead } from '../../lib/access/policy.js';
import type { UserPrincipal } from '../../lib/access/principal.js';
import type { Pond } from '../../lib/command/pond.js';
import { formatExecution, formatPond, type PondState } from '../../lib/command/pond-format.js';
import type { DeviceQueries } from '../../lib/command/ports.js';
import { FieldloomError } from '../../lib/core/errors.js';
import type { Ponds } from '../../lib/store/pond.js';
import type { PondRest } from './ports.js';

/** Open alerts shown with a pond; all of them are in its list of alerts. */
const ALERTS = 100;
/** Executions in the first message of a live feed. */
const EXECUTIONS = 20;

const NOTHING: PondState = { device: undefined, readings: {}, alerts: [] };

async function stateOf(queries: DeviceQueries | undefined, { device, position }: Pond): Promise<PondState> {
  if (queries === undefined) return NOTHING;
  const [record, readings, alerts] = await Promise.all([
    queries.device(device),
    queries.latest(device, position),
    queries.alerts(device, position, { open: true, limit: ALERTS }),
  ]);
  return { device: record, readings, alerts };
}

/** @throws FieldloomError forbidden */
export function checkOwner(principal: UserPrincipal, { ownerId }: Pond): void {
  if (!mayRead(principal, { kind: 'pond', ownerId })) throw new FieldloomError('forbidden', 'Access denied');
}

/** An id of a path: each pond and each execution has one way to write it. */
export const idOf = (text = ''): number | undefined =>
  /^[1-9]\d{0,14}$/.test(text) ? Number(text) : undefined;

/** A pond by the id that a path holds; undefined where there is none. */
export async function pondOf(ponds: Ponds, text: string | undefined): Promise<Pond | undefined> {
  const id = idOf(text);
  return id === undefined ? undefined : ponds.find(id);
}

/**
 * As `pondOf`, for whom it belongs to.
 * @throws FieldloomError not_found; forbidden where it is another user's (seed: pond-command-flow, 2)
 */
export async function ownPond(ponds: Ponds, id: string | undefined, principal: UserPrincipal): Promise<Pond> {
  const pond = await pondOf(ponds, id);
  if (pond === undefined) throw new FieldloomError('not_found', 'Pond not found');
  checkOwner(principal, pond);
  return pond;
}

export type PondView = ReturnType<typeof formatPond>;

/** A pond as REST answers it. */
export async function pondView(rest: Pick<PondRest, 'devices'>, pond: Pond): Promise<PondView> {
  return formatPond(pond, await stateOf(rest.devices()?.queries, pond));
}

/** The first message of a pond's live feed. */
export async function pondSnapshot(rest: Pick<PondRest, 'devices' | 'executions'>, pond: Pond) {
  const [view, page] = await Promise.all([
    pondView(rest, pond),
    rest.executions().executionsOf(pond.pondId, { limit: EXECUTIONS }),
  ]);
  return { ...view, executions: page.items.map(formatExecution) };
}
