import type { NodeAPI } from 'node-red';
import { systemClock, type Timer } from '../../lib/core/clock.js';
import type { Link, Subscription } from '../../lib/core/link.js';
import { type Backend, createBackend } from '../../lib/laundry/backend.js';
import { laundryStore } from '../../lib/store/laundry.js';
import type { Store } from '../../lib/store/store.js';
import { arrivalOf } from '../runtime/arrival.js';
import { defineNode } from '../runtime/define-node.js';
import { awaitReader } from '../runtime/health.js';
import { positiveNumber } from '../runtime/numbers.js';
import { sharedOut } from '../runtime/shared-out.js';
import type { ProvidedStore } from '../store/store.js';
import { addLaundryFigures } from './figures.js';
import { outputs } from './outputs.js';
import { serveLaundry } from './serve.js';

interface Config {
  connection: string;
  store: string;
  prefix: string;
  /** Seconds. */
  interval: string;
  missed: string;
}

/** The status is written at most so often, ms: thousands of controllers may come at once. */
const STATUS_MS = 500;

export = (RED: NodeAPI): void => {
  defineNode<Config>(RED, 'fieldloom-machine-state', (context) => {
    const { config, log, closed, status } = context;
    const { store, shared } = context.use<ProvidedStore>(config.store, 'store');
    const connection = context.useOptional<{ link: Link; share?: string }>(config.connection, 'connection');
    const link = connection?.link;
    const settings = {
      prefix: config.prefix ?? '',
      intervalMs: positiveNumber('interval', config.interval, 30) * 1000,
      missed: positiveNumber('missed', config.missed, 3),
    };
    let open: Store | undefined;
    let backend: Backend | undefined;
    let subscription: Subscription | undefined;
    let statusTimer: Timer | undefined;
    const disposals: (() => void)[] = [];
    const served = serveLaundry({
      ...{ RED, log, shared: shared !== undefined },
      ...{ store: () => open, backend: () => backend },
    });

    function showSoon(): void {
      statusTimer ??= systemClock.setTimer(show, STATUS_MS);
    }
    function show(): void {
      statusTimer = undefined;
      if (backend === undefined) return;
      if (link !== undefined && link.state !== 'connected') status('waiting', 'connecting');
      else status('working', 'online', backend.count());
    }

    async function begin(): Promise<Backend> {
      status('waiting', 'store');
      open = await store;
      const started = createBackend({ store: laundryStore(open), clock: systemClock, log, settings });
      disposals.push(
        started.listen(outputs(context.send, context.wired)),
        started.listen({ liveness: showSoon }),
        served.listen(started),
        addLaundryFigures(started),
      );
      await started.start();
      backend = started;
      return started;
    }
    const ready = begin();
    awaitReader(ready, closed);

    return {
      async start() {
        const { filter, handle } = await ready;
        if (closed.aborted) return;
        if (link !== undefined) {
          disposals.push(link.onState(showSoon));
          subscription = await link.subscribe(filter, sharedOut(connection), handle);
        }
        show();
      },
      async input(message) {
        await (await ready).handle(arrivalOf(message));
      },
      async close() {
        statusTimer?.cancel();
        served.close();
        await subscription?.close();
        await backend?.close();
        for (const dispose of disposals) dispose();
      },
    };
  });
};
