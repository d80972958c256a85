import { checkedPond, type Pond, type PondDefinition, type Threshold } from '../command/pond.js';
import { type Clock, systemClock } from '../core/clock.js';
import { FieldloomError, hasCode } from '../core/errors.js';
import { numberSequence } from './number-sequence.js';
import { type Page, type PageRequest, pageLimit, pageOf, readCursor } from './page.js';
import { placeholders, prepare } from './prepared.js';
import type { Store } from './store.js';
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
  const nextId = numberSequence(store, 'pond', 1);

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
      await refuseTaken(definition);
      const pondId = await nextId();
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
        await store.commit([insertPond(row)]);
      } catch (error) {
        // Another process was quicker with this place of the device.
        await refuseTaken(definition);
        throw error;
      }
      return { ...definition, pondId };
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
