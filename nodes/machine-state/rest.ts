import { mayRead } from '../../lib/access/policy.js';
import type { UserPrincipal } from '../../lib/access/principal.js';
import type { Clock } from '../../lib/core/clock.js';
import { FieldloomError } from '../../lib/core/errors.js';
import {
  formatChange,
  formatLivenessChange,
  formatStatistics,
  formatStore,
} from '../../lib/laundry/rest-format.js';
import type { LaundryQueries } from '../../lib/store/laundry-queries.js';
import { integerParameter, limitParameter, spanParameters, textParameter } from '../../lib/web/query.js';
import type { Answer, Request, Route } from '../../lib/web/route.js';

const DAY_MS = 24 * 60 * 60 * 1000;
const LARGEST_RELAY = 2 ** 31 - 1;

export interface LaundryRest {
  /** @throws FieldloomError store_unavailable while the store is not open */
  queries(): LaundryQueries;
  clock: Clock;
}

const ok = (body: unknown): Answer => ({ status: 200, body });

/** @throws FieldloomError forbidden. Without a principal reading is open, or the request would not be here. */
export function mayReadStore(principal: UserPrincipal | undefined, storeId: string): void {
  if (principal !== undefined && !mayRead(principal, { kind: 'store', storeId })) {
    throw new FieldloomError('forbidden', `store ${storeId} is not one of yours`);
  }
}

function storeOf({ parameters, principal }: Request): string {
  const storeId = parameters['store_id'] ?? '';
  mayReadStore(principal, storeId);
  return storeId;
}

/** Live state of a store, as REST and the first message of its live feed give it; undefined where it is unknown. */
export async function storeSnapshot(queries: LaundryQueries, storeId: string) {
  const controllers = await queries.machinesOf(storeId);
  return controllers.length === 0 ? undefined : formatStore(storeId, controllers);
}

/** The laundry's part of the REST API (contract.md "REST"). */
export function laundryRoutes({ queries, clock }: LaundryRest): Route[] {
  const known = async (storeId: string) => {
    const snapshot = await storeSnapshot(queries(), storeId);
    if (snapshot === undefined) throw new FieldloomError('not_found', `there is no store ${storeId}`);
    return snapshot;
  };
  const get = (path: string, handle: Route['handle']): Route => ({
    method: 'GET',
    path,
    access: 'read',
    handle,
  });

  return [
    get('/stores', async ({ principal }) => {
      const ids = await queries().storeIds();
      const visible = ids.filter(
        (storeId) => principal === undefined || mayRead(principal, { kind: 'store', storeId }),
      );
      return ok({ items: visible.map((store_id) => ({ store_id })), next_cursor: null });
    }),

    get('/stores/:store_id/machines', async (request) => ok(await known(storeOf(request)))),

    get('/stores/:store_id/machines/history', async (request) => {
      const { query } = request;
      const controllerId = textParameter(query, 'controller_id');
      const relayId = integerParameter(query, 'relay_id', [0, LARGEST_RELAY]);
      const cursor = textParameter(query, 'cursor');
      const page = await queries().history(storeOf(request), {
        ...spanParameters(query),
        limit: limitParameter(query),
        ...(controllerId !== undefined && { controllerId }),
        ...(relayId !== undefined && { relayId }),
        ...(cursor !== undefined && { cursor }),
      });
      return ok({ items: page.items.map(formatChange), next_cursor: page.next_cursor });
    }),

    get('/stores/:store_id/controllers/history', async (request) => {
      const { query } = request;
      const controllerId = textParameter(query, 'controller_id');
      const cursor = textParameter(query, 'cursor');
      const page = await queries().livenessHistory(storeOf(request), {
        ...spanParameters(query),
        limit: limitParameter(query),
        ...(controllerId !== undefined && { controllerId }),
        ...(cursor !== undefined && { cursor }),
      });
      return ok({ items: page.items.map(formatLivenessChange), next_cursor: page.next_cursor });
    }),

    get('/stores/:store_id/machines/statistics', async (request) => {
      const storeId = storeOf(request);
      const now = clock.now();
      const { from: asked, to = now } = spanParameters(request.query);
      const from = asked ?? to - DAY_MS;
      const items = await queries().statistics(storeId, { from, to }, now);
      // Nobody was busy in the future: the share is of the time that has passed.
      const spanMs = Math.min(to, now) - from;
      return ok({ items: items.map((item) => formatStatistics(item, spanMs)) });
    }),
  ];
}
