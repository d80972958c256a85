import { Readable } from 'node:stream';
import MemoryPersistence from 'aedes-persistence/asyncPersistence.js';
import type { Clock } from '../core/clock.js';
import type { QoS } from '../core/link.js';
import type { Log } from '../core/log.js';
import { filterMatches } from '../core/topic.js';
import { LastWills } from './last-wills.js';
import { type BrokerPacket, OutgoingMessages, type Owner } from './outgoing-messages.js';
import type { QueueLimits } from './outgoing-queue.js';
import type { KeptPublish, KeptSession, SessionChange, SessionStore } from './session-changes.js';

export interface PersistenceOptions {
  store: SessionStore;
  queue: QueueLimits;
  /** A session whose client stays away for so long is forgotten, ms. */
  sessionExpiryMs: number;
  clock: Clock;
  log: Log;
  /** Whether this client may have this subscription: aedes would also keep those that it has refused. */
  mayKeep(client: Owner, filter: string): boolean;
  /** The login of a client, where that may publish to the topic. */
  mayLeaveWill(client: Owner, topic: string): string | undefined;
  /** As LastWillsOptions.delayMs. */
  willDelayMs: number;
}

const EXPIRY_CHECK_MS = 10 * 60_000;
const noSuchPacket = () => new Error('no such packet');

/**
 * What aedes keeps, in memory for reading and written through: where a promise fulfils, the change is committed, so
 * retained messages, persistent sessions with their queues, and unreleased QoS 2 ids survive a kill. A message that
 * no persistent session wants and that is not retained costs no write.
 */
export class BrokerPersistence {
  readonly #options: PersistenceOptions;
  readonly #subscriptions = new MemoryPersistence();
  readonly #retained = new Map<string, KeptPublish>();
  readonly #sessions = new Map<string, KeptSession>();
  readonly #incoming = new Map<string, Set<number>>();
  readonly wills: LastWills;
  #stopExpiry = () => {};
  /** The last commit, behind all others. */
  #written: Promise<void> = Promise.resolve();
  /** What is on its way to clients with a persistent session. */
  readonly outgoing: OutgoingMessages;

  constructor(options: PersistenceOptions) {
    this.#options = options;
    const { queue: limits, clock, log } = options;
    this.wills = new LastWills({
      delayMs: options.willDelayMs,
      clock,
      log,
      ownerOf: options.mayLeaveWill,
      commit: (change) => this.#commit(change),
    });
    this.outgoing = new OutgoingMessages({
      limits,
      clock,
      log,
      commit: (...changes) => this.#commit(...changes),
    });
  }

