import { prepare } from './prepared.js';
import type { Statement, Store } from './store.js';

export interface DeviceRetentionSettings {
  /** How long readings are kept, ms, by their time of measurement. */
  readingMs: number;
  /** How long an alert is kept after it has cleared, ms. One that is open stays. */
  alertMs: number;
}

/** Rows of one delete: others wait for no more than this. */
const BATCH = 500;

/** Deletes in batches what `old` finds, until it finds less than a batch or `stopped` says so. @returns rows deleted */
async function deleteBatches<R>(
  { commit }: Pick<Store, 'commit'>,
  old: () => Promise<R[]>,
  deletion: (row: R) => Statement,
  stopped: () => boolean,
): Promise<number> {
  let deleted = 0;
  while (!stopped()) {
    const rows = await old();
    if (rows.length > 0) await commit(rows.map(deletion));
    deleted += rows.length;
    if (rows.length < BATCH) break;
  }
  return deleted;
}

/**
 * What retention deletes of devices: old readings, alerts that cleared long ago, and what a responder may forget.
 * @returns one run; its answer is the number of rows deleted, by table
 */
export function deviceRetention(store: Store, settings: DeviceRetentionSettings) {
  const { db } = store;
  const commit = (unit: readonly Statement[]) => store.commit(unit);
  const reading = prepare<{ device: string; at: number; id: string }>(db, (value) =>
    db
      .deleteFrom('device_reading')
      .where('device', '=', value('device'))
      .where('at', '=', value('at'))
      .where('id', '=', value('id')),
  );
  const alert = prepare<{ alert_id: string }>(db, (value) =>
    db.deleteFrom('device_alert').where('alert_id', '=', value('alert_id')),
  );
  const seen = prepare<{ device: string; command_id: string }>(db, (value) =>
    db
      .deleteFrom('responder_command')
      .where('device', '=', value('device'))
      .where('command_id', '=', value('command_id')),
  );

  /** Device by device, as the key of the readings begins: no other index has to be kept for this. */
  async function deleteReadings(before: number, stopped: () => boolean): Promise<number> {
    let deleted = 0;
    for (const { device } of await db.selectFrom('device').select('device').execute()) {
      const old = () =>
        db
          .selectFrom('device_reading')
          .select(['device', 'at', 'id'])
          .where('device', '=', device)
          .where('at', '<', before)
          .orderBy('at')
          .limit(BATCH)
          .execute();
      deleted += await deleteBatches({ commit }, old, reading, stopped);
    }
    return deleted;
  }

  return async (now: number, stopped: () => boolean) => ({
    device_reading: await deleteReadings(now - settings.readingMs, stopped),
    device_alert: await deleteBatches(
      { commit },
      () =>
        db
          .selectFrom('device_alert')
          .select('alert_id')
          .where('cleared_at', '<', now - settings.alertMs)
          .limit(BATCH)
          .execute(),
      alert,
      stopped,
    ),
    responder_command: await deleteBatches(
      { commit },
      () =>
        db
          .selectFrom('responder_command')
          .select(['device', 'command_id'])
          .where('expires_at', '<', now)
          .limit(BATCH)
          .execute(),
      seen,
      stopped,
    ),
  });
}
