import type { NodeAPI, NodeMessage } from 'node-red';
import { systemClock } from '../../lib/core/clock.js';
import { FieldloomError } from '../../lib/core/errors.js';
import type { Link, Subscription } from '../../lib/core/link.js';
import type { Will } from '../../lib/mqtt/connection-options.js';
import { outboxStore } from '../../lib/mqtt/outbox-store.js';
import { wiredLink } from '../../lib/mqtt/wired-link.js';
import {
  formatStatus,
  type MachineCommand,
  machineTopics,
  OFFLINE_STATUS,
  readMeasurement,
  readReport,
} from '../../lib/solar/machine-codec.js';
import {
  type CommandArrival,
  createCommandIntake,
  type IgnoredCommand,
  toldInMemory,
} from '../../lib/solar/machine-commands.js';
import type { MachineEndState } from '../../lib/solar/machine-end.js';
import { createMachineEnd, type MachineEnd } from '../../lib/solar/machine-end-runner.js';
import type { TelemetryQueue } from '../../lib/solar/machine-ports.js';
import { toldCommands } from '../../lib/store/solar-machine.js';
import type { Store } from '../../lib/store/store.js';
import { arrivalOf } from '../runtime/arrival.js';
import { defineNode } from '../runtime/define-node.js';
import { positiveNumber } from '../runtime/numbers.js';

interface Config {
  connection: string;
  store: string;
  companyId: string;
  machineId: string;
  prefix: string;
  /** Seconds. */
  interval: string;
  timestamps: boolean;
}

/** What a connection node provides. */
interface Connection {
  link: Link;
  claimWill(will: Will): () => void;
}

/** Wires take everything at once, so nothing waits on disk. */
const noQueue: TelemetryQueue = { all: async () => [], add: async () => {}, remove: async () => {} };

/** What the flow gets: the command, and its parameters to act on. */
const toFlow = ({ command, params, commandId }: MachineCommand, topic: string): NodeMessage =>
  ({ topic, payload: { ...params }, command, command_id: commandId }) as NodeMessage;

const toIgnored = (
  { reason, message, code, commandId }: IgnoredCommand,
  { topic, payload }: CommandArrival,
): NodeMessage =>
  ({ topic, payload, ignored: { reason, message, code, command_id: commandId } }) as unknown as NodeMessage;

export = (RED: NodeAPI): void => {
  defineNode<Config>(RED, 'fieldloom-solar-machine', (context) => {
    const { config, log, status, closed } = context;
    const topics = machineTopics(
      { companyId: config.companyId ?? '', machineId: config.machineId ?? '' },
      config.prefix,
    );
    const intervalMs = positiveNumber('interval', config.interval, 30) * 1000;
    const connection = context.useOptional<Connection>(config.connection, 'connection');
    const link = connection?.link ?? wiredLink((publish) => context.send(null, null, { ...publish }));
    const opened =
      connection === undefined
        ? context.useOptional<{ store: Promise<Store> }>(config.store, 'store')
        : context.use<{ store: Promise<Store> }>(config.store, 'store');
    const freeWill = connection?.claimWill({
      topic: topics.status,
      payload: formatStatus(OFFLINE_STATUS),
      qos: 1,
      retain: true,
    });
    let machine: MachineEnd | undefined;
    let subscription: Subscription | undefined;

    function show({ connected, waiting }: MachineEndState): void {
      if (!connected) status('waiting', 'away', { count: waiting.length });
      else if (waiting.length > 1) status('working', 'sending', { count: waiting.length });
      else status('working', 'connected');
    }

    async function begin() {
      status('waiting', 'store');
      const store = await opened?.store;
      const takeCommand = createCommandIntake({
        topic: topics.command,
        told: store === undefined ? toldInMemory() : toldCommands(store, topics.command),
        tell: (command) => context.send(toFlow(command, topics.command)),
        ignore: (ignored, arrival) => context.send(null, toIgnored(ignored, arrival)),
      });
      const started = createMachineEnd({
        topics,
        link,
        queue:
          connection === undefined || store === undefined ? noQueue : outboxStore(store, topics.telemetry),
        clock: systemClock,
        log,
        timestamps: config.timestamps !== false,
        settings: { intervalMs },
        onState: show,
      });
      machine = started;
      if (!closed.aborted) await started.start();
      return { started, takeCommand };
    }
    const ready = begin();

    return {
      async start() {
        const { takeCommand } = await ready;
        if (closed.aborted) return;
        subscription = await connection?.link.subscribe(topics.command, { qos: 2 }, takeCommand);
      },
      async input(message) {
        const { started, takeCommand } = await ready;
        const { topic } = message;
        if (topic === 'telemetry' || topic === topics.telemetry) {
          await started.measure(readMeasurement(message.payload, Date.now()), message['now'] === true);
        } else if (topic === 'status' || topic === topics.status) {
          await started.report(readReport(message.payload, Date.now()));
        } else if (connection === undefined && topic === topics.command)
          await takeCommand(arrivalOf(message));
        else {
          const others = connection === undefined ? `, or ${topics.command} with a command` : '';
          throw new FieldloomError(
            'invalid_input',
            `msg.topic is ${JSON.stringify(topic)}: accepted is "telemetry" or "status"${others}`,
          );
        }
      },
      async close() {
        freeWill?.();
        // The goodbye first: the connection may be closing at the same time.
        await machine?.close();
        await subscription?.close();
      },
    };
  });
};