  // aedes insists on an async function.
  async setup(): Promise<void> {
    const { store, clock } = this.#options;
    const { retained, sessions, subscriptions, outgoing, incoming, wills } = await store.load();
    this.wills.load(wills);
    for (const publish of retained) this.#retained.set(publish.topic, publish);
    for (const session of sessions) {
      this.#sessions.set(session.clientId, {
        ...session,
        disconnectedAt: session.disconnectedAt ?? clock.now(),
      });
    }
    for (const { clientId, filter, qos } of subscriptions) {
      await this.#subscriptions.addSubscriptions({ id: clientId }, [{ topic: filter, qos }]);
    }
    this.outgoing.load(outgoing);
    for (const { clientId, messageId } of incoming) this.#incomingOf(clientId).add(messageId);
    await this.#expire();
  }

  /** Fulfils when everything is written: whoever loads the sessions next must find it. */
  async destroy(): Promise<void> {
    this.#stopExpiry();
    await this.#written.catch(() => {});
  }

  #commit(...changes: SessionChange[]): Promise<void> {
    if (changes.length === 0) return Promise.resolve();
    this.#written = this.#options.store.commit(changes);
    return this.#written;
  }

  // ——— sessions ———

  /** The login to which the stored session of this client id belongs. */
  ownerOf(clientId: string): string | undefined {
    return this.#sessions.get(clientId)?.username;
  }

  /** A login has one session: the others of the same login end. */
  async openSession(clientId: string, username: string): Promise<void> {
    const others = [...this.#sessions.values()].filter(
      (session) => session.username === username && session.clientId !== clientId,
    );
    for (const other of others) await this.endSession(other.clientId);
    const known = this.#sessions.get(clientId);
    const session = { clientId, username, disconnectedAt: null };
    this.#sessions.set(clientId, session);
    if (known === undefined) await this.#commit({ type: 'session', session });
  }

  async closeSession(clientId: string): Promise<void> {
    const session = this.#sessions.get(clientId);
    if (session === undefined || session.disconnectedAt !== null) return;
    session.disconnectedAt = this.#options.clock.now();
    await this.#commit({ type: 'session', session: { ...session } });
  }

  async endSession(clientId: string): Promise<void> {
    const known = this.#sessions.delete(clientId);
    this.outgoing.forget(clientId);
    this.#incoming.delete(clientId);
    await this.#subscriptions.cleanSubscriptions({ id: clientId });
    if (known) await this.#commit({ type: 'end', clientId });
  }

  async #expire(): Promise<void> {
    const { clock, log, sessionExpiryMs } = this.#options;
    const oldest = clock.now() - sessionExpiryMs;
    for (const { clientId, disconnectedAt } of [...this.#sessions.values()]) {
      if (disconnectedAt === null || disconnectedAt > oldest) continue;
      log.info(`session of MQTT client ${clientId} has expired`);
      await this.endSession(clientId);
    }
    const timer = clock.setTimer(() => {
      this.#expire().catch((error: unknown) => log.warn(`expired MQTT sessions stay: ${String(error)}`));
    }, EXPIRY_CHECK_MS);
    this.#stopExpiry = () => timer.cancel();
  }

  // ——— retained messages ———

  async storeRetained({ topic, payload, qos }: BrokerPacket): Promise<void> {
    if (payload.length === 0) {
      if (this.#retained.delete(topic)) await this.#commit({ type: 'unretain', topic });
      return;
    }
    const storedAt = this.#options.clock.now();
    // A copy: the packet's payload is a slice of all that was read from the socket at once.
    const publish = { topic, payload: Buffer.from(payload as Buffer), qos, storedAt };
    this.#retained.set(topic, publish);
    await this.#commit({ type: 'retain', publish });
  }

  retained(filters: readonly string[]): KeptPublish[] {
    // Most devices name their one topic: no search through those of the whole fleet.
    if (!filters.some((filter) => /[+#]/.test(filter))) {
      return filters.flatMap((filter) => this.#retained.get(filter) ?? []);
    }
    return [...this.#retained.values()].filter(({ topic }) =>
      filters.some((filter) => filterMatches(filter, topic)),
    );
  }

  createRetainedStreamCombi(filters: string[]): Readable {
    return Readable.from(
      this.retained(filters).map((publish) => ({ cmd: 'publish', ...publish, retain: true })),
    );
  }

  createRetainedStream(filter: string): Readable {
    return this.createRetainedStreamCombi([filter]);
  }

  // ——— subscriptions ———

  async addSubscriptions(client: Owner, subscriptions: { topic: string; qos: QoS }[]): Promise<void> {
    const kept = subscriptions.filter(({ topic, qos }) => qos <= 2 && this.#options.mayKeep(client, topic));
    await this.#subscriptions.addSubscriptions(client, kept);
    await this.#commit(
      ...kept.map(({ topic, qos }) => ({
        type: 'subscribe' as const,
        clientId: client.id,
        filter: topic,
        qos,
      })),
    );
  }

  async removeSubscriptions(client: Owner, filters: string[]): Promise<void> {
    await this.#subscriptions.removeSubscriptions(client, filters);
    await this.#commit(
      ...filters.map((filter) => ({ type: 'unsubscribe' as const, clientId: client.id, filter })),
    );
  }

  subscriptionsByClient(client: Owner): Promise<{ topic: string; qos: QoS }[]> {
    return this.#subscriptions.subscriptionsByClient(client);
  }

  countOffline(): Promise<{ subsCount: number; clientsCount: number }> {
    return this.#subscriptions.countOffline();
  }

  /** False at once where there is no persistent session at all, the common case of a fleet that only reports. */
  get hasSessions(): boolean {
    return this.#sessions.size > 0;
  }

  async subscriptionsByTopic(topic: string): Promise<{ clientId: string; topic: string; qos: QoS }[]> {
    if (!this.hasSessions) return [];
    const found = await this.#subscriptions.subscriptionsByTopic(topic);
    // A wildcard in front does not see topics that begin with $ (MQTT 3.1.1, 4.7.2).
    return topic.startsWith('$') ? found.filter(({ topic: filter }) => filterMatches(filter, topic)) : found;
  }

  /** A clean session begins: nothing of an earlier one is left. */
  cleanSubscriptions(client: Owner): Promise<void> {
    return this.endSession(client.id);
  }

  // ——— messages to clients ———

  outgoingEnqueue(subscription: { clientId: string }, packet: BrokerPacket): Promise<void> {
    return this.outgoing.enqueue([subscription], packet);
  }

  outgoingEnqueueCombi(
    subscriptions: { clientId: string; qos?: QoS }[],
    packet: BrokerPacket,
  ): Promise<void> {
    return this.outgoing.enqueue(subscriptions, packet);
  }

  outgoingUpdate(client: Owner, packet: BrokerPacket): Promise<void> {
    return this.outgoing.update(client, packet);
  }

  outgoingClearMessageId(client: Owner, packet: BrokerPacket): Promise<unknown> {
    return this.outgoing.finish(client, packet);
  }

  outgoingStream(client: Owner): Readable {
    return this.outgoing.resume(client);
  }

  // ——— QoS 2 messages from clients ———

  #incomingOf(clientId: string): Set<number> {
    let ids = this.#incoming.get(clientId);
    if (ids === undefined) {
      ids = new Set();
      this.#incoming.set(clientId, ids);
    }
    return ids;
  }

  /** True where this QoS 2 message has come before: it is only to be answered, not handled. */
  hasIncoming(client: Owner, messageId: number): boolean {
    return this.#incoming.get(client.id)?.has(messageId) === true;
  }

  async incomingStorePacket(client: Owner, { messageId }: BrokerPacket): Promise<void> {
    const incoming = { clientId: client.id, messageId: messageId as number };
    this.#incomingOf(client.id).add(incoming.messageId);
    // A clean session ends with its connection.
    if (client.clean === true) return;
    await this.#commit({ type: 'receive', incoming, at: this.#options.clock.now() });
  }

  async incomingGetPacket(client: Owner, packet: BrokerPacket): Promise<BrokerPacket> {
    if (!this.hasIncoming(client, packet.messageId as number)) throw noSuchPacket();
    return packet;
  }

  async incomingDelPacket(client: Owner, { messageId }: BrokerPacket): Promise<void> {
    const incoming = { clientId: client.id, messageId: messageId as number };
    if (this.#incoming.get(client.id)?.delete(incoming.messageId) !== true) throw noSuchPacket();
    if (client.clean !== true) await this.#commit({ type: 'release', incoming });
  }

  async cleanIncoming(client: Owner): Promise<void> {
    this.#incoming.delete(client.id);
  }

  // ——— wills ———

  putWill(client: Owner, will: BrokerPacket): Promise<void> {
    return this.wills.put(client, will);
  }

  async getWill(client: Owner): Promise<BrokerPacket | undefined> {
    return this.wills.get(client.id);
  }

  delWill(client: Owner): Promise<BrokerPacket | undefined> {
    return this.wills.delete(client);
  }

  /** Wills of other brokers that died: none, since no other broker shares this store's sessions. */
  streamWill(): Readable {
    return Readable.from([]);
  }

  getClientList(): Readable {
    return Readable.from([]);
  }
}
