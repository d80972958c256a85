import type { NodeAPI } from 'node-red';
import { systemClock, type Timer } from '../../lib/core/clock.js';
import type { Link, Subscription } from '../../lib/core/link.js';
import { createSolarBackend } from '../../lib/solar/backend.js';
import type { SolarBackend } from '../../lib/solar/backend-ports.js';
import { createElsewhere } from '../../lib/solar/elsewhere.js';
import { solarStore } from '../../lib/store/solar.js';
import { solarOverview } from '../../lib/store/solar-overview.js';
import {
  checkRetention,
  SOLAR_RETENTION,
  type SolarRetention,
  startSolarRetention,
} from '../../lib/store/solar-retention.js';
import type { Store } from '../../lib/store/store.js';
import { arrivalOf } from '../runtime/arrival.js';
import { defineNode } from '../runtime/define-node.js';
import { awaitReader } from '../runtime/health.js';
import { positiveNumber } from '../runtime/numbers.js';
import { addOverview } from '../runtime/overview.js';
import { addReplay } from '../runtime/replay.js';
import { sharedOut } from '../runtime/shared-out.js';
import type { ProvidedStore } from '../store/store.js';
import { addSolarFigures } from './figures.js';
import { outputs } from './outputs.js';
import { solarPart } from './overview.js';
import { provideTelemetry } from './provided.js';

interface Config {
  connection: string;
  store: string;
  prefix: string;
  /** Seconds. */
  interval: string;
  missed: string;
  fast: boolean;
  rawDays: string;
  minuteDays: string;
  hourDays: string;
}

/** The status is written at most so often, ms: thousands of machines may come at once. */
const STATUS_MS = 500;
const DAY_MS = 24 * 60 * 60 * 1000;

export = (RED: NodeAPI): void => {
  defineNode<Config>(RED, 'fieldloom-telemetry-store', (context) => {
    const { config, log, closed, status } = context;
    const { store, shared } = context.use<ProvidedStore>(config.store, 'store');
    const connection = context.useOptional<{ link: Link; share?: string }>(config.connection, 'connection');
    const link = connection?.link;
    const days = (name: string, text: string, standardMs: number) =>
      positiveNumber(name, text, standardMs / DAY_MS) * DAY_MS;
    const retention = {
      ...SOLAR_RETENTION,
      rawMs: days('days of rows', config.rawDays, SOLAR_RETENTION.rawMs),
      minuteMs: days('days of minutes', config.minuteDays, SOLAR_RETENTION.minuteMs),
      hourMs: days('days of hours', config.hourDays, SOLAR_RETENTION.hourMs),
    };
    checkRetention(retention);
    const settings = {
      prefix: config.prefix ?? '',
      intervalMs: positiveNumber('interval', config.interval, 30) * 1000,
      missed: positiveNumber('missed', config.missed, 3),
      rawMs: retention.rawMs,
    };
    let backend: SolarBackend | undefined;
    let database: Store | undefined;
    let cleaning: SolarRetention | undefined;
    const subscriptions: Subscription[] = [];
    let statusTimer: Timer | undefined;
    const disposals: (() => void)[] = [];

    function showSoon(): void {
      statusTimer ??= systemClock.setTimer(show, STATUS_MS);
    }
    function show(): void {
      statusTimer = undefined;
      if (backend === undefined) return;
      const { online, known } = backend.count();
      if (database?.state !== 'open') status('waiting', 'storeAway');
      else if (link !== undefined && link.state !== 'connected') status('waiting', 'connecting');
      else status('working', 'online', { online, known });
    }

    async function begin() {
      status('waiting', 'store');
      const open = await store;
      database = open;
      const repository = solarStore(open);
      const started = createSolarBackend({
        ...{ store: repository, clock: systemClock, log, settings },
        ...(shared && {
          elsewhere: createElsewhere(
            ...([repository, await shared.gateways, connection?.share && shared.gateway] as const),
          ),
        }),
      });
      disposals.push(
        started.listen(outputs(context.send, context.wired)),
        started.listen({ status: showSoon }),
        open.onState(showSoon),
        addSolarFigures(started),
        addOverview(
          RED,
          'solar',
          solarPart({ overview: solarOverview(open), withLastSeen: provided.withLastSeen }),
        ),
      );
      await started.start();
      backend = started;
      cleaning = startSolarRetention(open, { settings: retention, log });
      return { backend: started, queries: repository };
    }
    const ready = begin();
    awaitReader(ready, closed);
    const provided = provideTelemetry(ready, { fast: config.fast === true, shared: shared !== undefined });
    context.provide(provided);
    disposals.push(
      addReplay(RED, 'solar', async (letter) => {
        const { refusal } = await (await ready).backend.replay(letter);
        if (refusal === undefined) return { accepted: true };
        return { accepted: false, code: refusal.code, message: refusal.message };
      }),
    );

    return {
      async start() {
        const { filters, handle } = (await ready).backend;
        if (closed.aborted) return;
        show();
        if (link === undefined) return;
        disposals.push(link.onState(showSoon));
        subscriptions.push(await link.subscribe(filters.telemetry, sharedOut(connection), handle));
        // Every gateway hears every status: two of one machine mean something in their order alone.
        subscriptions.push(await link.subscribe(filters.status, { qos: 1 }, handle));
      },
      async input(message) {
        await (await ready).backend.handle(arrivalOf(message));
      },
      async close() {
        statusTimer?.cancel();
        for (const subscription of subscriptions) await subscription.close();
        await cleaning?.stop();
        await backend?.close();
        for (const dispose of disposals) dispose();
      },
    };
  });
};
