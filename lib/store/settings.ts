import { type Clock, systemClock, type Timer } from '../core/clock.js';
import { newId } from './ids.js';
import { upsert } from './prepared.js';
import type { Statement, Store } from './store.js';

/** Changes each time the content of the database was replaced by a backup's. */
export const RESTORED = 'restored';

/** A value that must persist once, or undefined. */
export async function readSetting({ db }: Pick<Store, 'db'>, name: string): Promise<string | undefined> {
  const row = await db.selectFrom('setting').select('value').where('name', '=', name).executeTakeFirst();
  return row?.value;
}

/** Fulfils when it is committed. */
export async function writeSetting(store: Store, name: string, value: string): Promise<void> {
  const { sql, parameters } = upsert(store, 'setting', { name, value }, ['name']).compile();
  await store.commit([{ sql, parameters: parameters as Statement['parameters'] }]);
}

/** The mark that `watchRestored` sees. */
export function markRestored(store: Pick<Store, 'db' | 'dialect'>) {
  return upsert(store, 'setting', { name: RESTORED, value: newId() }, ['name']);
}

/**
 * Calls back after the database's content was replaced by `restore`, by whichever process: what is kept in memory
 * of it must then be loaded again. Watch first, then load.
 * @returns ends the watch
 */
export async function watchRestored(
  store: Pick<Store, 'db'>,
  onRestored: () => void,
  { clock = systemClock, everyMs = 1_000 }: { clock?: Clock; everyMs?: number } = {},
): Promise<() => void> {
  let known = await readSetting(store, RESTORED);
  let timer: Timer | undefined;
  let ended = false;

  async function look() {
    const mark = await readSetting(store, RESTORED);
    const changed = mark !== known;
    known = mark;
    if (changed && !ended) onRestored();
  }

  function wait(): void {
    if (ended) return;
    // Where the database is away just now the next look tells.
    timer = clock.setTimer(
      () =>
        look()
          .catch(() => {})
          .finally(wait),
      everyMs,
    );
  }

  wait();
  return () => {
    ended = true;
    timer?.cancel();
  };
}
