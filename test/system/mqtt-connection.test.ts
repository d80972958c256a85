import assert from 'node:assert/strict';
import type { Link, LinkState, Message } from '../../lib/core/link.js';
import { type Connection, connect } from '../../lib/mqtt/connection.js';
import type { ConnectionOptions } from '../../lib/mqtt/connection-options.js';
import type { EmbeddedBroker } from '../../lib/mqtt/embedded-broker.js';
import { outboxStore } from '../../lib/mqtt/outbox-store.js';
import { type FakeClock, fakeClock } from '../support/fake-clock.js';
import {
  type Deferred,
  deferred,
  LOGINS,
  type RecordedLog,
  recordedLog,
  startBroker,
  type TestAuthority,
  type TestStore,
  testAuthority,
  testStore,
  until,
} from '../support/mqtt.js';

type Delivery = Message & { work: Deferred };

const FAST = { firstMs: 5, maxMs: 20, jitter: 0.2 };

describe('connection to another broker', () => {
  let store: TestStore;
  let broker: EmbeddedBroker & { port: number };
  let authority: TestAuthority;
  let clock: FakeClock;
  let log: RecordedLog;
  let connections: Connection[];
  let deliveries: Delivery[];

  beforeEach(async () => {
    store = await testStore();
    authority = testAuthority(LOGINS);
    broker = await startBroker(store.store, { authority });
    clock = fakeClock();
    log = recordedLog();
    connections = [];
    deliveries = [];
  });

  afterEach(async () => {
    for (const { work } of deliveries) work.resolve();
    for (const connection of connections) await connection.close(0);
    await broker.close();
    await store.close();
  });

  const open = (options: Partial<ConnectionOptions> = {}): Connection => {
    const connection = connect({
      url: `mqtt://127.0.0.1:${broker.port}`,
      clientId: 'gateway',
      username: 'service',
      password: 'secret-s',
      reconnect: FAST,
      clock,
      log,
      ...options,
    });
    connections.push(connection);
    return connection;
  };

  const handler = (message: Message) => {
    const work = deferred();
    deliveries.push({ ...message, work });
    return work.promise;
  };
  const delivery = async (index: number) => {
    await until(() => deliveries.length > index, `message ${index}`);
    return deliveries[index] as Delivery;
  };
  const payloads = () => deliveries.map(({ payload }) => payload.toString());
  const state = (link: Link, wanted: LinkState) =>
    new Promise<Error | undefined>((resolve) => {
      const stop = link.onState((now, reason) => {
        if (now !== wanted) return;
        stop();
        resolve(reason);
      });
    });
  /** The broker goes away and comes back on the same port, with the same store. */
  const restartBroker = async (between: () => Promise<void> = async () => {}) => {
    const { port } = broker;
    await broker.close();
    await between();
    const listeners = [{ kind: 'mqtt' as const, host: '127.0.0.1', port }];
    broker = await startBroker(store.store, { authority, listeners });
  };
  const send = (payload: string, qos: 0 | 1 | 2 = 1) =>
    broker.link().publish('m/1/telemetry', payload, { qos });

  it('acknowledges when the handler has fulfilled: until then the broker sends it again', async () => {
    const gateway = open();
    await gateway.subscribe('m/+/telemetry', { qos: 1 }, handler);
    await send('1');
    await delivery(0);
    await restartBroker();
    const again = await delivery(1);
    again.work.resolve();
    await send('2');
    (await delivery(2)).work.resolve();
    await until(() => gateway.counters.unacknowledged === 1, 'only the lost one is pending');
    // Answered behind the acknowledgements.
    await gateway.publish('x/1', 'x', { qos: 1 });
    await restartBroker();
    await state(gateway, 'connected');
    await send('3');
    await delivery(3);
    assert.deepEqual(payloads(), ['1', '1', '2', '3']);
  });

  it('handles a QoS 2 message once, over a lost connection', async () => {
    const gateway = open();
    await gateway.subscribe('m/+/telemetry', { qos: 2 }, handler);
    await send('1', 2);
    const first = await delivery(0);
    const connected = state(gateway, 'connected');
    await restartBroker();
    await connected;
    await send('2', 2);
    (await delivery(1)).work.resolve();
    first.work.resolve();
    await until(() => gateway.counters.unacknowledged === 0, 'all handled');
    assert.deepEqual(payloads(), ['1', '2']);
  });

  it('reads no more than its bound', async () => {
    const gateway = open({ maxUnacknowledged: 3 });
    await gateway.subscribe('m/+/telemetry', { qos: 1 }, handler);
    for (let count = 1; count <= 10; count += 1) await send(String(count));
    await delivery(2);
    assert.equal(gateway.counters.unacknowledged, 3);
    for (let index = 0; index < 10; index += 1) {
      (await delivery(index)).work.resolve();
      assert.ok(gateway.counters.unacknowledged <= 3);
    }
    assert.deepEqual(
      payloads(),
      Array.from({ length: 10 }, (_, index) => String(index + 1)),
    );
  });

  it('reconnects without end, and subscribes again where the broker has forgotten the session', async () => {
    const gateway = open({ persistentSession: false });
    await gateway.subscribe('m/+/telemetry', { qos: 1 }, handler);
    for (let round = 0; round < 3; round += 1) {
      const lost = state(gateway, 'disconnected');
      const connected = state(gateway, 'connected');
      await restartBroker(async () => void (await lost));
      await connected;
      await gateway.subscribe('m/+/status', { qos: 1 }, async () => {});
      await send(String(round));
      (await delivery(round)).work.resolve();
    }
  });

  it('keeps a subscription that is asked for while there is no connection', async () => {
    const gateway = open();
    const { port } = broker;
    await state(gateway, 'connected');
    await broker.close();
    const subscribed = gateway.subscribe('m/+/telemetry', { qos: 1 }, handler);
    broker = await startBroker(store.store, {
      authority,
      listeners: [{ kind: 'mqtt', host: '127.0.0.1', port }],
    });
    await subscribed;
    await send('1');
    await delivery(0);
  });

  it('says why the broker refuses the login, and connects once it does not', async () => {
    const gateway = open({ password: 'old' });
    const reason = await state(gateway, 'disconnected');
    assert.equal((reason as { code?: string }).code, 'unauthenticated');
    assert.match(reason?.message ?? '', /Bad username or password/);
    assert.ok(!reason?.message.includes('old'));
    const service = LOGINS['service'];
    assert.ok(service);
    service.password = 'old';
    try {
      await state(gateway, 'connected');
    } finally {
      service.password = 'secret-s';
    }
  });

  it('says that nobody listens', async () => {
    const { port } = broker;
    await broker.close();
    const gateway = open({ url: `mqtt://127.0.0.1:${port}` });
    const reason = await state(gateway, 'disconnected');
    assert.equal((reason as { code?: string }).code, 'broker_unavailable');
    assert.match(reason?.message ?? '', /ECONNREFUSED/);
  });

  it('rejects a subscription that the broker refuses', async () => {
    const gateway = open();
    await assert.rejects(gateway.subscribe('secret/#', { qos: 1 }, handler), {
      code: 'subscribe_refused',
      message: /secret\/#/,
    });
    await assert.rejects(gateway.subscribe('m/#', { qos: 1, share: 'workers' }, handler), {
      code: 'subscribe_refused',
      message: /\$share\/workers\/m\/#/,
    });
    await assert.rejects(gateway.subscribe('a/#/b', { qos: 1 }, handler), { code: 'invalid_topic_filter' });
    await gateway.subscribe('m/+/telemetry', { qos: 1 }, handler);
  });

  it('gives a message to all its handlers, once each, although their filters overlap', async () => {
    const gateway = open();
    const heard: string[] = [];
    const note = (name: string) => async () => void heard.push(name);
    await gateway.subscribe('m/+/telemetry', { qos: 1 }, note('narrow'));
    await gateway.subscribe('m/#', { qos: 1 }, note('wide'));
    const third = await gateway.subscribe('m/+/telemetry', { qos: 1 }, note('narrow too'));
    await send('1');
    await until(() => heard.length === 3, 'all three');
    await third.close();
    await send('2');
    await until(() => heard.length === 5, 'two more');
    assert.deepEqual(heard, ['narrow', 'wide', 'narrow too', 'narrow', 'wide']);
  });

  it('calls a handler that rejected again, after a pause, and only then acknowledges', async () => {
    const gateway = open();
    const other: string[] = [];
    await gateway.subscribe('m/+/telemetry', { qos: 1 }, handler);
    await gateway.subscribe('m/#', { qos: 1 }, async ({ payload }) => void other.push(payload.toString()));
    await send('1');
    (await delivery(0)).work.reject(new Error('no place left'));
    await until(() => gateway.counters.handlerErrors === 1, 'the error is counted');
    await until(() => clock.timers > 0, 'it waits');
    clock.advance(799);
    assert.equal(deliveries.length, 1);
    clock.advance(402);
    (await delivery(1)).work.resolve();
    await until(() => gateway.counters.unacknowledged === 0, 'acknowledged');
    assert.deepEqual([payloads(), other], [['1', '1'], ['1']]);
    assert.ok(log.lines.some((line) => line.includes('no place left')));
  });

  it('keeps a message of a resumed session for a node that subscribes later', async () => {
    const first = open();
    await first.subscribe('m/+/telemetry', { qos: 1 }, handler);
    await first.close();
    await send('1');
    await send('2');
    const second = open();
    await until(() => second.counters.unacknowledged === 2, 'both have come');
    await second.subscribe('m/+/telemetry', { qos: 1 }, handler);
    (await delivery(0)).work.resolve();
    (await delivery(1)).work.resolve();
    assert.deepEqual(payloads(), ['1', '2']);
  });

  it('acknowledges, counts and logs what nobody subscribes to in time', async () => {
    const first = open();
    await first.subscribe('m/+/telemetry', { qos: 1 }, handler);
    await first.close();
    await send('1');
    const second = open();
    await until(() => second.counters.unacknowledged === 1, 'it has come');
    await until(() => clock.timers > 0, 'it waits');
    clock.advance(60_000);
    await until(() => second.counters.unclaimed === 1, 'it is given up');
    assert.ok(log.lines.some((line) => line.includes('m/1/telemetry') && line.includes('dropped')));
  });

  describe('publishing', () => {
    let heard: string[];

    const listen = () =>
      broker.link().subscribe('x/#', { qos: 1 }, async ({ payload }) => void heard.push(payload.toString()));

    beforeEach(async () => {
      heard = [];
      await listen();
    });

    it('fulfils at the acknowledgement: PUBACK for QoS 1, PUBCOMP for QoS 2', async () => {
      const gateway = open();
      for (const qos of [0, 1, 2] as const) await gateway.publish('x/1', String(qos), { qos });
      await until(() => heard.length === 3, 'all three');
      assert.deepEqual(heard, ['0', '1', '2']);
    });

    it('waits for a connection, in order, and loses and doubles nothing', async () => {
      const gateway = open();
      await state(gateway, 'connected');
      const published: Promise<void>[] = [];
      for (let count = 0; count < 300; count += 1) {
        published.push(gateway.publish('x/1', String(count), { qos: count % 2 === 0 ? 1 : 2 }));
      }
      await until(() => heard.length > 20, 'some are through');
      const { port } = broker;
      await broker.close();
      broker = await startBroker(store.store, {
        authority,
        listeners: [{ kind: 'mqtt', host: '127.0.0.1', port }],
      });
      await listen();
      await Promise.all(published);
      const first = [...new Set(heard)];
      assert.deepEqual(
        first,
        Array.from({ length: 300 }, (_, count) => String(count)),
      );
      assert.equal(gateway.counters.queued, 0);
    });

    it('rejects at once with not_connected where it shall not wait', async () => {
      const gateway = open({
        url: 'mqtt://127.0.0.1:1',
        reconnect: { firstMs: 60_000, maxMs: 60_000, jitter: 0 },
      });
      await assert.rejects(gateway.publish('x/1', 'x', { qos: 1, wait: false }), { code: 'not_connected' });
    });

    it('rejects past its bound with queue_full, and what waits at close with link_closed', async () => {
      const gateway = open({ url: 'mqtt://127.0.0.1:1', maxQueued: 2 });
      const waiting = [gateway.publish('x/1', '1', { qos: 1 }), gateway.publish('x/1', '2', { qos: 0 })];
      await assert.rejects(gateway.publish('x/1', '3', { qos: 1 }), {
        code: 'queue_full',
        message: /x\/1.*2/,
      });
      const rejected = Promise.all(waiting.map((each) => assert.rejects(each, { code: 'link_closed' })));
      await gateway.close();
      await rejected;
      await assert.rejects(gateway.publish('x/1', '4', { qos: 1 }), { code: 'link_closed' });
      await assert.rejects(gateway.subscribe('x/1', { qos: 1 }, handler), { code: 'link_closed' });
    });

    it('sends a durable publish of an earlier run, and forgets it when it is acknowledged', async () => {
      const outbox = outboxStore(store.store, 'gateway');
      const nobody = open({ url: 'mqtt://127.0.0.1:1', outbox });
      const left = [1, 2].map((count) => nobody.publish('x/1', String(count), { qos: 1, durable: true }));
      left.push(nobody.publish('x/1', 'not durable', { qos: 1 }));
      const rejected = Promise.all(left.map((each) => assert.rejects(each, { code: 'link_closed' })));
      await until(() => store.store.pending === 0, 'they are kept');
      await nobody.close(0);
      await rejected;
      const gateway = open({ outbox });
      await gateway.publish('x/1', '3', { qos: 1 });
      assert.deepEqual(heard, ['1', '2', '3']);
      await gateway.close();
      assert.deepEqual(await outbox.all(), []);
    });

    it('publishes its will when it dies, not when it closes', async () => {
      const will = { topic: 'x/will', payload: 'gone', qos: 1 as const, retain: false };
      const gateway = open({ will });
      await state(gateway, 'connected');
      await gateway.close();
      const other = open({ will });
      await state(other, 'connected');
      authority.revoke('service');
      await until(() => heard.length === 1, 'the will');
      assert.deepEqual(heard, ['gone']);
    });
  });

  it('names the setting that is wrong and what is accepted, and repeats no password', () => {
    const refused: [Partial<ConnectionOptions>, RegExp][] = [
      [{ url: 'http://host' }, /url.*mqtt:\/\/, mqtts:\/\//],
      [{ url: 'nonsense' }, /url/],
      [{ url: 'mqtt://user:pass@host' }, /without user and password/],
      [{ clientId: '' }, /clientId/],
      [{ keepaliveS: -1 }, /keepaliveS.*0 to 65535/],
      [{ maxUnacknowledged: 0 }, /maxUnacknowledged/],
      [{ version: '4' as '5' }, /version.*3\.1\.1 or 5/],
    ];
    for (const [options, message] of refused) {
      assert.throws(
        () => open(options),
        (error: Error) => message.test(error.message) && !error.message.includes('pass@'),
        JSON.stringify(options),
      );
    }
  });
});
