import type { IPublishPacket, MqttClient, Packet } from 'mqtt';
import type { Log } from '../core/log.js';
import { ArrivalOrder } from './arrival-order.js';

/**
 * Fulfils when the message may be acknowledged. A rejection leaves it unacknowledged for the rest of this network
 * connection. `signal` aborts when that connection has ended: what is left undone then comes again.
 */
export type Handle = (packet: IPublishPacket, signal: AbortSignal) => Promise<void>;

export interface DeferredAck {
  /** Messages whose handler has not ended, those of earlier connections included. */
  readonly pending: number;
  /** True where this MQTT.js does not behave as the module needs, so that messages are handled one at a time. */
  readonly serial: boolean;
  /** What arrives from now on is neither handled nor acknowledged; what is with its handler still is. */
  stop(): void;
}

/** What this module leans on; all of it is pinned by test/contract/mqtt-deferred-ack.test.ts. */
interface Internals {
  handleMessage(packet: IPublishPacket, callback: (error?: Error) => void): void;
  _sendPacket(packet: { cmd: 'puback' | 'pubrec'; messageId: number; reasonCode?: number }): void;
  options: { customHandleAcks?: unknown };
}

type CustomAck = (
  topic: string,
  message: Buffer,
  packet: IPublishPacket,
  callback: (error: Error | null, code?: number) => void,
) => void;

/**
 * MQTT.js goes from packet to packet without a turn of the event loop: after so many messages it is made to give one,
 * so that a flood of them does not hold up everything else in the process.
 */
const AT_ONCE = 100;

const LATER = new Error('acknowledged later');

/** True for the error event by which MQTT.js reports that it leaves an acknowledgement to us: not a failure. */
export const isDeferral = (error: unknown): boolean => error === LATER;

/** One network connection: what arrived on it can be acknowledged only on it. */
interface Generation {
  order: ArrivalOrder;
  ended: AbortController;
}

/** QoS 2 messages of one broker session, by message id. */
interface Qos2Session {
  handling: Map<number, Promise<void>>;
  /** Handled, and the broker has not yet released the id with PUBREL. */
  received: Set<number>;
}

const newGeneration = (): Generation => ({ order: new ArrivalOrder(), ended: new AbortController() });
const newSession = (): Qos2Session => ({ handling: new Map(), received: new Set() });

/**
 * Makes an MQTT.js client acknowledge a message when its handler's promise fulfils, in order of arrival, while it
 * goes on reading.
 *
 * MQTT.js handles packets one after another and acknowledges when the callback of `handleMessage` is called. Called
 * with an error it sends no PUBACK and goes on to the next packet; the PUBACK then goes out later through the
 * client's own packet writer. For QoS 2 the same is done with `customHandleAcks` and PUBREC, not PUBCOMP: past
 * PUBREC the broker has no payload to send again, so a gateway that died between PUBREC and its commit would lose
 * the message. PUBCOMP then follows PUBREL at once, hence never before the handler's promise either.
 *
 * At most `limit` messages are with their handlers; past that the client stops reading until one of them ends.
 */
