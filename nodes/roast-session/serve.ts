import type { NodeAPI } from 'node-red';
import type { UserPrincipal } from '../../lib/access/principal.js';
import { asError } from '../../lib/core/errors.js';
import type { Log } from '../../lib/core/log.js';
import { formatError } from '../../lib/roast/protocol.js';
import type { Roastery } from '../../lib/roast/roastery.js';
import { newId } from '../../lib/store/ids.js';
import { CLOSE } from '../../lib/web/live-hub.js';
import { clientFiles } from '../runtime/client-files.js';
import { guardOf, watchUsers } from '../runtime/guard.js';
import { routes } from '../runtime/http.js';
import { addFigure } from '../runtime/metrics.js';
import { addOverview } from '../runtime/overview.js';
import { addUpgrade } from '../runtime/upgrade.js';
import { roastPart } from './overview.js';
import { type RoastRest, roastRoutes } from './rest.js';
import { mayUse } from './whose.js';

/** What a client may call itself, so that it is known when it comes back. */
const CLIENT_ID = /^[\w-]{8,64}$/;

/**
 * Serves machines and profiles over REST, and `/ws/live/{machine_id}` (seed: roast-protocol, Connection Topology).
 * @param current undefined while the store is not open
 * @returns what takes all of it away
 */
export function serveRoasts(
  RED: NodeAPI,
  rest: RoastRest,
  current: () => Roastery | undefined,
  log: Log,
): () => void {
  /** For each user, what closes a socket that the user may have no longer. */
  const ofUsers = new Map<number, Set<(user: UserPrincipal | undefined) => void>>();

  async function userChanged(userId: number) {
    const user = await guardOf(RED)?.user(userId);
    for (const check of ofUsers.get(userId) ?? []) check(user);
  }

  const disposals = [
    routes(RED).add([...roastRoutes(rest), clientFiles]),
    addOverview(RED, 'roast', async (principal, now) => {
      const machines = rest.roastery().machines();
      return roastPart(
        machines.filter(({ definition }) => mayUse(principal, definition.companyId)),
        now,
      );
    }),
    addUpgrade(RED, '/ws/live/{machine_id}', (socket, { parameters, query, principal }) => {
      const roastery = current();
      const id = parameters['machine_id'] ?? '';
      if (roastery === undefined) {
        socket.close(CLOSE.restarting, 'the store is not open yet');
        return;
      }
      const machine = roastery.find(id);
      // Another company's is not there.
      if (machine === undefined || !mayUse(principal, machine.definition.companyId)) {
        socket.send(
          JSON.stringify(formatError('MACHINE_NOT_FOUND', `there is no machine ${id.slice(0, 64)}`)),
        );
        socket.close(CLOSE.unknown, 'unknown');
        return;
      }
      const named = query.get('client_id') ?? '';
      // Beside the user: nobody comes back as somebody else.
      const client = machine.join(
        socket,
        `${principal?.userId ?? ''}/${CLIENT_ID.test(named) ? named : newId()}`,
      );
      socket.on('message', (data) => machine.hear(client, data as Buffer));
      socket.on('pong', client.alive);
      socket.on('close', () => machine.leave(client));
      if (principal === undefined) return;
      const { userId } = principal;
      const check = (user: UserPrincipal | undefined) => {
        if (user !== undefined && mayUse(user, machine.definition.companyId)) return;
        socket.close(CLOSE.forbidden, 'access revoked');
      };
      const sockets = ofUsers.get(userId) ?? new Set();
      ofUsers.set(userId, sockets.add(check));
      socket.on('close', () => {
        sockets.delete(check);
        if (sockets.size === 0) ofUsers.delete(userId);
      });
    }),
    addFigure({
      name: 'fieldloom_live_clients',
      help: 'Clients that follow a live feed',
      labels: ['protocol'],
      read: () => [
        {
          value: (current()?.machines() ?? []).reduce((sum, { clients }) => sum + clients.size, 0),
          labels: { protocol: 'roasts' },
        },
      ],
    }),
    addFigure({
      name: 'fieldloom_roast_machines',
      help: 'Roasting machines by the state of their session',
      labels: ['state'],
      read: () =>
        (['idle', 'monitoring', 'recording', 'finished'] as const).map((state) => ({
          value: (current()?.machines() ?? []).filter(({ phase }) => phase === state).length,
          labels: { state },
        })),
    }),
    watchUsers(RED, (userId) => {
      userChanged(userId).catch((error: unknown) => log.warn(`live feed: ${asError(error).message}`));
    }),
  ];
  return () => {
    for (const dispose of disposals) dispose();
  };
}
