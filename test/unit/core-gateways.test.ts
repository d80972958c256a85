import assert from 'node:assert/strict';
import { type Gateways, joinGateways, type LeaseStore } from '../../lib/core/gateways.js';
import { LEASE_MS, RENEW_MS } from '../../lib/core/lease.js';
import { silentLog } from '../../lib/core/log.js';
import { createOverheard } from '../../lib/core/overheard.js';
import { settle } from '../support/command.js';
import { type FakeClock, fakeClock } from '../support/fake-clock.js';
import { leaseRows } from '../support/gateways.js';

async function pass(clock: FakeClock, ms: number): Promise<void> {
  for (let left = ms; left > 0; left -= 500) {
    clock.advance(Math.min(left, 500));
    await settle();
  }
}

describe('gateways on one database', () => {
  const running: Gateways[] = [];
  const join = (name: string, store: LeaseStore, clock: FakeClock) => {
    const gateways = joinGateways({ name, store, clock, log: silentLog });
    running.push(gateways);
    return gateways;
  };
  afterEach(async () => {
    await Promise.all(running.splice(0).map((each) => each.leave()));
  });

  it('know of each other, and one of them is the first', async () => {
    const store = leaseRows();
    const clock = fakeClock(0);
    const [a, b] = [join('a', store, clock), join('b', store, clock)];
    await pass(clock, 2 * RENEW_MS);
    assert.ok(a.holds() && b.holds());
    assert.ok(a.isLive(b.lease) && b.isLive(a.lease));
    assert.equal(Number(a.isFirst()) + Number(b.isFirst()), 1);
  });

  it('notice within 21 s that one is gone', async () => {
    const store = leaseRows();
    const clock = fakeClock(0);
    const still = fakeClock(0);
    const [a, b] = [join('a', store, still), join('b', store, clock)];
    await pass(clock, 2 * RENEW_MS);
    const gone = a.lease;
    await pass(clock, LEASE_MS - 2 * RENEW_MS);
    assert.equal(b.isLive(gone), true);
    await pass(clock, 4 * RENEW_MS);
    assert.equal(b.isLive(gone), false);
    // It wakes: until it has looked it may believe what its own clock allows, then it begins anew.
    still.advance(LEASE_MS);
    assert.equal(a.holds(), false);
    await settle();
    await pass(still, 2 * RENEW_MS);
    assert.notEqual(a.lease, gone);
    assert.equal(a.holds(), true);
  });

  it('hold nothing while the database is away, and take nothing from each other when it is back', async () => {
    const store = leaseRows();
    const clock = fakeClock(0);
    const [a, b] = [join('a', store, clock), join('b', store, clock)];
    await pass(clock, 2 * RENEW_MS);
    const leases = [a.lease, b.lease];
    store.away = true;
    await pass(clock, 4 * LEASE_MS);
    assert.ok(!a.holds() && !b.holds());
    store.away = false;
    await pass(clock, 2 * LEASE_MS);
    assert.ok(a.holds() && b.holds());
    assert.deepEqual([a.lease, b.lease], leases);
  });

  it('begin again at once after a kill', async () => {
    const store = leaseRows();
    const clock = fakeClock(0);
    const dead = fakeClock(0);
    const killed = join('a', store, dead);
    await settle();
    const again = join('a', store, clock);
    await settle();
    assert.equal(store.rows.has(killed.lease), false);
    assert.equal(again.holds(), true);
  });

  it('tell at once that they leave', async () => {
    const store = leaseRows();
    const clock = fakeClock(0);
    const [a, b] = [join('a', store, clock), join('b', store, clock)];
    await pass(clock, 2 * RENEW_MS);
    await a.leave();
    await pass(clock, RENEW_MS);
    assert.equal(b.isLive(a.lease), false);
  });
});

describe('what a gateway overhears', () => {
  it('is kept for a minute, oldest first', () => {
    const clock = fakeClock(0);
    const overheard = createOverheard<number>(clock);
    overheard.add(1);
    clock.advance(40_000);
    overheard.add(2);
    overheard.add(3);
    clock.advance(30_000);
    assert.deepEqual(overheard.take(), [2, 3]);
    assert.deepEqual(overheard.take(), []);
  });
});
