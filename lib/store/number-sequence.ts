import { FieldloomError, hasCode } from '../core/errors.js';
import { insertOnce, prepare } from './prepared.js';
import type { Store } from './store.js';

/** Numbers reserved at once: what is left of them when the process ends is never given out. */
const BLOCK = 32;

/** So many others may have reserved a block between our reading and our writing; more is no accident. */
const TRIES = 1_000;

interface Asking {
  fulfil(number: number): void;
  reject(error: unknown): void;
}

/**
 * Whole numbers from 1 on, each given out once over all processes on this database, growing within one process. (A
 * database's own counters differ from one database to the next.) Many callers share one reservation.
 * @param name which sequence
 * @param block how many to reserve at once: 1 where people look at the numbers and few are needed
 * @returns the next number; rejects with what the store rejects with
 */
export function numberSequence(store: Store, name: string, block = BLOCK): () => Promise<number> {
  const { db } = store;
  const first = prepare<{ next_number: number }>(
    db,
    (value) => insertOnce(store, 'number_sequence', { name, next_number: value('next_number') }, ['name']),
    { affects: 1 },
  );
  const move = prepare<{ next_number: number; expected: number }>(
    db,
    (value) =>
      db
        .updateTable('number_sequence')
        .set({ next_number: value('next_number') })
        .where('name', '=', name)
        .where('next_number', '=', value('expected')),
    { affects: 1 },
  );
  const asking: Asking[] = [];
  let next = 0;
  let end = 0;
  let reserving = false;

  /** @returns the first of `count` numbers that are ours alone now */
  async function reserve(count: number): Promise<number> {
    for (let tries = 0; tries < TRIES; tries += 1) {
      const row = await db
        .selectFrom('number_sequence')
        .select('next_number')
        .where('name', '=', name)
        .executeTakeFirst();
      const from = row === undefined ? 1 : Number(row.next_number);
      const step =
        row === undefined
          ? first({ next_number: from + count })
          : move({ next_number: from + count, expected: from });
      try {
        await store.commit([step]);
        return from;
      } catch (error) {
        if (!hasCode(error, 'store_conflict')) throw error;
      }
    }
    throw new FieldloomError(
      'store_conflict',
      `no numbers of ${name} can be reserved: others always come first`,
    );
  }

  async function refill(): Promise<void> {
    reserving = true;
    try {
      while (asking.length > 0) {
        const count = Math.max(block, asking.length);
        next = await reserve(count);
        end = next + count;
        while (next < end && asking.length > 0) asking.shift()?.fulfil(next++);
      }
    } catch (error) {
      for (const { reject } of asking.splice(0)) reject(error);
    } finally {
      reserving = false;
    }
  }

  return () => {
    if (next < end && asking.length === 0) return Promise.resolve(next++);
    return new Promise((fulfil, reject) => {
      asking.push({ fulfil, reject });
      if (!reserving) void refill();
    });
  };
}
