import type { NodeAPI } from 'node-red';
import { systemClock, type Timer } from '../../lib/core/clock.js';
import { asError, FieldloomError } from '../../lib/core/errors.js';
import { isTopicLevel } from '../../lib/core/topic.js';
import { REFRESH_MS } from '../../lib/web/live-hub.js';
import { clientFiles } from '../runtime/client-files.js';
import { defineNode } from '../runtime/define-node.js';
import { follow } from '../runtime/follow.js';
import { guardOf, watchUsers } from '../runtime/guard.js';
import { routes } from '../runtime/http.js';
import { addFigure } from '../runtime/metrics.js';
import { addUpgrade } from '../runtime/upgrade.js';
import type { ProvidedTelemetry } from '../telemetry-store/provided.js';
import { createCompanyFeeds } from './company-feeds.js';
import { createMachineFeeds } from './feeds.js';

interface Config {
  /** Id of a telemetry-store node. */
  telemetry: string;
}

/** What a flow may not say in the feed's own name. */
const OWN_TYPES = ['snapshot', 'gap'];
/** The status is written so often, ms. */
const STATUS_MS = 1_000;

const idOf = (name: string, value: unknown): string => {
  const id = typeof value === 'number' ? String(value) : value;
  if (typeof id === 'string' && isTopicLevel(id)) return id;
  throw new FieldloomError('invalid_input', `msg.${name} is ${JSON.stringify(value)}: accepted is an id`);
};

export = (RED: NodeAPI): void => {
  defineNode<Config>(RED, 'fieldloom-live-feed', ({ config, log, status, use }) => {
    if (!config.telemetry) use(config.telemetry, 'telemetry');
    let timer: Timer | undefined;
    let shown = '';

    const options = {
      telemetry() {
        const found = telemetry.current();
        if (found !== undefined) return found;
        throw new FieldloomError('store_unavailable', 'the telemetry store node is not there yet');
      },
      clock: systemClock,
      log,
    };
    const machines = createMachineFeeds(options);
    const companies = createCompanyFeeds(options);
    const feeds = [machines, companies];
    const telemetry = follow<ProvidedTelemetry>(RED, config.telemetry, (provided) => {
      const stops = feeds.map((each) => provided.listen(each.listener(provided.fast)));
      if (provided.shared) {
        // A fleet's snapshot asks for the newest row of each of its machines.
        stops.push(machines.hub.refreshEvery(REFRESH_MS), companies.hub.refreshEvery(5 * REFRESH_MS));
      }
      return () => {
        for (const stop of stops) stop();
      };
    });
    const followers = () => feeds.reduce((sum, { hub }) => sum + hub.clients, 0);

    async function userChanged(userId: number): Promise<void> {
      const user = await guardOf(RED)?.user(userId);
      for (const each of feeds) each.userChanged(userId, user);
    }
    const disposals = [
      routes(RED).add([clientFiles]),
      addUpgrade(RED, '/realtime/{machine_id}', (socket, request) => void machines.follow(socket, request)),
      addUpgrade(RED, '/realtime/companies/{company_id}', companies.follow),
      addFigure({
        name: 'fieldloom_live_clients',
        help: 'Clients that follow a live feed',
        labels: ['protocol'],
        read: () => [{ value: followers(), labels: { protocol: 'solar' } }],
      }),
      watchUsers(RED, (userId) => {
        userChanged(userId).catch((error: unknown) => log.warn(`live feed: ${asError(error).message}`));
      }),
    ];

    function show(): void {
      const clients = followers();
      const there = telemetry.current() !== undefined;
      const now = `${there} ${clients}`;
      if (now !== shown) {
        if (!there) status('waiting', 'telemetry');
        else if (clients === 0) status('idle', 'nobody');
        else status('working', 'clients', { count: clients });
      }
      shown = now;
      timer = systemClock.setTimer(show, STATUS_MS);
    }

    return {
      async start() {
        show();
      },
      input({ company_id, machine_id, type = 'message', payload }) {
        if (typeof type !== 'string' || type === '' || OWN_TYPES.includes(type)) {
          throw new FieldloomError(
            'invalid_input',
            `msg.type is ${JSON.stringify(type)}: accepted is text other than ${OWN_TYPES.join(' and ')}`,
          );
        }
        const ids = { companyId: idOf('company_id', company_id), machineId: idOf('machine_id', machine_id) };
        for (const each of feeds) each.broadcast(ids, type, payload ?? null);
      },
      close() {
        timer?.cancel();
        telemetry.close();
        for (const dispose of disposals) dispose();
        for (const each of feeds) each.close();
      },
    };
  });
};
