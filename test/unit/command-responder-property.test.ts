import assert from 'node:assert/strict';
import { setImmediate } from 'node:timers/promises';
import fc from 'fast-check';
import { fakeClock } from '../support/fake-clock.js';
import { type Ack, type Device, device, SENT_AT, seedCommand, seenStore } from '../support/responder.js';

const IDS = ['a', 'b', 'c'];
const id = fc.constantFrom(...IDS);

type Step =
  | { do: 'deliver'; id: string; expired: boolean }
  | { do: 'answer'; id: string; success: boolean }
  | { do: 'commit' | 'commit all' | 'broker takes' | 'broker refuses' | 'wait' | 'lose the answer' }
  | { do: 'power cut' | 'commit, then power cut' };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('deliver' as const),
      id,
      expired: fc.integer({ min: 0, max: 9 }).map((n) => n === 0),
    }),
  },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('answer' as const), id, success: fc.boolean() }) },
  { weight: 6, arbitrary: fc.record({ do: fc.constantFrom('commit' as const, 'commit all' as const) }) },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constantFrom(
        'broker takes' as const,
        'broker refuses' as const,
        'wait' as const,
        'lose the answer' as const,
      ),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constantFrom('power cut' as const, 'commit, then power cut' as const) }),
  },
);

/** A device over all its lives: what it did, and what it ever said. */
function site() {
  const disk = seenStore();
  const clock = fakeClock(SENT_AT);
  const acts: string[] = [];
  const said: Ack[] = [];
  const acknowledged = new Set<string>();
  let life = 0;
  let current: Device;

  function start() {
    life += 1;
    const mine = life;
    current = device(disk, { clock, online: false, progress: true, answerTimeoutMs: 20_000 });
    current.responder.listen({ command: ({ commandId }) => mine === life && acts.push(commandId) });
    current.responder.start().catch(() => {});
    const { acks } = current;
    const push = acks.push.bind(acks);
    acks.push = (...more) => {
      if (mine === life) {
        for (const ack of more) {
          if (ack.success === undefined) continue;
          said.push(ack);
          const row = disk.rows.get(ack.command_id);
          assert.equal(row?.state, 'answered', 'what is said is on disk');
          assert.equal(row?.state === 'answered' && row.answer.success, ack.success);
        }
      }
      return push(...more);
    };
  }
  start();

  return {
    disk,
    clock,
    acts,
    said,
    acknowledged,
    get current() {
      return current;
    },
    deliver(commandId: string, expired = false) {
      const mine = life;
      const changes = expired ? { expires_at: '2025-08-30T00:00:00Z' } : {};
      current.handle(seedCommand(commandId, changes)).then(
        () => mine === life && acknowledged.add(commandId),
        () => {},
      );
    },
    /** All that waits is forgotten, and a new life begins. */
    cut() {
      disk.kill();
      life += 1;
      void current.responder.close().catch(() => {});
      start();
    },
  };
}

async function carryOut(all: ReturnType<typeof site>, next: Step) {
  const { disk, clock, current } = all;
  switch (next.do) {
    case 'deliver':
      all.deliver(next.id, next.expired);
      break;
    case 'answer':
      current.responder.answer(next.id, { success: next.success }).catch(() => {});
      break;
    case 'commit':
      await disk.step();
      break;
    case 'commit all':
      await disk.settle();
      break;
    case 'broker takes':
      current.publishing.shift()?.resolve();
      break;
    case 'broker refuses':
      current.publishing.shift()?.reject(new Error('no place'));
      break;
    case 'wait':
      clock.advance(11_000);
      break;
    case 'lose the answer':
      await disk.loseAnswer();
      break;
    case 'power cut':
      all.cut();
      break;
    case 'commit, then power cut':
      disk.commitUnheard();
      all.cut();
      break;
  }
  await setImmediate();
}

describe('a device whose commands are repeated and reordered, and whose power fails at any step', () => {
  it('acts at most once on each id, and says the same to every repetition', async () => {
    let acted = 0;
    let cuts = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 40 }), async (steps) => {
        const all = site();
        for (const next of steps) await carryOut(all, next);
        await all.disk.settle();
        for (const commandId of all.acknowledged) {
          assert.ok(all.disk.rows.has(commandId), 'what is acknowledged is on disk');
        }
        // One more power cut, and the backend asks once more for all that it ever sent.
        const sent = [...all.disk.rows.keys()];
        all.cut();
        await all.disk.settle();
        for (const commandId of sent) all.deliver(commandId);
        await all.disk.settle();

        for (const commandId of IDS) {
          assert.ok(all.acts.filter((each) => each === commandId).length <= 1, `${commandId} acted twice`);
          const answers = all.said.filter((ack) => ack.command_id === commandId);
          for (const answer of answers) assert.deepEqual(answer, answers[0]);
        }
        for (const commandId of sent) {
          assert.ok(
            all.said.some((ack) => ack.command_id === commandId),
            'each has its answer in the end',
          );
        }
        assert.deepEqual(
          all.current.responder.waiting,
          0,
          'nothing that an earlier life was told is waited for',
        );
        acted += all.acts.length;
        cuts += steps.filter((each) => each.do.endsWith('power cut')).length;
      }),
      { numRuns: 2_500 },
    );
    assert.ok(acted > 1_000 && cuts > 500, `${acted} acts and ${cuts} power cuts say something`);
  });
});
