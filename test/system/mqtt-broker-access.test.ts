import assert from 'node:assert/strict';
import type { Message } from '../../lib/core/link.js';
import type { EmbeddedBroker } from '../../lib/mqtt/embedded-broker.js';
import { type FakeClock, fakeClock } from '../support/fake-clock.js';
import {
  LOGINS,
  RawClient,
  type RecordedLog,
  recordedLog,
  startBroker,
  type TestAuthority,
  type TestStore,
  testAuthority,
  testStore,
  until,
} from '../support/mqtt.js';

describe('embedded broker: who may do what', () => {
  let store: TestStore;
  let broker: EmbeddedBroker & { port: number };
  let authority: TestAuthority;
  let clock: FakeClock;
  let log: RecordedLog;
  let heard: Message[];

  beforeEach(async () => {
    store = await testStore();
    authority = testAuthority(LOGINS);
    clock = fakeClock();
    log = recordedLog();
    broker = await startBroker(store.store, { authority, clock, log });
    heard = [];
    await broker.link().subscribe('#', { qos: 1 }, async (message) => void heard.push(message));
  });

  afterEach(async () => {
    await broker.close();
    await store.close();
  });

  const refusal = async (options: object) => {
    const client = await RawClient.to(broker.port);
    const connack = await client.connect('machine', options);
    await client.closed;
    return (connack as { returnCode?: number }).returnCode;
  };

  it('refuses a wrong password and an unknown user with the same answer (4), and anonymous clients (5)', async () => {
    assert.equal(await refusal({ password: Buffer.from('guess') }), 4);
    assert.equal(await refusal({ username: 'nobody' }), 4);
    assert.equal(await refusal({ username: undefined, password: undefined }), 5);
    assert.equal(broker.metrics.failedLogins, 3);
    assert.equal(broker.metrics.connections, 0);
  });

  it('acknowledges a publish outside the login’s topics, but it reaches nobody', async () => {
    const service = await RawClient.login(broker.port, 'service');
    assert.deepEqual(await service.subscribe('#'), [1]);
    const machine = await RawClient.login(broker.port, 'machine');
    machine.publish('m/2/telemetry', 'not mine', { qos: 1, messageId: 1, retain: true });
    assert.equal((await machine.next('puback')).messageId, 1);
    machine.publish('m/2/telemetry', 'not mine', { qos: 2, messageId: 2 });
    await machine.next('pubrec');
    machine.publish('m/2/telemetry', 'not mine');
    machine.publish('$SYS/x', 'not mine');
    machine.publish('m/1/telemetry', 'mine', { qos: 1, messageId: 3 });
    await machine.next('puback');
    assert.equal((await service.next('publish')).payload.toString(), 'mine');
    assert.deepEqual(
      heard.map(({ payload }) => payload.toString()),
      ['mine'],
    );
    assert.equal(broker.metrics.refusedPublishes, 4);
    assert.ok(log.lines.some((line) => line.includes('m/2/telemetry') && line.includes('machine')));
    const later = await RawClient.login(broker.port, 'other');
    await later.end();
    await service.nothingBut();
    await service.end();
    await machine.end();
  });

  it('closes the connection at the tenth refused publish within a minute, not at ten within more', async () => {
    const machine = await RawClient.login(broker.port, 'machine');
    for (let count = 1; count <= 9; count += 1) {
      machine.publish('m/2/telemetry', 'x', { qos: 1, messageId: count });
      await machine.next('puback');
    }
    clock.advance(60_000);
    for (let count = 1; count <= 9; count += 1) {
      machine.publish('m/2/telemetry', 'x', { qos: 1, messageId: count });
      await machine.next('puback');
    }
    machine.publish('m/2/telemetry', 'x', { qos: 1, messageId: 10 });
    await machine.closed;
    assert.equal(machine.received.filter(({ cmd }) => cmd === 'puback').length, 18);
  });

  it('counts refused publishes of a login over its connections', async () => {
    for (let count = 1; count <= 9; count += 1) {
      const machine = await RawClient.login(broker.port, 'machine');
      machine.publish('m/2/telemetry', 'x', { qos: 1, messageId: count });
      await machine.next('puback');
      await machine.end();
    }
    const machine = await RawClient.login(broker.port, 'machine');
    machine.publish('m/2/telemetry', 'x', { qos: 1, messageId: 10 });
    await machine.closed;
  });

  it('answers a subscription outside the login’s topics with 0x80, the others beside it as asked', async () => {
    const machine = await RawClient.login(broker.port, 'machine');
    const granted = await machine.subscribe('m/2/command', 'm/1/command', '#', 'm/1/#', '$SYS/#');
    assert.deepEqual(granted, [128, 1, 128, 1, 128]);
    assert.equal(broker.metrics.refusedSubscribes, 3);
    await machine.end();
  });

  it('keeps no refused subscription in a persistent session', async () => {
    const machine = await RawClient.login(broker.port, 'machine', { clean: false });
    assert.deepEqual(await machine.subscribe('m/2/command', 'm/1/command'), [128, 1]);
    await machine.end();
    await broker.link().publish('m/2/command', 'secret', { qos: 1 });
    await broker.link().publish('m/1/command', 'open', { qos: 1 });
    const again = await RawClient.login(broker.port, 'machine', { clean: false });
    assert.equal((await again.next('publish')).payload.toString(), 'open');
    await again.nothingBut();
    await again.end();
  });

  it('refuses a shared subscription and says why', async () => {
    const service = await RawClient.login(broker.port, 'service');
    assert.deepEqual(await service.subscribe('$share/g/m/#'), [128]);
    assert.ok(log.lines.some((line) => line.includes('shared subscriptions are not supported')));
    await service.end();
    await assert.rejects(
      broker.link().subscribe('m/#', { qos: 1, share: 'g' }, async () => {}),
      { code: 'shared_subscription_unsupported' },
    );
  });

  it('drops a will that its login may not publish', async () => {
    const will = { topic: 'm/2/status', payload: Buffer.from('x'), qos: 1, retain: false };
    const machine = await RawClient.login(broker.port, 'machine', { will });
    await machine.cut();
    await until(() => broker.metrics.refusedPublishes === 1, 'the will is refused');
    assert.deepEqual(heard, []);
  });

  it('lets a second connection of a login take over, whatever its client id, and counts it', async () => {
    const first = await RawClient.login(broker.port, 'machine', { clientId: 'a' });
    const second = await RawClient.login(broker.port, 'machine', { clientId: 'b' });
    await first.closed;
    const third = await RawClient.login(broker.port, 'machine', { clientId: 'b' });
    await second.closed;
    await third.nothingBut();
    assert.equal(broker.metrics.takeovers, 2);
    assert.deepEqual(
      broker.clients.map(({ username, clientId }) => [username, clientId]),
      [['machine', 'b']],
    );
    await third.end();
  });

  it('refuses a client id whose session, live or stored, is another login’s (2)', async () => {
    const machine = await RawClient.login(broker.port, 'machine', { clientId: 'mine', clean: false });
    const thief = await RawClient.to(broker.port);
    assert.equal(
      ((await thief.connect('other', { clientId: 'mine' })) as { returnCode: number }).returnCode,
      2,
    );
    await machine.nothingBut();
    await machine.end();
    const later = await RawClient.to(broker.port);
    assert.equal(
      ((await later.connect('other', { clientId: 'mine' })) as { returnCode: number }).returnCode,
      2,
    );
    const owner = await RawClient.login(broker.port, 'machine', { clientId: 'mine', clean: true });
    await owner.end();
    await until(() => broker.metrics.connections === 0, 'the owner is gone');
    // A clean session leaves nothing behind that belongs to anybody.
    const free = await RawClient.login(broker.port, 'other', { clientId: 'mine' });
    await free.end();
  });

  it('accepts client ids longer than 23 characters, up to 255', async () => {
    const client = await RawClient.login(broker.port, 'machine', { clientId: 'c'.repeat(255) });
    await client.end();
    assert.equal(await refusal({ clientId: 'c'.repeat(256) }), 2);
  });

  it('disconnects a revoked login at once, and no other', async () => {
    const machine = await RawClient.login(broker.port, 'machine');
    const other = await RawClient.login(broker.port, 'other');
    authority.revoke('machine');
    await machine.closed;
    await other.nothingBut();
    await other.end();
  });

  it('tells who connects and disconnects', async () => {
    const events: string[] = [];
    broker.onClient(({ type, username, clientId, address }) =>
      events.push(`${type} ${username} ${clientId} ${address}`),
    );
    const machine = await RawClient.login(broker.port, 'machine', { clientId: 'k1' });
    await until(() => events.length === 1, 'connected');
    await machine.end();
    await until(() => events.length === 2, 'disconnected');
    assert.deepEqual(events, ['connected machine k1 127.0.0.1', 'disconnected machine k1 127.0.0.1']);
  });
});
