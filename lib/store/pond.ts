import { checkedPond, type Pond, type PondDefinition, type Threshold } from '../command/pond.js';
import { type Clock, systemClock } from '../core/clock.js';
import { asError, FieldloomError, hasCode } from '../core/errors.js';
import { type Page, type PageRequest, pageLimit, pageOf, readCursor } from './page.js';
import { placeholders, prepare } from './prepared.js';
import type { Statement, Store } from './store.js';
import type { PondTable } from './tables.js';

export interface PondFilter extends PageRequest {
  /** Ponds of this user alone. */
  ownerId?: number;
}

export interface Ponds {
  /** @throws FieldloomError invalid_input; conflict where the device has a pond at this position */
  add(pond: PondDefinition): Promise<Pond>;
  /** @throws FieldloomError not_found */
  remove(pondId: number): Promise<void>;
  find(pondId: number): Promise<Pond | undefined>;
  /** Newest first. @throws FieldloomError invalid_input */
  page(filter?: PondFilter): Promise<Page<Pond>>;
  /** All ponds of a device, or the one at a position, by position. */
  ofDevice(device: string, position?: number | null): Promise<Pond[]>;
}

/** The row of `setting` with the id that was given last: an id is never given again. */
const LAST_ID = 'pond.last_id';
const MOST_TRIES = 50;

function pondOf(row: PondTable): Pond {
  return {
    pondId: Number(row.pond_id),
    name: row.name,
    ownerId: Number(row.owner_id),
    device: row.device,
    position: Number(row.position),
    feedLimitG: Number(row.feed_limit_g),
    thresholds: JSON.parse(row.thresholds) as Record<string, Threshold>,
  };
}

/** Ponds in the store. */
export function ponds(store: Store, { clock = systemClock }: { clock?: Clock } = {}): Ponds {
  const { db } = store;
  const insertPond = prepare<PondTable>(
    db,
    (value) => db.insertInto('pond').values(placeholders<'pond'>(value, POND)),
    { affects: 1 },
  );
  const deletePond = prepare<{ pond_id: number }>(
    db,
    (value) => db.deleteFrom('pond').where('pond_id', '=', value('pond_id')),
    { affects: 1 },
  );
  const firstId = prepare<{ name: string; value: string }>(
    db,
    (value) => db.insertInto('setting').values({ name: value('name'), value: value('value') }),
    { affects: 1 },
  );
  const nextId = prepare<{ name: string; value: string; before: string }>(
    db,
    (value) =>
      db
        .updateTable('setting')
        .set({ value: value('value') })
        .where('name', '=', value('name'))
        .where('value', '=', value('before')),
    { affects: 1 },
  );

  async function lastId(): Promise<number> {
    const row = await db.selectFrom('setting').select('value').where('name', '=', LAST_ID).executeTakeFirst();
    return Number(row?.value ?? 0);
  }

  function takeId(before: number): Statement {
    const value = String(before + 1);
    return before === 0
      ? firstId({ name: LAST_ID, value })
      : nextId({ name: LAST_ID, value, before: String(before) });
  }

  async function refuseTaken({ device, position }: PondDefinition): Promise<void> {
    const [there] = await ofDevice(device, position);
    if (there === undefined) return;
    throw new FieldloomError(
      'conflict',
      `device ${device} has pond ${there.pondId} (${there.name}) at position ${position} already`,
    );
  }

  async function ofDevice(device: string, position?: number | null): Promise<Pond[]> {
    let query = db.selectFrom('pond').selectAll().where('device', '=', device).orderBy('position');
    if (typeof position === 'number') query = query.where('position', '=', position);
    return (await query.execute()).map(pondOf);
  }

  return {
    async add(definition) {
      checkedPond(definition);
      for (let attempt = 1; ; attempt += 1) {
        await refuseTaken(definition);
        const before = await lastId();
        const pondId = before + 1;
        const row = {
          pond_id: pondId,
          name: definition.name,
          owner_id: definition.ownerId,
          device: definition.device,
          position: definition.position,
          feed_limit_g: definition.feedLimitG,
          thresholds: JSON.stringify(definition.thresholds),
          created_at: clock.now(),
        };
        try {
          await store.commit([takeId(before), insertPond(row)]);
          return { pondId, ...definition };
        } catch (error) {
          // Another process was quicker: with the id, or with this place of the device.
          const overtaken = hasCode(error, 'store_conflict') || (await lastId()) !== before;
          if (!overtaken || attempt >= MOST_TRIES) throw asError(error);
        }
      }
    },

    async remove(pondId) {
      try {
        await store.commit([deletePond({ pond_id: pondId })]);
      } catch (error) {
        if (!hasCode(error, 'store_conflict')) throw error;
        throw new FieldloomError('not_found', `there is no pond ${pondId}`);
      }
    },

    async find(pondId) {
      const row = await db.selectFrom('pond').selectAll().where('pond_id', '=', pondId).executeTakeFirst();
      return row === undefined ? undefined : pondOf(row);
    },

    async page(filter = {}) {
      const limit = pageLimit(filter);
      let query = db
        .selectFrom('pond')
        .selectAll()
        .orderBy('pond_id', 'desc')
        .limit(limit + 1);
      if (filter.ownerId !== undefined) query = query.where('owner_id', '=', filter.ownerId);
      if (filter.cursor !== undefined) {
        const [before] = readCursor(filter.cursor, 'number');
        query = query.where('pond_id', '<', before);
      }
      return pageOf(await query.execute(), limit, pondOf, (row) => [Number(row.pond_id)]);
    },

    ofDevice,
  };
}

const POND = [
  'pond_id',
  'name',
  'owner_id',
  'device',
  'position',
  'feed_limit_g',
  'thresholds',
  'created_at',
] as const;
