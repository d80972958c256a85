import type { Duplex } from 'node:stream';
import { Aedes, type Client, type Subscription as ClientSubscription, type PublishPacket } from 'aedes';
import { type Clock, systemClock } from '../core/clock.js';
import { asError } from '../core/errors.js';
import type { Link, Message, MessageHandler } from '../core/link.js';
import { type Log, silentLog } from '../core/log.js';
import type { Authority } from './authority.js';
import { type Listener, type ListenerAddress, type ListenerOptions, listen } from './broker-listeners.js';
import { BrokerPersistence } from './broker-persistence.js';
import { callHandler, EmbeddedLink, type EmbeddedRouter } from './embedded-link.js';
import { LinkStateHolder } from './link-state.js';
import type { OutboxEntry, OutboxStore } from './outbox.js';
import { type Peer, Peers } from './peers.js';
import { ReadGate } from './read-gate.js';
import type { SessionStore } from './session-changes.js';
import { Subscriptions } from './subscriptions.js';

export interface BrokerLimits {
  /** Largest packet of a client that has logged in. Default 16 MiB. */
  packetBytes: number;
  /** Largest CONNECT packet. Default 64 KiB. */
  connectBytes: number;
  /** Time to log in, ms. Default 10 s. */
  connectMs: number;
  /** Connections on one listener; undefined (default) for no limit. */
  connections: number | undefined;
  /** Publishes of one client that the broker has not done with. Default 1,000. */
  unacknowledged: number;
  /** Bytes of their payloads. Default 4 MiB. */
  unacknowledgedBytes: number;
  /** The same for all clients together. Default 128 MiB. */
  totalBytes: number;
  /** Messages kept for one client that is away. Default 1,000; the oldest give way. */
  queuedMessages: number;
  /** Bytes of their payloads. Default 8 MiB. */
  queuedBytes: number;
  /** How long a persistent session outlives its connection, ms. Default 7 days. */
  sessionExpiryMs: number;
  /** A client that does not take what is sent to it is cut off after so many ms. Default 15 s. */
  drainMs: number;
  /** Refused publishes a minute, at the last of which the connection is closed (access.md). Default 10. */
  refusals: number;
}

const LIMITS: BrokerLimits = {
  packetBytes: 16 * 1024 * 1024,
  connectBytes: 64 * 1024,
  connectMs: 10_000,
  connections: undefined,
  unacknowledged: 1000,
  unacknowledgedBytes: 4 * 1024 * 1024,
  totalBytes: 128 * 1024 * 1024,
  queuedMessages: 1000,
  queuedBytes: 8 * 1024 * 1024,
  sessionExpiryMs: 7 * 24 * 3600 * 1000,
  drainMs: 15_000,
  refusals: 10,
};

export interface BrokerOptions {
  listeners: readonly ListenerOptions[];
  authority: Authority;
  sessions: SessionStore;
  /** For durable publishes of the gateway itself. */
  outbox?: OutboxStore;
  limits?: Partial<BrokerLimits>;
  clock?: Clock;
  log?: Log;
}

export interface BrokerMetrics {
  /** Connected now. */
  connections: number;
  logins: number;
  failedLogins: number;
  takeovers: number;
  messagesIn: number;
  messagesOut: number;
  refusedPublishes: number;
  refusedSubscribes: number;
  /** Publishes not acknowledged because a handler rejected. */
  handlerErrors: number;
  /** Messages that gave way in the full queue of a client that is away. */
  dropped: number;
  /** Bytes of publishes that wait for their handlers or are on their way. */
  pendingBytes: number;
}

export interface ClientEvent {
  type: 'connected' | 'disconnected';
  username: string;
  clientId: string;
  address: string;
}

export interface EmbeddedBroker {
  readonly listeners: readonly ListenerAddress[];
  readonly metrics: Readonly<BrokerMetrics>;
  /** Those connected now. */
  readonly clients: readonly Omit<ClientEvent, 'type'>[];
  /** The gateway's own way in and out; the same one at each call. */
  link(): Link;
  onClient(listener: (event: ClientEvent) => void): () => void;
  /** Lets publishes under way end (for at most 5 s), then closes everything. Publishes no wills: nobody has died. */
  close(): Promise<void>;
}

