import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import fc from 'fast-check';
import type { Message } from '../../lib/core/link.js';
import { filterMatches } from '../../lib/core/topic.js';
import { ArrivalOrder } from '../../lib/mqtt/arrival-order.js';
import { brokerFilters, filterCovers } from '../../lib/mqtt/broker-filters.js';
import { ReadGate } from '../../lib/mqtt/read-gate.js';
import { ReadTurns } from '../../lib/mqtt/read-turns.js';
import { Subscriptions } from '../../lib/mqtt/subscriptions.js';
import { type WiredPublish, wiredLink } from '../../lib/mqtt/wired-link.js';
import { until } from '../support/mqtt.js';

const level = fc.constantFrom('a', 'b', '', '$x');
const topic = fc.array(level, { minLength: 1, maxLength: 4 }).map((levels) => levels.join('/'));
const filter = fc
  .tuple(fc.array(fc.constantFrom('a', 'b', '', '$x', '+'), { maxLength: 3 }), fc.constantFrom('a', '+', '#'))
  .map(([levels, last]) => [...levels, last].join('/'));

describe('arrival order', () => {
  it('releases in the order of entry, whatever becomes ready when', () => {
    fc.assert(
      fc.property(fc.shuffledSubarray([0, 1, 2, 3, 4, 5], { minLength: 6 }), (readiness) => {
        const order = new ArrivalOrder();
        const released: number[] = [];
        const ready = [0, 1, 2, 3, 4, 5].map((place) => order.enter(() => void released.push(place)));
        for (const [step, place] of readiness.entries()) {
          ready[place]?.();
          const done = new Set(readiness.slice(0, step + 1));
          const expected = [0, 1, 2, 3, 4, 5].findIndex((each) => !done.has(each));
          assert.equal(released.length, expected === -1 ? 6 : expected);
        }
        assert.deepEqual(released, [0, 1, 2, 3, 4, 5]);
      }),
    );
  });

  it('waits for a release that takes time, though it fails', async () => {
    const order = new ArrivalOrder();
    const released: string[] = [];
    const first = order.enter(async () => {
      await new Promise((resolve) => setImmediate(resolve));
      released.push('first');
      throw new Error('too bad');
    });
    const second = order.enter(() => void released.push('second'));
    second();
    first();
    assert.deepEqual(released, []);
    await until(() => released.length === 2, 'both');
    assert.deepEqual(released, ['first', 'second']);
  });
});

describe('broker filters', () => {
  it('covers exactly where every topic of the narrow filter is one of the wide', () => {
    fc.assert(
      fc.property(filter, filter, topic, (wide, narrow, each) => {
        if (filterCovers(wide, narrow) && filterMatches(narrow, each)) assert.ok(filterMatches(wide, each));
      }),
      { numRuns: 2000 },
    );
    const covers = [
      ['#', 'a'],
      ['#', '+/b'],
      ['a/#', 'a'],
      ['a/#', 'a/+/#'],
      ['+/b', 'a/b'],
      ['+', '+'],
    ];
    for (const [wide, narrow] of covers)
      assert.ok(filterCovers(wide as string, narrow as string), `${wide} ${narrow}`);
    const not = [
      ['a/b', 'a/+'],
      ['+', '#'],
      ['a/+', 'a/#'],
      ['a/+', 'a'],
      ['#', '$SYS/a'],
    ];
    for (const [wide, narrow] of not)
      assert.ok(!filterCovers(wide as string, narrow as string), `${wide} ${narrow}`);
  });

  it('asks for the widest filters alone, with the highest QoS of those they stand for', () => {
    const wanted = brokerFilters([
      { filter: 'a/b', qos: 2 },
      { filter: 'a/#', qos: 0 },
      { filter: 'c', qos: 1 },
      { filter: 'c', qos: 0 },
      { filter: 'a/b', qos: 1, share: 'g' },
    ]);
    assert.deepEqual(
      [...wanted],
      [
        ['a/#', 2],
        ['c', 1],
        ['$share/g/a/b', 1],
      ],
    );
  });

  it('still receives every topic that was asked for', () => {
    fc.assert(
      fc.property(fc.array(filter, { minLength: 1, maxLength: 5 }), topic, (filters, each) => {
        const asked = [...brokerFilters(filters.map((one) => ({ filter: one, qos: 1 as const }))).keys()];
        assert.equal(
          asked.some((one) => filterMatches(one, each)),
          filters.some((one) => filterMatches(one, each)),
        );
      }),
      { numRuns: 1000 },
    );
  });
});

describe('subscriptions', () => {
  it('finds what matches, also after a change', () => {
    const subscriptions = new Subscriptions<string>();
    const remove = subscriptions.add('a/+', 'one');
    subscriptions.add('a/#', 'two');
    assert.deepEqual(subscriptions.match('a/b'), ['one', 'two']);
    remove();
    assert.deepEqual(subscriptions.match('a/b'), ['two']);
    assert.deepEqual(subscriptions.match('b'), []);
  });
});

