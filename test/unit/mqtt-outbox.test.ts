import assert from 'node:assert/strict';
import fc from 'fast-check';
import { FieldloomError } from '../../lib/core/errors.js';
import { silentLog } from '../../lib/core/log.js';
import { Outbox, type OutboxEntry, type OutboxStore, type SendOutcome } from '../../lib/mqtt/outbox.js';
import { until } from '../support/mqtt.js';

const entry = (id: string, qos: 0 | 1 | 2 = 1): OutboxEntry => ({
  id,
  topic: 't',
  payload: Buffer.from(id),
  qos,
  retain: false,
  createdAt: 0,
});

/** Keeps what is added when the test lets it, and shows it to the next outbox, as a database does. */
function slowStore() {
  const rows = new Map<string, OutboxEntry>();
  const writes: (() => void)[] = [];
  const write = (work: () => void) =>
    new Promise<void>((resolve) => {
      writes.push(() => {
        work();
        resolve();
      });
    });
  const store: OutboxStore = {
    add: (each) => write(() => rows.set(each.id, each)),
    remove: (id) => write(() => rows.delete(id)),
    all: async () => [...rows.values()].sort((a, b) => (a.id < b.id ? -1 : 1)),
  };
  return { store, rows, writes };
}

interface Sent {
  id: string;
  outcome(outcome: SendOutcome): void;
}

function recorded(options: { capacity?: number; window?: number; store?: OutboxStore } = {}) {
  const sent: Sent[] = [];
  const outbox = new Outbox({
    capacity: 1000,
    window: 10,
    log: silentLog,
    ...options,
    send: ({ id }, outcome) => sent.push({ id, outcome }),
  });
  return { outbox, sent, ids: () => sent.map(({ id }) => id) };
}

