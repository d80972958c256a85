import type { NodeAPI } from 'node-red';
import { mayRead } from '../../lib/access/policy.js';
import type { UserPrincipal } from '../../lib/access/principal.js';
import { systemClock, type Timer } from '../../lib/core/clock.js';
import { asError, FieldloomError } from '../../lib/core/errors.js';
import type { Log } from '../../lib/core/log.js';
import type { StoredRollout } from '../../lib/firmware/ports.js';
import { formatDeployment, formatRollout } from '../../lib/firmware/rest-format.js';
import type { Rollouts } from '../../lib/firmware/rollouts.js';
import { firmwareOverview } from '../../lib/store/firmware-overview.js';
import { firmwareQueries } from '../../lib/store/firmware-queries.js';
import type { Store } from '../../lib/store/store.js';
import { CLOSE, createLiveHub, type LiveHub, REFRESH_MS } from '../../lib/web/live-hub.js';
import { guardOf, watchUsers } from '../runtime/guard.js';
import { routes } from '../runtime/http.js';
import { addFigure } from '../runtime/metrics.js';
import { addOverview } from '../runtime/overview.js';
import { addReplay } from '../runtime/replay.js';
import { addUpgrade } from '../runtime/upgrade.js';
import { firmwarePart } from './overview.js';
import { checkRollout, firmwareRoutes } from './rest.js';

/** Who follows a live feed. Undefined: nobody we know, where reading is open. */
type Viewer = UserPrincipal | undefined;

export interface Served {
  RED: NodeAPI;
  /** The opened store, or undefined while it is not open. */
  store: () => Store | undefined;
  rollouts: () => Rollouts | undefined;
  log: Log;
  /** Several gateways share the store. */
  shared: boolean;
}

/** Thousands of deployments may move in a second: the sums of a rollout are told at most so often, ms. */
const SUMS_MS = 250;

/**
 * Serves the REST paths of rollouts and their live feed `/realtime/firmware/{rollout_id}` as long as a rollout node
 * lives.
 * @returns `listen` tells the feeds what the rollouts tell; `close` takes all of it away
 */
export function serveFirmware({ RED, store, rollouts, log, shared }: Served) {
  const opened = <T>(value: T | undefined): T => {
    if (value === undefined) throw new FieldloomError('store_unavailable', 'the store is not open yet');
    return value;
  };
  const queries = () => firmwareQueries(opened(store()));
  const changed = new Map<string, StoredRollout>();
  let sums: Timer | undefined;

  const hub: LiveHub<Viewer> = createLiveHub<Viewer>({
    clock: systemClock,
    async snapshot(rolloutId) {
      const stored = await queries().rollout(rolloutId);
      return stored && formatRollout(stored);
    },
    identity: (rolloutId) => ({ rollout_id: rolloutId }),
    onError: (error) => log.warn(`live feed: ${asError(error).message}`),
  });

  function tellSums(): void {
    sums = undefined;
    for (const [id, stored] of changed) {
      const receivedAt = systemClock.now();
      hub.publish(id, { type: 'rollout', receivedAt, data: formatRollout(stored), about: 'rollout' });
    }
    changed.clear();
  }

  /** A user lost a right, or all: nobody follows what it may no longer see. */
  async function userChanged(userId: number) {
    const now = await guardOf(RED)?.user(userId);
    // Which rollouts it may still see is asked anew when it comes back.
    hub.revoke((viewer) => viewer?.userId === userId && (now === undefined || !now.admin));
  }

  async function join(
    socket: Parameters<Parameters<typeof addUpgrade>[2]>[0],
    rolloutId: string,
    viewer: Viewer,
  ) {
    try {
      await checkRollout(queries(), viewer, rolloutId, mayRead);
    } catch (error) {
      const code = error instanceof FieldloomError ? error.code : 'internal';
      const close = { forbidden: CLOSE.forbidden, not_found: CLOSE.unknown }[code as string] ?? CLOSE.failed;
      socket.close(close, code);
      return;
    }
    if (socket.readyState !== socket.OPEN) return;
    const client = hub.join(rolloutId, socket, viewer);
    socket.on('pong', client.alive);
    socket.on('close', client.left);
  }

  const disposals = [
    addOverview(RED, 'firmware', (principal, now) =>
      firmwarePart(firmwareOverview(opened(store())), principal, now),
    ),
    ...(shared ? [hub.refreshEvery(REFRESH_MS)] : []),
    addReplay(RED, 'firmware', async (letter) => {
      const refusal = await opened(rollouts()).replay(letter);
      if (refusal === undefined) return { accepted: true };
      return { accepted: false, code: refusal.code, message: refusal.message };
    }),
    routes(RED).add(firmwareRoutes({ queries, rollouts: () => opened(rollouts()) })),
    addUpgrade(RED, '/realtime/firmware/{rollout_id}', (socket, { parameters, principal }) => {
      void join(socket, parameters['rollout_id'] ?? '', principal);
    }),
    addFigure({
      name: 'fieldloom_live_clients',
      help: 'Clients that follow a live feed',
      labels: ['protocol'],
      read: () => [{ value: hub.clients, labels: { protocol: 'firmware' } }],
    }),
    watchUsers(RED, (userId) => {
      userChanged(userId).catch((error: unknown) => log.warn(`live feed: ${asError(error).message}`));
    }),
  ];
  return {
    /** @returns what stops it */
    listen: (from: Rollouts): (() => void) =>
      from.listen({
        deployment({ deployment, effects, at }) {
          if (hub.clients === 0) return; // a client that comes gets a snapshot first
          hub.publish(deployment.rolloutId, {
            type: 'deployment',
            receivedAt: at,
            data: { ...formatDeployment(deployment), event: effects.note },
            about: deployment.id,
          });
        },
        rollout({ entry }) {
          if (hub.clients === 0) return;
          changed.set(entry.plan.id, entry);
          sums ??= systemClock.setTimer(tellSums, SUMS_MS);
        },
      }),
    close() {
      sums?.cancel();
      for (const dispose of disposals) dispose();
      hub.close();
    },
  };
}
