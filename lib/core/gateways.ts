import { randomBytes } from 'node:crypto';
import type { Clock, Timer } from './clock.js';
import { asError } from './errors.js';
import { holds, type LeaseRow, NO_LEASES, RENEW_MS, transition } from './lease.js';
import type { Log } from './log.js';

/** The rows of all gateways on one database. */
export interface LeaseStore {
  add(row: LeaseRow): Promise<void>;
  /** Raises the number of this row by one. @returns false where there is no such row with this number */
  renew(row: LeaseRow): Promise<boolean>;
  all(): Promise<LeaseRow[]>;
  /** @returns false where there is no such row with this number any more */
  remove(row: LeaseRow): Promise<boolean>;
}

/** What a gateway knows of itself and the others on its database (lease.ts). */
export interface Gateways {
  /** Ours: what we drive carries it. Another one after it was lost. */
  readonly lease: string;
  /** False: another gateway may have taken over what we drive; nothing may be sent. */
  holds(): boolean;
  /** Leases of the gateways that are there, as far as we know; ours included. */
  live(): string[];
  isLive(lease: string): boolean;
  /** Of the gateways that are there this one sees to what is nobody's. */
  isFirst(): boolean;
  /** Looks at the others before the next turn. @throws what the store rejects with */
  lookNow(): Promise<void>;
  /** Calls back after each look at the others, and when our lease is lost or holds no longer. */
  onLook(listener: () => void): () => void;
  /** Fulfils when our lease holds for the first time. */
  readonly joined: Promise<void>;
  /** Gives the lease back: others take over at once. */
  leave(): Promise<void>;
}

export interface GatewaysOptions {
  /** Of this gateway, the same after a restart. */
  name: string;
  store: LeaseStore;
  /** One that never steps: core/clock.ts `steadyClock`. */
  clock: Clock;
  log: Log;
}

export const newLease = () => randomBytes(8).toString('hex');

/** Takes a lease and renews it until `leave`. */
export function joinGateways({ name, store, clock, log }: GatewaysOptions): Gateways {
  const listeners = new Set<() => void>();
  let leases = NO_LEASES;
  let row: LeaseRow = { id: newLease(), name, beat: 0 };
  /** An earlier run of this gateway is over, since this one is there: taken as given once. */
  let isNew = true;
  let joined = () => {};
  let left = false;
  let next: Timer | undefined;
  let lapse: Timer | undefined;
  /** Rounds and looks, one after another. */
  let turn: Promise<unknown> = Promise.resolve();

  const joining = new Promise<void>((resolve) => {
    joined = resolve;
  });

  function tell(): void {
    for (const listener of [...listeners]) {
      try {
        listener();
      } catch (error) {
        log.error(`gateways: a listener failed: ${asError(error).message}`);
      }
    }
  }

  function lost(): void {
    log.warn(
      `gateway ${name}: another gateway has taken over what this one drove, since it was not heard of`,
    );
    leases = transition(leases, { type: 'lost' }, clock.now()).leases;
    row = { id: newLease(), name, beat: 0 };
    tell();
  }

  async function renew(): Promise<void> {
    const begun = clock.now();
    if (row.beat === 0) {
      const first = { ...row, beat: 1 };
      await store.add(first);
      row = first;
    } else if (await store.renew(row)) row = { ...row, beat: row.beat + 1 };
    else if (!(await isOurs())) return lost();
    leases = transition(leases, { type: 'renewed', id: row.id, begun }, clock.now()).leases;
    lapse?.cancel();
    lapse = clock.setTimer(tell, (leases.own?.until ?? 0) - clock.now());
  }

  /** A renewal whose answer was lost has raised the number all the same. */
  async function isOurs(): Promise<boolean> {
    const found = (await store.all()).find(({ id }) => id === row.id);
    if (found !== undefined) row = found;
    return found !== undefined;
  }

  async function look(): Promise<void> {
    const rows = await store.all();
    const step = transition(leases, { type: 'looked', rows, ...(isNew && { replaces: name }) }, clock.now());
    leases = step.leases;
    isNew = false;
    for (const gone of step.over) {
      if (await store.remove(gone)) log.info(`gateways: ${gone.name} is gone, its work is taken over`);
    }
    if (step.over.length > 0) {
      const after = await store.all();
      leases = transition(leases, { type: 'looked', rows: after }, clock.now()).leases;
    }
  }

  async function work(): Promise<void> {
    try {
      await renew();
      if (row.beat > 0) await look();
      if (holds(leases, clock.now())) joined();
    } catch (error) {
      if (!left) log.warn(`gateway ${name}: its lease is not renewed: ${asError(error).message}`);
    }
    tell();
    if (!left) next = clock.setTimer(() => begin(), RENEW_MS);
  }

  function begin(): void {
    turn = turn.then(work);
  }

  begin();
  return {
    get lease() {
      return row.id;
    },
    holds: () => leases.own?.id === row.id && holds(leases, clock.now()),
    live: () => [row.id, ...leases.others.keys()],
    isLive: (lease) => lease === row.id || leases.others.has(lease),
    isFirst: () => [...leases.others.keys()].every((other) => row.id < other),
    lookNow() {
      const looked = turn.then(look);
      turn = looked.catch(() => {});
      return looked;
    },
    onLook(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    joined: joining,
    async leave() {
      left = true;
      next?.cancel();
      lapse?.cancel();
      await turn;
      next?.cancel();
      await store.remove(row).catch((error: unknown) => {
        log.debug(`gateway ${name}: its lease runs out by itself: ${asError(error).message}`);
      });
    },
  };
}