describe('outbox', () => {
  it('sends nothing without a connection, then all in order, no more at once than its window', async () => {
    const { outbox, sent, ids } = recorded({ window: 2 });
    const done: string[] = [];
    for (const id of ['1', '2', '3']) void outbox.publish(entry(id), false).then(() => done.push(id));
    assert.deepEqual(ids(), []);
    outbox.connected();
    assert.deepEqual(ids(), ['1', '2']);
    sent[1]?.outcome('acknowledged');
    assert.deepEqual(ids(), ['1', '2', '3']);
    await until(() => done.length === 1, 'the second');
    assert.deepEqual(done, ['2']);
  });

  it('puts back what was not sent, in front of what came later', () => {
    const { outbox, sent, ids } = recorded({ window: 2 });
    for (const id of ['1', '2', '3', '4']) void outbox.publish(entry(id), false);
    outbox.connected();
    outbox.disconnected();
    sent[1]?.outcome('unsent');
    sent[0]?.outcome('unsent');
    outbox.connected();
    assert.deepEqual(ids(), ['1', '2', '1', '2']);
  });

  it('rejects what the broker refuses, and what exceeds its capacity', async () => {
    const { outbox, sent } = recorded({ capacity: 1 });
    outbox.connected();
    const refused = outbox.publish(entry('1'), false);
    await assert.rejects(outbox.publish(entry('2'), false), { code: 'queue_full' });
    sent[0]?.outcome(new FieldloomError('publish_refused', 'no'));
    await assert.rejects(refused, { code: 'publish_refused' });
    assert.equal(outbox.size, 0);
  });

  it('keeps a durable publish before it sends it, and nothing overtakes it', async () => {
    const { store, rows, writes } = slowStore();
    const { outbox, sent, ids } = recorded({ store });
    await outbox.start();
    outbox.connected();
    void outbox.publish(entry('1'), true);
    void outbox.publish(entry('2'), false);
    assert.deepEqual(ids(), []);
    writes.shift()?.();
    await until(() => sent.length === 2, 'both');
    assert.deepEqual(ids(), ['1', '2']);
    sent[0]?.outcome('acknowledged');
    assert.equal(outbox.size, 2);
    writes.shift()?.();
    await until(() => outbox.size === 1, 'out of the store');
    assert.equal(rows.size, 0);
  });

  it('rejects a durable publish that cannot be kept, and goes on', async () => {
    const failing: OutboxStore = {
      add: () => Promise.reject(new Error('closed')),
      remove: async () => {},
      all: async () => [],
    };
    const { outbox, ids } = recorded({ store: failing });
    await outbox.start();
    outbox.connected();
    const lost = outbox.publish(entry('1'), true);
    void outbox.publish(entry('2'), false);
    await assert.rejects(lost, { code: 'store_unavailable' });
    assert.deepEqual(ids(), ['2']);
  });

  // The model: a durable publish that was kept leaves the outbox for good only when the broker has acknowledged it.
  it('loses nothing durable and never changes the order, whatever happens when', async () => {
    const action = fc.constantFrom(
      'publish',
      'publish durably',
      'connect',
      'disconnect',
      'acknowledge first',
      'acknowledge last',
      'give back',
      'write',
      'restart',
    );
    await fc.assert(
      fc.asyncProperty(fc.array(action, { maxLength: 60 }), async (actions) => {
        const { store, rows, writes } = slowStore();
        let current = recorded({ store, window: 3 });
        let underWay: Sent[] = [];
        let count = 0;
        let seen = 0;
        let sentSinceGap: string[] = [];
        const acknowledged = new Set<string>();
        const kept = new Set<string>();
        const fulfilled = new Set<string>();
        const newSends = () => {
          const fresh = current.sent.slice(seen);
          seen = current.sent.length;
          underWay.push(...fresh);
          sentSinceGap.push(...fresh.map(({ id }) => id));
          const sorted = sentSinceGap.toSorted();
          assert.deepEqual(sentSinceGap, sorted, 'in order');
          assert.ok(underWay.length <= 3, 'within the window');
        };
        const end = (index: number, outcome: SendOutcome) => {
          const [one] = underWay.splice(index, 1);
          if (one === undefined) return;
          if (outcome === 'acknowledged') acknowledged.add(one.id);
          else sentSinceGap = [];
          one.outcome(outcome);
        };
        const perform: Record<string, () => void | Promise<void>> = {
          publish: () => publish(false),
          'publish durably': () => publish(true),
          connect: () => current.outbox.connected(),
          disconnect: () => current.outbox.disconnected(),
          'acknowledge first': () => end(0, 'acknowledged'),
          'acknowledge last': () => end(underWay.length - 1, 'acknowledged'),
          'give back': () => {
            current.outbox.disconnected();
            while (underWay.length > 0) end(underWay.length - 1, 'unsent');
          },
          write: () => {
            writes.shift()?.();
            for (const id of rows.keys()) kept.add(id);
          },
          async restart() {
            writes.length = 0;
            underWay = [];
            seen = 0;
            sentSinceGap = [];
            current = recorded({ store, window: 3 });
            await current.outbox.start();
          },
        };
        const publish = (durable: boolean) => {
          const id = String(count++).padStart(4, '0');
          current.outbox.publish(entry(id), durable).then(
            () => fulfilled.add(id),
            () => {},
          );
        };
        await current.outbox.start();
        for (const each of actions) {
          await perform[each]?.();
          await new Promise((resolve) => setImmediate(resolve));
          newSends();
          for (const id of fulfilled) assert.ok(acknowledged.has(id), 'fulfilled only when acknowledged');
        }
        await perform['restart']?.();
        current.outbox.connected();
        for (let turns = 0; turns < 200 && current.outbox.size > 0; turns += 1) {
          await new Promise((resolve) => setImmediate(resolve));
          newSends();
          end(0, 'acknowledged');
          writes.shift()?.();
        }
        assert.equal(current.outbox.size, 0);
        for (const id of kept) assert.ok(acknowledged.has(id), `${id} is lost`);
        assert.equal(rows.size, 0);
      }),
      { numRuns: 200 },
    );
  });
});
