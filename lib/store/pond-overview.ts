import { NEVER_RAISED } from '../command/alerts.js';
import { type Limits, outsideAt } from '../command/limits.js';
import { positionColumn } from './device-rows.js';
import { inPieces } from './in-pieces.js';
import type { Store } from './store.js';

export interface PondAtAGlance {
  pondId: number;
  device: string;
  position: number;
  /** Null until its device was heard. */
  online: boolean | null;
}

export interface PondOverview {
  /** By id. @param ownerId of this user alone; undefined: all */
  ponds(ownerId: number | undefined): Promise<PondAtAGlance[]>;
  /** Ids of those that have an open alert which nobody has acknowledged. */
  alerted(ownerId: number | undefined): Promise<number[]>;
  /** Ids of those whose newest command since then has failed. @param since epoch ms */
  failed(pondIds: readonly number[], since: number): Promise<number[]>;
  /** Ids of those with a value measured since then that is outside the pond's limits. @param since epoch ms */
  outside(ownerId: number | undefined, since: number): Promise<number[]>;
  /** The pond with the lowest value of any of these parameters that was measured since then. @param since epoch ms */
  lowest(
    ownerId: number | undefined,
    parameters: readonly string[],
    since: number,
  ): Promise<{ pondId: number; parameter: string; value: number; at: number } | undefined>;
}

/** What a page that shows all ponds at a glance asks, in a few queries however many there are. */
export function pondOverview({ db }: Pick<Store, 'db'>): PondOverview {
  const whole = positionColumn(null);

  /** The newest values of ponds, of the pond itself or of its device as a whole. */
  function measured(ownerId: number | undefined, since: number) {
    const query = db
      .selectFrom('pond')
      .innerJoin('device_latest as latest', 'latest.device', 'pond.device')
      .where((is) =>
        is.or([is('latest.position', '=', whole), is('latest.position', '=', is.ref('pond.position'))]),
      )
      .where('latest.at', '>=', since);
    return ownerId === undefined ? query : query.where('pond.owner_id', '=', ownerId);
  }

  return {
    async ponds(ownerId) {
      let query = db
        .selectFrom('pond')
        .leftJoin('device', 'device.device', 'pond.device')
        .select(['pond.pond_id', 'pond.device', 'pond.position', 'device.online'])
        .orderBy('pond.pond_id');
      if (ownerId !== undefined) query = query.where('pond.owner_id', '=', ownerId);
      return (await query.execute()).map((row) => ({
        pondId: Number(row.pond_id),
        device: row.device,
        position: Number(row.position),
        online: row.online === null ? null : row.online === 1,
      }));
    },

    async alerted(ownerId) {
      let query = db
        .selectFrom('pond')
        .innerJoin('device_alert as alert', 'alert.device', 'pond.device')
        .select('pond.pond_id')
        .distinct()
        .where((is) =>
          is.or([is('alert.position', '=', whole), is('alert.position', '=', is.ref('pond.position'))]),
        )
        .where('alert.raised_at', '>', NEVER_RAISED)
        .where('alert.cleared_at', 'is', null)
        .where('alert.acknowledged_at', 'is', null);
      if (ownerId !== undefined) query = query.where('pond.owner_id', '=', ownerId);
      return (await query.execute()).map(({ pond_id }) => Number(pond_id));
    },

    failed: (pondIds, since) =>
      inPieces(pondIds, async (piece) => {
        const newest = db
          .selectFrom('automation_execution')
          .select((is) => is.fn.max('execution_id').as('id'))
          .where('pond_id', 'in', piece)
          .where('created_at', '>=', since)
          .groupBy('pond_id');
        const rows = await db
          .selectFrom(newest.as('newest'))
          .innerJoin('automation_execution as execution', 'execution.execution_id', 'newest.id')
          .select('execution.pond_id')
          .where('execution.status', '=', 'FAILED')
          .execute();
        return rows.map(({ pond_id }) => Number(pond_id));
      }),

    async outside(ownerId, since) {
      const rows = await measured(ownerId, since)
        .select(['pond.pond_id', 'pond.thresholds', 'latest.parameter', 'latest.value'])
        .where('pond.thresholds', '!=', '{}')
        .orderBy('pond.pond_id')
        .execute();
      const limits = new Map<string, Record<string, Limits>>();
      const found = rows.filter(({ thresholds: text, parameter, value }) => {
        const its = limits.get(text) ?? (JSON.parse(text) as Record<string, Limits>);
        limits.set(text, its);
        return outsideAt(value, its[parameter] ?? {}) !== undefined;
      });
      return [...new Set(found.map(({ pond_id }) => Number(pond_id)))];
    },

    async lowest(ownerId, parameters, since) {
      const row = await measured(ownerId, since)
        .select(['pond.pond_id', 'latest.parameter', 'latest.value', 'latest.at'])
        .where('latest.parameter', 'in', parameters)
        .orderBy('latest.value')
        .orderBy('pond.pond_id')
        .limit(1)
        .executeTakeFirst();
      if (row === undefined) return undefined;
      const { pond_id, parameter, value, at } = row;
      return { pondId: Number(pond_id), parameter, value, at: Number(at) };
    },
  };
}
