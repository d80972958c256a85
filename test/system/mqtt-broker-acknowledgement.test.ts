import assert from 'node:assert/strict';
import type { Message } from '../../lib/core/link.js';
import type { EmbeddedBroker } from '../../lib/mqtt/embedded-broker.js';
import {
  type Deferred,
  deferred,
  RawClient,
  startBroker,
  type TestStore,
  testStore,
  until,
} from '../support/mqtt.js';

describe('embedded broker: a publish is acknowledged when its handlers have fulfilled', () => {
  let store: TestStore;
  let broker: EmbeddedBroker & { port: number };
  let messages: (Message & { work: Deferred })[];

  beforeEach(async () => {
    store = await testStore();
    broker = await startBroker(store.store);
    messages = [];
    await broker.link().subscribe('m/+/telemetry', { qos: 1 }, (message) => {
      const work = deferred();
      messages.push({ ...message, work });
      return work.promise;
    });
  });

  afterEach(async () => {
    for (const { work } of messages) work.resolve();
    await broker.close();
    await store.close();
  });

  const work = async (index: number) => {
    await until(() => messages.length > index, `message ${index}`);
    return (messages[index] as { work: Deferred }).work;
  };

  it('QoS 1: no PUBACK before the promise, though the broker reads on', async () => {
    const machine = await RawClient.login(broker.port, 'machine');
    machine.publish('m/1/telemetry', '{"battery":12}', { qos: 1, messageId: 7 });
    const first = await work(0);
    await machine.nothingBut();
    first.resolve();
    assert.equal((await machine.next('puback')).messageId, 7);
    assert.equal(messages[0]?.payload.toString(), '{"battery":12}');
    assert.equal(messages[0]?.retain, false);
    await machine.end();
  });

  it('QoS 2: no PUBREC before the promise', async () => {
    const machine = await RawClient.login(broker.port, 'machine');
    machine.publish('m/1/telemetry', '1', { qos: 2, messageId: 8 });
    const first = await work(0);
    await machine.nothingBut();
    first.resolve();
    assert.equal((await machine.next('pubrec')).messageId, 8);
    machine.send({ cmd: 'pubrel', messageId: 8, qos: 1 });
    assert.equal((await machine.next('pubcomp')).messageId, 8);
    await machine.end();
  });

  it('acknowledges in the order of arrival, whatever the order in which handlers end', async () => {
    const machine = await RawClient.login(broker.port, 'machine');
    for (const messageId of [1, 2, 3]) {
      machine.publish('m/1/telemetry', String(messageId), { qos: 1, messageId });
    }
    (await work(2)).resolve();
    (await work(1)).resolve();
    await machine.nothingBut();
    (await work(0)).resolve();
    for (const messageId of [1, 2, 3]) assert.equal((await machine.next('puback')).messageId, messageId);
    assert.deepEqual(
      messages.map(({ payload }) => payload.toString()),
      ['1', '2', '3'],
    );
    await machine.end();
  });

  it('closes the connection without a PUBACK when the handler rejects', async () => {
    const machine = await RawClient.login(broker.port, 'machine');
    machine.publish('m/1/telemetry', '1', { qos: 1, messageId: 1 });
    (await work(0)).reject(new Error('no place left'));
    await machine.closed;
    assert.deepEqual(
      machine.received.map(({ cmd }) => cmd),
      ['connack'],
    );
    assert.equal(broker.metrics.handlerErrors, 1);
  });

  it('keeps the connection when the handler of a QoS 0 message rejects', async () => {
    const machine = await RawClient.login(broker.port, 'machine');
    machine.publish('m/1/telemetry', '1');
    (await work(0)).reject(new Error('no place left'));
    await until(() => broker.metrics.handlerErrors === 1, 'the error is counted');
    await machine.nothingBut();
    await machine.end();
  });

  it('waits for all handlers whose filters match', async () => {
    const second = deferred();
    await broker.link().subscribe('m/1/#', { qos: 1 }, () => second.promise);
    const machine = await RawClient.login(broker.port, 'machine');
    machine.publish('m/1/telemetry', '1', { qos: 1, messageId: 1 });
    (await work(0)).resolve();
    await machine.nothingBut();
    second.resolve();
    await machine.next('puback');
    await machine.end();
  });

  it('hands a QoS 2 message that comes again to no handler, while the first is pending and after', async () => {
    const machine = await RawClient.login(broker.port, 'machine');
    machine.publish('m/1/telemetry', '1', { qos: 2, messageId: 5 });
    machine.publish('m/1/telemetry', '1', { qos: 2, messageId: 5, dup: true });
    (await work(0)).resolve();
    await machine.next('pubrec');
    await machine.next('pubrec');
    machine.publish('m/1/telemetry', '1', { qos: 2, messageId: 5, dup: true });
    await machine.next('pubrec');
    machine.send({ cmd: 'pubrel', messageId: 5, qos: 1 });
    await machine.next('pubcomp');
    assert.equal(messages.length, 1);
    machine.publish('m/1/telemetry', '2', { qos: 2, messageId: 5 });
    (await work(1)).resolve();
    await machine.next('pubrec');
    await machine.end();
  });

  it('reads nothing from a new connection while messages of the lost one are with their handlers', async () => {
    const machine = await RawClient.login(broker.port, 'machine', { clean: false });
    machine.publish('m/1/telemetry', '1', { qos: 2, messageId: 5 });
    const first = await work(0);
    await machine.cut();
    const again = await RawClient.login(broker.port, 'machine', { clean: false });
    again.publish('m/1/telemetry', '1', { qos: 2, messageId: 5, dup: true });
    again.publish('m/1/telemetry', '2', { qos: 1, messageId: 6 });
    first.resolve();
    assert.equal((await again.next('pubrec')).messageId, 5);
    (await work(1)).resolve();
    assert.equal((await again.next('puback')).messageId, 6);
    assert.deepEqual(
      messages.map(({ payload }) => payload.toString()),
      ['1', '2'],
    );
    await again.end();
  });

  it('hands over a last will, and a retained message at subscription', async () => {
    const wills: Message[] = [];
    await broker.link().subscribe('m/+/status', { qos: 1 }, async (message) => void wills.push(message));
    const will = { topic: 'm/1/status', payload: Buffer.from('offline'), qos: 1, retain: true };
    const machine = await RawClient.login(broker.port, 'machine', { will });
    await machine.cut();
    await until(() => wills.length === 1, 'the will');
    assert.equal(wills[0]?.payload.toString(), 'offline');
    const retained: Message[] = [];
    await until(() => broker.metrics.connections === 0, 'the client is gone');
    await broker.link().subscribe('m/1/status', { qos: 1 }, async (message) => void retained.push(message));
    assert.deepEqual(
      retained.map(({ payload, retain }) => [payload.toString(), retain]),
      [['offline', true]],
    );
  });

  it('hands a payload of 10 MB over whole', async () => {
    const payload = Buffer.alloc(10_000_000, 'abcdefghij');
    const machine = await RawClient.login(broker.port, 'machine');
    machine.publish('m/1/telemetry', payload, { qos: 1, messageId: 1 });
    (await work(0)).resolve();
    await machine.next('puback');
    assert.ok(messages[0]?.payload.equals(payload));
    await machine.end();
  });
});
