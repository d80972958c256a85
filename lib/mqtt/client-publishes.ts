import type { Client, PublishPacket } from 'aedes';
import type { Clock } from '../core/clock.js';
import { asError } from '../core/errors.js';
import { ArrivedMessage, type MessageHandler, RESUME_WINDOW } from '../core/link.js';
import type { Log } from '../core/log.js';
import type { Authority } from './authority.js';
import type { BrokerPersistence } from './broker-persistence.js';
import { callHandler } from './embedded-link.js';
import type { Peer, Peers } from './peers.js';
import type { Subscriptions } from './subscriptions.js';

/** Goes on in aedes; with an error it closes the client instead, without an acknowledgement. */
type Callback = (error?: Error | null) => void;

export interface ClientPublishesOptions {
  authority: Authority;
  peers: Peers;
  handlers: Subscriptions<MessageHandler>;
  persistence: BrokerPersistence;
  /** Keeps and routes; fulfils when kept. */
  publish(packet: PublishPacket, client: Client): Promise<void>;
  /** Refused publishes a minute, at the last of which the connection is closed. */
  refusals: number;
  /** Told of each publish and will that was refused. */
  refused(peer: Peer, topic: string): void;
  clock: Clock;
  log: Log;
}

/**
 * Where a publish goes that must reach nobody. MQTT 3.1.1 has no negative acknowledgement, and aedes closes a client
 * whose publish is refused by an error; so a refused one is acknowledged and sent here. No client may subscribe to it,
 * and wildcards do not match it.
 */
export const NOWHERE = '$SYS/fieldloom/nowhere';
const NOTHING = Buffer.alloc(0);
const MINUTE_MS = 60_000;

/** Between the arrival of a client's publish and aedes: may it, who wants it, and when may it be acknowledged. */
export class ClientPublishes {
  readonly counters = { messagesIn: 0, refusedPublishes: 0, handlerErrors: 0 };
  readonly #options: ClientPublishesOptions;
  /** The broker closes: nobody has died, so no will is published. */
  closing = false;

  constructor(options: ClientPublishesOptions) {
    this.#options = options;
  }

  /** aedes asks before it acknowledges; all calls of one read of a socket come at once, in order. */
  take(client: Client | null, packet: PublishPacket, callback: Callback): void {
    const { authority, peers } = this.#options;
    const peer = client === null ? undefined : peers.of(client);
    if (peer === undefined) {
      callback(new Error('no login'));
      return;
    }
    const allowed = !packet.topic.startsWith('$') && authority.mayPublish(peer.principal, packet.topic);
    if (isWill(peer.client, packet)) this.#takeWill(peer, packet, allowed, callback);
    else if (!allowed) this.#refuse(peer, packet, callback);
    else if (packet.qos === 2) this.#takeOnce(peer, packet, callback);
    else this.#take(peer, packet, callback);
  }

  #take(peer: Peer, packet: PublishPacket, callback: Callback): Promise<unknown> | undefined {
    const { peers } = this.#options;
    this.counters.messagesIn += 1;
    peers.start(peer, packet, packet.payload.length);
    let failure: Error | undefined;
    const ready = peer.order.enter(() => this.#release(peer, packet, failure, callback));
    const end = () => {
      peers.ended(peer, packet);
      ready();
    };
    const work = this.#handle(packet, peer);
    if (work === undefined) end();
    else {
      work.then(end, (error: unknown) => {
        failure = asError(error);
        end();
      });
    }
    return work;
  }

