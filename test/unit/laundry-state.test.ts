import assert from 'node:assert/strict';
import fc from 'fast-check';
import { LIVENESS } from '../../lib/core/liveness.js';
import type { MachineReport } from '../../lib/laundry/codec.js';
import {
  type ControllerState,
  deadlineOf,
  newController,
  recordOf,
  storedController,
  transition,
} from '../../lib/laundry/state.js';
import { report, stateMessage, SEED_TIME as T } from '../support/laundry.js';
import { CONTROLLER_ID, STORE_ID } from '../support/seed.js';

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const fresh = () => newController(STORE_ID, CONTROLLER_ID, LIVENESS);

function hear(state: ControllerState, machines: MachineReport[], at = T, timestamp = at) {
  return transition(
    state,
    { type: 'message', message: stateMessage(machines, timestamp), receivedAt: at },
    at,
    LIVENESS,
  );
}
const machineOf = (state: ControllerState, relayId = 1) => state.machines.get(relayId) ?? assert.fail();

describe('a machine state in a message', () => {
  it('is taken where the machine is new: a change without a previous status', () => {
    const { state, effects } = hear(fresh(), [report(1, 'busy', T - 90 * SECOND, 'washer')]);
    assert.deepEqual(effects.changes, [
      {
        storeId: STORE_ID,
        controllerId: CONTROLLER_ID,
        relayId: 1,
        machineType: 'washer',
        status: 'busy',
        previousStatus: null,
        durationMs: null,
        lastUpdated: T - 90 * SECOND,
        receivedAt: T,
      },
    ]);
    assert.deepEqual(effects.records, [
      {
        relayId: 1,
        machineType: 'washer',
        status: 'busy',
        lastUpdated: T - 90 * SECOND,
        since: T - 90 * SECOND,
        busyMs: 0,
        cycles: 0,
      },
    ]);
    assert.equal(machineOf(state).status, 'busy');
  });

  it('is a change with the time spent in the old status where it is newer and other', () => {
    const { state } = hear(fresh(), [report(1, 'busy', T)]);
    const { effects } = hear(state, [report(1, 'idle', T + 40 * MINUTE)], T + 40 * MINUTE);
    const [change] = effects.changes;
    assert.equal(change?.previousStatus, 'busy');
    assert.equal(change?.durationMs, 40 * MINUTE);
  });

  it('moves last_updated alone where it is newer and the same: no change, and the time in the status runs on', () => {
    let { state } = hear(fresh(), [report(1, 'busy', T)]);
    const renewed = hear(state, [report(1, 'busy', T + MINUTE)], T + MINUTE);
    assert.deepEqual(renewed.effects.changes, []);
    assert.equal(renewed.effects.tally.renewed, 1);
    assert.equal(renewed.effects.records[0]?.lastUpdated, T + MINUTE);
    ({ state } = renewed);
    const { effects } = hear(state, [report(1, 'idle', T + 3 * MINUTE)], T + 3 * MINUTE);
    assert.equal(effects.changes[0]?.durationMs, 3 * MINUTE);
  });

  it('changes nothing where it is older than the stored one, and counts as stale', () => {
    const { state } = hear(fresh(), [report(1, 'busy', T)]);
    const { state: after, effects } = hear(state, [report(1, 'idle', T - 1)], T + SECOND);
    assert.equal(effects.tally.stale, 1);
    assert.deepEqual([effects.records, effects.changes], [[], []]);
    assert.equal(machineOf(after), machineOf(state));
  });

  it('counts as duplicate where it is equal and identical', () => {
    const { state } = hear(fresh(), [report(1, 'busy', T, 'dryer')]);
    for (const machineType of ['dryer', null] as const) {
      const { effects } = hear(state, [report(1, 'busy', T, machineType)], T + 30 * SECOND);
      assert.equal(effects.tally.duplicate, 1);
      assert.deepEqual([effects.records, effects.changes], [[], []]);
    }
  });

  it('of the same second and other content wins where its message is the later one', () => {
    const { state } = hear(fresh(), [report(1, 'busy', T)], T, T);
    const later = hear(state, [report(1, 'idle', T)], T + SECOND, T + SECOND);
    assert.equal(machineOf(later.state).status, 'idle');
    assert.equal(later.effects.changes[0]?.durationMs, 0);
    const earlier = hear(state, [report(1, 'idle', T)], T + SECOND, T - SECOND);
    assert.equal(machineOf(earlier.state).status, 'busy');
    assert.equal(earlier.effects.tally.stale, 1);
  });

  it('of the same second is not taken back by a message that is older than one which repeated it', () => {
    let { state } = hear(fresh(), [report(1, 'busy', T)], T, T);
    ({ state } = hear(state, [report(1, 'busy', T)], T + 60 * SECOND, T + 60 * SECOND));
    const late = hear(state, [report(1, 'idle', T)], T + 61 * SECOND, T + 30 * SECOND);
    assert.equal(late.effects.tally.stale, 1);
  });

  it('more than 5 minutes ahead of our clock is taken as the time of receipt', () => {
    const exact = hear(fresh(), [report(1, 'busy', T + 5 * MINUTE)]);
    assert.equal(machineOf(exact.state).lastUpdated, T + 5 * MINUTE);
    assert.equal(exact.effects.tally.clockSkew, 0);
    const ahead = hear(fresh(), [report(1, 'busy', T + 5 * MINUTE + 1)]);
    assert.equal(machineOf(ahead.state).lastUpdated, T);
    assert.equal(ahead.effects.tally.clockSkew, 1);
    // A wrong clock does not freeze the machine.
    const { state } = hear(ahead.state, [report(1, 'idle', T + MINUTE)], T + MINUTE);
    assert.equal(machineOf(state).status, 'idle');
  });

  it('with machine_type null keeps the known type, and a type that comes later is taken', () => {
    let { state } = hear(fresh(), [report(1, 'busy', T, 'washer')]);
    ({ state } = hear(state, [report(1, 'idle', T + 1, null)], T + 1));
    assert.equal(machineOf(state).machineType, 'washer');
    let other = hear(fresh(), [report(1, 'busy', T, null)]);
    other = hear(other.state, [report(1, 'busy', T, 'dryer')], T + SECOND);
    assert.equal(machineOf(other.state).machineType, 'dryer');
    assert.deepEqual(other.effects.changes, []);
  });

  it('keeps its state where the machine is absent from a message', () => {
    let { state } = hear(fresh(), [report(1, 'busy', T), report(2, 'idle', T)]);
    ({ state } = hear(state, [report(2, 'busy', T + 1)], T + 1));
    assert.equal(machineOf(state, 1).status, 'busy');
    assert.equal(machineOf(state, 2).status, 'busy');
    ({ state } = hear(state, [], T + 2));
    assert.equal(state.machines.size, 2);
  });

  it('listed twice in one message: the newest wins, and one row is written', () => {
    for (const machines of [
      [report(1, 'busy', T), report(1, 'idle', T + 1)],
      [report(1, 'idle', T + 1), report(1, 'busy', T)],
    ]) {
      const { state, effects } = hear(fresh(), machines, T + 1);
      assert.equal(machineOf(state).status, 'idle');
      assert.equal(effects.records.length, 1);
      assert.equal(effects.records[0]?.status, 'idle');
    }
  });

  it('leaves the old state untouched, and what is stored has no field of its own', () => {
    const before = fresh();
    const { state, effects } = hear(before, [report(1, 'busy', T)]);
    assert.equal(before.machines.size, 0);
    assert.ok(!('reportedAt' in (effects.records[0] ?? {})));
    assert.ok('reportedAt' in machineOf(state));
  });
});

