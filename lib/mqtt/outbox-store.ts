import type { QoS } from '../core/link.js';
import { placeholders, prepare } from '../store/prepared.js';
import type { Store } from '../store/store.js';
import type { OutboxTable } from '../store/tables.js';
import type { OutboxStore } from './outbox.js';

/** The durable publishes of one connection in the database. @param connection its name, unique in the database */
export function outboxStore(store: Store, connection: string): OutboxStore {
  const { db } = store;
  const insert = prepare<OutboxTable>(db, (value) =>
    db
      .insertInto('outbox')
      .values(
        placeholders<'outbox'>(value, [
          'id',
          'connection',
          'topic',
          'payload',
          'qos',
          'retain',
          'created_at',
        ]),
      ),
  );
  const removal = prepare<{ id: string }>(db, (value) =>
    db.deleteFrom('outbox').where('id', '=', value('id')),
  );
  return {
    add: ({ id, topic, payload, qos, retain, createdAt }) =>
      store.commit([
        insert({ id, connection, topic, payload, qos, retain: retain ? 1 : 0, created_at: createdAt }),
      ]),
    remove: (id) => store.commit([removal({ id })]),
    async all() {
      const rows = await db
        .selectFrom('outbox')
        .selectAll()
        .where('connection', '=', connection)
        .orderBy('id')
        .execute();
      return rows.map((row) => ({
        id: row.id,
        topic: row.topic,
        payload: Buffer.from(row.payload),
        qos: row.qos as QoS,
        retain: row.retain === 1,
        createdAt: row.created_at,
      }));
    },
  };
}
