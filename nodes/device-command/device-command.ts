import type { NodeAPI, NodeMessage } from 'node-red';
import { v7 } from 'uuid';
import { type CommandDispatcher, createDispatcher } from '../../lib/command/dispatcher.js';
import { parseRequest } from '../../lib/command/flow-request.js';
import { createProfile } from '../../lib/command/profile.js';
import { createSharedDispatcher } from '../../lib/command/shared-dispatcher.js';
import { systemClock, type Timer } from '../../lib/core/clock.js';
import type { Link, Subscription } from '../../lib/core/link.js';
import { gatedLink } from '../../lib/mqtt/gated-link.js';
import { wiredLink } from '../../lib/mqtt/wired-link.js';
import { commandStore } from '../../lib/store/command.js';
import { arrivalOf } from '../runtime/arrival.js';
import { defineNode } from '../runtime/define-node.js';
import { awaitReader } from '../runtime/health.js';
import { addReplay } from '../runtime/replay.js';
import type { ProvidedStore } from '../store/store.js';
import { addCommandFigures } from './figures.js';
import { OUTPUT, outputs } from './outputs.js';
import { type Config, dispatcherSettings, profileSettings } from './settings.js';

/** The status is written at most so often, ms. */
const STATUS_MS = 500;

export = (RED: NodeAPI): void => {
  defineNode<Config>(RED, 'fieldloom-device-command', (context) => {
    const { config, log, closed, status, node } = context;
    const { store, shared } = context.use<ProvidedStore>(config.store, 'store');
    const connection = context.useOptional<{ link: Link }>(config.connection, 'connection');
    const sendFrom = (output: number, message: NodeMessage) =>
      context.send(...Array.from({ length: output }, () => null), message);
    const link = connection?.link ?? wiredLink((publish) => sendFrom(OUTPUT.publish, { ...publish }));
    const profile = createProfile(profileSettings(config));
    const settings = dispatcherSettings(config);
    /** The messages that asked for the commands of this run that have not ended. */
    const askers = new Map<string, NodeMessage>();
    const disposals: (() => void)[] = [];
    let dispatcher: CommandDispatcher | undefined;
    let subscription: Subscription | undefined;
    let statusTimer: Timer | undefined;

    function showSoon(): void {
      statusTimer ??= systemClock.setTimer(show, STATUS_MS);
    }
    function show(): void {
      statusTimer = undefined;
      if (dispatcher === undefined) return;
      const { inFlight, waiting } = dispatcher.count();
      if (!dispatcher.connected) status('waiting', 'away', { count: inFlight + waiting });
      else if (inFlight === 0) status('idle', 'idle');
      else status('working', 'inFlight', { count: inFlight });
    }

    async function begin(): Promise<CommandDispatcher> {
      status('waiting', 'store');
      const common = { ...{ name: node.id, profile, settings }, ...{ link, clock: systemClock, log } };
      const commands = commandStore(await store);
      const gateways = await shared?.gateways;
      const started =
        gateways === undefined
          ? createDispatcher({ ...common, store: commands })
          : createSharedDispatcher({
              ...{ ...common, store: commands, gateways },
              gate: (may) => gatedLink(link, gateways, may),
            });
      dispatcher = started;
      disposals.push(
        started.listen(
          outputs({
            send: sendFrom,
            wired: context.wired,
            messageFor: (id) => RED.util.cloneMessage(askers.get(id) ?? ({} as NodeMessage)),
            ended: (id) => askers.delete(id),
          }),
        ),
        started.listen({ changed: showSoon }),
        link.onState(showSoon),
        addCommandFigures(started),
        addReplay(RED, 'command', async (letter) => {
          const refusal = await started.replay(letter);
          if (refusal === undefined) return { accepted: true };
          return { accepted: false, code: refusal.code, message: refusal.message };
        }),
      );
      context.provide(started);
      return started;
    }
    const ready = begin();
    awaitReader(ready, closed);

    return {
      async start() {
        const started = await ready;
        if (closed.aborted) return;
        const { filter } = started;
        // Asked for first, so that no device answers before we listen.
        const subscribed =
          connection === undefined || filter === undefined
            ? undefined
            : link.subscribe(filter, { qos: 1 }, started.handle);
        subscribed?.catch(() => {});
        await started.start();
        show();
        subscription = await subscribed;
        if (closed.aborted) await subscription?.close();
      },
      async input(message) {
        const started = await ready;
        const { topic, payload, cancel } = message;
        if (typeof cancel === 'string' && cancel !== '') {
          await started.cancel(cancel);
          return;
        }
        if (connection === undefined && typeof topic === 'string' && profile.matchAck(topic) !== undefined) {
          await started.handle(arrivalOf(message));
          return;
        }
        const id = v7();
        const request = { id, ...parseRequest(payload), waitForBroker: config.waitForBroker !== false };
        const key = request.id.toLowerCase();
        // One id asked for twice is refused: the first one's message stays.
        if (!askers.has(key)) askers.set(key, message);
        try {
          await started.submit(request);
        } catch (error) {
          if (askers.get(key) === message) askers.delete(key);
          throw error;
        }
      },
      async close() {
        statusTimer?.cancel();
        await subscription?.close();
        await dispatcher?.close();
        for (const dispose of disposals) dispose();
      },
    };
  });
};
