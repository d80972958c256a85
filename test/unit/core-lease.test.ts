import assert from 'node:assert/strict';
import fc from 'fast-check';
import {
  holds,
  LEASE_MS,
  type LeaseRow,
  type Leases,
  NO_LEASES,
  RENEW_MS,
  transition,
} from '../../lib/core/lease.js';

const row = (id: string, beat: number, name = id): LeaseRow => ({ id, name, beat });

/** Looks at `rows` every RENEW_MS from `from` until `to`. */
function looks(leases: Leases, from: number, to: number, rows: (at: number) => LeaseRow[]) {
  let over: readonly LeaseRow[] = [];
  let seen = leases;
  for (let at = from; at <= to; at += RENEW_MS) {
    const step = transition(seen, { type: 'looked', rows: rows(at) }, at);
    seen = step.leases;
    over = step.over;
  }
  return { leases: seen, over };
}

describe('leases of gateways', () => {
  it('hold for 15 s after their renewal was begun', () => {
    const { leases } = transition(NO_LEASES, { type: 'renewed', id: 'a', begun: 1_000 }, 1_400);
    assert.equal(holds(leases, 1_000 + LEASE_MS - 1), true);
    assert.equal(holds(leases, 1_000 + LEASE_MS), false);
    assert.equal(holds(NO_LEASES, 0), false);
  });

  it('are over when their number has stood still for 15 s', () => {
    const { over } = looks(NO_LEASES, 0, LEASE_MS - RENEW_MS, () => [row('b', 4)]);
    assert.deepEqual(over, []);
    const later = looks(NO_LEASES, 0, LEASE_MS, () => [row('b', 4)]);
    assert.deepEqual(
      later.over.map(({ id, beat }) => [id, beat]),
      [['b', 4]],
    );
  });

  it('are not over while the number moves, whatever it is', () => {
    const { over } = looks(NO_LEASES, 0, 10 * LEASE_MS, (at) => [row('b', Math.floor(at / 10_000))]);
    assert.deepEqual(over, []);
  });

  it('are judged by nobody who was away', () => {
    const { leases } = looks(NO_LEASES, 0, RENEW_MS, () => [row('b', 4)]);
    const woke = transition(leases, { type: 'looked', rows: [row('b', 4)] }, 10 * LEASE_MS);
    assert.deepEqual(woke.over, []);
  });

  it('of an earlier run of the same gateway are over at once, for a new run alone', () => {
    const rows = [row('old', 4, 'one'), row('b', 7, 'two')];
    const fresh = transition(NO_LEASES, { type: 'looked', rows, replaces: 'one' }, 0);
    assert.deepEqual(
      fresh.over.map(({ id }) => id),
      ['old'],
    );
    assert.deepEqual(transition(NO_LEASES, { type: 'looked', rows }, 0).over, []);
  });

  it('that are lost hold no longer', () => {
    const { leases } = transition(NO_LEASES, { type: 'renewed', id: 'a', begun: 0 }, 0);
    assert.equal(holds(transition(leases, { type: 'lost' }, 1).leases, 2), false);
  });

  /**
   * Two gateways whose clocks differ by anything, and one database. Each works in rounds: it renews, and after a pause
   * it looks. Pauses, refused rounds and stand-stills of any length come at any time.
   */
  it('are never taken away while their holder believes in them, whatever the clocks say', () => {
    const round = fc.record({
      who: fc.integer({ min: 0, max: 1 }),
      wait: fc.oneof(fc.integer({ min: 0, max: 4_000 }), fc.integer({ min: 0, max: 40_000 })),
      between: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 20_000 })),
      fails: fc.constantFrom('no', 'no', 'no', 'before', 'answer'),
    });
    fc.assert(
      fc.property(
        fc.array(round, { maxLength: 200 }),
        fc.tuple(fc.integer(), fc.integer()),
        (rounds, skews) => {
          const database = new Map<string, LeaseRow>([
            ['0', row('0', 1)],
            ['1', row('1', 1)],
          ]);
          const views = [NO_LEASES, NO_LEASES];
          let now = 0;
          const local = (who: number) => now + (skews[who] as number);
          for (const { who, wait, between, fails } of rounds) {
            now += wait;
            const id = String(who);
            const begun = local(who);
            if (fails === 'before') continue;
            const mine = database.get(id);
            if (mine === undefined) {
              views[who] = transition(views[who] as Leases, { type: 'lost' }, begun).leases;
              continue;
            }
            database.set(id, { ...mine, beat: mine.beat + 1 });
            now += between;
            if (fails === 'answer') continue;
            views[who] = transition(views[who] as Leases, { type: 'renewed', id, begun }, local(who)).leases;
            const rows = [...database.values()];
            const step = transition(views[who] as Leases, { type: 'looked', rows }, local(who));
            views[who] = step.leases;
            for (const gone of step.over) {
              if (database.get(gone.id)?.beat !== gone.beat) continue;
              database.delete(gone.id);
              const other = Number(gone.id);
              assert.equal(holds(views[other] as Leases, local(other)), false, 'it was believed in');
            }
          }
        },
      ),
      { numRuns: 500 },
    );
  });
});
