import { connect as connectClient, type IConnackPacket, type IPublishPacket, type MqttClient } from 'mqtt';
import { v7 as uuidv7 } from 'uuid';
import { type BackoffOptions, backoffDelay } from '../core/backoff.js';
import { systemClock } from '../core/clock.js';
import { asError, FieldloomError } from '../core/errors.js';
import {
  ArrivedMessage,
  type Link,
  type LinkState,
  type MessageHandler,
  type PublishOptions,
  RESUME_WINDOW,
  type SubscribeOptions,
  type Subscription,
} from '../core/link.js';
import { silentLog } from '../core/log.js';
import { checkFilter } from '../core/topic.js';
import { BrokerSubscriptions } from './broker-subscriptions.js';
import { type ConnectionOptions, checkConnectionOptions, clientOptions } from './connection-options.js';
import { type DeferredAck, deferAcknowledgement, isDeferral } from './deferred-ack.js';
import { Incoming, type IncomingCounters } from './incoming.js';
import { LinkStateHolder } from './link-state.js';
import { Outbox, type OutboxEntry, type SendOutcome } from './outbox.js';

export interface ConnectionCounters extends IncomingCounters {
  /** Messages with their handlers now. */
  unacknowledged: number;
  /** Publishes that wait or are under way now. */
  queued: number;
  connects: number;
}

export interface Connection extends Link {
  readonly counters: Readonly<ConnectionCounters>;
  /**
   * Lets handlers and publishes under way end (for at most `graceMs`, default 2 s), says goodbye to the broker
   * (which publishes no will) and closes. The session stays at the broker.
   */
  close(graceMs?: number): Promise<void>;
}

const RECONNECT: BackoffOptions = { firstMs: 1000, maxMs: 5_000, jitter: 0.2 };
const RETRY: BackoffOptions = { firstMs: 1000, maxMs: 60_000, jitter: 0.2 };
const GOODBYE_MS = 1000;
/** Reason codes of CONNACK that speak of the login (MQTT 3.1.1: 4 and 5; MQTT 5: 134 and 135). */
const LOGIN_REFUSED = [4, 5, 134, 135];

/**
 * Connects to another broker, again and again until closed. Subscribe right after: a resumed session brings its
 * messages at once (see Incoming).
 * @throws FieldloomError invalid_setting, missing_setting
 */
export function connect(options: ConnectionOptions): Connection {
  checkConnectionOptions(options);
  return new MqttConnection(options);
}

class MqttConnection implements Connection {
  readonly #client: MqttClient;
  readonly #acks: DeferredAck;
  readonly #incoming: Incoming;
  readonly #outbox: Outbox;
  readonly #state = new LinkStateHolder('connecting');
  readonly #options: ConnectionOptions;
  readonly #subscriptions: BrokerSubscriptions;
  #attempt = 0;
  #connects = 0;
  #reason: FieldloomError | undefined;
  /** The broker had kept our session: how many of its messages may still be repetitions. */
  #resumed: { at: number; left: number } | undefined;

