import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { MachineStatus } from '../../lib/laundry/ports.js';
import { type Surroundings, statisticsOf, type Transition } from '../../lib/store/laundry-statistics.js';

const window = { from: 1_000, to: 2_000 };
const surroundings = (given: Partial<Surroundings> = {}): Surroundings => ({
  throughout: undefined,
  knownFrom: Number.NEGATIVE_INFINITY,
  knownUntil: 10_000,
  ...given,
});
const becomes = (at: number, status: MachineStatus, previousStatus: MachineStatus | null): Transition => ({
  at,
  status,
  previousStatus,
});

describe('statistics of a machine', () => {
  it('count of a cycle that began before the window only its part inside', () => {
    const found = statisticsOf([becomes(1_300, 'idle', 'busy')], surroundings(), window);
    assert.deepEqual(found, { busyMs: 300, cycles: 1, changes: 1 });
  });

  it('count of a cycle that ends after the window only its part inside, and no cycle', () => {
    const found = statisticsOf([becomes(1_900, 'busy', 'idle')], surroundings(), window);
    assert.deepEqual(found, { busyMs: 100, cycles: 0, changes: 1 });
  });

  it('count a machine busy through the whole window with all of it', () => {
    const found = statisticsOf([], surroundings({ throughout: 'busy' }), window);
    assert.deepEqual(found, { busyMs: 1_000, cycles: 0, changes: 0 });
  });

  it('count a running cycle up to the present, not to the end of the day', () => {
    const found = statisticsOf([becomes(1_200, 'busy', 'idle')], surroundings({ knownUntil: 1_250 }), window);
    assert.equal(found.busyMs, 50);
  });

  it('count nothing before the first word of a machine', () => {
    const found = statisticsOf([becomes(1_400, 'busy', null)], surroundings(), window);
    assert.deepEqual(found, { busyMs: 600, cycles: 0, changes: 1 });
  });

  it('count nothing for a machine of which nothing is known', () => {
    assert.deepEqual(statisticsOf([], surroundings(), window), { busyMs: 0, cycles: 0, changes: 0 });
  });

  it('agree with a count millisecond by millisecond', () => {
    const life = fc.uniqueArray(fc.integer({ min: 0, max: 60 }), { maxLength: 20 });
    fc.assert(
      fc.property(
        life,
        fc.nat(60),
        fc.nat(60),
        fc.nat(70),
        fc.boolean(),
        (instants, a, b, now, startsBusy) => {
          const edges = { from: Math.min(a, b), to: Math.max(a, b) };
          const sorted = [...instants].sort((x, y) => x - y).filter((at) => at <= now);
          const all = sorted.map((at, index) => {
            const busy = (index % 2 === 0) === startsBusy;
            return becomes(at, busy ? 'busy' : 'idle', index === 0 ? null : busy ? 'idle' : 'busy');
          });
          const statusAt = (at: number) => all.findLast((change) => change.at <= at)?.status;

          let busyMs = 0;
          for (let at = edges.from; at < Math.min(edges.to, now); at += 1)
            if (statusAt(at) === 'busy') busyMs += 1;
          const inside = all.filter(({ at }) => at >= edges.from && at < edges.to);
          const before = all.findLast(({ at }) => at < edges.from);
          const found = statisticsOf(
            inside,
            surroundings({ throughout: before?.status, knownFrom: before?.at ?? 0, knownUntil: now }),
            edges,
          );
          assert.deepEqual(found, {
            busyMs,
            cycles: inside.filter((change) => change.previousStatus === 'busy').length,
            changes: inside.length,
          });
        },
      ),
    );
  });
});
