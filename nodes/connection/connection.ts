import type { Node, NodeAPI } from 'node-red';
import { FieldloomError } from '../../lib/core/errors.js';
import type { Link, QoS } from '../../lib/core/link.js';
import { type Connection, connect } from '../../lib/mqtt/connection.js';
import type { ConnectionOptions, Will } from '../../lib/mqtt/connection-options.js';
import { createLateLink } from '../../lib/mqtt/late-link.js';
import type { OutboxStore } from '../../lib/mqtt/outbox.js';
import { outboxStore } from '../../lib/mqtt/outbox-store.js';
import { standBy } from '../../lib/mqtt/standby.js';
import { taskRow } from '../../lib/store/gateways.js';
import type { Store } from '../../lib/store/store.js';
import { defineNode } from '../runtime/define-node.js';
import { addFigure } from '../runtime/metrics.js';
import type { ProvidedStore } from '../store/store.js';

interface Config {
  kind: 'auto' | 'embedded' | 'external';
  url: string;
  tls: string;
  /** Keeps durable publishes over a restart; without one they wait in memory. */
  store: string;
  clientId: string;
  protocolVersion: '4' | '5';
  clean: boolean;
  keepalive: string;
  unacknowledged: string;
  willTopic: string;
  willPayload: string;
  willQos: string;
  willRetain: boolean;
  /** Group of gateways that share out telemetry and states; empty: nothing is shared. */
  share: string;
}

interface Credentials {
  username: string;
  password: string;
}

/** What a connection node offers to nodes that name it. */
export interface ProvidedConnection {
  link: Link;
  /** True: another broker, by MQTT.js. False: a broker node of this gateway serves it. */
  external: boolean;
  /** Group for the shared subscriptions of what one gateway alone is to take. */
  share?: string;
  /** The broker node serves the link from now on. */
  attach(link: Link): void;
  detach(link: Link): Promise<void>;
  /** Goes away from an external broker until `connect`, as a gateway does that loses its network. */
  disconnect(): Promise<void>;
  connect(): void;
  /**
   * The last will of the device that a node plays: the connection has it from its next login on, which it makes now.
   * A broker node of this gateway has no use for it: it ends with its flows.
   * @returns gives the place free for another
   * @throws FieldloomError invalid_setting where the connection has another last will
   */
  claimWill(will: Will): () => void;
}

const isSameWill = (one: Will, other: Will) =>
  one.topic === other.topic && String(one.payload) === String(other.payload) && one.retain === other.retain;

type TlsNode = Node & { addTLSOptions(options: object): object };

function connectionOptions(
  RED: NodeAPI,
  name: string,
  config: Config,
  { username, password }: Partial<Credentials>,
): Omit<ConnectionOptions, 'log'> {
  const tls = config.tls ? (RED.nodes.getNode(config.tls) as TlsNode | null) : undefined;
  if (tls === null)
    throw new FieldloomError('missing_setting', 'the TLS configuration of this connection is missing');
  return {
    url: config.url,
    version: config.protocolVersion === '5' ? '5' : '3.1.1',
    clientId: config.clientId || `fieldloom-${name}`,
    persistentSession: !config.clean,
    keepaliveS: Number(config.keepalive || 60),
    maxUnacknowledged: Number(config.unacknowledged || 1000),
    ...(username && { username }),
    ...(password && { password }),
    ...(tls && { tls: tls.addTLSOptions({}) }),
    ...(config.willTopic && {
      will: {
        topic: config.willTopic,
        payload: config.willPayload ?? '',
        qos: Number(config.willQos || 0) as QoS,
        retain: config.willRetain,
      },
    }),
  };
}

/** The outbox of a store that may still be opening: publishes wait until what an earlier run left is known. */
function lateOutbox(store: Promise<Store>, name: string): OutboxStore {
  const ready = store.then((open) => outboxStore(open, name));
  ready.catch(() => {}); // the store node reports it
  return {
    add: async (entry) => (await ready).add(entry),
    remove: async (id) => (await ready).remove(id),
    all: async () => (await ready).all(),
  };
}