  constructor(options: ConnectionOptions) {
    this.#options = options;
    const { clock = systemClock, log = silentLog, retry = RETRY, unclaimedMs = 60_000 } = options;
    this.#incoming = new Incoming({ clock, log, retry, unclaimedMs });
    this.#outbox = new Outbox({
      capacity: options.maxQueued ?? 10_000,
      window: options.maxInFlight ?? 100,
      store: options.outbox,
      log,
      send: (entry, outcome) => this.#send(entry, outcome),
    });
    this.#client = connectClient(options.url, clientOptions(options, this.#reconnectDelay()));
    this.#acks = deferAcknowledgement(this.#client, (packet, signal) => this.#receive(packet, signal), {
      limit: options.maxUnacknowledged ?? 1000,
      log,
    });
    this.#subscriptions = new BrokerSubscriptions(this.#client, options.clock ?? systemClock, log);
    this.#listen();
    this.#outbox.start().catch((error: unknown) => {
      log.error(`the outbox cannot be read, publishes wait: ${asError(error).message}`);
    });
  }

  get state(): LinkState {
    return this.#state.state;
  }

  get counters(): ConnectionCounters {
    return {
      ...this.#incoming.counters,
      unacknowledged: this.#acks.pending,
      queued: this.#outbox.size,
      connects: this.#connects,
    };
  }

  onState(listener: (state: LinkState, reason?: Error) => void): () => void {
    return this.#state.onState(listener);
  }

  #reconnectDelay(): number {
    return Math.max(1, backoffDelay(this.#attempt, this.#options.reconnect ?? RECONNECT));
  }

  #listen(): void {
    const client = this.#client;
    client.on('packetreceive', (packet) => {
      if (packet.cmd !== 'connack') return;
      this.#resumed = packet.sessionPresent ? { at: this.#now(), left: RESUME_WINDOW } : undefined;
    });
    client.on('connect', (connack: IConnackPacket) => {
      this.#attempt = 0;
      this.#connects += 1;
      client.options.reconnectPeriod = this.#reconnectDelay();
      this.#reason = undefined;
      this.#state.set('connected');
      // The first connection of this process knows nothing of what a resumed session has.
      this.#subscriptions.connected(connack.sessionPresent && this.#connects > 1);
      this.#outbox.connected();
    });
    client.on('reconnect', () => {
      this.#attempt += 1;
      client.options.reconnectPeriod = this.#reconnectDelay();
      this.#state.set('connecting');
    });
    client.on('disconnect', ({ reasonCode }) => {
      this.#reason = new FieldloomError(
        'broker_unavailable',
        `the broker ended the connection (reason code ${reasonCode ?? 0})`,
      );
    });
    client.on('error', (error) => {
      if (!isDeferral(error)) this.#reason = connectionError(this.#options, error);
    });
    client.on('close', () => {
      this.#outbox.disconnected();
      this.#subscriptions.disconnected();
      const lost = new FieldloomError('broker_unavailable', `${this.#options.url}: the connection was lost`);
      this.#state.set('disconnected', this.#reason ?? lost);
      this.#reason = undefined;
    });
  }

  // ——— incoming ———

  async subscribe(filter: string, options: SubscribeOptions, handler: MessageHandler): Promise<Subscription> {
    this.#checkOpen(filter);
    checkFilter(filter);
    const remove = this.#incoming.subscribe(filter, handler);
    const { qos, share } = options;
    const wanted = this.#subscriptions.want({ filter, qos, share });
    const close = async () => {
      remove();
      wanted.close();
    };
    try {
      await wanted.registered;
    } catch (error) {
      await close();
      throw error;
    }
    return { close };
  }

  #now(): number {
    return (this.#options.clock ?? systemClock).now();
  }

  #receive(packet: IPublishPacket, signal: AbortSignal): Promise<void> {
    const { topic, payload, qos, retain } = packet;
    const message = new ArrivedMessage(topic, payload as Buffer, qos, retain, this.#now());
    if (this.#resumed !== undefined && packet.qos > 0) {
      message.resumedAt = this.#resumed.at;
      this.#resumed.left -= 1;
      if (this.#resumed.left === 0) this.#resumed = undefined;
    }
    return this.#incoming.deliver(message, signal);
  }

  // ——— outgoing ———

  async publish(topic: string, payload: Buffer | string, options: PublishOptions): Promise<void> {
    this.#checkOpen(topic);
    const { qos, retain = false, durable = false, wait = true } = options;
    if (!wait && this.#state.state !== 'connected') {
      throw new FieldloomError('not_connected', `${topic}: not connected to ${this.#options.url}`);
    }
    const createdAt = this.#now();
    const entry = { id: uuidv7(), topic, payload: Buffer.from(payload as string), qos, retain, createdAt };
    await this.#outbox.publish(entry, durable);
  }

  #send({ topic, payload, qos, retain }: OutboxEntry, outcome: (outcome: SendOutcome) => void): void {
    this.#client.publish(topic, payload, { qos, retain }, (error) => {
      if (error === null || error === undefined) return outcome('acknowledged');
      const code = (error as { code?: unknown }).code;
      if (typeof code !== 'number' || code < 0x80) return outcome('unsent');
      outcome(
        new FieldloomError('publish_refused', `${topic}: ${error.message}`, {
          details: { reasonCode: code },
        }),
      );
    });
  }

  #checkOpen(what: string): void {
    if (this.#state.state === 'closed')
      throw new FieldloomError('link_closed', `${what}: the link is closed`);
  }

  // ——— end ———

  async close(graceMs = 2000): Promise<void> {
    if (this.#state.state === 'closed') return;
    this.#acks.stop();
    if (this.#client.connected) await this.#settled(graceMs);
    this.#state.set('closed');
    this.#outbox.close();
    this.#subscriptions.close();
    await this.#goodbye();
  }

  #settled(graceMs: number): Promise<void> {
    const isIdle = () => this.#acks.pending === 0 && this.#outbox.size === 0;
    return new Promise((resolve) => {
      if (isIdle()) return resolve();
      const end = () => {
        clearTimeout(timeout);
        clearInterval(look);
        resolve();
      };
      const timeout = setTimeout(end, graceMs);
      const look = setInterval(() => isIdle() && end(), 10);
      this.#client.once('close', end);
    });
  }

  #goodbye(): Promise<void> {
    return new Promise((resolve) => {
      const client = this.#client;
      const finish = () => {
        clearTimeout(timeout);
        client.stream.destroy();
        resolve();
      };
      // `end` waits for acknowledgements that may never come.
      const timeout = setTimeout(finish, GOODBYE_MS);
      client.end(!client.connected, finish);
    });
  }
}

function connectionError({ url }: ConnectionOptions, error: Error): FieldloomError {
  const code = (error as { code?: unknown }).code;
  const login = typeof code === 'number' && LOGIN_REFUSED.includes(code);
  return new FieldloomError(login ? 'unauthenticated' : 'broker_unavailable', `${url}: ${error.message}`, {
    cause: error,
  });
}
