import assert from 'node:assert/strict';
import { createFaultyLine } from '../../lib/core/faulty-line.js';
import { decideFate, type LinkFaults, NO_FAULTS, seededRandom } from '../../lib/core/link-faults.js';
import { fakeClock } from '../support/fake-clock.js';

const COUNT = 20_000;
const fates = (faults: Partial<LinkFaults>, seed = 1) => {
  const random = seededRandom(seed);
  return Array.from({ length: COUNT }, () => decideFate({ ...NO_FAULTS, ...faults }, random));
};
const share = (found: { length: number }) => found.length / COUNT;
const near = (value: number, expected: number) => Math.abs(value - expected) < 0.02;

describe('the faults of a line', () => {
  it('are none where none are set', () => {
    for (const fate of fates({})) assert.deepEqual(fate, { dropped: false, delaysMs: [0], heldBack: false });
  });

  it('meet the shares that are set', () => {
    const all = fates({ drop: 0.2, repeat: 0.3, delay: 0.4, minDelayMs: 100, maxDelayMs: 300, reorder: 0.1 });
    const arrived = all.filter(({ dropped }) => !dropped);
    assert.ok(near(share(all.filter(({ dropped }) => dropped)), 0.2));
    assert.ok(near(share(arrived.filter(({ delaysMs }) => delaysMs.length === 2)) / 0.8, 0.3));
    assert.ok(near(share(arrived.filter(({ delaysMs }) => (delaysMs[0] ?? 0) > 0)) / 0.8, 0.4));
    assert.ok(near(share(arrived.filter(({ heldBack }) => heldBack)) / 0.8, 0.1));
    const delays = arrived.flatMap(({ delaysMs }) => delaysMs).filter((ms) => ms > 0);
    assert.ok(Math.min(...delays) >= 100 && Math.max(...delays) <= 300);
    assert.ok(new Set(delays).size > 100);
    for (const { dropped, delaysMs } of all) assert.equal(dropped, delaysMs.length === 0);
  });

  it('are all or nothing at the ends', () => {
    assert.ok(fates({ drop: 1 }).every(({ dropped }) => dropped));
    assert.ok(fates({ repeat: 1 }).every(({ delaysMs }) => delaysMs.length === 2));
  });

  it('are the same for the same seed, and others for another', () => {
    const some = { drop: 0.5, repeat: 0.5 };
    assert.deepEqual(fates(some, 7), fates(some, 7));
    assert.notDeepEqual(fates(some, 7), fates(some, 8));
  });

  it('drop the same messages whatever else is set', () => {
    const dropped = (faults: Partial<LinkFaults>) => fates(faults, 3).map((fate) => fate.dropped);
    assert.deepEqual(dropped({ drop: 0.3 }), dropped({ drop: 0.3, repeat: 1, delay: 1, reorder: 1 }));
  });
});

describe('a faulty line', () => {
  function line(faults: Partial<LinkFaults>) {
    const clock = fakeClock();
    const arrived: number[] = [];
    const dropped: number[] = [];
    const made = createFaultyLine<number>({
      faults: { ...NO_FAULTS, ...faults },
      seed: 1,
      clock,
      arrived: (message) => arrived.push(message),
      dropped: (message) => dropped.push(message),
    });
    return { clock, arrived, dropped, line: made };
  }
  const send = ({ line: { send } }: ReturnType<typeof line>, ...messages: number[]) => messages.forEach(send);

  it('without faults hands on at once and in order', () => {
    const made = line({});
    send(made, 1, 2, 3);
    assert.deepEqual(made.arrived, [1, 2, 3]);
    assert.deepEqual(made.line.counts, { passed: 3, dropped: 0, repeated: 0, delayed: 0, reordered: 0 });
  });

  it('tells what it drops', () => {
    const made = line({ drop: 1 });
    send(made, 1, 2);
    assert.deepEqual([made.arrived, made.dropped, made.line.counts.dropped], [[], [1, 2], 2]);
  });

  it('repeats', () => {
    const made = line({ repeat: 1 });
    send(made, 1, 2);
    assert.deepEqual([made.arrived, made.line.counts.repeated], [[1, 1, 2, 2], 2]);
  });

  it('delays by the times that are set', () => {
    const made = line({ delay: 1, minDelayMs: 100, maxDelayMs: 200 });
    send(made, 1);
    made.clock.advance(99);
    assert.deepEqual(made.arrived, []);
    made.clock.advance(101);
    assert.deepEqual([made.arrived, made.line.counts.delayed], [[1], 1]);
  });

  it('lets a message go after the one behind it, or by itself in the end', () => {
    const made = line({ reorder: 1 });
    send(made, 1, 2, 3);
    assert.deepEqual(made.arrived, [2, 1]);
    made.clock.advance(5_000);
    assert.deepEqual([made.arrived, made.line.counts.reordered], [[2, 1, 3], 2]);
    assert.equal(made.clock.timers, 0);
  });

  it('leaves no timer once closed, and lets nothing more through', () => {
    const made = line({ delay: 1, minDelayMs: 1_000, maxDelayMs: 1_000, reorder: 1 });
    send(made, 1, 2, 3);
    made.line.close();
    assert.equal(made.clock.timers, 0);
    send(made, 4);
    made.clock.advance(10_000);
    assert.deepEqual(made.arrived, []);
  });
});
