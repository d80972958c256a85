import type { Clock } from '../../lib/core/clock.js';
import { type Gateways, joinGateways, type LeaseStore } from '../../lib/core/gateways.js';
import type { LeaseRow } from '../../lib/core/lease.js';
import { silentLog } from '../../lib/core/log.js';

/** The table of gateways in memory. */
export interface LeaseRows extends LeaseStore {
  readonly rows: Map<string, LeaseRow>;
  /** While it is, everything is refused. */
  away: boolean;
}

export function leaseRows(): LeaseRows {
  const rows = new Map<string, LeaseRow>();
  function check() {
    if (store.away) throw new Error('the database is away');
  }
  const store: LeaseRows = {
    rows,
    away: false,
    async add(row) {
      check();
      rows.set(row.id, row);
    },
    async renew({ id, beat }) {
      check();
      const found = rows.get(id);
      if (found?.beat !== beat) return false;
      rows.set(id, { ...found, beat: beat + 1 });
      return true;
    },
    async all() {
      check();
      return [...rows.values()];
    },
    async remove({ id, beat }) {
      check();
      return rows.get(id)?.beat === beat && rows.delete(id);
    },
  };
  return store;
}

/** A process that may be stopped: its timers go off, and what it has asked is answered, when it goes on. */
export interface Standstill {
  readonly clock: Clock;
  stop(): void;
  goOn(): void;
  /** The same methods, whose answers come when the process runs. */
  through<T extends object>(port: T): T;
}

export function standstill(clock: Clock): Standstill {
  let stopped = false;
  let waiting: (() => void)[] = [];
  const whenRunning = (work: () => void) => {
    if (stopped) waiting.push(work);
    else work();
  };
  return {
    clock: {
      now: () => clock.now(),
      setTimer(callback, delayMs) {
        let cancelled = false;
        const timer = clock.setTimer(() => whenRunning(() => !cancelled && callback()), delayMs);
        return {
          cancel() {
            cancelled = true;
            timer.cancel();
          },
        };
      },
    },
    stop() {
      stopped = true;
    },
    goOn() {
      stopped = false;
      const due = waiting;
      waiting = [];
      for (const work of due) work();
    },
    through<T extends object>(port: T): T {
      return new Proxy(port, {
        get(target, name) {
          const value = Reflect.get(target, name) as unknown;
          if (typeof value !== 'function') return value;
          return (...parameters: unknown[]) =>
            new Promise((resolve, reject) => {
              Promise.resolve(value.apply(target, parameters)).then(
                (answer) => whenRunning(() => resolve(answer)),
                (error: unknown) => whenRunning(() => reject(error as Error)),
              );
            });
        },
      });
    },
  };
}

export const gatewayOf = (name: string, rows: LeaseRows, process: Standstill): Gateways =>
  joinGateways({ name, store: process.through(rows), clock: process.clock, log: silentLog });
