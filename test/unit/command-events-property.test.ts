import assert from 'node:assert/strict';
import { setImmediate } from 'node:timers/promises';
import fc from 'fast-check';
import { FieldloomError } from '../../lib/core/errors.js';
import { gateway, modelDevices } from '../support/devices.js';
import { fakeClock } from '../support/fake-clock.js';
import { SENT_AT as T } from '../support/responder.js';

const iso = (ms: number) => new Date(ms).toISOString();

/** Messages of one device, second by second, each with its own time. */
const message = fc.oneof(
  fc.record({ kind: fc.constant('data/sensors'), temperature: fc.integer({ min: 20, max: 22 }) }),
  fc.record({
    kind: fc.constant('threshold'),
    parameter: fc.constantFrom('temperature', 'ph'),
    cleared: fc.boolean(),
  }),
);
const stream = fc.array(message, { minLength: 1, maxLength: 15 });

type Step =
  | { do: 'deliver'; gateway: 0 | 1 }
  | { do: 'repeat'; pick: number; gateway: 0 | 1 }
  | { do: Trouble };
type Trouble = 'commit' | 'kill' | 'commit, then kill' | 'lose the answer' | 'reject';
const either = fc.constantFrom(0 as const, 1 as const);
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant('deliver' as const), gateway: either }) },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constant('repeat' as const), pick: fc.nat(), gateway: either }),
  },
  { weight: 6, arbitrary: fc.record({ do: fc.constant<Trouble>('commit') }) },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constantFrom<Trouble[]>('kill', 'commit, then kill', 'lose the answer', 'reject'),
    }),
  },
);

/** Two gateways on one store, all of which a power cut ends at once. */
async function site() {
  const rows = modelDevices();
  const clock = fakeClock(T);
  const acknowledged = new Set<number>();
  let life = 0;
  let gateways = [] as Awaited<ReturnType<typeof gateway>>[];
  async function start() {
    life += 1;
    gateways = [];
    for (const name of ['a', 'b']) {
      gateways.push(await gateway(rows, { clock, prefix: `${name}${life}` }));
    }
  }
  await start();
  return {
    rows,
    acknowledged,
    deliver(index: number, { kind, ...content }: { kind: string }, which: 0 | 1) {
      const mine = life;
      const timed = { ...content, timestamp: iso(T + index * 1000 - 60_000) };
      gateways[which]?.handle(kind, timed).then(
        () => mine === life && acknowledged.add(index),
        () => {},
      );
    },
    async kill(committing: boolean) {
      rows.kill({ committing });
      await start();
    },
  };
}

describe('devices on two gateways with one store, with repetitions, kills, conflicts and lost answers', () => {
  it('have each acknowledged message once, and never two open alerts of one parameter', async () => {
    await fc.assert(
      fc.asyncProperty(stream, fc.array(step, { maxLength: 60 }), async (messages, steps) => {
        const { rows, acknowledged, deliver, kill } = await site();
        let next = 0;
        for (const each of steps) {
          if (each.do === 'deliver' && next < messages.length) {
            deliver(next, messages[next] as { kind: string }, each.gateway);
            next += 1;
          } else if (each.do === 'repeat' && next > 0) {
            const index = each.pick % next;
            deliver(index, messages[index] as { kind: string }, each.gateway);
          } else if (each.do === 'commit') await rows.step();
          else if (each.do === 'lose the answer') await rows.stepAnsweringConflict().catch(() => {});
          else if (each.do === 'reject') await rows.fail(new FieldloomError('store_rejected', 'no'));
          else if (each.do === 'kill') await kill(false);
          else if (each.do === 'commit, then kill') await kill(true);
          await setImmediate();
        }
        await rows.settle();
        // What was not acknowledged is sent again, in its order.
        for (let index = 0; index < next; index += 1) {
          if (!acknowledged.has(index)) deliver(index, messages[index] as { kind: string }, 0);
        }
        await rows.settle();
        assert.equal(acknowledged.size, next);

        const sent = messages.slice(0, next);
        const expected = sent.flatMap(({ kind }, index) =>
          kind === 'data/sensors' ? [T + index * 1000 - 60_000] : [],
        );
        assert.deepEqual(
          rows.readings.map(({ at }) => at).sort((a, b) => a - b),
          expected,
          'each reading is one row',
        );
        for (const parameter of ['temperature', 'ph']) {
          const own = [...rows.alerts.values()].filter((alert) => alert.parameter === parameter);
          const open = own.filter(({ clearedAt }) => clearedAt === null);
          assert.ok(open.length <= 1, 'one open alert of a parameter');
          const newest = sent.filter((each) => 'parameter' in each && each.parameter === parameter).at(-1) as
            | { cleared: boolean }
            | undefined;
          if (newest !== undefined) {
            assert.equal(open.length, newest.cleared ? 0 : 1, 'the newest message decides');
          }
        }
        const newestValue = sent.findLast((each) => 'temperature' in each) as
          | { temperature: number }
          | undefined;
        const latest = [...rows.latest.values()].find(({ parameter }) => parameter === 'temperature');
        assert.equal(latest?.value, newestValue?.temperature);
      }),
      { numRuns: 1_500 },
    );
  });
});
