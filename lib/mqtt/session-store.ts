import type { QoS } from '../core/link.js';
import { textKey } from '../store/ids.js';
import { placeholders, prepare, upsert } from '../store/prepared.js';
import type { Statement, Store } from '../store/store.js';
import type {
  MqttIncomingTable,
  MqttOutgoingTable,
  MqttRetainedTable,
  MqttSessionTable,
  MqttSubscriptionTable,
  MqttWillTable,
} from '../store/tables.js';
import type { KeptOutgoing, SessionChange, SessionSnapshot, SessionStore } from './session-changes.js';

const NOTHING = Buffer.alloc(0);
const buffer = (bytes: Uint8Array) => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** The embedded broker's memory in the database. */
export function sessionStore(store: Store): SessionStore {
  const statementsOf = translator(store);
  return {
    load: () => load(store),
    commit: (changes) => store.commit(changes.flatMap(statementsOf)),
  };
}

async function load({ db }: Store): Promise<SessionSnapshot> {
  const retained = await db.selectFrom('mqtt_retained').selectAll().execute();
  const sessions = await db.selectFrom('mqtt_session').selectAll().execute();
  const subscriptions = await db.selectFrom('mqtt_subscription').selectAll().execute();
  const outgoing = await db.selectFrom('mqtt_outgoing').selectAll().orderBy('id').execute();
  const incoming = await db.selectFrom('mqtt_incoming').select(['client_id', 'message_id']).execute();
  const wills = await db.selectFrom('mqtt_will').selectAll().execute();
  return {
    retained: retained.map((row) => ({
      topic: row.topic,
      payload: buffer(row.payload),
      qos: row.qos as QoS,
      storedAt: row.stored_at,
    })),
    sessions: sessions.map((row) => ({
      clientId: row.client_id,
      username: row.username,
      disconnectedAt: row.disconnected_at,
    })),
    subscriptions: subscriptions.map((row) => ({
      clientId: row.client_id,
      filter: row.filter,
      qos: row.qos as QoS,
    })),
    outgoing: outgoing.map((row) => ({
      id: row.id,
      clientId: row.client_id,
      brokerId: row.broker_id,
      brokerCounter: row.broker_counter,
      topic: row.topic,
      payload: buffer(row.payload),
      qos: row.qos as QoS,
      retain: row.retain === 1,
      messageId: row.message_id,
      cmd: row.cmd as KeptOutgoing['cmd'],
      storedAt: row.stored_at,
    })),
    incoming: incoming.map((row) => ({ clientId: row.client_id, messageId: row.message_id })),
    wills: wills.map((row) => ({
      clientId: row.client_id,
      username: row.username,
      topic: row.topic,
      payload: buffer(row.payload),
      qos: row.qos as QoS,
      retain: row.retain === 1,
      storedAt: row.stored_at,
    })),
  };
}

