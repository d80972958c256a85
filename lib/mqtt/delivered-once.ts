import type { Client } from 'aedes';

/** A publish as aedes numbers it. */
interface Numbered {
  brokerId?: string;
  brokerCounter?: number;
}

/** So many of the last publishes that went to a client are remembered. */
const REMEMBERED = 1_000;

/** aedes keeps the number of the last publish a client was given here; it reads nothing, and forgets what is written. */
const NEVER_LOWER = new Proxy(Object.create(null), { get: () => undefined, set: () => true });

/**
 * Gives each publish to a client once, although several of its subscriptions match.
 *
 * aedes takes a publish whose number is not above the last one's for a copy. But numbers are given as publishes arrive,
 * and what has to be kept for an absent client is routed when that is committed: what was numbered later, and is not
 * kept, overtakes it. So publishes are told apart by their own numbers here, in whatever order they come.
 */
export class DeliveredOnce {
  readonly #seen = new WeakMap<Client, Set<string>>();

  /** From now on aedes leaves the question to us. */
  takeOver(client: Client): void {
    (client as unknown as { duplicates: object }).duplicates = NEVER_LOWER;
  }

  /** Whether this client has not had this publish. */
  isFirst(client: Client, { brokerId, brokerCounter }: Numbered): boolean {
    if (brokerId === undefined) return true;
    let seen = this.#seen.get(client);
    if (seen === undefined) {
      seen = new Set();
      this.#seen.set(client, seen);
    }
    const number = `${brokerId} ${brokerCounter}`;
    if (seen.has(number)) return false;
    seen.add(number);
    if (seen.size > REMEMBERED) seen.delete(seen.values().next().value as string);
    return true;
  }
}
