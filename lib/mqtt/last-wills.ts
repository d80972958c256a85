import type { Clock, Timer } from '../core/clock.js';
import { asError } from '../core/errors.js';
import type { Log } from '../core/log.js';
import type { BrokerPacket, Owner } from './outgoing-messages.js';
import type { KeptWill, SessionChange } from './session-changes.js';

export interface LastWillsOptions {
  /** How long after the start a client has to come back before its will of an earlier run is published, ms. */
  delayMs: number;
  clock: Clock;
  log: Log;
  /** The login of a client, where that may publish to the topic. */
  ownerOf(client: Owner, topic: string): string | undefined;
  commit(change: SessionChange): Promise<void>;
}

/**
 * The wills of connected clients. They are kept in the store too: a machine that dies while the gateway is down has
 * nobody to tell it, until the gateway is back and the machine is not (MQTT 3.1.1, 3.1.2.5: a server that failed may
 * publish the wills when it has restarted).
 */
export class LastWills {
  readonly #options: LastWillsOptions;
  readonly #wills = new Map<string, BrokerPacket>();
  /** Of an earlier run, by client id: who comes back takes its own away. */
  readonly #left = new Map<string, KeptWill>();
  /** Client ids whose will is in the store, with the connection that put it there; undefined: of an earlier run. */
  readonly #kept = new Map<string, Owner | undefined>();
  #timer: Timer | undefined;
  #stopped = false;

  constructor(options: LastWillsOptions) {
    this.#options = options;
  }

  load(wills: readonly KeptWill[]): void {
    for (const will of wills) {
      this.#left.set(will.clientId, will);
      this.#kept.set(will.clientId, undefined);
    }
  }

  /** @param publish to the handlers and clients; fulfils when that is done */
  start(publish: (will: KeptWill) => Promise<void>): void {
    if (this.#left.size === 0) return;
    const { clock, delayMs } = this.#options;
    this.#timer = clock.setTimer(() => void this.#publishLeft(publish), delayMs);
  }

  /** From now on nobody dies by our doing: what is kept stays for the next run. */
  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }

  get(clientId: string): BrokerPacket | undefined {
    return this.#wills.get(clientId);
  }

  async put(client: Owner, will: BrokerPacket): Promise<void> {
    const { clock, ownerOf, commit } = this.#options;
    this.#wills.set(client.id, will);
    const username = ownerOf(client, will.topic);
    if (username === undefined) return;
    const { topic, qos, retain } = will;
    // A copy: the packet's payload is a slice of all that was read from the socket at once.
    const payload = Buffer.from(will.payload as Buffer);
    const kept = { clientId: client.id, username, topic, payload, qos, retain: retain === true };
    this.#kept.set(client.id, client);
    await commit({ type: 'will', will: { ...kept, storedAt: clock.now() } });
  }

  /**
   * It is published or not wanted any more; also at each login, before a new one is put. A connection that was taken
   * over may end after the new one has left a will of its own: that stays.
   */
  async delete(owner: Owner): Promise<BrokerPacket | undefined> {
    const clientId = owner.id;
    const putBy = this.#kept.get(clientId) as (Owner & { closed?: boolean }) | undefined;
    if (putBy !== undefined && putBy !== owner && putBy.closed !== true) return undefined;
    const will = this.#wills.get(clientId);
    this.#wills.delete(clientId);
    if (!this.#stopped) await this.#forget(clientId);
    return will;
  }

  async #forget(clientId: string): Promise<void> {
    this.#left.delete(clientId);
    if (this.#kept.delete(clientId)) await this.#options.commit({ type: 'unwill', clientId });
  }

  async #publishLeft(publish: (will: KeptWill) => Promise<void>): Promise<void> {
    const { log } = this.#options;
    for (const will of [...this.#left.values()]) {
      if (this.#stopped) return;
      if (!this.#left.has(will.clientId)) continue;
      log.info(`MQTT client ${will.clientId} has not come back since the last run: its will is published`);
      try {
        await publish(will);
        await this.#forget(will.clientId);
      } catch (error) {
        log.warn(`will of MQTT client ${will.clientId} stays: ${asError(error).message}`);
      }
    }
  }
}
