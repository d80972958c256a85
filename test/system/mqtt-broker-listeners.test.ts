import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect as connectTls } from 'node:tls';
import { createWebSocketStream, WebSocket } from 'ws';
import type { Message } from '../../lib/core/link.js';
import type { ListenerKind } from '../../lib/mqtt/broker-listeners.js';
import { connect } from '../../lib/mqtt/connection.js';
import { createBroker, type EmbeddedBroker } from '../../lib/mqtt/embedded-broker.js';
import { sessionStore } from '../../lib/mqtt/session-store.js';
import { selfSignedCertificate } from '../support/certificate.js';
import {
  LOGINS,
  RawClient,
  startBroker,
  type TestStore,
  testAuthority,
  testStore,
  until,
} from '../support/mqtt.js';

describe('embedded broker: listeners', () => {
  const tls = selfSignedCertificate();
  let store: TestStore;
  let broker: EmbeddedBroker;
  let heard: Message[];

  const create = (kinds: ListenerKind[]) =>
    createBroker({
      listeners: kinds.map((kind) => ({ kind, host: '127.0.0.1', port: 0, tls })),
      authority: testAuthority(LOGINS),
      sessions: sessionStore(store.store),
      limits: { connectMs: 1000 },
    });

  before(async () => {
    store = await testStore();
  });

  beforeEach(async () => {
    broker = await create(['mqtt', 'mqtts', 'ws', 'wss']);
    heard = [];
    await broker.link().subscribe('m/#', { qos: 1 }, async (message) => void heard.push(message));
  });

  afterEach(() => broker.close());

  after(() => store.close());

  const url = (kind: ListenerKind) => broker.listeners.find((listener) => listener.kind === kind)?.url ?? '';

  for (const kind of ['mqtt', 'mqtts', 'ws', 'wss'] as const) {
    it(`takes and gives messages over ${kind}`, async () => {
      const machine = connect({
        url: url(kind),
        clientId: 'machine',
        username: 'machine',
        password: 'secret-m',
        tls: { ca: tls.cert },
      });
      const commands: string[] = [];
      await machine.subscribe(
        'm/1/command',
        { qos: 1 },
        async ({ payload }) => void commands.push(payload.toString()),
      );
      await machine.publish('m/1/telemetry', Buffer.alloc(200_000, 'x'), { qos: 1 });
      assert.equal(heard[0]?.payload.length, 200_000);
      await broker.link().publish('m/1/command', kind, { qos: 2 });
      await until(() => commands.includes(kind), 'the command');
      assert.equal(broker.clients[0]?.address, '127.0.0.1');
      await machine.close();
    });
  }

  it('accepts only clients that trust its certificate or say that they do not care', async () => {
    const stranger = connect({ url: url('mqtts'), clientId: 'x', username: 'machine', password: 'secret-m' });
    const reason = await new Promise<Error | undefined>((resolve) =>
      stranger.onState((state, why) => state === 'disconnected' && resolve(why)),
    );
    assert.match(reason?.message ?? '', /self.signed certificate/);
    await stranger.close();
  });

  it('cuts a WebSocket with a packet that is too large before its login', async () => {
    const socket = new WebSocket(url('ws'), 'mqtt');
    await once(socket, 'open');
    socket.send(Buffer.from([0x10, 0xff, 0xff, 0x7f]));
    await once(socket, 'close');
  });

  it('serves a raw client over a WebSocket', async () => {
    const socket = new WebSocket(url('ws'), 'mqtt');
    await once(socket, 'open');
    const client = new RawClient(createWebSocketStream(socket));
    await client.connect('machine');
    await client.nothingBut();
    await client.end();
  });

  it('answers plain HTTP on a WebSocket listener with 426', async () => {
    const response = await fetch(url('ws').replace('ws:', 'http:'));
    assert.equal(response.status, 426);
    assert.match(await response.text(), /MQTT/);
  });

  it('survives a TLS handshake that fails', async () => {
    const port = Number(new URL(url('mqtts').replace('mqtts:', 'http:')).port);
    const socket = connectTls({
      port,
      host: '127.0.0.1',
      maxVersion: 'TLSv1.2',
      minVersion: 'TLSv1.2',
      ciphers: 'RSA-PSK-NULL-SHA:PSK',
    });
    await once(socket, 'error').catch(() => {});
    socket.destroy();
    const client = connect({
      url: url('mqtts'),
      clientId: 'm',
      username: 'machine',
      password: 'secret-m',
      tls: { ca: tls.cert },
    });
    await client.publish('m/1/telemetry', 'x', { qos: 1 });
    await client.close();
  });

  it('says which port is taken, and which listener lacks its certificate', async () => {
    const port = Number(new URL(url('mqtt').replace('mqtt:', 'http:')).port);
    const listeners = [{ kind: 'mqtt' as const, host: '127.0.0.1', port }];
    await assert.rejects(startBroker(store.store, { listeners }), {
      code: 'conflict',
      message: new RegExp(`127.0.0.1 port ${port}: the port is taken`),
    });
    const insecure = [{ kind: 'mqtts' as const, host: '127.0.0.1', port: 0 }];
    await assert.rejects(startBroker(store.store, { listeners: insecure }), {
      code: 'invalid_setting',
      message: /mqtts listener.*key and certificate/,
    });
  });

  it('refuses connections past its limit', async () => {
    const small = await startBroker(store.store, { limits: { connections: 1 } });
    const first = await RawClient.login(small.port, 'machine');
    const second = await RawClient.to(small.port);
    await second.closed;
    await first.nothingBut();
    await first.end();
    await small.close();
  });

  it('closes with clients connected, acknowledges what is under way, and publishes no wills', async () => {
    const will = { topic: 'm/1/status', payload: Buffer.from('offline'), qos: 1, retain: false };
    const small = await startBroker(store.store);
    let finish = () => {};
    const topics: string[] = [];
    await small.link().subscribe('m/#', { qos: 1 }, ({ topic }) => {
      topics.push(topic);
      return new Promise<void>((resolve) => {
        finish = resolve;
      });
    });
    const machine = await RawClient.login(small.port, 'machine', { will });
    machine.publish('m/1/telemetry', '1', { qos: 1, messageId: 1 });
    await until(() => topics.length === 1, 'it is handled');
    const closed = small.close();
    finish();
    await machine.next('puback');
    await closed;
    await machine.closed;
    assert.deepEqual(topics, ['m/1/telemetry']);
    assert.equal(small.link().state, 'closed');
    await assert.rejects(small.link().publish('m/1/command', 'x', { qos: 1 }), { code: 'link_closed' });
  });

  it('leaves no socket, timer or listener behind when it is opened and closed 50 times', async () => {
    const round = async () => {
      const each = await create(['mqtt', 'mqtts', 'ws', 'wss']);
      const of = (kind: ListenerKind) => each.listeners.find((listener) => listener.kind === kind)?.port ?? 0;
      const machine = await RawClient.login(of('mqtt'), 'machine', { clean: false, keepalive: 60 });
      await machine.subscribe('m/1/command');
      const silent = await RawClient.to(of('mqtt'));
      await each.close();
      await machine.closed;
      await silent.closed;
    };
    const resources = () => process.getActiveResourcesInfo().toSorted().join();
    await round();
    await until(() => true, 'a turn');
    const before = resources();
    for (let count = 0; count < 50; count += 1) await round();
    await until(() => resources() === before, `resources as before (${before}), now ${resources()}`);
  });
});
