import assert from 'node:assert/strict';
import type { EmbeddedBroker } from '../../lib/mqtt/embedded-broker.js';
import {
  type Deferred,
  deferred,
  LOGINS,
  RawClient,
  startBroker,
  type TestStore,
  testAuthority,
  testStore,
  until,
} from '../support/mqtt.js';

describe('embedded broker: limits', () => {
  let store: TestStore;
  let broker: EmbeddedBroker & { port: number };
  let pending: Deferred[];

  const limits = {
    packetBytes: 100_000,
    connectBytes: 1000,
    connectMs: 200,
    unacknowledged: 50,
    unacknowledgedBytes: 400_000,
    totalBytes: 600_000,
  };

  beforeEach(async () => {
    store = await testStore();
    broker = await startBroker(store.store, { limits });
    pending = [];
    await broker.link().subscribe('m/#', { qos: 1 }, () => {
      const work = deferred();
      pending.push(work);
      return work.promise;
    });
  });

  afterEach(async () => {
    for (const { resolve } of pending) resolve();
    await broker.close();
    await store.close();
  });

  /** A fixed header that announces a packet of so many bytes. */
  const header = (firstByte: number, length: number) => {
    const bytes = [firstByte];
    for (let rest = length; bytes.length === 1 || rest > 0; rest = Math.floor(rest / 128)) {
      bytes.push((rest % 128) | (rest >= 128 ? 0x80 : 0));
    }
    return Buffer.from(bytes);
  };

  it('cuts a connection whose first packet announces more than a CONNECT may have', async () => {
    const client = await RawClient.to(broker.port);
    client.stream.write(header(0x10, limits.connectBytes + 1));
    await client.closed;
  });

  it('cuts a connection at the header of a packet that is too large, before its body has come', async () => {
    const machine = await RawClient.login(broker.port, 'machine');
    machine.publish('m/1/telemetry', Buffer.alloc(limits.packetBytes - 100), { qos: 1, messageId: 1 });
    await until(() => pending.length === 1, 'a packet within the limit is handled');
    machine.stream.write(header(0x32, limits.packetBytes + 1));
    await machine.closed;
  });

  it('cuts a connection with a malformed length', async () => {
    const machine = await RawClient.login(broker.port, 'machine');
    machine.stream.write(Buffer.from([0x32, 0x80, 0x80, 0x80, 0x80, 0x01]));
    await machine.closed;
  });

  it('cuts a connection that does not log in in time', async () => {
    const client = await RawClient.to(broker.port);
    await client.closed;
  });

  it('reads nothing but CONNECT before the login is accepted', async () => {
    const gate = deferred();
    const authority = testAuthority(LOGINS);
    const slow = await startBroker(store.store, {
      authority: {
        ...authority,
        async authenticate(request) {
          await gate.promise;
          return authority.authenticate(request);
        },
      },
      limits: { ...limits, connectMs: 10_000 },
    });
    const client = await RawClient.to(slow.port);
    const connack = client.connect('machine');
    // More packets than aedes would queue before the login; the last is answered all the same.
    for (let count = 0; count < 100; count += 1)
      client.publish('m/1/status', 'x', { qos: 1, messageId: count + 1 });
    gate.resolve();
    await connack;
    for (let count = 0; count < 100; count += 1) {
      assert.equal((await client.next('puback')).messageId, count + 1);
    }
    await client.end();
    await slow.close();
  });

  it('stops reading from a client whose publishes are not handled, and resumes', async () => {
    const machine = await RawClient.login(broker.port, 'machine');
    const flood = 500;
    for (let messageId = 1; messageId <= flood; messageId += 1) {
      machine.publish('m/1/telemetry', String(messageId), { qos: 1, messageId });
    }
    await until(() => pending.length >= limits.unacknowledged, 'the bound is reached');
    const other = await RawClient.login(broker.port, 'other');
    await other.nothingBut();
    assert.equal(pending.length, limits.unacknowledged);
    for (let index = 0; index < flood; index += 1) {
      await until(() => pending.length > index, `message ${index + 1}`);
      pending[index]?.resolve();
      assert.equal((await machine.next('puback')).messageId, index + 1);
    }
    await machine.end();
    await other.end();
  });

  it('holds a bounded number of bytes, of one client and of all', async () => {
    const flood = async (username: string, topic: string) => {
      const client = await RawClient.login(broker.port, username);
      for (let messageId = 1; messageId <= 100; messageId += 1) {
        client.publish(topic, Buffer.alloc(60_000), { qos: 1, messageId });
      }
      return client;
    };
    const machine = await flood('machine', 'm/1/telemetry');
    await until(() => broker.metrics.pendingBytes >= limits.unacknowledgedBytes, 'one client’s bound');
    const other = await flood('other', 'm/2/telemetry');
    await until(() => broker.metrics.pendingBytes >= limits.totalBytes, 'the bound for all');
    const service = await RawClient.login(broker.port, 'service');
    await service.cut();
    // A read hands over what one chunk of the socket holds, hence up to two packets more than the bound.
    assert.ok(
      broker.metrics.pendingBytes < limits.totalBytes + 2 * 65_536,
      String(broker.metrics.pendingBytes),
    );
    for (let index = 0; index < 200; index += 1) {
      await until(() => pending.length > index, `message ${index + 1}`);
      pending[index]?.resolve();
    }
    await until(() => broker.metrics.pendingBytes === 0, 'all are done with');
    await machine.end();
    await other.end();
  });

  it('does not grow while a client reconnects again and again and the store is away', async () => {
    for (let round = 0; round < 20; round += 1) {
      const machine = await RawClient.login(broker.port, 'machine');
      for (let messageId = 1; messageId <= 30; messageId += 1) {
        machine.publish('m/1/telemetry', String(messageId), { qos: 1, messageId });
      }
      if (round === 0) await until(() => pending.length === 30, 'the first 30 are with their handler');
      await machine.cut();
    }
    assert.equal(pending.length, 30);
  });

  it('delivers a QoS 2 flood to its bound and closes a client that never releases an id', async () => {
    for (const { resolve } of pending) resolve();
    const machine = await RawClient.login(broker.port, 'machine');
    for (let messageId = 1; messageId <= 1001; messageId += 1) {
      machine.publish('m/1/status', 'x', { qos: 2, messageId });
      await until(() => pending.length === messageId, `message ${messageId}`);
      pending[messageId - 1]?.resolve();
    }
    await machine.closed;
  });
});
