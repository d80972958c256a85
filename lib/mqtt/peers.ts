import type { Client } from 'aedes';
import type { MqttPrincipal } from '../access/principal.js';
import { ArrivalOrder } from './arrival-order.js';
import type { ReadGate } from './read-gate.js';

export interface BacklogLimits {
  /** Publishes of one client with their handlers or on their way, at once. */
  messages: number;
  /** Bytes of their payloads. */
  bytes: number;
  /** Bytes of all clients together. */
  totalBytes: number;
}

/** A publish between its arrival and the moment the broker has done with it. */
class Flight {
  handled = false;

  constructor(readonly bytes: number) {}
}

/** Where a packet's flight is: on the packet itself, which is cheaper than a Map through which everything passes. */
const FLIGHT = Symbol('flight');

interface Flying {
  [FLIGHT]?: Flight | undefined;
}

/** What outlives the connections of a login. */
export interface Login {
  username: string;
  peer: Peer | undefined;
  /** Publishes of all its connections, ended ones included, whose handlers have not ended. */
  handling: number;
  /** When publishes were refused, epoch ms, within the last minute. */
  refusals: number[];
}

/** One network connection of a client that has logged in. */
export class Peer {
  readonly order = new ArrivalOrder();
  /** Publishes that the broker has not done with, and those of them whose handlers have ended, with their bytes. */
  flights = 0;
  handled = 0;
  handledBytes = 0;
  /** QoS 2 publishes with their handlers, by message id. */
  readonly qos2 = new Map<number, Promise<void>>();
  /** Flights whose handlers have not ended. */
  handling = 0;
  bytes = 0;
  /** Publishes that have arrived. */
  arrived = 0;
  closed = false;

  constructor(
    readonly client: Client,
    readonly gate: ReadGate,
    readonly principal: MqttPrincipal,
    readonly login: Login,
    readonly address: string,
    /** When it logged in, epoch ms. */
    readonly since: number,
  ) {}
}

/**
 * Who is connected, and how much the broker holds for each. Past a limit the client's stream is not read, so that
 * TCP holds it back: a store that is away costs a bounded amount of memory, whoever floods.
 */
export class Peers {
  readonly #limits: BacklogLimits;
  readonly #logins = new Map<string, Login>();
  readonly #connected = new Set<Peer>();
  readonly #byClientId = new Map<string, Peer>();
  /** Ended ones too: a will is published after the end. */
  readonly #byClient = new WeakMap<Client, Peer>();
  #totalBytes = 0;
  #flights = 0;
  #stopped = false;
  #onIdle = () => {};

  constructor(limits: BacklogLimits) {
    this.#limits = limits;
  }

  get size(): number {
    return this.#connected.size;
  }

  get totalBytes(): number {
    return this.#totalBytes;
  }

  [Symbol.iterator](): IterableIterator<Peer> {
    return this.#connected.values();
  }

  of(client: Client): Peer | undefined {
    return this.#byClient.get(client);
  }

  loginOf(username: string): Login | undefined {
    return this.#logins.get(username);
  }

  withClientId(clientId: string): Peer | undefined {
    return this.#byClientId.get(clientId);
  }

  add(client: Client, gate: ReadGate, principal: MqttPrincipal, address: string, since: number): Peer {
    const { username } = principal;
    const login = this.#logins.get(username) ?? { username, peer: undefined, handling: 0, refusals: [] };
    this.#logins.set(username, login);
    const peer = new Peer(client, gate, principal, login, address, since);
    login.peer = peer;
    this.#connected.add(peer);
    this.#byClient.set(client, peer);
    this.#byClientId.set(client.id, peer);
    return peer;
  }

  remove(peer: Peer): void {
    peer.closed = true;
    this.#connected.delete(peer);
    if (this.#byClientId.get(peer.client.id) === peer) this.#byClientId.delete(peer.client.id);
    if (peer.login.peer === peer) peer.login.peer = undefined;
    this.#land(peer, peer.handled, peer.handledBytes);
    this.#forget(peer.login);
  }

  #forget(login: Login): void {
    if (login.peer === undefined && login.handling === 0 && login.refusals.length === 0) {
      this.#logins.delete(login.username);
    }
  }

  /**
   * How many packets may be read from this client. None while publishes of an earlier connection of the login are with their
   * handlers: they come again on this one, and one that is both pending and repeated would be handled twice.
   */
  roomFor(peer: Peer | undefined): number {
    if (peer === undefined || this.#stopped || peer.login.handling > peer.handling) return 0;
    const { messages, bytes, totalBytes } = this.#limits;
    if (peer.bytes >= bytes || this.#totalBytes >= totalBytes) return 0;
    return Math.max(0, messages - peer.flights);
  }

  /** A publish has arrived. */
  start(peer: Peer, packet: object, bytes: number): void {
    (packet as Flying)[FLIGHT] = new Flight(bytes);
    peer.flights += 1;
    peer.bytes += bytes;
    peer.arrived += 1;
    peer.handling += 1;
    peer.login.handling += 1;
    this.#flights += 1;
    this.#totalBytes += bytes;
  }

  /** Its handlers have ended. */
  ended(peer: Peer, packet: object): void {
    const flight = (packet as Flying)[FLIGHT];
    if (flight === undefined || flight.handled) return;
    flight.handled = true;
    peer.handled += 1;
    peer.handledBytes += flight.bytes;
    peer.handling -= 1;
    peer.login.handling -= 1;
    // The connection that took over waits for this one's handlers.
    if (peer.login.peer !== peer) peer.login.peer?.gate.wakeIfDenied();
    if (peer.closed) {
      this.#land(peer, 1, flight.bytes);
      this.#forget(peer.login);
    }
  }

  /** The broker has done with it. Of a connection that has ended it had done with all that was handled. */
  done(peer: Peer, packet: object): void {
    const flight = (packet as Flying)[FLIGHT];
    if (flight === undefined) return;
    this.ended(peer, packet);
    (packet as Flying)[FLIGHT] = undefined;
    if (!peer.closed) this.#land(peer, 1, flight.bytes);
  }

  /** So many, handled, are no longer held for the client. */
  #land(peer: Peer, flights: number, bytes: number): void {
    if (flights === 0) return;
    peer.flights -= flights;
    peer.handled -= flights;
    peer.bytes -= bytes;
    peer.handledBytes -= bytes;
    this.#flights -= flights;
    if (this.#flights === 0) this.#onIdle();
    const wasFull = this.#totalBytes >= this.#limits.totalBytes;
    this.#totalBytes -= bytes;
    if (wasFull && this.#totalBytes < this.#limits.totalBytes) {
      for (const each of this.#connected) each.gate.wakeIfDenied();
    } else peer.gate.wakeIfDenied();
  }

  /** Reads from nobody any more. Fulfils when all that has arrived is done with, or after `graceMs`. */
  stop(graceMs: number): Promise<void> {
    this.#stopped = true;
    if (this.#flights === 0) return Promise.resolve();
    return new Promise((resolve) => {
      const timeout = setTimeout(resolve, graceMs);
      this.#onIdle = () => {
        clearTimeout(timeout);
        // The acknowledgement of the last one is written in the broker's next turn.
        setImmediate(() => setImmediate(resolve));
      };
    });
  }
}
