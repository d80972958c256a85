import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { Arrival } from '../../lib/command/ack-intake.js';
import type { CommandDispatcher } from '../../lib/command/dispatcher.js';
import type { CommandRecord } from '../../lib/command/ports.js';
import { createProfile } from '../../lib/command/profile.js';
import { createSharedDispatcher } from '../../lib/command/shared-dispatcher.js';
import type { Gateways } from '../../lib/core/gateways.js';
import { LEASE_MS, RENEW_MS } from '../../lib/core/lease.js';
import type { Link } from '../../lib/core/link.js';
import { silentLog } from '../../lib/core/log.js';
import { gatedLink } from '../../lib/mqtt/gated-link.js';
import {
  ack,
  COMMAND_ID,
  DEVICE,
  FEED,
  modelStore,
  SEED_TIME,
  settle,
  testLink,
} from '../support/command.js';
import { fakeClock } from '../support/fake-clock.js';
import { gatewayOf, leaseRows, standstill } from '../support/gateways.js';

const TAKEN_OVER_MS = LEASE_MS + 3 * RENEW_MS;

/** Two gateways of one store and one broker, and what the broker was sent. */
async function twoGateways() {
  const clock = fakeClock(SEED_TIME);
  const store = modelStore();
  const rows = leaseRows();
  const sent: { by: string; id: string }[] = [];
  /** Sent by a gateway that had lost its lease, or the command. */
  const strayed: string[] = [];

  async function gateway(name: string) {
    const process = standstill(clock);
    const gateways = gatewayOf(name, rows, process);
    const link = testLink({
      confirms: true,
      onPublish({ payload }) {
        const id = (JSON.parse(payload) as { command_id: string }).command_id;
        sent.push({ by: name, id });
        const { lease } = gateways;
        if (!rows.rows.has(lease) || store.commands.get(id)?.dispatcher !== `ponds@${lease}`)
          strayed.push(id);
      },
    });
    const dispatcher = createSharedDispatcher({
      ...{ name: 'ponds', profile: createProfile({ profile: 'pond' }), gateways, log: silentLog },
      ...{ store: process.through(store), link, clock: process.clock },
      gate: (may) => gatedLink(link as unknown as Link, gateways, may),
    });
    await dispatcher.start();
    return { process, gateways, dispatcher, link };
  }

  const a = await gateway('a');
  const b = await gateway('b');

  async function advance(ms: number): Promise<void> {
    for (let left = ms; left > 0; left -= 500) {
      clock.advance(Math.min(left, 500));
      await settle();
    }
  }
  await advance(2 * RENEW_MS);
  return {
    ...{ a, b, clock, store, rows, sent, strayed, advance },
    stored: (id = COMMAND_ID) => store.commands.get(id) as CommandRecord,
    /** Both hear what a device says. */
    hear: (arrival: Arrival, by: CommandDispatcher[] = [a.dispatcher, b.dispatcher]) =>
      Promise.all(by.map((each) => each.handle(arrival))),
    async end() {
      a.process.goOn();
      b.process.goOn();
      await Promise.all([a.dispatcher.close(), b.dispatcher.close()]);
      const leave = (gateways: Gateways) => gateways.leave();
      await Promise.all([leave(a.gateways), leave(b.gateways)]);
    },
  };
}

const deviceOf = (id: string) => `${DEVICE}-${Number(id.slice(-12))}`;

const histories = (store: ReturnType<typeof modelStore>, event: string) =>
  store.transitions.filter((each) => each.event === event).length;

