import type { NodeAPI } from 'node-red';
import { createDeviceBackend, type DeviceBackend } from '../../lib/command/events-backend.js';
import { systemClock, type Timer } from '../../lib/core/clock.js';
import { FieldloomError } from '../../lib/core/errors.js';
import type { Link, Subscription } from '../../lib/core/link.js';
import { deviceStore } from '../../lib/store/device.js';
import { deviceQueries } from '../../lib/store/device-queries.js';
import { newId } from '../../lib/store/ids.js';
import type { Store } from '../../lib/store/store.js';
import { arrivalOf } from '../runtime/arrival.js';
import { defineNode } from '../runtime/define-node.js';
import { awaitReader } from '../runtime/health.js';
import { positiveNumber } from '../runtime/numbers.js';
import { addReplay } from '../runtime/replay.js';
import { sharedOut } from '../runtime/shared-out.js';
import { addDeviceFigures } from './figures.js';
import { outputs } from './outputs.js';
import { provideDevices } from './provided.js';

interface Config {
  connection: string;
  store: string;
  prefix: string;
  /** Seconds. */
  interval: string;
  missed: string;
}

/** The status is written at most so often, ms: thousands of devices may come at once. */
const STATUS_MS = 500;

export = (RED: NodeAPI): void => {
  defineNode<Config>(RED, 'fieldloom-device-events', (context) => {
    const { config, log, closed, status } = context;
    const { store } = context.use<{ store: Promise<Store> }>(config.store, 'store');
    const connection = context.useOptional<{ link: Link; share?: string }>(config.connection, 'connection');
    const link = connection?.link;
    const settings = {
      prefix: config.prefix ?? '',
      intervalMs: positiveNumber('interval', config.interval, 30) * 1000,
      missed: positiveNumber('missed', config.missed, 3),
    };
    let backend: DeviceBackend | undefined;
    const subscriptions: Subscription[] = [];
    let statusTimer: Timer | undefined;
    const disposals: (() => void)[] = [];

    function showSoon(): void {
      statusTimer ??= systemClock.setTimer(show, STATUS_MS);
    }
    function show(): void {
      statusTimer = undefined;
      if (backend === undefined) return;
      if (link !== undefined && link.state !== 'connected') status('waiting', 'connecting');
      else status('working', 'online', backend.count());
    }

    async function begin() {
      status('waiting', 'store');
      const open = await store;
      const started = createDeviceBackend({
        store: deviceStore(open),
        clock: systemClock,
        log,
        newId,
        settings,
      });
      disposals.push(
        started.listen(outputs(context.send, context.wired)),
        started.listen({ device: showSoon }),
        addDeviceFigures(started),
      );
      await started.start();
      backend = started;
      return { backend: started, queries: deviceQueries(open) };
    }
    const ready = begin();
    awaitReader(ready, closed);
    context.provide(provideDevices(ready));
    disposals.push(
      addReplay(RED, 'device', async (letter) => {
        const [refusal] = (await (await ready).backend.replay(letter)).refusals;
        if (refusal === undefined) return { accepted: true };
        return { accepted: false, code: refusal.code, message: refusal.message };
      }),
    );

    async function acknowledge(alertId: unknown, by: unknown): Promise<void> {
      if (typeof alertId !== 'string' || typeof by !== 'string') {
        throw new FieldloomError(
          'invalid_input',
          'msg.acknowledge and msg.by: accepted are the id of an alert, and the name of who acknowledges it',
        );
      }
      await (await ready).backend.acknowledge(alertId, by);
    }

    return {
      async start() {
        const { filters, handle } = (await ready).backend;
        if (closed.aborted) return;
        show();
        if (link === undefined) return;
        disposals.push(link.onState(showSoon));
        for (const filter of filters) {
          subscriptions.push(await link.subscribe(filter, sharedOut(connection), handle));
        }
      },
      async input(message) {
        if ('acknowledge' in message) return acknowledge(message['acknowledge'], message['by']);
        await (await ready).backend.handle(arrivalOf(message));
      },
      async close() {
        statusTimer?.cancel();
        for (const subscription of subscriptions) await subscription.close();
        await backend?.close();
        for (const dispose of disposals) dispose();
      },
    };
  });
};
