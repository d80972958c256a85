import type { Gateways } from './gateways.js';

/** Who has a task that only one gateway may have; `term` rises with each change of hands. */
export interface TaskRow {
  read(): Promise<{ lease: string; term: number } | undefined>;
  /** @param term that it must have; 0: nobody has had it. @returns false where another was faster */
  take(lease: string, term: number): Promise<boolean>;
}

export interface TaskHolderOptions<T> {
  gateways: Gateways;
  task: TaskRow;
  /** Whether this gateway could do it now: only then it takes it from one that is gone. */
  able(): boolean;
  /** It is ours for this term, until `end`. */
  begin(lease: string, term: number): Promise<T>;
  end(value: T): Promise<void>;
}

/** A task of one gateway at a time: it keeps it until its lease is over, or another one is told to take it. */
export interface TaskHolder<T> {
  readonly held: T | undefined;
  /**
   * Takes it where nobody has it that is there, and gives it up where another has it. Calls take turns.
   * @param wanted whether to take it though another gateway has it
   * @returns what `begin` has made; undefined where it is not ours
   */
  settle(wanted: boolean): Promise<T | undefined>;
  /** Ends it; whoever comes next takes it once our lease is over. */
  close(): Promise<void>;
}

interface Held<T> {
  lease: string;
  term: number;
  value: T;
}

export function createTaskHolder<T>(options: TaskHolderOptions<T>): TaskHolder<T> {
  const { gateways, task } = options;
  let held: Held<T> | undefined;
  let working: Promise<unknown> = Promise.resolve();
  let closed = false;

  async function drop(): Promise<void> {
    const old = held;
    held = undefined;
    if (old !== undefined) await options.end(old.value);
  }

  async function begin(lease: string, term: number): Promise<T> {
    const value = await options.begin(lease, term);
    held = { lease, term, value };
    return value;
  }

  /** A gateway that came in between is there before it has anything. */
  async function isThere(lease: string): Promise<boolean> {
    if (!gateways.isLive(lease)) await gateways.lookNow();
    return gateways.isLive(lease);
  }

  async function settle(wanted: boolean): Promise<T | undefined> {
    const { lease } = gateways;
    if (held !== undefined && held.lease !== lease) await drop();
    if (closed || !gateways.holds()) return undefined;
    const now = await task.read();
    if (held !== undefined && now?.term !== held.term) await drop();
    if (held !== undefined) return held.value;
    if (now?.lease === lease) return begin(lease, now.term);
    if (!wanted && (!options.able() || (now !== undefined && (await isThere(now.lease))))) return undefined;
    const term = now?.term ?? 0;
    return (await task.take(lease, term)) ? begin(lease, term + 1) : undefined;
  }

  return {
    get held() {
      return held?.value;
    },
    settle(wanted) {
      const next = working.then(() => settle(wanted));
      working = next.catch(() => {});
      return next;
    },
    async close() {
      closed = true;
      await working;
      await drop();
    },
  };
}
