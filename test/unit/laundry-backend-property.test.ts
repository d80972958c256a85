import assert from 'node:assert/strict';
import { setImmediate } from 'node:timers/promises';
import fc from 'fast-check';
import { FieldloomError } from '../../lib/core/errors.js';
import { silentLog } from '../../lib/core/log.js';
import { createBackend } from '../../lib/laundry/backend.js';
import type { MachineReport } from '../../lib/laundry/codec.js';
import type { StateChange } from '../../lib/laundry/ports.js';
import { fakeClock } from '../support/fake-clock.js';
import { arrival, modelStore, report, SEED_TIME as T } from '../support/laundry.js';

const machines = fc.array(
  fc.record({ relayId: fc.integer({ min: 1, max: 3 }), busy: fc.boolean() }, { noNullPrototype: true }),
  { minLength: 1, maxLength: 3 },
);
/** Messages of one controller, second by second; the machines of one have the same time, so each is named once. */
const stream = fc.array(machines, { minLength: 1, maxLength: 15 }).map((list) =>
  list.map((each, second): MachineReport[] => {
    const byRelay = new Map(each.map(({ relayId, busy }) => [relayId, busy]));
    return [...byRelay].map(([relayId, busy]) => report(relayId, busy ? 'busy' : 'idle', T + second * 1000));
  }),
);

type Step =
  | { do: 'deliver'; pick: number; gateway: 0 | 1 }
  | { do: 'commit' | 'kill' | 'lose the answer' | 'reject' };
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant('deliver' as const),
      pick: fc.nat(),
      gateway: fc.constantFrom(0 as const, 1 as const),
    }),
  },
  { weight: 6, arbitrary: fc.record({ do: fc.constant('commit' as const) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constantFrom('kill' as const, 'lose the answer' as const, 'reject' as const),
    }),
  },
);

/** Two gateways on one store, all of which a power cut ends at once. */
async function site() {
  const store = modelStore();
  const clock = fakeClock(T);
  const told: StateChange[] = [];
  const acknowledged = new Set<number>();
  let life = 0;
  let backends = [] as ReturnType<typeof createBackend>[];

  async function start() {
    life += 1;
    const mine = life;
    backends = [0, 1].map(() => createBackend({ store, clock, log: silentLog }));
    for (const backend of backends) {
      backend.listen({ change: (change) => mine === life && told.push(change) });
      await backend.start();
    }
  }
  await start();
  return {
    store,
    told,
    acknowledged,
    deliver(index: number, message: MachineReport[], gateway: 0 | 1) {
      const mine = life;
      const handled = backends[gateway]?.handle(arrival(message, T + index * 1000));
      handled?.then(
        () => mine === life && acknowledged.add(index),
        () => {},
      );
    },
    async kill() {
      store.kill();
      await start();
    },
  };
}

const keyOf = ({ relayId, lastUpdated }: StateChange) => `${relayId} at ${lastUpdated}`;

describe('two gateways on one store, with kills, conflicts and lost answers at any step', () => {
  it('end in the state of the newest message of each machine, whatever the order, and tell nothing twice', async () => {
    await fc.assert(
      fc.asyncProperty(stream, fc.array(step, { maxLength: 60 }), async (messages, steps) => {
        const { store, told, acknowledged, deliver, kill } = await site();
        const sent = new Set<number>();
        let killed = false;
        for (const next of steps) {
          if (next.do === 'deliver') {
            const index = next.pick % messages.length;
            sent.add(index);
            deliver(index, messages[index] as MachineReport[], next.gateway);
            await setImmediate();
          } else if (next.do === 'commit') await store.step();
          else if (next.do === 'lose the answer') await store.stepAnsweringConflict().catch(() => {});
          else if (next.do === 'reject') await store.fail(new FieldloomError('store_rejected', 'no'));
          else {
            killed = true;
            await kill();
          }
        }
        await store.settle();
        // What was not acknowledged is sent again.
        for (const index of sent) {
          if (!acknowledged.has(index)) deliver(index, messages[index] as MachineReport[], 0);
        }
        await store.settle();
        assert.equal(acknowledged.size, sent.size);

        for (const relayId of [1, 2, 3]) {
          const newest = [...sent]
            .flatMap((index) => messages[index] as MachineReport[])
            .filter((machine) => machine.relayId === relayId)
            .sort((a, b) => b.lastUpdated - a.lastUpdated)[0];
          const stored = store.machines.get(relayId);
          assert.deepEqual([stored?.status, stored?.lastUpdated], [newest?.status, newest?.lastUpdated]);
        }
        const rows = store.changes.map(keyOf);
        assert.equal(new Set(rows).size, rows.length, 'a change is stored once');
        assert.equal(new Set(told.map(keyOf)).size, told.length, 'a change is told once');
        for (const change of told) assert.ok(rows.includes(keyOf(change)), 'what is told is stored');
        if (!killed) assert.equal(told.length, rows.length, 'what is stored is told');
      }),
      { numRuns: 600 },
    );
  });

  it('keep every change of a controller that sends in order, once', async () => {
    await fc.assert(
      fc.asyncProperty(stream, fc.array(step, { maxLength: 60 }), async (messages, steps) => {
        const { store, acknowledged, deliver, kill } = await site();
        let next = 0;
        // The broker sends again, in order, all that was not acknowledged before it goes on.
        const sendOn = () => {
          if (next < messages.length) deliver(next, messages[next] as MachineReport[], 0);
          next += 1;
        };
        const resume = () => {
          next = messages.findIndex((_, index) => !acknowledged.has(index));
          if (next < 0) next = messages.length;
        };
        for (const each of steps) {
          if (each.do === 'deliver') {
            sendOn();
            await setImmediate();
          } else if (each.do === 'commit') await store.step();
          else if (each.do === 'lose the answer') await store.stepAnsweringConflict().catch(() => {});
          else {
            await kill();
            resume();
          }
        }
        await store.settle();
        resume();
        while (next < messages.length) sendOn();
        await store.settle();

        for (const relayId of [1, 2, 3]) {
          const states = messages.flat().filter((machine) => machine.relayId === relayId);
          const expected = states.filter(({ status }, index) => status !== states[index - 1]?.status);
          assert.deepEqual(
            store.changes
              .filter((change) => change.relayId === relayId)
              .map(({ status, lastUpdated }) => [status, lastUpdated]),
            expected.map(({ status, lastUpdated }) => [status, lastUpdated]),
          );
        }
      }),
      { numRuns: 600 },
    );
  });
});