describe('commands of several gateways', () => {
  it('are driven by the one that was asked, and the other one sends nothing', async () => {
    const { a, store, sent, advance, hear, stored, end } = await twoGateways();
    await a.dispatcher.submit(FEED);
    await advance(500);
    await hear(ack({ command_id: COMMAND_ID, success: true }));
    await advance(60_000);
    assert.equal(stored().status, 'COMPLETED');
    assert.deepEqual(sent, [{ by: 'a', id: COMMAND_ID }]);
    assert.equal(store.messages.filter(({ direction }) => direction === 'in').length, 1, 'one row an answer');
    await end();
  });

  it('go on by another gateway once theirs is gone, as the same command', async () => {
    const { a, sent, advance, hear, b, stored, end } = await twoGateways();
    await a.dispatcher.submit(FEED);
    await settle();
    a.process.stop();
    await advance(TAKEN_OVER_MS + 10_000);
    assert.deepEqual(new Set(sent.slice(1).map(({ by }) => by)), new Set(['b']));
    assert.deepEqual(new Set(sent.map(({ id }) => id)), new Set([COMMAND_ID]));
    await hear(ack({ command_id: COMMAND_ID, success: true }), [b.dispatcher]);
    assert.equal(stored().status, 'COMPLETED');
    await end();
  });

  it('end by what another gateway had heard before it took them over', async () => {
    const { a, b, advance, hear, sent, store, stored, end } = await twoGateways();
    await a.dispatcher.submit(FEED);
    await settle();
    a.process.stop();
    await advance(1_000);
    await hear(ack({ command_id: COMMAND_ID, success: true }), [b.dispatcher]);
    assert.equal(stored().phase, 'awaiting_ack', 'not its to answer for');
    await advance(TAKEN_OVER_MS);
    assert.equal(stored().status, 'COMPLETED');
    assert.equal(sent.length, 1, 'nothing was sent again');
    assert.equal(histories(store, 'completed'), 1);
    await end();
  });

  it('of a gateway that stood still are left alone by it when it wakes', async () => {
    const { a, b, advance, hear, sent, store, stored, end } = await twoGateways();
    await a.dispatcher.submit(FEED);
    await settle();
    a.process.stop();
    await advance(TAKEN_OVER_MS);
    await hear(ack({ command_id: COMMAND_ID, success: false, message: 'jammed' }), [b.dispatcher]);
    const before = { sent: sent.length, lines: store.transitions.length, record: stored() };
    a.process.goOn();
    await advance(60_000);
    assert.deepEqual({ sent: sent.length, lines: store.transitions.length, record: stored() }, before);
    // It is a gateway as the other one again.
    const id = '550e8400-e29b-41d4-a716-446655440099';
    await a.dispatcher.submit({ ...FEED, id });
    await advance(500);
    assert.deepEqual(sent.at(-1), { by: 'a', id });
    await end();
  });

  it('that are stored when their gateway stands still are not sent by it when it wakes', async () => {
    const { a, advance, sent, strayed, end } = await twoGateways();
    a.process.stop();
    const asked = a.dispatcher.submit(FEED);
    await advance(TAKEN_OVER_MS);
    assert.deepEqual(new Set(sent.map(({ by }) => by)), new Set(['b']), 'it was taken over');
    a.process.goOn();
    await asked;
    await advance(60_000);
    assert.deepEqual(strayed, []);
    assert.deepEqual(new Set(sent.map(({ by }) => by)), new Set(['b']));
    await end();
  });

  it('are refused once, whoever hears the answer', async () => {
    const { hear, advance, store, a, b, end } = await twoGateways();
    await hear(ack('no JSON'));
    assert.equal(store.letters.length, 1);
    const [first, other] = a.gateways.isFirst() ? [a, b] : [b, a];
    // What the first one has kept is not kept again by the one that comes after it.
    first.process.stop();
    await advance(TAKEN_OVER_MS);
    assert.equal(store.letters.length, 1);
    await hear(ack('no JSON either'), [other.dispatcher]);
    assert.equal(store.letters.length, 2);
    await end();
  });

  it('count what is said of them in a dead letter that any gateway reads again, from their own device alone', async () => {
    const { a, b, advance, stored, store, hear, end } = await twoGateways();
    await a.dispatcher.submit(FEED);
    await advance(500);
    const foreign = ack({ command_id: COMMAND_ID, success: true }, 'another-device');
    await hear(foreign);
    assert.deepEqual(
      store.letters.map(({ code }) => code),
      ['id_mismatch'],
      'refused once',
    );
    assert.equal((await b.dispatcher.replay(foreign))?.code, 'id_mismatch');
    assert.equal(await b.dispatcher.replay(ack({ command_id: COMMAND_ID, success: true })), undefined);
    assert.equal(stored().status, 'COMPLETED');
    await end();
  });

  it('can be cancelled by any gateway', async () => {
    const { a, b, advance, sent, stored, end } = await twoGateways();
    await a.dispatcher.submit(FEED);
    await settle();
    await b.dispatcher.cancel(COMMAND_ID);
    await advance(60_000);
    assert.equal(stored().status, 'CANCELLED');
    assert.equal(sent.length, 1);
    await end();
  });

  it('of one gateway alone go on after several have driven them', async () => {
    const { a, advance, store, end } = await twoGateways();
    await a.dispatcher.submit(FEED);
    await advance(500);
    await end();
    const { createDispatcher } = await import('../../lib/command/dispatcher.js');
    const alone = createDispatcher({
      ...{ name: 'ponds', profile: createProfile({ profile: 'pond' }), store, log: silentLog },
      ...{ link: testLink({ confirms: true }), clock: fakeClock(SEED_TIME) },
    });
    await alone.start();
    assert.equal(alone.count().inFlight, 1);
    await alone.close();
  });

  it('end once, are sent as one command each, and by nobody who has lost them, whatever stands still when', async () => {
    const step = fc.oneof(
      {
        weight: 4,
        arbitrary: fc.record({ kind: fc.constant('pass'), ms: fc.integer({ min: 500, max: 30_000 }) }),
      },
      {
        weight: 2,
        arbitrary: fc.record({ kind: fc.constant('submit'), who: fc.integer({ min: 0, max: 1 }) }),
      },
      { weight: 2, arbitrary: fc.record({ kind: fc.constant('stop'), who: fc.integer({ min: 0, max: 1 }) }) },
      { weight: 2, arbitrary: fc.record({ kind: fc.constant('goOn'), who: fc.integer({ min: 0, max: 1 }) }) },
      {
        weight: 3,
        arbitrary: fc.record({ kind: fc.constant('answer'), who: fc.integer({ min: 0, max: 2 }) }),
      },
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => {
        const world = await twoGateways();
        const { a, b, store, sent, advance, hear } = world;
        const both = [a, b] as const;
        const asked: string[] = [];
        const answers: Promise<unknown>[] = [];
        const answerAll = (by: (typeof both)[number][]) => {
          for (const id of new Set(sent.map((each) => each.id))) {
            const each = ack({ command_id: id, success: true }, deviceOf(id));
            answers.push(
              hear(
                each,
                by.map(({ dispatcher }) => dispatcher),
              ).catch(() => {}),
            );
          }
        };
        for (const each of steps) {
          const who = 'who' in each ? both[each.who] : undefined;
          if (each.kind === 'pass' && 'ms' in each) await advance(each.ms);
          else if (each.kind === 'stop') who?.process.stop();
          else if (each.kind === 'goOn') who?.process.goOn();
          else if (each.kind === 'answer') answerAll(who === undefined ? [a, b] : [who]);
          else if (each.kind === 'submit' && who !== undefined) {
            const id = `550e8400-e29b-41d4-a716-${String(asked.length).padStart(12, '0')}`;
            asked.push(id);
            answers.push(who.dispatcher.submit({ ...FEED, id, device: deviceOf(id) }).catch(() => {}));
          }
          await settle();
        }
        for (const { process } of both) process.goOn();
        await advance(TAKEN_OVER_MS + 120_000);
        await Promise.all(answers);
        assert.deepEqual(world.strayed, []);
        const before = sent.length;
        await advance(60_000);
        assert.equal(sent.length, before, 'what has ended is sent no more');
        for (const command of store.commands.values()) {
          assert.equal(command.phase, 'ended', JSON.stringify(command));
          const ends = store.transitions.filter(
            ({ commandId, event }) => commandId === command.id && ['completed', 'failed'].includes(event),
          );
          assert.equal(ends.length, 1, `${command.id} has ended ${ends.length} times`);
        }
        assert.deepEqual(
          [...new Set(sent.map(({ id }) => id))].filter((id) => !store.commands.has(id)),
          [],
          'nothing is sent that is not stored',
        );
        await world.end();
      }),
      { numRuns: 60 },
    );
  });
});