export function deferAcknowledgement(
  client: MqttClient,
  handle: Handle,
  { limit, log }: { limit: number; log: Log },
): DeferredAck {
  const internals = client as unknown as Internals;
  let generation = newGeneration();
  let session = newSession();
  let pending = 0;
  let stopped = false;
  let serial = typeof internals._sendPacket !== 'function';
  let writing: number | undefined;
  let inTurn = 0;
  let held: (() => void) | undefined;

  const fallBack = (what: string) => {
    if (serial) return;
    serial = true;
    log.warn(`MQTT client library ${what}: messages are acknowledged one at a time, more slowly`);
  };
  if (serial) log.warn('MQTT client library has no packet writer: messages are acknowledged one at a time');

  const endGeneration = () => {
    generation.ended.abort();
    generation = newGeneration();
    held = undefined;
  };
  client.on('close', endGeneration);
  client.on('packetreceive', (packet: Packet) => {
    if (packet.cmd === 'connack') {
      // Packets of the lost connection may have been handled after its close.
      endGeneration();
      if (!packet.sessionPresent) session = newSession();
    } else if (packet.cmd === 'pubrel' && packet.messageId !== undefined) {
      session.received.delete(packet.messageId);
    }
  });
  client.on('packetsend', (packet: Packet) => {
    if (packet.cmd !== 'puback' && packet.cmd !== 'pubrec') return;
    if (writing === packet.messageId) writing = undefined;
    else if (!serial) fallBack('acknowledged a message by itself');
  });

  function acknowledge(cmd: 'puback' | 'pubrec', messageId: number, born: Generation): void {
    if (born !== generation || !client.connected) return;
    writing = messageId;
    internals._sendPacket({ cmd, messageId, reasonCode: 0 });
    if (writing !== undefined) fallBack('did not send an acknowledgement');
    writing = undefined;
  }

  function handled(packet: IPublishPacket): Promise<void> {
    pending += 1;
    return handle(packet, generation.ended.signal).finally(() => {
      pending -= 1;
      if (pending < limit) {
        const goOn = held;
        held = undefined;
        goOn?.();
      }
    });
  }

  function handledOnce(packet: IPublishPacket, messageId: number): Promise<void> {
    const mine = session;
    if (mine.received.has(messageId)) return Promise.resolve();
    const running = mine.handling.get(messageId);
    if (running !== undefined) return running;
    const work = handled(packet)
      .then(() => void mine.received.add(messageId))
      .finally(() => mine.handling.delete(messageId));
    mine.handling.set(messageId, work);
    return work;
  }

  const failed = (packet: IPublishPacket) => (error: unknown) =>
    log.debug(`${packet.topic} stays unacknowledged: ${String(error)}`);

  /**
   * @param later goes on to the next packet and leaves the acknowledgement to us
   * @param now lets MQTT.js acknowledge and go on
   */
  function acknowledgeWhen(
    work: Promise<void>,
    packet: IPublishPacket,
    cmd: 'puback' | 'pubrec',
    later: () => void,
    now: () => void,
  ): void {
    const born = generation;
    const messageId = packet.messageId as number;
    if (serial) {
      const inTime = () => (born === generation ? now() : later());
      work.then(inTime, failed(packet));
      return;
    }
    const ready = born.order.enter(() => acknowledge(cmd, messageId, born));
    work.then(ready, failed(packet));
    goOn(later);
  }

  function goOn(next: () => void): void {
    if (pending >= limit) {
      held = next;
      return;
    }
    inTurn += 1;
    if (inTurn < AT_ONCE) {
      next();
      return;
    }
    inTurn = 0;
    const born = generation;
    setImmediate(() => {
      if (born === generation) next();
    });
  }

  internals.handleMessage = (packet, callback) => {
    // QoS 2 was handled before its PUBREC; this is its PUBREL.
    if (packet.qos === 2) return callback();
    if (stopped) return callback(LATER);
    const work = handled(packet);
    if (packet.qos === 1) {
      acknowledgeWhen(
        work,
        packet,
        'puback',
        () => callback(LATER),
        () => callback(),
      );
    } else {
      work.catch(failed(packet));
      goOn(callback);
    }
  };

  const customHandleAcks: CustomAck = (_topic, _message, packet, callback) => {
    if (packet.qos !== 2) return callback(null, 0);
    if (stopped) return callback(LATER);
    acknowledgeWhen(
      handledOnce(packet, packet.messageId as number),
      packet,
      'pubrec',
      () => callback(LATER),
      () => callback(null, 0),
    );
  };
  // Set after construction: the constructor takes it for MQTT 5 only, while the handler reads it for both.
  internals.options.customHandleAcks = customHandleAcks;

  return {
    get pending() {
      return pending;
    },
    get serial() {
      return serial;
    },
    stop() {
      stopped = true;
    },
  };
}
