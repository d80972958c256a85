import type { DeadLetter } from '../core/dead-letter.js';
import { FieldloomError } from '../core/errors.js';
import { type EarlierLetters, payloadDigest } from '../core/redelivery.js';
import { firstIdOf, newId } from './ids.js';
import { type Page, type PageRequest, pageLimit, pageOf, readCursor } from './page.js';
import { insertOnce, placeholders, prepare } from './prepared.js';
import type { Statement, Store } from './store.js';
import type { DeadLetterTable } from './tables.js';

export interface StoredDeadLetter extends DeadLetter {
  id: string;
}

export interface DeadLetterFilter extends PageRequest {
  protocol?: string;
  /** Received at this instant or later, epoch ms. */
  since?: number;
}

export interface DeadLetters extends EarlierLetters {
  /** Fulfils when all of them are committed. */
  add(...letters: readonly DeadLetter[]): Promise<void>;
  /** @throws FieldloomError not_found */
  get(id: string): Promise<StoredDeadLetter>;
  /** Newest first; a page of large payloads is shorter than its limit. @throws FieldloomError invalid_input */
  page(filter?: DeadLetterFilter): Promise<Page<StoredDeadLetter>>;
  /** After a replay: its message is a row now. False where it is gone already. */
  remove(id: string): Promise<boolean>;
  count(protocol?: string): Promise<number>;
  /**
   * How many of each protocol have come since then, and the newest of it, at most 10,000 of them all together.
   * @param since epoch ms
   */
  recent(since: number): Promise<RecentLetters[]>;
}

export interface RecentLetters {
  protocol: string;
  count: number;
  newestAt: number;
}

/** A flood is counted up to here. */
const MOST_RECENT = 10_000;

/** A page ends before its limit where its payloads together would be more than so many bytes. */
const LARGEST_PAGE = 8 * 1024 * 1024;

const WITHOUT_PAYLOAD = [
  'id',
  'protocol',
  'topic',
  'code',
  'message',
  'pointer',
  'payload_digest',
  'size',
  'received_at',
] as const;
const COLUMNS = [...WITHOUT_PAYLOAD, 'payload'] as const;

/** A message without an acknowledgement is one of the last before the connection was lost. */
const REPEATED_WITHIN_MS = 60_000;
const MOST_REPEATED = 1000;

/** Makes the statement that keeps a dead letter, for a unit that writes more beside it. */
export function deadLetterStatement(store: Pick<Store, 'db' | 'dialect'>): (letter: DeadLetter) => Statement {
  const insert = prepare<DeadLetterTable>(store.db, (value) =>
    insertOnce(store, 'dead_letter', placeholders<'dead_letter'>(value, COLUMNS), ['id']),
  );
  return (letter) =>
    insert({
      id: newId(),
      protocol: letter.protocol,
      topic: letter.topic,
      code: letter.code,
      message: letter.message,
      pointer: letter.pointer ?? null,
      payload_digest: payloadDigest(letter.payload),
      size: letter.payload.byteLength,
      received_at: letter.receivedAt,
      payload: letter.payload,
    });
}