  /** QoS 2: a message that comes again is answered again, but not handled again. */
  #takeOnce(peer: Peer, packet: PublishPacket, callback: Callback): void {
    const { messageId = 0 } = packet;
    if (this.#options.persistence.hasIncoming(peer.client, messageId)) {
      peer.order.enter(() => callback(null))();
      return;
    }
    const first = peer.qos2.get(messageId);
    if (first !== undefined) {
      const ready = peer.order.enter(() => nextTurn().then(() => callback(null)));
      void first.then(ready);
      return;
    }
    const work = this.#take(peer, packet, callback) ?? Promise.resolve();
    const ended = work.then(
      () => {},
      () => {},
    );
    peer.qos2.set(messageId, ended);
    // aedes notes the id in the turn in which it goes on; until then this is what knows it.
    void ended.then(nextTurn).then(() => peer.qos2.delete(messageId));
  }

  /** Undefined where nobody in this process wants it. */
  #handle({ topic, payload, qos }: PublishPacket, peer: Peer): Promise<unknown> | undefined {
    const handlers = this.#options.handlers.match(topic);
    if (handlers.length === 0) return undefined;
    const receivedAt = this.#options.clock.now();
    const message = new ArrivedMessage(topic, payload as Buffer, qos, false, receivedAt);
    // Any client may repeat what it sent before: over a connection that was lost, or to a gateway that was killed.
    if (qos > 0 && peer.arrived <= RESUME_WINDOW) message.resumedAt = peer.since;
    if (handlers.length === 1) return callHandler(handlers[0] as MessageHandler, message);
    return Promise.all(handlers.map((handler) => callHandler(handler, message)));
  }

  /** Its turn has come: all publishes of this client before it have gone on. */
  #release(
    peer: Peer,
    packet: PublishPacket,
    failure: Error | undefined,
    callback: Callback,
  ): undefined | Promise<void> {
    if (failure !== undefined) {
      this.counters.handlerErrors += 1;
      const then = packet.qos === 0 ? 'it is gone (QoS 0)' : 'not acknowledged, the connection is closed';
      this.#report(peer, `message on ${packet.topic} failed: ${failure.message}; ${then}`);
      if (packet.qos > 0) {
        callback(failure);
        return;
      }
    }
    // aedes acknowledges QoS 1 before it keeps and routes; what is to be kept has to be committed before.
    if (packet.qos === 1 && (packet.retain || this.#options.persistence.hasSessions)) {
      return this.#keepFirst(peer, packet).then(
        () => callback(null),
        (error: unknown) => callback(asError(error)),
      );
    }
    callback(null);
    return;
  }

  async #keepFirst({ client }: Peer, packet: PublishPacket): Promise<void> {
    const { topic, payload, qos, retain } = packet;
    const { persistence, publish } = this.#options;
    const isKept = retain || (await persistence.subscriptionsByTopic(topic)).length > 0;
    if (!isKept) return;
    await publish({ cmd: 'publish', topic, payload, qos, retain, dup: false }, client);
    divert(packet);
  }

  #takeWill(peer: Peer, packet: PublishPacket, allowed: boolean, callback: Callback): void {
    if (this.closing) {
      callback(new Error('the broker closes'));
      return;
    }
    if (!allowed) {
      this.counters.refusedPublishes += 1;
      this.#options.log.warn(`${nameOf(peer)}: will on ${packet.topic} dropped, its login may not`);
      this.#options.refused(peer, packet.topic);
      callback(new Error('will refused'));
      return;
    }
    this.counters.messagesIn += 1;
    const ready = peer.order.enter(() => callback(null));
    (this.#handle(packet, peer) ?? Promise.resolve()).then(ready, (error: unknown) => {
      this.counters.handlerErrors += 1;
      this.#report(peer, `will on ${packet.topic} failed: ${asError(error).message}`);
      ready();
    });
  }

  #refuse(peer: Peer, packet: PublishPacket, callback: Callback): void {
    const { clock, log, refusals } = this.#options;
    this.counters.refusedPublishes += 1;
    const now = clock.now();
    const { login } = peer;
    login.refusals = [...login.refusals.filter((at) => now - at < MINUTE_MS), now];
    log.warn(`${nameOf(peer)}: publish on ${packet.topic} dropped, its login may not`);
    this.#options.refused(peer, packet.topic);
    if (login.refusals.length >= refusals) {
      log.warn(`${nameOf(peer)}: ${login.refusals.length} refused publishes within a minute, closed`);
      callback(new Error('too many refused publishes'));
      return;
    }
    divert(packet);
    peer.order.enter(() => callback(null))();
  }

  #report(peer: Peer, text: string): void {
    this.#options.log.error(`${nameOf(peer)}: ${text}`);
  }
}

const nameOf = ({ client, login }: Peer) => `MQTT client ${client.id} (${login.username})`;

const nextTurn = () => new Promise<void>((resolve) => setImmediate(resolve));

/** aedes hands over the very will it keeps; nothing else tells it from a publish. */
const isWill = (client: Client, packet: PublishPacket) => (client as { will?: unknown }).will === packet;

function divert(packet: PublishPacket): void {
  packet.topic = NOWHERE;
  packet.payload = NOTHING;
  packet.retain = false;
}