describe('the cycles of a machine', () => {
  it('count busy time and finished cycles, over a restart too', () => {
    let { state } = hear(fresh(), [report(1, 'busy', T)]);
    ({ state } = hear(state, [report(1, 'idle', T + 30 * MINUTE)], T + 30 * MINUTE));
    ({ state } = hear(state, [report(1, 'busy', T + 40 * MINUTE)], T + 40 * MINUTE));
    const stored = [...state.machines.values()].map(({ reportedAt: _, ...machine }) => machine);
    state = storedController(recordOf(state, 7), stored);
    ({ state } = hear(state, [report(1, 'idle', T + 60 * MINUTE)], T + 60 * MINUTE));
    const { busyMs, cycles, since } = machineOf(state);
    assert.deepEqual({ busyMs, cycles, since }, { busyMs: 50 * MINUTE, cycles: 2, since: T + 60 * MINUTE });
  });
});

describe('a controller', () => {
  it('is online with its first message, and told once', () => {
    const first = hear(fresh(), []);
    assert.equal(first.effects.liveness, 'online');
    assert.equal(hear(first.state, [], T + SECOND).effects.liveness, undefined);
  });

  it('is offline when 3 intervals of 30 s have passed in silence, and keeps its machines’ last state', () => {
    const { state } = hear(fresh(), [report(1, 'busy', T)]);
    assert.equal(deadlineOf(state, LIVENESS), T + 90 * SECOND);
    const early = transition(state, { type: 'deadline' }, T + 90 * SECOND - 1, LIVENESS);
    assert.equal(early.effects.liveness, undefined);
    assert.equal(early.state, state);
    const { state: gone, effects } = transition(state, { type: 'deadline' }, T + 90 * SECOND, LIVENESS);
    assert.equal(effects.liveness, 'offline');
    assert.equal(gone.online, false);
    assert.equal(machineOf(gone).status, 'busy');
    assert.equal(deadlineOf(gone, LIVENESS), Infinity);
    const again = transition(gone, { type: 'deadline' }, T + 900 * SECOND, LIVENESS);
    assert.equal(again.effects.liveness, undefined);
  });

  it('comes back with the next message', () => {
    let { state } = hear(fresh(), []);
    ({ state } = transition(state, { type: 'deadline' }, T + 10 * MINUTE, LIVENESS));
    const { effects } = hear(state, [], T + 11 * MINUTE);
    assert.equal(effects.liveness, 'online');
  });

  it('has its silence counted from the restart of the gateway: it was the gateway that was away', () => {
    const { state } = hear(fresh(), []);
    const stored = storedController(recordOf(state, 7), []);
    const restored = transition(stored, { type: 'restored' }, T + 60 * MINUTE, LIVENESS).state;
    assert.equal(restored.online, true);
    assert.equal(deadlineOf(restored, LIVENESS), T + 60 * MINUTE + 90 * SECOND);
  });

  it('is not back because a dead letter of it was read again', () => {
    let { state } = hear(fresh(), []);
    ({ state } = transition(state, { type: 'deadline' }, T + 10 * MINUTE, LIVENESS));
    const message = stateMessage([report(1, 'busy', T)]);
    const { state: after, effects } = transition(
      state,
      { type: 'message', message, receivedAt: T, replayed: true },
      T + 20 * MINUTE,
      LIVENESS,
    );
    assert.equal(effects.changes.length, 1);
    assert.equal(after.online, false);
  });
});

