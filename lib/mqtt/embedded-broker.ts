import type { Duplex } from 'node:stream';
import { Aedes, type Client, type Subscription as ClientSubscription, type PublishPacket } from 'aedes';
import { systemClock } from '../core/clock.js';
import { asError, hasCode } from '../core/errors.js';
import type { Link, MessageHandler } from '../core/link.js';
import { type Log, silentLog } from '../core/log.js';
import { type Listener, type ListenerOptions, listen } from './broker-listeners.js';
import {
  type BrokerLimits,
  type BrokerMetrics,
  type BrokerOptions,
  type ClientEvent,
  type EmbeddedBroker,
  LIMITS,
  type RefusedEvent,
} from './broker-options.js';
import { BrokerPersistence } from './broker-persistence.js';
import { ClientLogins, LONGEST_CLIENT_ID, REFUSED, type Refusal } from './client-logins.js';
import { ClientPublishes, NOWHERE } from './client-publishes.js';
import { DeliveredOnce } from './delivered-once.js';
import { EmbeddedLink, type EmbeddedRouter } from './embedded-link.js';
import { LinkStateHolder } from './link-state.js';
import type { OutboxEntry } from './outbox.js';
import type { BrokerPacket } from './outgoing-messages.js';
import { type Peer, Peers } from './peers.js';
import { ReadGate } from './read-gate.js';
import { ReadTurns } from './read-turns.js';
import { Subscriptions } from './subscriptions.js';

export type {
  BrokerLimits,
  BrokerMetrics,
  BrokerOptions,
  ClientEvent,
  EmbeddedBroker,
} from './broker-options.js';

const CLOSE_GRACE_MS = 5000;

/** How aedes 1.2 reads; test/system/mqtt-broker-limits.test.ts and -acknowledgement.test.ts fail where it changes. */
interface ReadingInternals {
  /** Its listener on the stream, and called when it has done with a packet. */
  _nextBatch: () => void;
  /** Packets that it has not done with. */
  _parsingBatch: number;
  _parser: { parse(bytes: Buffer): void };
}

/**
 * Starts the embedded broker (MQTT 3.1.1 on aedes).
 * A client's publish is handed to the handlers of `link()` before it is acknowledged: the PUBACK (QoS 1) or PUBREC
 * (QoS 2) goes out when their promises have fulfilled and, where it is retained or queued for a persistent session,
 * when that is committed. A handler that rejects closes the connection without it, and the client sends it again.
 * @throws FieldloomError conflict (port taken), invalid_setting
 */
export async function createBroker(options: BrokerOptions): Promise<EmbeddedBroker> {
  const broker = new Broker(options);
  await broker.start();
  return broker;
}

