import type { Clock } from '../core/clock.js';

interface Failures {
  /** Times of the failures of the last minute, oldest first; never more than the limit. */
  at: number[];
  refusedUntil: number;
}

export interface AttemptLimits {
  /** So many failures within `windowMs` … */
  failures: number;
  windowMs: number;
  /** … and every attempt is refused for so long. */
  refusalMs: number;
  /** Keys to remember at once; past it the one that was idle longest is forgotten. */
  keys: number;
}

/** access.md "MQTT clients". */
export const LOGIN_LIMITS: AttemptLimits = {
  failures: 10,
  windowMs: 60_000,
  refusalMs: 60_000,
  keys: 10_000,
};

/** Counts failed logins by a key (an address, a user name), in bounded memory. */
export class FailedAttempts {
  /** In the order of their last failure. */
  readonly #byKey = new Map<string, Failures>();

  constructor(
    private readonly clock: Clock,
    private readonly limits: AttemptLimits = LOGIN_LIMITS,
  ) {}

  get size(): number {
    return this.#byKey.size;
  }

  /** For how long attempts with this key are refused yet, ms; 0: they are not. */
  refusedForMs(key: string): number {
    return Math.max(0, (this.#byKey.get(key)?.refusedUntil ?? 0) - this.clock.now());
  }

  failed(key: string): void {
    const now = this.clock.now();
    const failures = this.#byKey.get(key) ?? { at: [], refusedUntil: 0 };
    failures.at = failures.at.filter((at) => now - at < this.limits.windowMs);
    failures.at.push(now);
    if (failures.at.length >= this.limits.failures) {
      failures.refusedUntil = now + this.limits.refusalMs;
      failures.at = [];
    }
    this.#byKey.delete(key);
    this.#byKey.set(key, failures);
    if (this.#byKey.size > this.limits.keys) this.#byKey.delete(this.#byKey.keys().next().value as string);
  }
}

/**
 * The key of a remote address: an IPv4 address as it is (also where IPv6 wraps it), the /64 of an IPv6 address,
 * since one customer has at least that many.
 */
export function addressKey(address: string): string {
  const wrapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1];
  if (wrapped !== undefined) return wrapped;
  if (!address.includes(':')) return address;
  const bare = address.replace(/%.*$/, '').toLowerCase();
  const [head = '', tail] = bare.split('::');
  const before = head === '' ? [] : head.split(':');
  const after = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros =
    tail === undefined ? [] : Array<string>(Math.max(0, 8 - before.length - after.length)).fill('0');
  return [...before, ...zeros, ...after]
    .slice(0, 4)
    .map((group) => group.replace(/^0+(?=.)/, ''))
    .join(':');
}