describe('any order, repetition and loss of a controller’s messages', () => {
  // Few relays and few instants, so that equal times and contradictions are common.
  const machine = fc.record(
    {
      relayId: fc.integer({ min: 1, max: 2 }),
      status: fc.constantFrom('idle' as const, 'busy' as const),
      lastUpdated: fc.integer({ min: 0, max: 2 }).map((seconds) => T + seconds * SECOND),
      machineType: fc.constantFrom('washer' as const, 'dryer' as const, null),
    },
    { noNullPrototype: true },
  );
  const message = fc.record({
    timestamp: fc.integer({ min: 0, max: 5 }).map((seconds) => T + seconds * SECOND),
    machines: fc.array(machine, { maxLength: 4 }),
  });
  const arriving = fc
    .array(message, { minLength: 1, maxLength: 12 })
    .chain((messages) => fc.array(fc.constantFrom(...messages), { minLength: 1, maxLength: 30 }));

  /** By the words of the protocol: newest last_updated, then newest message; busy where even these are equal. */
  function newest(arrived: { timestamp: number; machines: MachineReport[] }[], relayId: number) {
    return arrived
      .flatMap(({ timestamp, machines }) => machines.map((each) => ({ ...each, timestamp })))
      .filter((each) => each.relayId === relayId)
      .sort(
        (a, b) =>
          b.lastUpdated - a.lastUpdated ||
          b.timestamp - a.timestamp ||
          Number(b.status === 'busy') - Number(a.status === 'busy'),
      )[0];
  }

  it('ends in the state that its newest message says', () => {
    fc.assert(
      fc.property(arriving, (arrived) => {
        let state = fresh();
        for (const { machines, timestamp } of arrived)
          ({ state } = hear(state, machines, T + MINUTE, timestamp));
        for (const relayId of [1, 2]) {
          const expected = newest(arrived, relayId);
          const machine = state.machines.get(relayId);
          assert.equal(machine?.status, expected?.status);
          assert.equal(machine?.lastUpdated, expected?.lastUpdated);
        }
      }),
      { numRuns: 1000 },
    );
  });

  it('tells changes that lead from one status to the next without a gap', () => {
    fc.assert(
      fc.property(arriving, (arrived) => {
        let state = fresh();
        const shown = new Map<number, string>();
        for (const { machines, timestamp } of arrived) {
          const result = hear(state, machines, T + MINUTE, timestamp);
          ({ state } = result);
          for (const { relayId, previousStatus, status, durationMs } of result.effects.changes) {
            assert.equal(previousStatus, shown.get(relayId) ?? null);
            assert.notEqual(status, previousStatus);
            assert.ok(durationMs === null || durationMs >= 0);
            shown.set(relayId, status);
          }
        }
        for (const [relayId, { status }] of state.machines) assert.equal(shown.get(relayId), status);
      }),
      { numRuns: 500 },
    );
  });
});