/** Each kind of change as SQL, compiled once. */
function translator(store: Store): (change: SessionChange) => Statement[] {
  const { db } = store;
  const retain = prepare<MqttRetainedTable>(db, (value) =>
    upsert(
      store,
      'mqtt_retained',
      placeholders<'mqtt_retained'>(value, ['topic_key', 'topic', 'qos', 'payload', 'stored_at']),
      ['topic_key'],
    ),
  );
  const unretain = prepare<{ topic_key: string }>(db, (value) =>
    db.deleteFrom('mqtt_retained').where('topic_key', '=', value('topic_key')),
  );
  const will = prepare<MqttWillTable>(db, (value) =>
    upsert(
      store,
      'mqtt_will',
      placeholders<'mqtt_will'>(value, [
        'client_id',
        'username',
        'topic',
        'payload',
        'qos',
        'retain',
        'stored_at',
      ]),
      ['client_id'],
    ),
  );
  const unwill = prepare<{ client_id: string }>(db, (value) =>
    db.deleteFrom('mqtt_will').where('client_id', '=', value('client_id')),
  );
  const session = prepare<MqttSessionTable>(db, (value) =>
    upsert(
      store,
      'mqtt_session',
      placeholders<'mqtt_session'>(value, ['client_id', 'username', 'disconnected_at']),
      ['client_id'],
    ),
  );
  const ends = (['mqtt_session', 'mqtt_subscription', 'mqtt_outgoing', 'mqtt_incoming'] as const).map(
    (table) =>
      prepare<{ client_id: string }>(db, (value) =>
        db.deleteFrom(table).where('client_id', '=', value('client_id')),
      ),
  );
  const subscribe = prepare<MqttSubscriptionTable>(db, (value) =>
    upsert(
      store,
      'mqtt_subscription',
      placeholders<'mqtt_subscription'>(value, ['client_id', 'filter_key', 'filter', 'qos', 'options']),
      ['client_id', 'filter_key'],
    ),
  );
  const unsubscribe = prepare<{ client_id: string; filter_key: string }>(db, (value) =>
    db
      .deleteFrom('mqtt_subscription')
      .where('client_id', '=', value('client_id'))
      .where('filter_key', '=', value('filter_key')),
  );
  const enqueue = prepare<MqttOutgoingTable>(db, (value) =>
    db
      .insertInto('mqtt_outgoing')
      .values(
        placeholders<'mqtt_outgoing'>(value, [
          'id',
          'client_id',
          'broker_id',
          'broker_counter',
          'message_id',
          'cmd',
          'topic',
          'payload',
          'qos',
          'retain',
          'stored_at',
        ]),
      ),
  );
  const sent = prepare<{ id: string; message_id: number; cmd: string }>(db, (value) =>
    db
      .updateTable('mqtt_outgoing')
      .set({ message_id: value('message_id'), cmd: value('cmd') })
      .where('id', '=', value('id')),
  );
  const dequeue = prepare<{ id: string }>(db, (value) =>
    db.deleteFrom('mqtt_outgoing').where('id', '=', value('id')),
  );
  const receive = prepare<MqttIncomingTable>(db, (value) =>
    upsert(
      store,
      'mqtt_incoming',
      placeholders<'mqtt_incoming'>(value, [
        'client_id',
        'message_id',
        'topic',
        'payload',
        'qos',
        'retain',
        'stored_at',
      ]),
      ['client_id', 'message_id'],
    ),
  );
  const release = prepare<{ client_id: string; message_id: number }>(db, (value) =>
    db
      .deleteFrom('mqtt_incoming')
      .where('client_id', '=', value('client_id'))
      .where('message_id', '=', value('message_id')),
  );

  return (change) => {
    switch (change.type) {
      case 'retain': {
        const { topic, payload, qos, storedAt } = change.publish;
        return [retain({ topic_key: textKey(topic), topic, payload, qos, stored_at: storedAt })];
      }
      case 'unretain':
        return [unretain({ topic_key: textKey(change.topic) })];
      case 'will': {
        const { clientId, username, topic, payload, qos, retain: kept, storedAt } = change.will;
        const publish = { topic, payload, qos, retain: kept ? 1 : 0, stored_at: storedAt };
        return [will({ client_id: clientId, username, ...publish })];
      }
      case 'unwill':
        return [unwill({ client_id: change.clientId })];
      case 'session': {
        const { clientId, username, disconnectedAt } = change.session;
        return [session({ client_id: clientId, username, disconnected_at: disconnectedAt })];
      }
      case 'end':
        return ends.map((end) => end({ client_id: change.clientId }));
      case 'subscribe': {
        const { clientId, filter, qos } = change;
        return [subscribe({ client_id: clientId, filter_key: textKey(filter), filter, qos, options: '{}' })];
      }
      case 'unsubscribe':
        return [unsubscribe({ client_id: change.clientId, filter_key: textKey(change.filter) })];
      case 'enqueue': {
        const { message } = change;
        return [
          enqueue({
            id: message.id,
            client_id: message.clientId,
            broker_id: message.brokerId,
            broker_counter: message.brokerCounter,
            message_id: message.messageId,
            cmd: message.cmd,
            topic: message.topic,
            payload: message.payload,
            qos: message.qos,
            retain: message.retain ? 1 : 0,
            stored_at: message.storedAt,
          }),
        ];
      }
      case 'sent':
        return [sent({ id: change.id, message_id: change.messageId, cmd: change.cmd })];
      case 'dequeue':
        return [dequeue({ id: change.id })];
      case 'receive': {
        const { clientId, messageId } = change.incoming;
        // The id alone is what a repetition is known by; the message itself has been handled.
        const message = { topic: '', payload: NOTHING, qos: 2, retain: 0 };
        return [receive({ client_id: clientId, message_id: messageId, ...message, stored_at: change.at })];
      }
      case 'release': {
        const { clientId, messageId } = change.incoming;
        return [release({ client_id: clientId, message_id: messageId })];
      }
    }
  };
}
