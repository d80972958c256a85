import type { NodeAPI, NodeMessage } from 'node-red';
import { systemClock, type Timer } from '../../lib/core/clock.js';
import { FieldloomError } from '../../lib/core/errors.js';
import type { Link, Subscription } from '../../lib/core/link.js';
import type { FirmwareFiles } from '../../lib/firmware/ports.js';
import { createRollouts, type Rollouts } from '../../lib/firmware/rollouts.js';
import { createSharedRollouts } from '../../lib/firmware/shared-rollouts.js';
import { gatedLink } from '../../lib/mqtt/gated-link.js';
import { wiredLink } from '../../lib/mqtt/wired-link.js';
import { firmwareStore } from '../../lib/store/firmware.js';
import { taskRow } from '../../lib/store/gateways.js';
import type { Store } from '../../lib/store/store.js';
import { arrivalOf } from '../runtime/arrival.js';
import { defineNode } from '../runtime/define-node.js';
import { awaitReader } from '../runtime/health.js';
import { positiveNumber } from '../runtime/numbers.js';
import type { ProvidedStore } from '../store/store.js';
import { addFirmwareFigures } from './figures.js';
import { takeInput } from './input.js';
import { outputs } from './outputs.js';
import { serveFirmware } from './serve.js';

interface Config {
  connection: string;
  store: string;
  files: string;
  prefix: string;
  /** Seconds. */
  ackTimeout: string;
  deadline: string;
  /** Seconds; empty: versions are not verified. */
  verify: string;
  maxInProgress: string;
}

/** The status is written at most so often, ms. */
const STATUS_MS = 500;
const GATE = 0;
const PUBLISH = 4;
/** Name of the task that one of several gateways has. */
const TASK = 'firmware rollouts';

/** Who drives the rollouts of a store that several gateways share, and the store as that one has it. */
function sharedRows(store: Store) {
  const task = taskRow(store, TASK);
  return { task, storeAt: (term: number) => firmwareStore(store, () => task.guard(term)) };
}

/** Stores whose rollouts a node drives. */
const driven = new WeakSet<Store>();

export = (RED: NodeAPI): void => {
  defineNode<Config>(RED, 'fieldloom-firmware-rollout', (context) => {
    const { config, log, closed, status } = context;
    const { store, shared } = context.use<ProvidedStore>(config.store, 'store');
    const files = context.use<FirmwareFiles>(config.files, 'files');
    const connection = context.useOptional<{ link: Link }>(config.connection, 'connection')?.link;
    const wires = wiredLink((publish) => {
      context.send(...Array<null>(PUBLISH).fill(null), publish as unknown as NodeMessage);
    });
    const link = connection ?? wires;
    const settings = {
      prefix: config.prefix ?? '',
      ackTimeoutMs: positiveNumber('ackTimeout', config.ackTimeout, 30) * 1000,
      deadlineMs: positiveNumber('deadline', config.deadline, 3600) * 1000,
      verifyMs: config.verify ? positiveNumber('verify', config.verify, 600) * 1000 : 0,
      maxInProgress: positiveNumber('maxInProgress', config.maxInProgress, 1000),
    };
    let open: Store | undefined;
    let rollouts: Rollouts | undefined;
    let statusTimer: Timer | undefined;
    const subscriptions: Subscription[] = [];
    const disposals: (() => void)[] = [];
    const served = serveFirmware({
      ...{ RED, log, shared: shared !== undefined },
      ...{ store: () => open, rollouts: () => rollouts },
    });

    function showSoon(): void {
      statusTimer ??= systemClock.setTimer(show, STATUS_MS);
    }
    function show(): void {
      statusTimer = undefined;
      if (rollouts === undefined) return;
      const { rollouts: running, inProgress } = rollouts.count();
      if (link.state !== 'connected') status('waiting', 'connecting');
      else if (running === 0) status('working', 'ready');
      else status('working', 'running', { rollouts: running, inProgress });
    }

    async function begin(): Promise<Rollouts> {
      status('waiting', 'store');
      const found = await store;
      if (driven.has(found)) {
        throw new FieldloomError(
          'conflict',
          'another firmware rollout node drives the rollouts of this store',
        );
      }
      driven.add(found);
      open = found;
      disposals.push(() => driven.delete(found));
      const common = {
        ...{ store: firmwareStore(found), files, link, clock: systemClock, log, settings },
        gated: () => context.wired(GATE),
      };
      const gateways = await shared?.gateways;
      const started =
        gateways === undefined
          ? createRollouts(common)
          : createSharedRollouts({
              ...{ ...common, ...sharedRows(found), gateways },
              gate: (may) => gatedLink(link, gateways, may),
            });
      disposals.push(
        started.listen(outputs(context.send, context.wired)),
        started.listen({ rollout: showSoon, deployment: showSoon }),
        served.listen(started),
        addFirmwareFigures(started),
      );
      rollouts = started;
      return started;
    }
    const ready = begin();
    awaitReader(ready, closed);

    return {
      async start() {
        const started = await ready;
        if (closed.aborted) return;
        if (connection !== undefined) {
          disposals.push(connection.onState(showSoon));
          for (const filter of started.filters) {
            subscriptions.push(await connection.subscribe(filter, { qos: 1 }, started.handle));
          }
        }
        await started.start();
        show();
      },
      async input(message) {
        const started = await ready;
        if (await takeInput(started, message)) return;
        if (typeof message.topic !== 'string' || message.topic === '') {
          throw new FieldloomError(
            'invalid_input',
            'the message is none that the node takes: accepted are msg.rollout, msg.gate, msg.installed, what a ' +
              'machine state node says of a controller, or the topic and payload of a controller’s message',
          );
        }
        await started.handle(arrivalOf(message));
      },
      async close() {
        statusTimer?.cancel();
        served.close();
        for (const subscription of subscriptions) await subscription.close();
        await rollouts?.close();
        wires.close();
        for (const dispose of disposals) dispose();
      },
    };
  });
};
