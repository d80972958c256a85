import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { Aedes } from 'aedes';
import { connect, type IPublishPacket, type MqttClient, type Packet } from 'mqtt';
import { type DeferredAck, deferAcknowledgement } from '../../lib/mqtt/deferred-ack.js';
import { type Deferred, deferred, recordedLog, until } from '../support/mqtt.js';

/** What lib/mqtt/deferred-ack.ts leans on in MQTT.js, against a real broker. */
describe('MQTT.js: what deferred acknowledgement leans on', () => {
  let broker: Aedes;
  let server: Server;
  let client: MqttClient;
  let sent: Packet[];

  beforeEach(async () => {
    broker = await Aedes.createBroker();
    server = createServer(broker.handle).listen(0, '127.0.0.1');
    await once(server, 'listening');
    client = connect({
      host: '127.0.0.1',
      port: (server.address() as AddressInfo).port,
      clientId: 'c',
      clean: false,
    });
    sent = [];
    client.on('packetsend', (packet) => sent.push(packet));
    await event('connect');
    await client.subscribeAsync('t', { qos: 2 });
  });

  afterEach(async () => {
    client.end(true);
    await new Promise<void>((resolve) => broker.close(resolve));
    await new Promise((resolve) => server.close(resolve));
  });

  const publish = (payload: string, qos: 0 | 1 | 2) =>
    new Promise<void>((resolve) =>
      broker.publish({ cmd: 'publish', topic: 't', payload, qos, retain: false, dup: false }, () =>
        resolve(),
      ),
    );
  const event = (name: 'connect' | 'close') =>
    new Promise<void>((resolve) => client.once(name, () => resolve()));
  const acks = (cmd: string) => sent.filter((packet) => packet.cmd === cmd).map(({ messageId }) => messageId);

  it('handleMessage: an error in its callback suppresses the PUBACK, and the next packet is handled', async () => {
    const handled: IPublishPacket[] = [];
    client.handleMessage = (packet, callback) => {
      handled.push(packet);
      (callback as (error?: Error) => void)(new Error('later'));
    };
    await publish('1', 1);
    await publish('2', 1);
    await until(() => handled.length === 2, 'both are handled');
    assert.deepEqual(acks('puback'), []);
  });

  it('_sendPacket: sends the PUBACK later, and the broker takes it', async () => {
    const handled: IPublishPacket[] = [];
    client.handleMessage = (packet, callback) => {
      handled.push(packet);
      (callback as (error?: Error) => void)(new Error('later'));
    };
    await publish('1', 1);
    await until(() => handled.length === 1, 'handled');
    const acknowledged = once(broker, 'ack');
    const { messageId } = handled[0] as IPublishPacket;
    (client as unknown as { _sendPacket(packet: object): void })._sendPacket({ cmd: 'puback', messageId });
    const [packet] = (await acknowledged) as [{ payload: Buffer }];
    assert.equal(packet.payload.toString(), '1');
    assert.deepEqual(acks('puback'), [messageId]);
  });

  it('customHandleAcks: an error suppresses the PUBREC, is emitted, and the next packet is handled', async () => {
    const handled: IPublishPacket[] = [];
    const errors: Error[] = [];
    const later = new Error('later');
    client.on('error', (error) => errors.push(error));
    client.options.customHandleAcks = (_topic, _message, packet, callback) => {
      handled.push(packet);
      callback(later);
    };
    await publish('1', 2);
    await publish('2', 2);
    await until(() => handled.length === 2, 'both are handled');
    assert.deepEqual(acks('pubrec'), []);
    assert.deepEqual(errors, [later, later]);
  });

  it('answers a PUBREL of a message that it has not kept with PUBCOMP', async () => {
    client.on('error', () => {});
    client.options.customHandleAcks = (_topic, _message, packet, callback) => {
      callback(new Error('later'));
      const { messageId } = packet;
      (client as unknown as { _sendPacket(packet: object): void })._sendPacket({ cmd: 'pubrec', messageId });
    };
    await publish('1', 2);
    await until(() => acks('pubcomp').length === 1, 'PUBCOMP');
    assert.deepEqual(acks('pubcomp'), acks('pubrec'));
  });

  describe('deferAcknowledgement', () => {
    let work: Deferred[];
    let payloads: string[];
    let deferral: DeferredAck;
    const log = recordedLog();

    const resolveAll = () => {
      for (const { resolve } of work) resolve();
    };
    /** As a broken cable; fulfils when the broker has sent again what is not acknowledged. */
    const reconnect = async () => {
      client.stream.destroy();
      await event('close');
      const { incomingStore, outgoingStore } = client;
      const ready = once(broker, 'clientReady');
      client.reconnect({ incomingStore, outgoingStore } as never);
      await ready;
    };
    const start = (limit = 1000) => {
      work = [];
      payloads = [];
      log.lines.length = 0;
      client.on('error', () => {});
      deferral = deferAcknowledgement(
        client,
        (packet) => {
          const each = deferred();
          work.push(each);
          payloads.push(packet.payload.toString());
          return each.promise;
        },
        { limit, log },
      );
    };

    it('acknowledges QoS 1 and 2 in order of arrival, when the promises have fulfilled', async () => {
      start();
      for (const [payload, qos] of [
        ['1', 1],
        ['2', 2],
        ['3', 1],
      ] as const)
        await publish(payload, qos);
      await until(() => work.length === 3, 'all are handled');
      work[2]?.resolve();
      work[1]?.resolve();
      await publish('4', 0);
      await until(() => work.length === 4, 'it reads on');
      assert.deepEqual([acks('puback'), acks('pubrec')], [[], []]);
      work[0]?.resolve();
      await until(() => acks('puback').length === 2 && acks('pubcomp').length === 1, 'acknowledged');
      assert.deepEqual(
        sent.filter(({ cmd }) => cmd === 'puback' || cmd === 'pubrec').map(({ cmd }) => cmd),
        ['puback', 'pubrec', 'puback'],
      );
      assert.equal(deferral.serial, false);
      assert.deepEqual(log.lines, []);
    });

    it('stops reading at the bound and resumes below it', async () => {
      start(2);
      for (const payload of ['1', '2', '3', '4']) await publish(payload, 1);
      await until(() => work.length === 2, 'the bound is reached');
      assert.equal(deferral.pending, 2);
      work[0]?.resolve();
      await until(() => work.length === 3, 'one more');
      assert.equal(deferral.pending, 2);
      for (let index = 1; index < 4; index += 1) {
        await until(() => work.length > index, `message ${index}`);
        work[index]?.resolve();
      }
      await until(() => acks('puback').length === 4, 'all are acknowledged');
    });

    it('does not acknowledge on a new connection what came on the lost one', async () => {
      start();
      await publish('1', 1);
      await until(() => work.length === 1, 'handled');
      await reconnect();
      await until(() => work.length === 2, 'sent again by the broker');
      work[0]?.resolve();
      await publish('2', 1);
      await until(() => work.length === 3, 'it reads on');
      assert.deepEqual(acks('puback'), []);
      work[1]?.resolve();
      work[2]?.resolve();
      await until(() => acks('puback').length === 2, 'acknowledged');
      assert.deepEqual(payloads, ['1', '1', '2']);
    });

    it('handles a QoS 2 message once, though the connection is lost before its PUBREC', async () => {
      start();
      await publish('1', 2);
      await until(() => work.length === 1, 'handled');
      await reconnect();
      await publish('2', 1);
      await until(() => work.length === 2, 'it reads on');
      work[0]?.resolve();
      work[1]?.resolve();
      await until(() => acks('pubcomp').length === 1 && acks('puback').length === 1, 'acknowledged');
      assert.deepEqual(payloads, ['1', '2']);
    });

    it('falls back to one message at a time where the library acknowledges by itself, and says so once', async () => {
      start();
      const own = client.handleMessage.bind(client);
      // A version that ignores the error.
      client.handleMessage = (packet, callback) => own(packet, () => (callback as () => void)());
      for (const payload of ['1', '2', '3']) await publish(payload, 1);
      await until(() => deferral.serial, 'it falls back');
      const before = work.length;
      resolveAll();
      await until(() => work.length === Math.min(3, before + 1), 'the next one');
      resolveAll();
      await until(() => work.length === 3, 'the last one');
      resolveAll();
      assert.equal(log.lines.length, 1);
      assert.match(log.lines[0] ?? '', /acknowledged one at a time/);
    });

    it('works one message at a time without a packet writer', async () => {
      Object.assign(client, { _sendPacket: undefined });
      const { _sendPacket } = Object.getPrototypeOf(client);
      start();
      assert.equal(deferral.serial, true);
      Object.assign(client, { _sendPacket });
      for (const payload of ['1', '2']) await publish(payload, 1);
      await publish('3', 2);
      for (let index = 0; index < 3; index += 1) {
        await until(() => work.length === index + 1, `message ${index}`);
        assert.equal(acks('puback').length, Math.min(index, 2));
        work[index]?.resolve();
      }
      await until(() => acks('pubcomp').length === 1, 'QoS 2 too');
      assert.deepEqual(payloads, ['1', '2', '3']);
    });
  });
});
