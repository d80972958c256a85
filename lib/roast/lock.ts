import type { Clock, Timer } from '../core/clock.js';

/** How long a client that is gone keeps the lock, ms: a browser that reloads is back within it. */
export const LOCK_RELEASE_MS = 10_000;

/** Who may control a machine: one client at a time (roast.md "Sessions"). */
export interface ControlLock {
  /** Takes the lock where nobody else holds it. @returns whether this client holds it now */
  take(client: string): boolean;
  /** As a client sees it. */
  of(client: string): 'free' | 'yours' | 'other';
  /** A client is there, or there again. */
  came(client: string): void;
  /** The last connection of this client is closed. */
  gone(client: string): void;
  close(): void;
}

/** @param released told when the lock is free again, with who held it */
export function createLock(clock: Clock, released: (client: string) => void = () => {}): ControlLock {
  let holder: string | undefined;
  let timer: Timer | undefined;
  return {
    take(client) {
      holder ??= client;
      return holder === client;
    },
    of(client) {
      if (holder === undefined) return 'free';
      return holder === client ? 'yours' : 'other';
    },
    came(client) {
      if (client !== holder) return;
      timer?.cancel();
      timer = undefined;
    },
    gone(client) {
      if (client !== holder || timer !== undefined) return;
      timer = clock.setTimer(() => {
        timer = undefined;
        holder = undefined;
        released(client);
      }, LOCK_RELEASE_MS);
    },
    close() {
      timer?.cancel();
    },
  };
}
