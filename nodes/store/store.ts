import { join } from 'node:path';
import type { NodeAPI } from 'node-red';
import { steadyClock, systemClock } from '../../lib/core/clock.js';
import { asError, FieldloomError } from '../../lib/core/errors.js';
import { type Gateways, joinGateways } from '../../lib/core/gateways.js';
import { deadLetters } from '../../lib/store/dead-letters.js';
import { leaseStore } from '../../lib/store/gateways.js';
import { openWhenPossible } from '../../lib/store/open-when-possible.js';
import { type Retention, type RetentionSettings, startRetention } from '../../lib/store/retention.js';
import type { Store } from '../../lib/store/store.js';
import { defineNode } from '../runtime/define-node.js';
import { addHealthCheck, type Health } from '../runtime/health.js';
import { routes } from '../runtime/http.js';
import { addFigure } from '../runtime/metrics.js';
import { addOverview, overviewRoute } from '../runtime/overview.js';
import { replayed } from '../runtime/replay.js';
import { systemRoutes } from '../runtime/system-routes.js';
import { deadLetterRoutes, refusedPart } from './dead-letter-routes.js';

interface Config {
  url: string;
  messageDays: string;
  changeDays: string;
  deadLetterDays: string;
  /** Name of this gateway where several share the database; empty: it is the only one. */
  gateway: string;
}

/** What a store node offers to nodes that name it. */
export interface ProvidedStore {
  /** Fulfils when the database is open; rejects when the node closes before, or where it can never open. */
  store: Promise<Store>;
  /** Where several gateways share the database: this one's name, and what it knows of the others. */
  shared?: { gateway: string; gateways: Promise<Gateways> };
}

const DAY_MS = 24 * 60 * 60 * 1000;

/** Days as written in the editor; empty keeps everything. @throws FieldloomError invalid_setting */
function keepFor(name: string, days: string | undefined): number {
  if (days === undefined || days.trim() === '') return Number.MAX_SAFE_INTEGER;
  const number = Number(days);
  if (!(number > 0)) {
    throw new FieldloomError('invalid_setting', `${name} is ${days}: accepted is a number of days above 0`);
  }
  return number * DAY_MS;
}

/** @throws FieldloomError invalid_setting */
function gatewayName(text: string | undefined): string | undefined {
  const name = text?.trim() ?? '';
  if (name === '') return undefined;
  if (/^[\w.-]{1,64}$/.test(name)) return name;
  throw new FieldloomError(
    'invalid_setting',
    `the gateway's name is ${JSON.stringify(name.slice(0, 80))}: accepted are 1 to 64 letters, digits, ".", "_" and "-"`,
  );
}

function withPassword(url: string, password: string | undefined): string {
  if (password === undefined || password === '' || !URL.canParse(url)) return url;
  const parsed = new URL(url);
  parsed.password = password;
  return parsed.href;
}

export = (RED: NodeAPI): void => {
  defineNode<Config, { password: string }>(
    RED,
    'fieldloom-store',
    ({ config, credentials, log, closed, provide }) => {
      const directory = (RED.settings as { userDir?: string }).userDir ?? '.';
      const url = withPassword(
        config.url === '' || config.url === undefined
          ? `sqlite:${join(directory, 'fieldloom.db')}`
          : config.url,
        credentials.password,
      );
      const retention: Partial<RetentionSettings> = {
        messageMs: keepFor('messageDays', config.messageDays),
        stateChangeMs: keepFor('changeDays', config.changeDays),
        deadLetterMs: keepFor('deadLetterDays', config.deadLetterDays),
      };
      let open: Store | undefined;
      let cleaning: Retention | undefined;
      let problem: Error | undefined;
      const store = openWhenPossible(url, {
        log,
        signal: closed,
        onWait(reason) {
          problem = reason;
        },
      });
      const gateway = gatewayName(config.gateway);
      const gateways =
        gateway === undefined
          ? undefined
          : store.then((database) =>
              joinGateways({ name: gateway, store: leaseStore(database), clock: steadyClock, log }),
            );
      gateways?.catch(() => {}); // the store's own problem is reported below
      provide({
        store,
        ...(gateway !== undefined && gateways !== undefined && { shared: { gateway, gateways } }),
      } satisfies ProvidedStore);

      const check = (): Health =>
        open === undefined
          ? { ok: false, detail: problem?.message ?? 'opening' }
          : { ok: open.state === 'open', detail: open.reason?.message ?? open.state };
      const letters = () => {
        if (open === undefined) throw new FieldloomError('store_unavailable', 'the store is not open yet');
        return deadLetters(open);
      };
      const disposals = [
        addHealthCheck('store', check),
        addFigure({
          name: 'fieldloom_store_pending_units',
          help: 'Units that wait for their commit',
          read: () => [{ value: open?.pending ?? 0 }],
        }),
        addOverview(RED, 'refused', async (principal, now) => refusedPart(letters(), principal, now)),
        routes(RED).add([
          ...deadLetterRoutes(letters, (letter) => replayed(RED, letter)),
          ...systemRoutes,
          overviewRoute(RED, systemClock.now),
        ]),
      ];

      return {
        async start() {
          try {
            open = await store;
            cleaning = startRetention(open, { settings: retention, log });
          } catch (error) {
            problem = asError(error);
            throw error;
          }
        },
        async close() {
          for (const dispose of disposals) dispose();
          await cleaning?.stop();
          if (open !== undefined) await (await gateways)?.leave();
          await open?.close();
        },
      };
    },
    { credentials: { password: { type: 'password' } } },
  );
};