export function deadLetters(store: Store): DeadLetters {
  const { db } = store;
  const statementOf = deadLetterStatement(store);
  const removal = prepare<{ id: string }>(
    db,
    (value) => db.deleteFrom('dead_letter').where('id', '=', value('id')),
    {
      affects: 1,
    },
  );
  return {
    add: (...letters) => store.commit(letters.map(statementOf)),

    async get(id) {
      const row = await db.selectFrom('dead_letter').selectAll().where('id', '=', id).executeTakeFirst();
      if (row === undefined) throw new FieldloomError('not_found', `there is no dead letter ${id}`);
      return letterOf(row);
    },

    async page(filter = {}) {
      const limit = pageLimit(filter);
      let query = db
        .selectFrom('dead_letter')
        .select(WITHOUT_PAYLOAD)
        .orderBy('id', 'desc')
        .limit(limit + 1);
      if (filter.protocol !== undefined) query = query.where('protocol', '=', filter.protocol);
      if (filter.since !== undefined) query = query.where('received_at', '>=', filter.since);
      if (filter.cursor !== undefined) query = query.where('id', '<', readCursor(filter.cursor, 'string')[0]);
      const rows = await query.execute();
      const fitting = Math.min(limit, howManyFit(rows));
      const payloads = await payloadsOf(
        store,
        rows.slice(0, fitting).map(({ id }) => id),
      );
      // A letter that was removed in between is left out.
      const found = rows.map((row) => ({ ...row, payload: payloads.get(row.id) }));
      const { items, next_cursor } = pageOf(
        found,
        fitting,
        (row) => (row.payload === undefined ? undefined : letterOf({ ...row, payload: row.payload })),
        ({ id }) => [id],
      );
      return { items: items.filter((item) => item !== undefined), next_cursor };
    },

    async remove(id) {
      try {
        await store.commit([removal({ id })]);
        return true;
      } catch (error) {
        if (error instanceof FieldloomError && error.code === 'store_conflict') return false;
        throw error;
      }
    },

    async countEarlier({ topic, payload, pointer }, before) {
      const rows = await db
        .selectFrom('dead_letter')
        .select('received_at')
        .where('payload_digest', '=', payloadDigest(payload))
        .where('topic', '=', topic)
        .where('pointer', pointer === undefined ? 'is' : '=', pointer ?? null)
        .where('received_at', '<', before)
        .orderBy('received_at', 'desc')
        .limit(MOST_REPEATED)
        .execute();
      const newest = Number(rows[0]?.received_at);
      return rows.filter(({ received_at }) => Number(received_at) > newest - REPEATED_WITHIN_MS).length;
    },

    async recent(since) {
      const recent = db
        .selectFrom('dead_letter')
        .select(['protocol', 'received_at'])
        .where('id', '>=', firstIdOf(since))
        .where('received_at', '>=', since)
        .orderBy('id', 'desc')
        .limit(MOST_RECENT);
      const rows = await db
        .selectFrom(recent.as('recent'))
        .select('protocol')
        .select((is) => [is.fn.countAll<number>().as('count'), is.fn.max('received_at').as('newest_at')])
        .groupBy('protocol')
        .orderBy('protocol')
        .execute();
      return rows.map(({ protocol, count, newest_at }) => ({
        protocol,
        count: Number(count),
        newestAt: Number(newest_at),
      }));
    },

    async count(protocol) {
      let query = db.selectFrom('dead_letter').select((is) => is.fn.countAll<number>().as('count'));
      if (protocol !== undefined) query = query.where('protocol', '=', protocol);
      return Number((await query.executeTakeFirstOrThrow()).count);
    },
  };
}

/** At least one, so that a walk through the pages goes on. */
function howManyFit(rows: readonly { size: number }[]): number {
  let bytes = 0;
  const tooMany = rows.findIndex(({ size }) => {
    bytes += Number(size);
    return bytes > LARGEST_PAGE;
  });
  return tooMany < 0 ? rows.length : Math.max(1, tooMany);
}

async function payloadsOf({ db }: Store, ids: string[]): Promise<Map<string, Uint8Array>> {
  if (ids.length === 0) return new Map();
  const rows = await db.selectFrom('dead_letter').select(['id', 'payload']).where('id', 'in', ids).execute();
  return new Map(rows.map(({ id, payload }) => [id, payload]));
}

function letterOf(row: DeadLetterTable): StoredDeadLetter {
  const { payload } = row;
  return {
    id: row.id,
    protocol: row.protocol,
    topic: row.topic,
    code: row.code as DeadLetter['code'],
    message: row.message,
    ...(row.pointer === null ? {} : { pointer: row.pointer }),
    payload: Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength),
    receivedAt: Number(row.received_at),
  };
}
