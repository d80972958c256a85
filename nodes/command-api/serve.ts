import type { NodeAPI } from 'node-red';
import type { UserPrincipal } from '../../lib/access/principal.js';
import { asError } from '../../lib/core/errors.js';
import type { Log } from '../../lib/core/log.js';
import { clientFiles } from '../runtime/client-files.js';
import { guardOf, watchUsers } from '../runtime/guard.js';
import { routes } from '../runtime/http.js';
import { addFigure } from '../runtime/metrics.js';
import { addOverview } from '../runtime/overview.js';
import { addUpgrade } from '../runtime/upgrade.js';
import type { PondFeeds } from './live.js';
import { pondsPart } from './overview.js';
import type { PondRest } from './ports.js';
import { pondRoutes } from './rest.js';

/**
 * Serves the pond API and the live feeds `/realtime/ponds/{pond_id}`.
 * @returns what takes all of it away
 */
export function servePonds(RED: NodeAPI, rest: PondRest, feeds: PondFeeds, log: Log): () => void {
  const { hub } = feeds;

  async function userChanged(userId: number) {
    feeds.userChanged(userId, await guardOf(RED)?.user(userId));
  }

  const disposals = [
    routes(RED).add([...pondRoutes(rest), clientFiles]),
    addOverview(RED, 'ponds', (principal, now) => pondsPart(rest, rest.overview(), principal, now)),
    addUpgrade(
      RED,
      '/realtime/ponds/{pond_id}',
      (socket, { parameters, principal }) => {
        const client = hub.join(parameters['pond_id'] ?? '', socket, principal as UserPrincipal);
        socket.on('pong', client.alive);
        socket.on('close', client.left);
      },
      { access: 'user' },
    ),
    addFigure({
      name: 'fieldloom_live_clients',
      help: 'Clients that follow a live feed',
      labels: ['protocol'],
      read: () => [{ value: hub.clients, labels: { protocol: 'ponds' } }],
    }),
    watchUsers(RED, (userId) => {
      userChanged(userId).catch((error: unknown) => log.warn(`live feed: ${asError(error).message}`));
    }),
  ];
  return () => {
    for (const dispose of disposals) dispose();
    feeds.close();
  };
}