class Broker implements EmbeddedBroker, EmbeddedRouter {
  readonly handlers = new Subscriptions<MessageHandler>();
  readonly state = new LinkStateHolder('connected');
  readonly listeners: Listener[] = [];
  readonly #options: BrokerOptions;
  readonly #limits: BrokerLimits;
  readonly #log: Log;
  readonly #persistence: BrokerPersistence;
  readonly #peers: Peers;
  readonly #aedes: Aedes;
  readonly #logins: ClientLogins;
  readonly #publishes: ClientPublishes;
  readonly #link: EmbeddedLink;
  /** All connections, those without a login included. */
  readonly #delivered = new DeliveredOnce();
  readonly #turns = new ReadTurns();
  readonly #arrivals = new Map<Client, { stream: Duplex; gate: ReadGate; address: string }>();
  readonly #clientListeners = new Set<(event: ClientEvent) => void>();
  readonly #refusedListeners = new Set<(event: RefusedEvent) => void>();
  readonly #counters = {
    messagesOut: 0,
    refusedSubscribes: 0,
  };
  #stopRevocations = () => {};
  #closing: Promise<void> | undefined;

  constructor(options: BrokerOptions) {
    const { clock = systemClock, log = silentLog } = options;
    const limits = { ...LIMITS, ...options.limits };
    this.#options = options;
    this.#limits = limits;
    this.#log = log;
    this.#peers = new Peers({
      messages: limits.unacknowledged,
      bytes: limits.unacknowledgedBytes,
      totalBytes: limits.totalBytes,
    });
    this.#persistence = new BrokerPersistence({
      store: options.sessions,
      queue: { messages: limits.queuedMessages, bytes: limits.queuedBytes },
      sessionExpiryMs: limits.sessionExpiryMs,
      clock,
      log,
      mayKeep: (client, filter) => this.#maySubscribe(this.#peers.of(client as Client), filter),
      mayLeaveWill: (client, topic) => {
        const principal = this.#peers.of(client as Client)?.principal;
        return principal && options.authority.mayPublish(principal, topic) ? principal.username : undefined;
      },
      willDelayMs: limits.willDelayMs,
    });
    this.#aedes = new Aedes({
      persistence: this.#persistence,
      connectTimeout: limits.connectMs,
      drainTimeout: limits.drainMs,
      maxClientsIdLength: LONGEST_CLIENT_ID,
      // Messages on their way to subscribers at once, for the whole broker.
      concurrency: 1000,
      authenticate: (client, username, password, callback) => {
        this.#logins.logIn(client, username, password).then(
          (refusal) => callback(refusal === undefined ? null : refusalError(refusal), refusal === undefined),
          (error: unknown) => {
            log.error(`login of MQTT client ${client.id} failed: ${asError(error).message}`);
            callback(refusalError(REFUSED.unavailable), false);
          },
        );
      },
      authorizePublish: (client, packet, callback) => this.#publishes.take(client, packet, callback),
      authorizeSubscribe: (client, subscription, callback) =>
        callback(null, this.#grant(client, subscription) ? subscription : null),
      authorizeForward: (client, packet) => {
        if (packet.topic === NOWHERE) return null;
        if (packet.qos > 0 && !this.#persistence.outgoing.mayDeliver(client, packet as BrokerPacket))
          return null;
        if (!this.#delivered.isFirst(client, packet)) return null;
        this.#counters.messagesOut += 1;
        return packet;
      },
      published: (packet, client, callback) => {
        const peer = client === null ? undefined : this.#peers.of(client);
        if (peer !== undefined) this.#peers.done(peer, packet);
        callback(null);
      },
    });
    this.#logins = new ClientLogins({
      authority: options.authority,
      peers: this.#peers,
      persistence: this.#persistence,
      arrivalOf: (client) => (this.#closing === undefined ? this.#arrivals.get(client) : undefined),
      refused: (event) => this.#tellRefused(event),
      clock,
      log,
    });
    this.#publishes = new ClientPublishes({
      authority: options.authority,
      peers: this.#peers,
      handlers: this.handlers,
      persistence: this.#persistence,
      publish: (packet, client) => this.#publish(packet, client),
      refusals: limits.refusals,
      refused: ({ client, login, address }, topic) =>
        this.#tellRefused({ type: 'publish', username: login.username, clientId: client.id, address, topic }),
      clock,
      log,
    });
    this.#link = new EmbeddedLink(this, clock, log, options.outbox);
  }

  async start(): Promise<void> {
    const { authority, listeners } = this.#options;
    this.#aedes.on(
      'error' as 'closed',
      ((error: Error) => this.#log.error(`MQTT broker: ${error.message}`)) as () => void,
    );
    this.#aedes.on('connackSent', ({ returnCode }, client) => {
      if (returnCode === 0) this.#read(client);
    });
    this.#aedes.on('clientReady', (client) => this.#tell('connected', client));
    for (const event of ['clientError', 'connectionError'] as const) {
      this.#aedes.on(event, (client, error) =>
        this.#log.debug(`MQTT client ${client.id ?? 'without a login'}: ${error.message}`),
      );
    }
    await this.#aedes.listen();
    this.#stopRevocations = authority.onRevoked((username) => {
      const peer = this.#peers.loginOf(username)?.peer;
      if (peer === undefined) return;
      this.#log.info(`login ${username} was revoked: its connection is closed`);
      peer.client.close();
    });
    try {
      for (const options of listeners) this.listeners.push(await this.#listen(options));
      await this.#link.start();
      this.#persistence.wills.start(({ topic, payload, qos, retain }) =>
        this.#link.publish(topic, payload, { qos, retain }),
      );
    } catch (error) {
      await this.close();
      throw error;
    }
  }

  #listen(options: ListenerOptions): Promise<Listener> {
    const { connections, packetBytes, connectMs } = this.#limits;
    const limits = {
      maxConnections: connections,
      maxMessageBytes: packetBytes + 64 * 1024,
      handshakeMs: connectMs,
    };
    return listen(options, limits, (stream, address) => this.#arrive(stream, address));
  }

  link(): Link {
    return this.#link;
  }

  get metrics(): BrokerMetrics {
    return {
      connections: this.#peers.size,
      ...this.#counters,
      ...this.#logins.counters,
      ...this.#publishes.counters,
      dropped: this.#persistence.outgoing.dropped,
      pendingBytes: this.#peers.totalBytes,
    };
  }

  get clients(): Omit<ClientEvent, 'type'>[] {
    return [...this.#peers].map(({ client, login, address }) => ({
      username: login.username,
      clientId: client.id,
      address,
    }));
  }

  onClient(listener: (event: ClientEvent) => void): () => void {
    this.#clientListeners.add(listener);
    return () => this.#clientListeners.delete(listener);
  }

  onRefused(listener: (event: RefusedEvent) => void): () => void {
    this.#refusedListeners.add(listener);
    return () => this.#refusedListeners.delete(listener);
  }

  #tellRefused(event: RefusedEvent): void {
    for (const listener of [...this.#refusedListeners]) listener(event);
  }

  #tell(type: ClientEvent['type'], client: Client): void {
    const peer = this.#peers.of(client);
    if (peer === undefined) return;
    const event = { type, username: peer.login.username, clientId: client.id, address: peer.address };
    for (const listener of [...this.#clientListeners]) listener(event);
  }

  // ——— connections ———

  #arrive(stream: Duplex, address: string): void {
    const { connectBytes, packetBytes, unacknowledged } = this.#limits;
    const gate = new ReadGate(stream, {
      limits: { connectBytes, packetBytes },
      turns: this.#turns,
      room: () => {
        const underWay = (client as unknown as ReadingInternals)._parsingBatch;
        return Math.max(0, Math.min(this.#peers.roomFor(this.#peers.of(client)), unacknowledged - underWay));
      },
    });
    const client = this.#aedes.handle(stream);
    this.#delivered.takeOver(client);
    this.#arrivals.set(client, { stream, gate, address });
    stream.once('close', () => this.#leave(client));
  }

  /** From the CONNACK on the gate reads, not aedes: it would not answer a ping behind an unacknowledged publish. */
  #read(client: Client): void {
    const { _nextBatch, _parser } = client as unknown as ReadingInternals;
    const arrival = this.#arrivals.get(client);
    arrival?.stream.off('readable', _nextBatch);
    arrival?.gate.open((bytes) => _parser.parse(bytes));
  }

  #leave(client: Client): void {
    this.#arrivals.delete(client);
    const peer = this.#peers.of(client);
    if (peer === undefined) return;
    this.#peers.remove(peer);
    this.#tell('disconnected', client);
    // Not where the session lives on in a connection that took over.
    if (!client.clean && this.#peers.withClientId(client.id) === undefined) {
      this.#persistence.closeSession(client.id).catch((error: unknown) => {
        // At an orderly end the store may close first: the next start takes a session without an end as ended then.
        if (hasCode(error, 'store_closed')) return;
        this.#log.warn(`session of MQTT client ${client.id}: ${asError(error).message}`);
      });
    }
  }

  // ——— what clients subscribe to ———

  #maySubscribe(peer: Peer | undefined, filter: string): boolean {
    if (peer === undefined || filter.startsWith('$')) return false;
    return this.#options.authority.maySubscribe(peer.principal, filter);
  }

  #grant(client: Client, { topic }: ClientSubscription): boolean {
    const peer = this.#peers.of(client);
    if (this.#maySubscribe(peer, topic)) return true;
    this.#counters.refusedSubscribes += 1;
    const why = topic.startsWith('$share/')
      ? 'shared subscriptions are not supported by the embedded broker'
      : 'its login may not';
    this.#log.warn(`MQTT client ${client.id} may not subscribe to ${topic}: ${why}`);
    this.#tellRefused({
      type: 'subscribe',
      username: peer?.login.username,
      clientId: client.id,
      address: peer?.address ?? '',
      topic,
    });
    return false;
  }

  // ——— what the gateway publishes ———

  retained(filter: string) {
    return this.#persistence.retained([filter]);
  }

  async route({ topic, payload, qos, retain }: OutboxEntry): Promise<void> {
    await this.#publish({ cmd: 'publish', topic, payload, qos, retain, dup: false }, null);
  }

  #publish(packet: PublishPacket, client: Client | null): Promise<void> {
    const publish = this.#aedes.publish.bind(this.#aedes) as unknown as (
      packet: PublishPacket,
      client: Client | null,
      done: (error?: Error | null) => void,
    ) => void;
    return new Promise((resolve, reject) => {
      publish(packet, client, (error) => (error ? reject(error) : resolve()));
    });
  }

  // ——— end ———

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#stopRevocations();
    this.#publishes.closing = true;
    this.#persistence.wills.stop();
    const closed = this.listeners.map((listener) => listener.close());
    await this.#peers.stop(CLOSE_GRACE_MS);
    this.state.set('closed');
    const sessions = [...this.#peers].filter(({ client }) => !client.clean).map(({ client }) => client.id);
    await new Promise<void>((resolve) => this.#aedes.close(resolve));
    for (const { stream } of this.#arrivals.values()) stream.destroy();
    await Promise.allSettled(sessions.map((clientId) => this.#persistence.closeSession(clientId)));
    await this.#persistence.destroy();
    await Promise.all(closed);
  }
}

const refusalError = (returnCode: Refusal) =>
  Object.assign(new Error('login refused'), { returnCode: returnCode as never });