/**
 * Where a publish goes that must reach nobody. MQTT 3.1.1 has no negative acknowledgement, and aedes closes a client
 * whose publish is refused by an error; so a refused one is acknowledged and sent here. No client may subscribe to it,
 * and wildcards do not match it.
 */
const NOWHERE = '$SYS/fieldloom/nowhere';
const NOTHING = Buffer.alloc(0);
const MINUTE_MS = 60_000;
const CLOSE_GRACE_MS = 5000;
const LONGEST_CLIENT_ID = 256;

enum Refusal {
  ClientId = 2,
  Unavailable = 3,
  Password = 4,
  NoLogin = 5,
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
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #persistence: BrokerPersistence;
  readonly #peers: Peers;
  readonly #aedes: Aedes;
  readonly #link: EmbeddedLink;
  /** All connections, those without a login included. */
  readonly #arrivals = new Map<Client, { stream: Duplex; gate: ReadGate; address: string }>();
  readonly #clientListeners = new Set<(event: ClientEvent) => void>();
  readonly #counters = {
    logins: 0,
    failedLogins: 0,
    takeovers: 0,
    messagesIn: 0,
    messagesOut: 0,
    refusedPublishes: 0,
    refusedSubscribes: 0,
    handlerErrors: 0,
  };
  #stopRevocations = () => {};
  #closing: Promise<void> | undefined;

  constructor(options: BrokerOptions) {
    const { clock = systemClock, log = silentLog } = options;
    const limits = { ...LIMITS, ...options.limits };
    this.#options = options;
    this.#limits = limits;
    this.#clock = clock;
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
    });
    this.#aedes = new Aedes({
      persistence: this.#persistence,
      connectTimeout: limits.connectMs,
      drainTimeout: limits.drainMs,
      maxClientsIdLength: LONGEST_CLIENT_ID,
      // Messages on their way to subscribers at once, for the whole broker.
      concurrency: 1000,
      authenticate: (client, username, password, callback) => {
        this.#logIn(client, username, password).then(
          (refusal) => callback(refusal === undefined ? null : refused(refusal), refusal === undefined),
          (error: unknown) => {
            log.error(`login of MQTT client ${client.id} failed: ${asError(error).message}`);
            callback(refused(Refusal.Unavailable), false);
          },
        );
      },
      authorizePublish: (client, packet, callback) => this.#takePublish(client, packet, callback),
      authorizeSubscribe: (client, subscription, callback) =>
        callback(null, this.#grant(client, subscription) ? subscription : null),
      authorizeForward: (_client, packet) => {
        if (packet.topic === NOWHERE) return null;
        this.#counters.messagesOut += 1;
        return packet;
      },
      published: (packet, client, callback) => {
        const peer = client === null ? undefined : this.#peers.of(client);
        if (peer !== undefined) this.#peers.done(peer, packet);
        callback(null);
      },
    });
    this.#link = new EmbeddedLink(this, clock, log, options.outbox);
  }

  async start(): Promise<void> {
    const { authority, listeners } = this.#options;
    this.#aedes.on(
      'error' as 'closed',
      ((error: Error) => this.#log.error(`MQTT broker: ${error.message}`)) as () => void,
    );
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
      dropped: this.#persistence.dropped,
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
      limits: { connectBytes, packetBytes, packetsAtOnce: unacknowledged },
      mayRead: () => this.#peers.mayRead(this.#peers.of(client)),
    });
    const client = this.#aedes.handle(stream);
    gate.watch();
    this.#arrivals.set(client, { stream, gate, address });
    stream.once('close', () => this.#leave(client));
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
        this.#log.warn(`session of MQTT client ${client.id}: ${asError(error).message}`);
      });
    }
  }

  async #logIn(
    client: Client,
    username: string | undefined,
    password: Buffer | undefined,
  ): Promise<Refusal | undefined> {
    const arrival = this.#arrivals.get(client);
    if (arrival === undefined) return Refusal.Unavailable;
    const { address, gate } = arrival;
    const principal = await this.#options.authority.authenticate({
      username,
      password,
      clientId: client.id,
      address,
    });
    if (principal === undefined) {
      this.#counters.failedLogins += 1;
      return username === undefined ? Refusal.NoLogin : Refusal.Password;
    }
    if (!this.#arrivals.has(client) || this.#closing !== undefined) return Refusal.Unavailable;
    if (!this.#mayUseClientId(principal.username, client.id)) {
      this.#counters.failedLogins += 1;
      this.#log.warn(`login ${principal.username}: client id ${client.id} belongs to another login`);
      return Refusal.ClientId;
    }
    // From here to `add` nothing may wait: of two connections one must see the other.
    const previous = this.#peers.loginOf(principal.username)?.peer;
    const peer = this.#peers.add(client, gate, principal, { address, since: this.#clock.now() });
    if (previous !== undefined) await this.#takeOver(previous, peer);
    if (!client.clean) await this.#resume(peer);
    this.#counters.logins += 1;
    gate.open();
    return undefined;
  }

  #mayUseClientId(username: string, clientId: string): boolean {
    if (clientId.length > LONGEST_CLIENT_ID) return false;
    const owner = this.#peers.withClientId(clientId)?.login.username ?? this.#persistence.ownerOf(clientId);
    return owner === undefined || owner === username;
  }

  async #takeOver(previous: Peer, { address, login }: Peer): Promise<void> {
    this.#counters.takeovers += 1;
    this.#log.warn(
      `login ${login.username} connects from ${address}: its connection from ${previous.address} is closed`,
    );
    await new Promise<void>((resolve) => previous.client.close(resolve));
  }

  async #resume({ client, principal, login }: Peer): Promise<void> {
    const subscriptions = await this.#persistence.subscriptionsByClient(client);
    // What the login has lost the right to must not reach it from its queue either.
    const allowed = subscriptions.every(({ topic }) =>
      this.#options.authority.maySubscribe(principal, topic),
    );
    if (!allowed) await this.#persistence.endSession(client.id);
    await this.#persistence.openSession(client.id, login.username);
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
    return false;
  }

  // ——— what clients publish ———

  #takePublish(client: Client | null, packet: PublishPacket, callback: (error?: Error | null) => void): void {
    const peer = client === null ? undefined : this.#peers.of(client);
    if (peer === undefined) return callback(new Error('no login'));
    const { topic, qos, messageId = 0 } = packet;
    const allowed = !topic.startsWith('$') && this.#options.authority.mayPublish(peer.principal, topic);
    if (isWill(peer.client, packet)) return this.#takeWill(peer, packet, allowed, callback);
    if (!allowed) return this.#refuse(peer, packet, callback);
    if (qos === 2) {
      if (this.#persistence.hasIncoming(peer.client, messageId)) {
        return peer.order.enter(() => callback(null))();
      }
      const first = peer.qos2.get(messageId);
      if (first !== undefined) return this.#takeRepetition(peer, first, callback);
    }
    this.#counters.messagesIn += 1;
    this.#peers.start(peer, packet, packet.payload.length);
    let failure: Error | undefined;
    const ready = peer.order.enter(() => this.#release(peer, packet, failure, callback));
    const work = this.#handle(packet);
    if (qos === 2) this.#rememberQos2(peer, messageId, work);
    const end = () => {
      this.#peers.handled(peer, packet);
      ready();
    };
    if (work === undefined) return end();
    work.then(end, (error: unknown) => {
      failure = asError(error);
      end();
    });
  }

  /** Undefined where nobody in this process wants it. */
  #handle({ topic, payload, qos }: PublishPacket): Promise<unknown> | undefined {
    const handlers = this.handlers.match(topic);
    if (handlers.length === 0) return undefined;
    const message: Message = {
      topic,
      payload: payload as Buffer,
      qos,
      retain: false,
      receivedAt: this.#clock.now(),
    };
    const first = handlers[0] as MessageHandler;
    if (handlers.length === 1) return callHandler(first, message);
    return Promise.all(handlers.map((handler) => callHandler(handler, message)));
  }

  /** Its turn has come: all publishes of this client before it are acknowledged. */
  #release(
    peer: Peer,
    packet: PublishPacket,
    failure: Error | undefined,
    callback: (error?: Error | null) => void,
  ): void | Promise<void> {
    if (failure !== undefined) {
      this.#counters.handlerErrors += 1;
      const then = packet.qos === 0 ? 'it is gone (QoS 0)' : 'not acknowledged, the connection is closed';
      this.#log.error(
        `message on ${packet.topic} of MQTT client ${peer.client.id} failed: ${failure.message}; ${then}`,
      );
      if (packet.qos > 0) return callback(failure);
    }
    // aedes acknowledges QoS 1 before it keeps and routes; what is to be kept has to be committed before.
    if (packet.qos === 1 && (packet.retain || this.#persistence.hasSessions)) {
      return this.#keepFirst(peer, packet).then(
        () => callback(null),
        (error: unknown) => callback(asError(error)),
      );
    }
    callback(null);
  }

  async #keepFirst({ client }: Peer, packet: PublishPacket): Promise<void> {
    const { topic, payload, qos, retain } = packet;
    const wanted = retain || (await this.#persistence.subscriptionsByTopic(topic)).length > 0;
    if (!wanted) return;
    await this.#publish({ cmd: 'publish', topic, payload, qos, retain, dup: false }, client);
    divert(packet);
  }

  #rememberQos2(peer: Peer, messageId: number, work: Promise<unknown> = Promise.resolve()): void {
    const remembered = work.then(
      () => {},
      () => {},
    );
    peer.qos2.set(messageId, remembered);
    // Until aedes has noted the id, which it does in this turn.
    void remembered.then(() => setImmediate(() => peer.qos2.delete(messageId)));
  }

  /** The same QoS 2 message again while the first is with its handlers: answered after it, not handled. */
  #takeRepetition(peer: Peer, first: Promise<void>, callback: (error?: Error | null) => void): void {
    const ready = peer.order.enter(
      () => new Promise<void>((resolve) => setImmediate(() => resolve(callback(null)))),
    );
    void first.then(ready);
  }

  #takeWill(
    peer: Peer,
    packet: PublishPacket,
    allowed: boolean,
    callback: (error?: Error | null) => void,
  ): void {
    if (this.#closing !== undefined) return callback(new Error('the broker closes'));
    if (!allowed) {
      this.#counters.refusedPublishes += 1;
      this.#log.warn(`will of MQTT client ${peer.client.id} on ${packet.topic} refused: its login may not`);
      return callback(new Error('will refused'));
    }
    this.#counters.messagesIn += 1;
    const ready = peer.order.enter(() => callback(null));
    (this.#handle(packet) ?? Promise.resolve()).then(ready, (error: unknown) => {
      this.#counters.handlerErrors += 1;
      this.#log.error(
        `will of MQTT client ${peer.client.id} on ${packet.topic} failed: ${asError(error).message}`,
      );
      ready();
    });
  }

  #refuse(peer: Peer, packet: PublishPacket, callback: (error?: Error | null) => void): void {
    this.#counters.refusedPublishes += 1;
    const { client, login } = peer;
    const now = this.#clock.now();
    login.refusals = [...login.refusals.filter((at) => now - at < MINUTE_MS), now];
    this.#log.warn(`publish of MQTT client ${client.id} on ${packet.topic} dropped: its login may not`);
    if (login.refusals.length >= this.#limits.refusals) {
      this.#log.warn(
        `MQTT client ${client.id}: ${login.refusals.length} refused publishes in a minute, closed`,
      );
      return callback(new Error('too many refused publishes'));
    }
    divert(packet);
    peer.order.enter(() => callback(null))();
  }

  // ——— what the gateway publishes ———

  retained(filter: string) {
    return this.#persistence.retained([filter]);
  }

  async route({ topic, payload, qos, retain }: OutboxEntry): Promise<void> {
    await this.#publish({ cmd: 'publish', topic, payload, qos, retain, dup: false }, null);
  }

  #publish(packet: PublishPacket, client: Client | null): Promise<void> {
    const publish = this.#aedes.publish.bind(this.#aedes) as (
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

const refused = (returnCode: Refusal) => Object.assign(new Error('login refused'), { returnCode });

/** aedes hands over the very will it keeps; nothing else tells it from a publish. */
const isWill = (client: Client, packet: PublishPacket) => (client as { will?: unknown }).will === packet;

function divert(packet: PublishPacket): void {
  packet.topic = NOWHERE;
  packet.payload = NOTHING;
  packet.retain = false;
}