/** @throws FieldloomError invalid_setting */
function shareGroup(text: string | undefined): string | undefined {
  const group = text?.trim() ?? '';
  if (group === '') return undefined;
  if (/^[^\s/+#]{1,64}$/.test(group)) return group;
  throw new FieldloomError(
    'invalid_setting',
    `the share group is ${JSON.stringify(group.slice(0, 80))}: accepted are 1 to 64 characters without "/", "+", "#" and spaces`,
  );
}

export = (RED: NodeAPI): void => {
  defineNode<Config, Credentials>(
    RED,
    'fieldloom-connection',
    ({ node, config, credentials, log, provide, useOptional, closed, report }) => {
      const external = config.kind === 'external' || (config.kind !== 'embedded' && Boolean(config.url));
      const link = createLateLink();
      const kept = useOptional<ProvidedStore>(config.store, 'store');
      // Session and outbox are this gateway's alone, or of whichever of them is connected.
      const shared = kept?.shared;
      const share = shareGroup(config.share);
      const own = shared === undefined || share === undefined ? node.id : `${node.id}-${shared.gateway}`;
      const options = external ? connectionOptions(RED, own, config, credentials) : undefined;
      const outbox = kept && lateOutbox(kept.store, own);
      let connection: Connection | undefined;
      /** The will of a node, beside which there can be no other. */
      let claimed: Will | undefined;

      async function connectAgain(): Promise<void> {
        if (connection === undefined) return;
        await provided.disconnect();
        if (!closed.aborted) provided.connect();
      }

      const provided: ProvidedConnection = {
        link,
        external,
        ...(share !== undefined && { share }),
        attach: (served) => link.attach(served),
        detach: (served) => link.detach(served),
        connect() {
          if (options === undefined || connection !== undefined) return;
          connection = connect({ ...options, log, ...(outbox && { outbox }) });
          link.attach(connection);
        },
        async disconnect() {
          const leaving = connection;
          if (leaving === undefined) return;
          connection = undefined;
          // Together: a subscription that the broker has not granted yet ends with the connection alone.
          await Promise.all([link.detach(leaving), leaving.close()]);
        },
        claimWill(will) {
          if (options === undefined) return () => {};
          const taken = claimed ?? (config.willTopic ? options.will : undefined);
          if (taken !== undefined && (claimed !== undefined || !isSameWill(taken, will))) {
            throw new FieldloomError(
              'invalid_setting',
              `the connection ${node.name || node.id} has the last will of ${taken.topic}, and MQTT knows one of a ` +
                `connection: ${will.topic} needs a connection of its own`,
            );
          }
          claimed = will;
          if (options.will === undefined || !isSameWill(options.will, will)) {
            options.will = will;
            connectAgain().catch(report);
          }
          return () => {
            claimed = undefined;
          };
        },
      };
      provide(provided);
      const stopStandingBy =
        external && kept !== undefined && shared !== undefined && share === undefined
          ? standBy({
              ...{ gateways: shared.gateways, log, connect: provided.connect },
              task: kept.store.then((open) => taskRow(open, `connection ${node.id}`)),
              disconnect: () => provided.disconnect(),
            })
          : undefined;
      if (stopStandingBy === undefined) provided.connect();

      const labels = { connection: node.name || node.id };
      const figure = (name: string, help: string, read: () => number) =>
        addFigure({ name, help, labels: ['connection'], read: () => [{ value: read(), labels }] });
      const disposals = external
        ? [
            figure('fieldloom_connection_up', '1 while connected', () => Number(link.state === 'connected')),
            figure(
              'fieldloom_connection_unacknowledged',
              'Messages whose handlers have not finished',
              () => connection?.counters.unacknowledged ?? 0,
            ),
            figure(
              'fieldloom_connection_queued',
              'Publishes that wait or are under way',
              () => connection?.counters.queued ?? 0,
            ),
          ]
        : [];

      return {
        async close() {
          for (const dispose of disposals) dispose();
          await stopStandingBy?.();
          await provided.disconnect();
          await link.close();
        },
      };
    },
    { credentials: { username: { type: 'text' }, password: { type: 'password' } } },
  );
};
