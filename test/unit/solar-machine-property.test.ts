import assert from 'node:assert/strict';
import fc from 'fast-check';
import { parseTelemetry } from '../../lib/solar/codec.js';
import { solarSite } from '../support/solar-machine.js';

type Step =
  | { does: 'measure'; now: boolean }
  | { does: 'report' | 'kill' | 'part' | 'meet' | 'acknowledge' }
  /** The broker has the message or not, and the machine does not learn of it. */
  | { does: 'lose'; arrives: boolean }
  | { does: 'wait'; ms: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ does: fc.constant('measure' as const), now: fc.boolean() }) },
  {
    weight: 6,
    arbitrary: fc.record({
      does: fc.constantFrom('report' as const, 'kill', 'part', 'meet', 'acknowledge', 'acknowledge'),
    }),
  },
  { weight: 2, arbitrary: fc.record({ does: fc.constant('lose' as const), arrives: fc.boolean() }) },
  {
    weight: 2,
    arbitrary: fc.record({ does: fc.constant('wait' as const), ms: fc.integer({ min: 1, max: 40_000 }) }),
  },
);

describe("a solar machine's end behind a bad network", () => {
  it('loses nothing that is on disk, and what arrives twice counts once, in its order', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 60 }), async (steps) => {
        const site = await solarSite();
        const { network } = site;
        /** Rows at the other end, by what makes a message count once. */
        const rows = new Map<string, number>();
        let shown: unknown;
        const arrive = ({ kind, payload, message }: (typeof network.publishes)[number]) => {
          if (kind === 'status') {
            shown = message['status'];
            return;
          }
          const { row } = parseTelemetry(payload, site.clock.now(), site.clock.now(), 0);
          rows.set(`${row.at} ${row.id}`, row.battery ?? 0);
        };
        const kept: number[] = [];
        let status = 'online';
        let count = 0;

        for (const next of steps) {
          if (next.does === 'measure') {
            count += 1;
            await site.machine.measure({ battery: count }, next.now);
            if (next.now) kept.push(count);
          } else if (next.does === 'report') {
            count += 1;
            status = `state ${count}`;
            await site.machine.report({ status });
          } else if (next.does === 'kill') {
            await site.kill();
            status = 'online';
          } else if (next.does === 'part') await network.become('disconnected');
          else if (next.does === 'meet') await network.become('connected');
          else if (next.does === 'wait') await site.pass(next.ms);
          else {
            const sent = network.publishes.shift();
            if (sent === undefined) continue;
            if (next.does === 'lose') {
              if (next.arrives) arrive(sent);
              await sent.refuse();
            } else {
              arrive(sent);
              await sent.acknowledge();
            }
          }
        }
        await network.become('connected');
        for (let turn = 0; turn < 3; turn += 1) {
          await site.pass(60_000);
          for (let sent = network.publishes.shift(); sent !== undefined; sent = network.publishes.shift()) {
            arrive(sent);
            await sent.acknowledge();
          }
        }
        assert.equal(site.disk.rows.size, 0);
        assert.equal(shown, status);
        const arrived = [...rows.values()];
        assert.deepEqual(
          kept.filter((each) => !arrived.includes(each)),
          [],
        );
        assert.deepEqual(
          arrived,
          [...new Set(arrived)].sort((a, b) => a - b),
        );
      }),
      { numRuns: 200 },
    );
  });
});
