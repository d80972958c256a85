import type { NodeAPI, NodeMessage } from 'node-red';
import { parseAnswer } from '../../lib/command/responder-answer.js';
import { type Command, responderTopics } from '../../lib/command/responder-codec.js';
import { createResponder, type Ignored, type Responder } from '../../lib/command/responder-runner.js';
import { systemClock } from '../../lib/core/clock.js';
import type { Link, Subscription } from '../../lib/core/link.js';
import { wiredLink } from '../../lib/mqtt/wired-link.js';
import { responderStore } from '../../lib/store/responder.js';
import type { Store } from '../../lib/store/store.js';
import { arrivalOf } from '../runtime/arrival.js';
import { defineNode } from '../runtime/define-node.js';
import { parameterSchemas, seconds, words } from './settings.js';

interface Config {
  connection: string;
  store: string;
  deviceId: string;
  prefix: string;
  /** Templates of another system; empty: the seed's. */
  commandTopic: string;
  ackTopic: string;
  /** Separated by commas. */
  types: string;
  /** JSON: a schema by command type. */
  schemas: string;
  progress: boolean;
  /** Seconds. */
  answerTimeout: string;
  maxAge: string;
}

const instant = (ms: number | null) => (ms === null ? null : new Date(ms).toISOString());

/** What the flow gets: the parameters to act on, and by which it answers. */
const toFlow = (command: Command, topic: string): NodeMessage =>
  ({
    topic,
    payload: { ...command.parameters },
    command: {
      command_id: command.commandId,
      command_type: command.commandType,
      pond_position: command.pondPosition,
      timestamp: instant(command.timestamp),
      expires_at: instant(command.expiresAt),
    },
  }) as NodeMessage;

const toIgnored = ({ topic, payload, reason, message, code, commandId }: Ignored): NodeMessage =>
  ({ topic, payload, ignored: { reason, message, code, command_id: commandId } }) as unknown as NodeMessage;

export = (RED: NodeAPI): void => {
  defineNode<Config>(RED, 'fieldloom-device-responder', (context) => {
    const { config, log, status, closed } = context;
    const { store } = context.use<{ store: Promise<Store> }>(config.store, 'store');
    const connected = context.useOptional<{ link: Link }>(config.connection, 'connection')?.link;
    const link = connected ?? wiredLink((publish) => context.send(null, null, { ...publish }));
    let responder: Responder | undefined;
    let subscription: Subscription | undefined;
    const disposals: (() => void)[] = [];

    function show(): void {
      if (responder === undefined) return;
      const { waiting, unsent } = responder;
      if (link.state !== 'connected') {
        if (unsent > 0) status('waiting', 'unsent', { count: unsent });
        else status('waiting', 'connecting');
      } else if (waiting > 0) status('working', 'acting', { count: waiting });
      else status('working', 'ready');
    }

    async function begin() {
      status('waiting', 'store');
      const topics = responderTopics(config.deviceId ?? '', config.prefix ?? '', {
        commands: config.commandTopic ?? '',
        ack: config.ackTopic ?? '',
      });
      const settings = {
        checks: {
          types: words(config.types),
          parameterSchemas: parameterSchemas(config.schemas),
          maxAgeMs: seconds('maximum age', config.maxAge),
        },
        progress: config.progress === true,
        answerTimeoutMs: seconds('answer timeout', config.answerTimeout),
      };
      const started = createResponder({
        topics,
        link,
        store: responderStore(await store, config.deviceId),
        clock: systemClock,
        log,
        ...settings,
      });
      disposals.push(
        started.listen({
          command: (command) => context.send(toFlow(command, topics.commands)),
          ignored: (ignored) => context.send(null, toIgnored(ignored)),
          changed: show,
        }),
      );
      responder = started;
      if (!closed.aborted) await started.start();
      return { topics, started };
    }
    const ready = begin();

    return {
      async start() {
        const { topics, started } = await ready;
        if (closed.aborted) return;
        disposals.push(link.onState(show));
        show();
        subscription = await connected?.subscribe(topics.commands, { qos: 2 }, started.handle);
      },
      async input(message) {
        const { started } = await ready;
        // What this node has reported itself, brought back by a Catch node for all nodes, is no answer.
        const { source } = (message['error'] ?? {}) as { source?: { id?: string } };
        if (source?.id === context.node.id) return;
        if ('command' in message) {
          const { commandId, ...outcome } = parseAnswer(message);
          await started.answer(commandId, outcome);
        } else await started.handle(arrivalOf(message));
      },
      async close() {
        await subscription?.close();
        await responder?.close();
        for (const dispose of disposals) dispose();
      },
    };
  });
};
