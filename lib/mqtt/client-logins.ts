import type { Client } from 'aedes';
import type { Clock } from '../core/clock.js';
import type { Log } from '../core/log.js';
import type { Authority } from './authority.js';
import type { RefusedEvent } from './broker-options.js';
import type { BrokerPersistence } from './broker-persistence.js';
import type { Peer, Peers } from './peers.js';
import type { ReadGate } from './read-gate.js';

/** Return codes of CONNACK (MQTT 3.1.1, 3.2.2.3). */
export const REFUSED = { clientId: 2, unavailable: 3, password: 4, noLogin: 5 } as const;
export type Refusal = (typeof REFUSED)[keyof typeof REFUSED];

/** As many as the store keeps. */
export const LONGEST_CLIENT_ID = 255;

export interface ClientLoginsOptions {
  authority: Authority;
  peers: Peers;
  persistence: BrokerPersistence;
  /** The connection of this client, while it is open. */
  arrivalOf(client: Client): { gate: ReadGate; address: string } | undefined;
  refused(event: RefusedEvent): void;
  clock: Clock;
  log: Log;
}

/** Who may connect: a login has one session, and a client id belongs to one login. */
export class ClientLogins {
  readonly counters = { logins: 0, failedLogins: 0, takeovers: 0 };
  readonly #options: ClientLoginsOptions;

  constructor(options: ClientLoginsOptions) {
    this.#options = options;
  }

  /** Undefined: accepted, and among the peers. */
  async logIn(
    client: Client,
    username: string | undefined,
    password: Buffer | undefined,
  ): Promise<Refusal | undefined> {
    const { authority, peers, arrivalOf, clock, log } = this.#options;
    const arrival = arrivalOf(client);
    if (arrival === undefined) return REFUSED.unavailable;
    const { address, gate } = arrival;
    const principal = await authority.authenticate({ username, password, clientId: client.id, address });
    if (principal === undefined) {
      this.#failed({ type: 'login', username, clientId: client.id, address });
      return username === undefined ? REFUSED.noLogin : REFUSED.password;
    }
    if (arrivalOf(client) === undefined) return REFUSED.unavailable;
    if (!this.#mayUseClientId(principal.username, client.id)) {
      log.warn(`login ${principal.username}: client id ${client.id} belongs to another login`);
      this.#failed({ type: 'login', username, clientId: client.id, address });
      return REFUSED.clientId;
    }
    // From here to `add` nothing may wait: of two connections one must see the other.
    const previous = peers.loginOf(principal.username)?.peer;
    const peer = peers.add(client, gate, principal, address, clock.now());
    if (previous !== undefined) await this.#takeOver(previous, peer);
    if (!client.clean) await this.#resume(peer);
    this.counters.logins += 1;
    return undefined;
  }

  #failed(event: RefusedEvent): void {
    this.counters.failedLogins += 1;
    this.#options.refused(event);
  }

  #mayUseClientId(username: string, clientId: string): boolean {
    if (clientId.length > LONGEST_CLIENT_ID) return false;
    const { peers, persistence } = this.#options;
    const owner = peers.withClientId(clientId)?.login.username ?? persistence.ownerOf(clientId);
    return owner === undefined || owner === username;
  }

  async #takeOver(previous: Peer, { address, login }: Peer): Promise<void> {
    this.counters.takeovers += 1;
    this.#options.log.warn(
      `login ${login.username} connects from ${address}: its connection from ${previous.address} is closed`,
    );
    await new Promise<void>((resolve) => previous.client.close(resolve));
  }

  async #resume({ client, principal, login }: Peer): Promise<void> {
    const { authority, persistence } = this.#options;
    const subscriptions = await persistence.subscriptionsByClient(client);
    // What the login has lost the right to must not reach it from its queue either.
    const allowed = subscriptions.every(({ topic }) => authority.maySubscribe(principal, topic));
    if (!allowed) await persistence.endSession(client.id);
    await persistence.openSession(client.id, login.username);
  }
}
