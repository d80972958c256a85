import type { Node, NodeAPI } from 'node-red';
import { FieldloomError } from '../../lib/core/errors.js';
import type { Link, QoS } from '../../lib/core/link.js';
import { type Connection, connect } from '../../lib/mqtt/connection.js';
import type { ConnectionOptions } from '../../lib/mqtt/connection-options.js';
import { createLateLink } from '../../lib/mqtt/late-link.js';
import type { OutboxStore } from '../../lib/mqtt/outbox.js';
import { outboxStore } from '../../lib/mqtt/outbox-store.js';
import type { Store } from '../../lib/store/store.js';
import { defineNode } from '../runtime/define-node.js';
import { addFigure } from '../runtime/metrics.js';

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
  /** The broker node serves the link from now on. */
  attach(link: Link): void;
  detach(link: Link): Promise<void>;
  /** Goes away from an external broker until `connect`, as a gateway does that loses its network. */
  disconnect(): Promise<void>;
  connect(): void;
}

type TlsNode = Node & { addTLSOptions(options: object): object };

function connectionOptions(
  RED: NodeAPI,
  nodeId: string,
  config: Config,
  { username, password }: Partial<Credentials>,
): Omit<ConnectionOptions, 'log'> {
  const tls = config.tls ? (RED.nodes.getNode(config.tls) as TlsNode | null) : undefined;
  if (tls === null)
    throw new FieldloomError('missing_setting', 'the TLS configuration of this connection is missing');
  return {
    url: config.url,
    version: config.protocolVersion === '5' ? '5' : '3.1.1',
    clientId: config.clientId || `fieldloom-${nodeId}`,
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
function lateOutbox(store: Promise<Store>, nodeId: string): OutboxStore {
  const ready = store.then((open) => outboxStore(open, nodeId));
  ready.catch(() => {}); // the store node reports it
  return {
    add: async (entry) => (await ready).add(entry),
    remove: async (id) => (await ready).remove(id),
    all: async () => (await ready).all(),
  };
}

export = (RED: NodeAPI): void => {
  defineNode<Config, Credentials>(
    RED,
    'fieldloom-connection',
    ({ node, config, credentials, log, provide, useOptional }) => {
      const external = config.kind === 'external' || (config.kind !== 'embedded' && Boolean(config.url));
      const link = createLateLink();
      const options = external ? connectionOptions(RED, node.id, config, credentials) : undefined;
      const store = useOptional<{ store: Promise<Store> }>(config.store, 'store')?.store;
      const outbox = store && lateOutbox(store, node.id);
      let connection: Connection | undefined;

      const provided: ProvidedConnection = {
        link,
        external,
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
      };
      provide(provided);
      provided.connect();

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
          await provided.disconnect();
          await link.close();
        },
      };
    },
    { credentials: { username: { type: 'text' }, password: { type: 'password' } } },
  );
};
