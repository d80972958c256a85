import { readFile } from 'node:fs/promises';
import type { TlsOptions } from 'node:tls';
import type { Node, NodeAPI } from 'node-red';
import { systemClock, type Timer } from '../../lib/core/clock.js';
import { asError, FieldloomError } from '../../lib/core/errors.js';
import type { ListenerOptions } from '../../lib/mqtt/broker-listeners.js';
import type { BrokerMetrics, EmbeddedBroker } from '../../lib/mqtt/broker-options.js';
import { createBroker } from '../../lib/mqtt/embedded-broker.js';
import { outboxStore } from '../../lib/mqtt/outbox-store.js';
import { sessionStore } from '../../lib/mqtt/session-store.js';
import type { ProvidedAccess } from '../access/access.js';
import type { ProvidedConnection } from '../connection/connection.js';
import { defineNode } from '../runtime/define-node.js';
import { addHealthCheck, type Health } from '../runtime/health.js';
import { addFigure } from '../runtime/metrics.js';
import type { ProvidedStore } from '../store/store.js';

interface Config {
  connection: string;
  access: string;
  store: string;
  host: string;
  port: string;
  tlsPort: string;
  wsPort: string;
  tls: string;
  certFile: string;
  keyFile: string;
}

type TlsNode = Node & { addTLSOptions(options: object): TlsOptions };

/** Between two updates of the status: thousands of clients may come at once. */
const STATUS_MS = 500;

const FIGURES: readonly [name: string, help: string, read: (metrics: BrokerMetrics) => number][] = [
  ['fieldloom_broker_clients', 'MQTT clients connected now', (of) => of.connections],
  ['fieldloom_broker_takeovers_total', 'Sessions taken over by a second connection', (of) => of.takeovers],
  ['fieldloom_broker_messages_in_total', 'Messages published by clients', (of) => of.messagesIn],
  ['fieldloom_broker_messages_out_total', 'Messages delivered to clients', (of) => of.messagesOut],
  [
    'fieldloom_broker_refused_publishes_total',
    'Publishes that were not allowed',
    (of) => of.refusedPublishes,
  ],
  ['fieldloom_broker_refused_subscribes_total', 'Subscriptions not allowed', (of) => of.refusedSubscribes],
  [
    'fieldloom_broker_handler_errors_total',
    'Publishes not acknowledged after an error',
    (of) => of.handlerErrors,
  ],
  ['fieldloom_broker_dropped_total', 'Messages dropped from the full queue of a client', (of) => of.dropped],
  ['fieldloom_broker_pending_bytes', 'Bytes of publishes under way', (of) => of.pendingBytes],
];

/** A port as the editor or the environment gives it; empty: none. @throws FieldloomError invalid_setting */
function portOf(name: string, value: string | undefined): number | undefined {
  if (value === undefined || String(value).trim() === '') return undefined;
  const port = Number(value);
  if (!Number.isInteger(port) || port < 0 || port > 65_535) {
    throw new FieldloomError('invalid_setting', `${name} is ${value}: accepted is a port number`);
  }
  return port;
}

async function tlsOptions(RED: NodeAPI, config: Config): Promise<TlsOptions | undefined> {
  if (config.tls) {
    const tls = RED.nodes.getNode(config.tls) as TlsNode | null;
    if (tls === null)
      throw new FieldloomError('missing_setting', 'the TLS configuration of this broker is missing');
    return tls.addTLSOptions({});
  }
  if (!config.certFile || !config.keyFile) return undefined;
  return { cert: await readFile(config.certFile), key: await readFile(config.keyFile) };
}

async function listenersOf(RED: NodeAPI, config: Config): Promise<ListenerOptions[]> {
  const host = config.host || '127.0.0.1';
  const tls = await tlsOptions(RED, config);
  const secure = tls === undefined ? {} : { tls };
  const wanted: [ListenerOptions['kind'], number | undefined][] = [
    ['mqtt', portOf('port', config.port) ?? 1883],
    ['mqtts', portOf('TLS port', config.tlsPort)],
    [tls === undefined ? 'ws' : 'wss', portOf('WebSocket port', config.wsPort)],
  ];
  return wanted.flatMap(([kind, port]) => (port === undefined ? [] : [{ kind, host, port, ...secure }]));
}

export = (RED: NodeAPI): void => {
  defineNode<Config>(RED, 'fieldloom-broker', ({ node, config, log, closed, use, status, send }) => {
    const connection = use<ProvidedConnection>(config.connection, 'connection');
    const { access } = use<ProvidedAccess>(config.access, 'access');
    const { store } = use<ProvidedStore>(config.store, 'store');
    let broker: EmbeddedBroker | undefined;
    let creating: Promise<EmbeddedBroker> | undefined;
    let problem: Error | undefined;
    let statusTimer: Timer | undefined;

    function check(): Health {
      if (connection.external) {
        return { ok: connection.link.state === 'connected', detail: connection.link.state };
      }
      if (broker !== undefined) return { ok: true, detail: 'listening' };
      return { ok: false, detail: problem?.message ?? 'starting' };
    }
    const disposals = [addHealthCheck('broker', check)];

    function showClients() {
      statusTimer = undefined;
      status('working', 'listening', { count: broker?.metrics.connections ?? 0 });
    }

    async function start(): Promise<void> {
      if (connection.external) {
        status('idle', 'external');
        return;
      }
      status('waiting', 'starting');
      const [openStore, authority, listeners] = await Promise.all([store, access, listenersOf(RED, config)]);
      if (closed.aborted) return;
      creating = createBroker({
        listeners,
        authority,
        sessions: sessionStore(openStore),
        outbox: outboxStore(openStore, node.id),
        log,
      });
      const created = await creating;
      if (closed.aborted) return;
      broker = created;
      disposals.push(
        created.onClient(({ type, clientId, username, address }) => {
          const payload = { event: type, client_id: clientId, username, address };
          send({ topic: type, payload } as never, null);
          statusTimer ??= systemClock.setTimer(showClients, STATUS_MS);
        }),
        created.onRefused(({ type, clientId, username, address, topic }) => {
          const payload = { kind: type, client_id: clientId, username, address, topic };
          send(null, { topic: type, payload } as never);
        }),
        ...FIGURES.map(([name, help, read]) =>
          addFigure({ name, help, read: () => [{ value: read(created.metrics) }] }),
        ),
      );
      connection.attach(created.link());
      showClients();
    }

    return {
      async start() {
        try {
          await start();
        } catch (error) {
          problem = asError(error);
          throw error;
        }
      },
      async close() {
        statusTimer?.cancel();
        for (const dispose of disposals) dispose();
        if (broker !== undefined) await connection.detach(broker.link());
        // One that is on its way to listen holds the port that the next one wants.
        const created = await creating?.catch(() => undefined);
        await created?.close();
      },
    };
  });
};
