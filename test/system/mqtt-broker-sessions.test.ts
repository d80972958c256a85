import assert from 'node:assert/strict';
import type { EmbeddedBroker } from '../../lib/mqtt/embedded-broker.js';
import { type FakeClock, fakeClock } from '../support/fake-clock.js';
import { eventually } from '../support/gateway.js';
import {
  RawClient,
  type RecordedLog,
  recordedLog,
  startBroker,
  type TestStore,
  testStore,
  until,
} from '../support/mqtt.js';

describe('embedded broker: retained messages and sessions', () => {
  let store: TestStore;
  let broker: EmbeddedBroker & { port: number };
  let clock: FakeClock;
  let log: RecordedLog;
  const limits = { queuedMessages: 3, queuedBytes: 1000 };

  const start = async () => {
    log = recordedLog();
    broker = await startBroker(store.store, { clock, log, limits });
  };
  const restart = async () => {
    await broker.close();
    await start();
  };
  const away = () => until(() => broker.metrics.connections === 0, 'nobody is connected');

  beforeEach(async () => {
    clock = fakeClock();
    store = await testStore();
    await start();
  });

  afterEach(async () => {
    await broker.close();
    await store.close();
  });

  const resume = (options: object = {}) =>
    RawClient.login(broker.port, 'machine', { clean: false, ...options });
  const command = (payload: string, qos: 0 | 1 | 2 = 1) =>
    broker.link().publish('m/1/command', payload, { qos });

  it('loses none of the messages of which some are kept for an absent client, whatever overtakes what', async () => {
    const machine = await resume();
    await machine.subscribe('m/1/command');
    await machine.end();
    await away();
    const service = await RawClient.login(broker.port, 'service');
    await service.subscribe('m/#');
    const sent = ['m/1/telemetry', 'm/1/command', 'm/1/telemetry', 'm/1/command', 'm/1/status'];
    service.send(
      ...sent.map((topic, index) => ({
        cmd: 'publish' as const,
        topic,
        payload: String(index),
        qos: 1,
        retain: false,
        dup: false,
        messageId: index + 1,
      })),
    );
    const got = () => service.received.filter(({ cmd }) => cmd === 'publish');
    await until(() => got().length >= sent.length, 'all are delivered');
    const payloads = got().map((packet) => String((packet as { payload: Buffer }).payload));
    assert.deepEqual(payloads.sort(), ['0', '1', '2', '3', '4']);
    await service.end();
  });

  describe('after a kill', () => {
    const will = (payload: string, topic = 'm/1/status') => ({
      will: { topic, payload: Buffer.from(payload), qos: 1, retain: true },
    });
    /** As a kill leaves it: a broker that begins anew with what the store holds. @returns what ends the first one */
    const kill = async () => {
      const killed = broker;
      await start();
      return () => killed.close();
    };
    const told = async () => {
      const payloads: string[] = [];
      await broker.link().subscribe('m/+/status', { qos: 1 }, async ({ payload, retain }) => {
        if (!retain) payloads.push(payload.toString());
      });
      return payloads;
    };
    const last = () => broker.link().publish('m/1/status', 'last', { qos: 1 });

    it('publishes the will of a client that does not come back, a minute after the start, once', async () => {
      await RawClient.login(broker.port, 'machine', will('offline'));
      const end = await kill();
      const payloads = await told();
      clock.advance(59_000);
      assert.deepEqual(payloads, []);
      clock.advance(1_000);
      await until(() => payloads.length === 1, 'the will');
      assert.deepEqual(payloads, ['offline']);
      await last(); // behind the will in the link's order, and so is its commit
      await restart();
      const again = await told();
      clock.advance(120_000);
      await last();
      assert.deepEqual(again, ['last']);
      await end();
    });

    it('publishes none for a client that has come back, with a new will or without', async () => {
      await RawClient.login(broker.port, 'machine', will('offline'));
      await RawClient.login(broker.port, 'service', will('gone', 'm/2/status'));
      const end = await kill();
      const payloads = await told();
      await RawClient.login(broker.port, 'machine', will('offline again'));
      await RawClient.login(broker.port, 'service');
      clock.advance(120_000);
      await last();
      assert.deepEqual(payloads, ['last']);
      await end();
    });

    it('keeps nothing of a client that said goodbye', async () => {
      const machine = await RawClient.login(broker.port, 'machine', will('offline'));
      await machine.end();
      await away();
      const kept = () => store.store.db.selectFrom('mqtt_will').selectAll().execute();
      await eventually(async () => (await kept()).length === 0 || undefined, 'a store without the will');
      const end = await kill();
      const payloads = await told();
      clock.advance(120_000);
      await last();
      assert.deepEqual(payloads, ['last']);
      await end();
    });
  });

  it('gives a message once to a client with two filters that match it', async () => {
    const machine = await RawClient.login(broker.port, 'machine');
    await machine.subscribe('m/1/command', 'm/1/#');
    await command('once');
    assert.equal((await machine.next('publish')).payload.toString(), 'once');
    await command('twice');
    assert.equal((await machine.next('publish')).payload.toString(), 'twice');
    await machine.end();
  });

  it('delivers what was published while the client was away, in order, after a restart too', async () => {
    const machine = await resume();
    await machine.subscribe('m/1/command');
    await machine.end();
    await away();
    await command('1');
    await command('lost, QoS 0', 0);
    await command('2');
    await restart();
    await command('3');
    const again = await resume();
    assert.equal((again.received[0] as { sessionPresent?: boolean }).sessionPresent, true);
    for (const payload of ['1', '2', '3']) {
      const packet = await again.next('publish');
      assert.equal(packet.payload.toString(), payload);
      again.send({ cmd: 'puback', messageId: packet.messageId });
    }
    await again.nothingBut();
    await again.end();
    const third = await resume();
    await third.nothingBut();
    await third.end();
  });

  it('sends an unacknowledged message again, marked as a duplicate', async () => {
    const machine = await resume();
    await machine.subscribe('m/1/command');
    await command('1');
    const first = await machine.next('publish');
    assert.equal(first.dup, false);
    await machine.cut();
    const again = await resume();
    const second = await again.next('publish');
    assert.deepEqual([second.payload.toString(), second.dup], ['1', true]);
    await again.end();
  });

  it('goes on with PUBREL, and never with the message, once a QoS 2 client has it, over a restart', async () => {
    const machine = await resume();
    machine.send({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: 'm/1/command', qos: 2 }] });
    await machine.next('suback');
    await command('1', 2);
    const { messageId } = await machine.next('publish');
    machine.send({ cmd: 'pubrec', messageId });
    await machine.next('pubrel');
    await machine.cut();
    await restart();
    const again = await resume();
    assert.equal((await again.next('pubrel')).messageId, messageId);
    again.send({ cmd: 'pubcomp', messageId });
    await again.nothingBut();
    await again.end();
    const third = await resume();
    await third.nothingBut();
    await third.end();
  });

  it('hands a QoS 2 message to no handler again when the client repeats it after a restart', async () => {
    const heard: string[] = [];
    const listen = () =>
      broker.link().subscribe('m/#', { qos: 1 }, async ({ payload }) => void heard.push(payload.toString()));
    await listen();
    const machine = await resume();
    machine.publish('m/1/telemetry', '1', { qos: 2, messageId: 9 });
    await machine.next('pubrec');
    await machine.cut();
    await restart();
    await listen();
    const again = await resume();
    again.publish('m/1/telemetry', '1', { qos: 2, messageId: 9, dup: true });
    await again.next('pubrec');
    again.send({ cmd: 'pubrel', messageId: 9, qos: 1 });
    await again.next('pubcomp');
    again.publish('m/1/telemetry', '2', { qos: 2, messageId: 9 });
    await again.next('pubrec');
    assert.deepEqual(heard, ['1', '2']);
    await again.end();
  });

  it('delivers a message published while a session is being resumed once', async () => {
    const machine = await resume();
    await machine.subscribe('m/1/command');
    await machine.end();
    await away();
    for (let round = 0; round < 20; round += 1) {
      const published = Promise.all(['a', 'b', 'c'].map((payload) => command(`${round}${payload}`, 1)));
      const again = await resume();
      await published;
      for (const payload of ['a', 'b', 'c']) {
        const packet = await again.next('publish');
        assert.equal(packet.payload.toString(), `${round}${payload}`);
        again.send({ cmd: 'puback', messageId: packet.messageId });
      }
      await again.nothingBut();
      await again.end();
      await away();
    }
  });

  it('delivers what waited before what is published while the session is being resumed', async () => {
    const wide = await startBroker(store.store, { limits: { queuedMessages: 1000 } });
    const resumeThere = () => RawClient.login(wide.port, 'machine', { clean: false });
    const machine = await resumeThere();
    machine.send({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: 'm/1/command', qos: 2 }] });
    await machine.next('suback');
    await machine.end();
    await until(() => wide.metrics.connections === 0, 'nobody is connected');
    // QoS 2 is written before each delivery, so that resuming takes its time.
    const publish = (number: number) => wide.link().publish('m/1/command', String(number), { qos: 2 });
    for (let number = 0; number < 100; number += 1) await publish(number);
    const again = await resumeThere();
    let count = 100;
    for (let left = 20; left > 0; left -= 1) {
      await until(() => count - again.received.length < left, `at most ${left} are left`);
      await publish(count);
      count += 1;
    }
    for (let number = 0; number < count; number += 1) {
      assert.equal((await again.next('publish')).payload.toString(), String(number));
    }
    await again.nothingBut();
    await again.end();
    await wide.close();
  });

  it('keeps a retained message over a restart until it is cleared', async () => {
    const machine = await RawClient.login(broker.port, 'machine');
    machine.publish('m/1/status', 'online', { qos: 1, messageId: 1, retain: true });
    await machine.next('puback');
    await machine.end();
    await restart();
    const service = await RawClient.login(broker.port, 'service');
    await service.subscribe('m/+/status');
    const packet = await service.next('publish');
    assert.deepEqual([packet.payload.toString(), packet.retain], ['online', true]);
    await broker.link().publish('m/1/status', '', { qos: 1, retain: true });
    await service.next('publish');
    await service.end();
    await restart();
    const later = await RawClient.login(broker.port, 'service');
    await later.subscribe('m/+/status');
    await later.nothingBut();
    await later.end();
  });

  it('drops the oldest message of a full queue, by number and by bytes, and counts it', async () => {
    const machine = await resume();
    await machine.subscribe('m/1/command');
    await machine.end();
    await away();
    for (const payload of ['1', '2', '3', '4']) await command(payload);
    assert.equal(broker.metrics.dropped, 1);
    await command('x'.repeat(999));
    assert.equal(broker.metrics.dropped, 3);
    await restart();
    const again = await resume();
    assert.equal((await again.next('publish')).payload.toString(), '4');
    assert.equal((await again.next('publish')).payload.length, 999);
    await again.nothingBut();
    assert.ok(log.lines.every((line) => !line.startsWith('error')));
    await again.end();
  });

  it('forgets a session after seven days away, and at a clean start of the client', async () => {
    const machine = await resume();
    await machine.subscribe('m/1/command');
    await machine.end();
    await away();
    clock.advance(7 * 24 * 3600 * 1000 + 10 * 60_000);
    await command('too late');
    const again = await resume();
    assert.equal((again.received[0] as { sessionPresent?: boolean }).sessionPresent, false);
    await again.subscribe('m/1/command');
    await again.end();
    await away();
    const clean = await resume({ clean: true });
    await clean.end();
    await away();
    await command('for nobody');
    const last = await resume();
    assert.equal((last.received[0] as { sessionPresent?: boolean }).sessionPresent, false);
    await last.nothingBut();
    await last.end();
  });

  it('ends the earlier session of a login that comes with another client id', async () => {
    const machine = await resume({ clientId: 'a' });
    await machine.subscribe('m/1/command');
    await machine.end();
    const other = await resume({ clientId: 'b' });
    await other.end();
    await away();
    await command('1');
    const again = await resume({ clientId: 'a' });
    assert.equal((again.received[0] as { sessionPresent?: boolean }).sessionPresent, false);
    await again.nothingBut();
    await again.end();
  });

  it('acknowledges a retained QoS 1 publish when it is committed, and writes nothing for one that nobody keeps', async () => {
    let writes = 0;
    const original = store.store.commit.bind(store.store);
    let gate: Promise<void> = Promise.resolve();
    store.store.commit = async (unit) => {
      writes += 1;
      await gate;
      return original(unit);
    };
    const machine = await RawClient.login(broker.port, 'machine');
    machine.publish('m/1/telemetry', '1', { qos: 1, messageId: 1 });
    await machine.next('puback');
    assert.equal(writes, 0);
    let open = () => {};
    gate = new Promise((resolve) => {
      open = resolve;
    });
    machine.publish('m/1/status', 'online', { qos: 1, messageId: 2, retain: true });
    await until(() => writes === 1, 'it is being written');
    await machine.nothingBut();
    open();
    assert.equal((await machine.next('puback')).messageId, 2);
    await machine.end();
  });
});
