import type { NodeAPI } from 'node-red';
import { mayRead } from '../../lib/access/policy.js';
import type { UserPrincipal } from '../../lib/access/principal.js';
import { systemClock } from '../../lib/core/clock.js';
import { asError, FieldloomError } from '../../lib/core/errors.js';
import type { Log } from '../../lib/core/log.js';
import type { Backend } from '../../lib/laundry/backend.js';
import { formatChange, formatController } from '../../lib/laundry/rest-format.js';
import { laundryOverview } from '../../lib/store/laundry-overview.js';
import { laundryQueries } from '../../lib/store/laundry-queries.js';
import type { Store } from '../../lib/store/store.js';
import { CLOSE, createLiveHub, type LiveHub, REFRESH_MS } from '../../lib/web/live-hub.js';
import { clientFiles } from '../runtime/client-files.js';
import { guardOf, watchUsers } from '../runtime/guard.js';
import { routes } from '../runtime/http.js';
import { addFigure } from '../runtime/metrics.js';
import { addOverview } from '../runtime/overview.js';
import { addReplay } from '../runtime/replay.js';
import { addUpgrade } from '../runtime/upgrade.js';
import { laundryPart } from './overview.js';
import { laundryRoutes, storeSnapshot } from './rest.js';

/** Who follows a live feed. Undefined: nobody we know, where reading is open. */
type Viewer = UserPrincipal | undefined;

export interface Served {
  RED: NodeAPI;
  /** The opened store, or undefined while it is not open. */
  store: () => Store | undefined;
  backend: () => Backend | undefined;
  log: Log;
  /** Several gateways share the store. */
  shared: boolean;
}

/**
 * Serves the laundry's REST paths and its live feed `/realtime/stores/{store_id}` as long as a machine-state node
 * lives.
 * @returns `listen` tells the feeds what the backend tells; `close` takes all of it away
 */
export function serveLaundry({ RED, store, backend, log, shared }: Served) {
  const opened = <T>(value: T | undefined): T => {
    if (value === undefined) throw new FieldloomError('store_unavailable', 'the store is not open yet');
    return value;
  };
  const queries = () => laundryQueries(opened(store()));

  const hub: LiveHub<Viewer> = createLiveHub<Viewer>({
    clock: systemClock,
    snapshot: (storeId) => storeSnapshot(queries(), storeId),
    identity: (storeId) => ({ store_id: storeId }),
    onError: (error) => log.warn(`live feed: ${asError(error).message}`),
  });

  /** A user lost a right, or all: who follows what it may no longer see is sent away. */
  async function userChanged(userId: number) {
    const now = await guardOf(RED)?.user(userId);
    hub.revoke(
      (viewer, storeId) =>
        viewer?.userId === userId && (now === undefined || !mayRead(now, { kind: 'store', storeId })),
    );
  }

  const disposals = [
    ...(shared ? [hub.refreshEvery(REFRESH_MS)] : []),
    routes(RED).add([...laundryRoutes({ queries, clock: systemClock }), clientFiles]),
    addOverview(RED, 'laundry', (principal, now) =>
      laundryPart(laundryOverview(opened(store())), principal, now),
    ),
    addReplay(RED, 'laundry', async (letter) => {
      const [refusal] = (await opened(backend()).replay(letter)).refusals;
      return refusal === undefined
        ? { accepted: true }
        : { accepted: false, code: refusal.code, message: refusal.message };
    }),
    addUpgrade(RED, '/realtime/stores/{store_id}', (socket, { parameters, principal }) => {
      const storeId = parameters['store_id'] ?? '';
      if (principal !== undefined && !mayRead(principal, { kind: 'store', storeId })) {
        socket.close(CLOSE.forbidden, 'not one of your stores');
        return;
      }
      const client = hub.join(storeId, socket, principal);
      socket.on('pong', client.alive);
      socket.on('close', client.left);
    }),
    addFigure({
      name: 'fieldloom_live_clients',
      help: 'Clients that follow a live feed',
      labels: ['protocol'],
      read: () => [{ value: hub.clients, labels: { protocol: 'laundry' } }],
    }),
    watchUsers(RED, (userId) => {
      userChanged(userId).catch((error: unknown) => log.warn(`live feed: ${asError(error).message}`));
    }),
  ];
  return {
    /** @returns what stops it */
    listen: (from: Backend): (() => void) =>
      from.listen({
        change(change) {
          if (hub.clients === 0) return; // a client that comes gets a snapshot first
          hub.publish(change.storeId, {
            type: 'change',
            receivedAt: change.receivedAt,
            data: formatChange(change),
            about: `${change.controllerId}/${change.relayId}`,
          });
        },
        liveness(controller) {
          hub.publish(controller.storeId, {
            type: 'controller',
            receivedAt: systemClock.now(),
            data: formatController(controller),
            about: controller.controllerId,
          });
        },
      }),
    close() {
      for (const dispose of disposals) dispose();
      hub.close();
    },
  };
}
