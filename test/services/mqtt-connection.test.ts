import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import type { Message } from '../../lib/core/link.js';
import { type Connection, connect } from '../../lib/mqtt/connection.js';
import type { ConnectionOptions } from '../../lib/mqtt/connection-options.js';
import { type Deferred, deferred, recordedLog, until } from '../support/mqtt.js';

const url = process.env['TEST_MQTT_URL'];

/** The broker must be there: with TEST_MQTT_URL set a broker that is away is a failure. */
if (url !== undefined) {
  for (const version of ['3.1.1', '5'] as const) {
    describe(`connection to the broker at TEST_MQTT_URL, MQTT ${version}`, () => {
      let root: string;
      let connections: Connection[];
      const log = recordedLog();

      beforeEach(() => {
        root = `fieldloom-test/${randomUUID()}`;
        connections = [];
        log.lines.length = 0;
      });

      afterEach(() => Promise.all(connections.map((connection) => connection.close(0))));

      const open = (options: Partial<ConnectionOptions> = {}) => {
        const connection = connect({
          url,
          version,
          clientId: `fieldloom-test-${randomUUID()}`,
          reconnect: { firstMs: 10, maxMs: 100, jitter: 0 },
          sessionExpiryS: 60,
          log,
          ...options,
        });
        connections.push(connection);
        return connection;
      };

      it('connects', async () => {
        const gateway = open();
        await gateway.publish(`${root}/a`, 'x', { qos: 2 });
        assert.equal(gateway.state, 'connected');
      });

      it('acknowledges QoS 1 and 2 when the handler has fulfilled; a new process gets the rest again', async () => {
        const clientId = `fieldloom-test-${randomUUID()}`;
        const works: (Message & { work: Deferred })[] = [];
        const take = (message: Message) => {
          const work = deferred();
          works.push({ ...message, work });
          return work.promise;
        };
        const publisher = open();
        const first = open({ clientId });
        await first.subscribe(`${root}/#`, { qos: 2 }, take);
        for (const [payload, qos] of [
          ['1', 1],
          ['2', 2],
          ['3', 1],
          ['4', 2],
        ] as const) {
          await publisher.publish(`${root}/a`, payload, { qos });
        }
        await until(() => works.length === 4, 'all four');
        works[0]?.work.resolve();
        works[1]?.work.resolve();
        // Answered behind the acknowledgements.
        await first.publish(`${root}-other`, 'x', { qos: 1 });
        await first.close(0);
        const second = open({ clientId });
        await second.subscribe(`${root}/#`, { qos: 2 }, take);
        await until(() => works.length === 6, 'the rest');
        assert.deepEqual(
          works.map(({ payload }) => payload.toString()),
          ['1', '2', '3', '4', '3', '4'],
        );
        for (const { work } of works) work.resolve();
        await until(() => second.counters.unacknowledged === 0, 'acknowledged');
        assert.ok(
          log.lines.every((line) => !line.startsWith('warn')),
          log.lines.join(),
        );
      });

      it('takes 5,000 messages with at most 20 of its own publishes under way, and loses and doubles none', async () => {
        const heard: string[] = [];
        const subscriber = open();
        await subscriber.subscribe(`${root}/+`, { qos: 1 }, async ({ payload }) => {
          heard.push(payload.toString());
          await new Promise((resolve) => setImmediate(resolve));
        });
        const publisher = open({ maxInFlight: 20 });
        const numbers = Array.from({ length: 5000 }, (_, count) => String(count));
        // In parts: a broker as it comes drops what waits for a subscriber past a thousand messages.
        for (let from = 0; from < numbers.length; from += 500) {
          const part = numbers.slice(from, from + 500);
          await Promise.all(part.map((number) => publisher.publish(`${root}/a`, number, { qos: 1 })));
          await until(() => heard.length >= from + part.length, 'all');
        }
        assert.deepEqual(heard, numbers);
      });

      it('shares a subscription out: each message goes to one of two', async () => {
        const heard: string[] = [];
        for (const name of ['a', 'b']) {
          await open().subscribe(`${root}/#`, { qos: 1, share: 'workers' }, async ({ payload }) => {
            heard.push(`${name}${payload}`);
          });
        }
        const publisher = open();
        for (let count = 0; count < 20; count += 1)
          await publisher.publish(`${root}/a`, `${count}`, { qos: 1 });
        await until(() => heard.length === 20, 'all');
        assert.equal(new Set(heard.map((each) => each.slice(1))).size, 20);
        assert.equal(new Set(heard.map((each) => each[0])).size, 2);
      });

      it('gets a message once although its filters overlap', async () => {
        const heard: string[] = [];
        const gateway = open();
        await gateway.subscribe(`${root}/a`, { qos: 1 }, async () => void heard.push('narrow'));
        await gateway.subscribe(`${root}/#`, { qos: 1 }, async () => void heard.push('wide'));
        await gateway.publish(`${root}/a`, 'x', { qos: 1 });
        await gateway.publish(`${root}/b`, 'x', { qos: 1 });
        await until(() => heard.length >= 3, 'both handlers, and the next message');
        assert.deepEqual(heard, ['narrow', 'wide', 'wide']);
      });

      it('marks a retained message', async () => {
        const gateway = open();
        await gateway.publish(`${root}/a`, 'kept', { qos: 1, retain: true });
        const heard: Message[] = [];
        await gateway.subscribe(`${root}/a`, { qos: 1 }, async (message) => void heard.push(message));
        await until(() => heard.length === 1, 'the retained message');
        assert.equal(heard[0]?.retain, true);
        await gateway.publish(`${root}/a`, '', { qos: 1, retain: true });
      });
    });
  }
}