describe('wired link', () => {
  const message: Message = { topic: 'a/b', payload: Buffer.from('x'), qos: 0, retain: false, receivedAt: 1 };

  it('gives a delivered message to the handlers that match and waits for them', async () => {
    const link = wiredLink(() => {});
    const heard: string[] = [];
    await link.subscribe('a/+', { qos: 1 }, async () => void heard.push('one'));
    const second = await link.subscribe('a/b', { qos: 1 }, async () => {
      throw new Error('no');
    });
    await link.subscribe('c', { qos: 1 }, async () => void heard.push('three'));
    await assert.rejects(link.deliver(message), /no/);
    await second.close();
    assert.equal(await link.deliver(message), true);
    assert.equal(await link.deliver({ ...message, topic: 'd' }), false);
    assert.deepEqual(heard, ['one', 'one']);
  });

  it('emits what is published until it is closed', async () => {
    const emitted: WiredPublish[] = [];
    const link = wiredLink((publish) => emitted.push(publish));
    assert.equal(link.state, 'connected');
    await link.publish('a', 'text', { qos: 1, retain: true });
    assert.deepEqual(emitted, [{ topic: 'a', payload: Buffer.from('text'), qos: 1, retain: true }]);
    await assert.rejects(
      link.subscribe('a', { qos: 1, share: 'g' }, async () => {}),
      { code: 'shared_subscription_unsupported' },
    );
    link.close();
    await assert.rejects(link.publish('a', 'x', { qos: 0 }), { code: 'link_closed' });
  });
});

describe('read gate', () => {
  /** What the broker gets of these bytes, written in pieces. */
  const readAll = async (bytes: Buffer, cuts: number[], room: number) => {
    const stream = new PassThrough();
    const limits = { connectBytes: 300, packetBytes: 300 };
    const gate = new ReadGate(stream, { limits, room: () => room, turns: new ReadTurns() });
    const chunks: Buffer[] = [];
    // As aedes does until the login.
    const asBroker = () => {
      const chunk = stream.read();
      if (chunk !== null) chunks.push(chunk);
    };
    stream.on('readable', asBroker);
    let from = 0;
    for (const cut of [...cuts.toSorted((a, b) => a - b), bytes.length]) {
      if (cut > from) stream.write(bytes.subarray(from, cut));
      from = Math.max(from, cut);
    }
    await new Promise((resolve) => setImmediate(resolve));
    const before = chunks.length;
    stream.off('readable', asBroker);
    gate.open((chunk) => chunks.push(chunk));
    stream.end();
    await new Promise((resolve) => stream.once('end', resolve));
    return { chunks, connect: Buffer.concat(chunks.slice(0, before)) };
  };
  const packet = (length: number) =>
    Buffer.concat([
      Buffer.from(length < 128 ? [0x30, length] : [0x30, (length % 128) | 0x80, length >> 7]),
      Buffer.alloc(length),
    ]);

  it('hands every byte over, in order, in whole packets no more than there is room for', () => {
    return fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 0, max: 300 }), { minLength: 1, maxLength: 10 }),
        fc.array(fc.nat(3000), { maxLength: 10 }),
        fc.integer({ min: 1, max: 4 }),
        async (lengths, cuts, room) => {
          const bytes = Buffer.concat(lengths.map(packet));
          const within = cuts.filter((cut) => cut < bytes.length);
          const { chunks, connect } = await readAll(bytes, within, room);
          assert.ok(Buffer.concat(chunks).equals(bytes));
          assert.ok(connect.equals(packet(lengths[0] as number)), 'before the login only the first packet');
          assert.ok(chunks.every((chunk) => chunk.length <= room * 303));
        },
      ),
    );
  });

  it('destroys the stream at the header of a packet that is too large', async () => {
    const stream = new PassThrough();
    const failed = new Promise<Error>((resolve) => stream.once('error', resolve));
    const limits = { connectBytes: 10, packetBytes: 300 };
    new ReadGate(stream, { limits, room: () => 1, turns: new ReadTurns() });
    stream.write(Buffer.from([0x10, 11]));
    assert.equal(stream.read(), null);
    assert.match((await failed).message, /more than 10 bytes before its login/);
  });

  it('hands over no more than so many packets of all gates in a turn, in the order of asking', async () => {
    const turns = new ReadTurns();
    const order: string[] = [];
    const gateOf = (name: string) => {
      const stream = new PassThrough();
      const limits = { connectBytes: 300, packetBytes: 300 };
      const gate = new ReadGate(stream, { limits, room: () => 1000, turns });
      gate.open((chunk) => order.push(`${name} ${chunk.length / 2}`));
      stream.write(Buffer.concat(Array.from({ length: 150 }, () => packet(0))));
    };
    gateOf('a');
    gateOf('b');
    let turn = 0;
    while (order.length < 4) {
      await new Promise((resolve) => setImmediate(resolve));
      turn += 1;
    }
    assert.deepEqual(order, ['a 100', 'a 50', 'b 50', 'b 100']);
    assert.ok(turn >= 3, 'over several turns');
  });
});
