import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { CommandPhase, CommandRecord, FailureReason } from '../../lib/command/ports.js';
import { type CommandEvent, type Effect, type Step, transition } from '../../lib/command/transition.js';
import { command, SEED_TIME as T } from '../support/command.js';

const SECOND = 1_000;
const ack = (success: boolean | null, message: string | null = null): CommandEvent => ({
  type: 'ack',
  success,
  message,
});
const due: CommandEvent = { type: 'due' };
const published = (attempt = 1): CommandEvent => ({ type: 'published', attempt });

/** Lets events happen one after another, each at its second. */
function after(first: CommandRecord, ...events: [CommandEvent, number?][]): Step {
  let step: Step = { command: first, effects: [] };
  for (const [event, seconds = 0] of events) {
    step = transition(step.command, event, T + seconds * SECOND);
  }
  return step;
}

const lines = ({ effects }: Step) =>
  effects.flatMap((effect) =>
    effect.type === 'record' ? [[effect.transition.event, effect.transition.status]] : [],
  );
const counts = ({ effects }: Step) =>
  effects.flatMap((effect) => (effect.type === 'count' ? [effect.what] : []));
const isPublish = (effect: Effect) => effect.type === 'publish';
const seconds = (at: number | null) => (at === null ? null : (at - T) / SECOND);

const queued = command();
const publishing = after(queued, [{ type: 'turn' }]).command;
const sent = after(publishing, [published()]).command;
const backoff = after(sent, [due, 10]).command;
const executing = after(sent, [ack(null), 1]).command;
const open = { queued, publishing, awaiting_ack: sent, backoff, executing };
const unfinished = [queued, publishing, sent, backoff];

/** All four attempts are spent at 47 s with the jitter of this command. */
function timedOut(): Step {
  let step = after(publishing, [published()]);
  while (step.command.phase !== 'ended') {
    const { wakeAt, phase, attempts } = step.command;
    const event = phase === 'publishing' ? published(attempts) : due;
    step = transition(
      step.command,
      event,
      wakeAt && phase !== 'publishing' ? wakeAt : (wakeAt ?? 0) - 10_000,
    );
  }
  return step;
}

const ends: Record<string, CommandRecord> = {
  completed: after(sent, [ack(true, 'fed'), 1]).command,
  device: after(sent, [ack(false, 'motor is stuck'), 1]).command,
  timeout: timedOut().command,
  execution_timeout: after(executing, [due, 61]).command,
  cancelled: after(sent, [{ type: 'cancel' }, 1]).command,
  expired: after(command({ expiresAt: T + 5_000, wakeAt: T + 5_000 }), [{ type: 'turn' }], [due, 5]).command,
  not_connected: command({ status: 'FAILED', phase: 'ended', reason: 'not_connected', completedAt: T }),
};

describe('a command', () => {
  it('whose turn has come is counted as an attempt before it is published', () => {
    const step = after(queued, [{ type: 'turn' }]);
    assert.deepEqual([step.command.status, step.command.attempts], ['PENDING', 1]);
    assert.deepEqual(step.effects, [{ type: 'publish', attempt: 1 }]);
    assert.equal(queued.attempts, 0, 'the old one is untouched');
  });

  it('that the broker has is SENT, and its device has 10 s to acknowledge it', () => {
    const step = after(publishing, [published(), 2]);
    assert.equal(step.command.status, 'SENT');
    assert.deepEqual([seconds(step.command.sentAt), seconds(step.command.wakeAt)], [2, 12]);
    assert.deepEqual(lines(step), [['published', 'SENT']]);
  });

  for (const [name, before] of Object.entries({
    PENDING: publishing,
    SENT: sent,
    'to be sent again': backoff,
  })) {
    it(`${name} and acknowledged with success is ACKNOWLEDGED and COMPLETED`, () => {
      const step = after(before, [ack(true, 'fed'), 3]);
      const { status, reason, message, acknowledgedAt, completedAt, wakeAt } = step.command;
      assert.deepEqual([status, reason, message], ['COMPLETED', null, 'fed']);
      assert.deepEqual([seconds(acknowledgedAt), seconds(completedAt), wakeAt], [3, 3, null]);
      assert.deepEqual(lines(step), [
        ['acknowledged', 'ACKNOWLEDGED'],
        ['completed', 'COMPLETED'],
      ]);
    });

    it(`${name} and acknowledged with failure is FAILED in the device's words`, () => {
      const step = after(before, [ack(false, 'motor is stuck'), 3]);
      const { status, reason, message } = step.command;
      assert.deepEqual([status, reason, message], ['FAILED', 'device', 'motor is stuck']);
      assert.deepEqual(lines(step), [
        ['acknowledged', 'ACKNOWLEDGED'],
        ['failed', 'FAILED'],
      ]);
    });

    it(`${name} and acknowledged without success is ACKNOWLEDGED, never sent again, and fails after 60 s`, () => {
      const step = after(before, [ack(null), 3]);
      assert.deepEqual([step.command.status, seconds(step.command.wakeAt)], ['ACKNOWLEDGED', 63]);
      const end = transition(step.command, due, T + 63 * SECOND);
      assert.deepEqual([end.command.status, end.command.reason], ['FAILED', 'execution_timeout']);
      assert.ok(![...step.effects, ...end.effects].some(isPublish));
    });
  }

  it('whose acknowledgement overtakes the broker’s word stays COMPLETED when that comes', () => {
    const { command: completed } = after(publishing, [ack(true), 1]);
    assert.equal(seconds(completed.sentAt), 1);
    assert.equal(transition(completed, published(), T + 2 * SECOND).command, completed);
  });

  it('is decided by a second acknowledgement where the first one left its outcome open', () => {
    assert.equal(after(executing, [ack(true), 5]).command.status, 'COMPLETED');
    assert.equal(after(executing, [ack(false), 5]).command.reason, 'device');
    assert.deepEqual(counts(after(executing, [ack(null), 5])), ['duplicate']);
  });

  it('without an acknowledgement in 10 s is sent again after 1, 2 and 4 s, give or take a fifth', () => {
    let now = T;
    let current = sent;
    for (const [retry, delay] of [1, 2, 4].entries()) {
      now = current.wakeAt as number;
      const waiting = transition(current, due, now);
      assert.deepEqual([waiting.command.status, waiting.command.phase], ['SENT', 'backoff']);
      assert.ok(!waiting.effects.some(isPublish));
      const pause = ((waiting.command.wakeAt as number) - now) / SECOND;
      assert.ok(pause >= delay * 0.8 && pause <= delay * 1.2, `${pause} s before retry ${retry + 1}`);
      now = waiting.command.wakeAt as number;
      const again = transition(waiting.command, due, now);
      assert.deepEqual(again.effects, [
        { type: 'publish', attempt: retry + 2 },
        { type: 'count', what: 'retry' },
      ]);
      assert.equal(again.command.payload, sent.payload);
      current = transition(again.command, published(retry + 2), now).command;
      assert.deepEqual([current.status, current.wakeAt], ['SENT', now + 10 * SECOND]);
    }
    const end = transition(current, due, now + 10 * SECOND);
    assert.deepEqual(
      [end.command.status, end.command.reason, end.command.attempts],
      ['FAILED', 'timeout', 4],
    );
    assert.match(end.command.message ?? '', /outcome is unknown/);
  });

  it('spreads its retries differently from another command, and the same after a restart', () => {
    const pauses = Array.from({ length: 200 }, (_, index) => {
      const id = `550e8400-e29b-41d4-a716-${String(index).padStart(12, '0')}`;
      return (transition({ ...sent, id }, due, T + 10_000).command.wakeAt as number) - T - 11_000;
    });
    assert.ok(new Set(pauses).size > 100);
    assert.ok(Math.min(...pauses) < -150 && Math.max(...pauses) > 150 && Math.max(...pauses) <= 200);
    assert.equal(transition(sent, due, T + 10_000).command.wakeAt, backoff.wakeAt);
  });

  it('counts its next attempt from the deadline, however late the look at it', () => {
    assert.equal(after(sent, [due, 10.4]).command.wakeAt, backoff.wakeAt);
  });

  it('is not looked at before its time', () => {
    for (const before of Object.values(open)) {
      assert.equal(transition(before, due, T + 2).command, before);
    }
  });

  it('that is acknowledged while it waits to be sent again is not sent again', () => {
    const { command: completed } = after(backoff, [ack(true), 10.5]);
    const step = transition(completed, due, T + 20 * SECOND);
    assert.deepEqual([step.command, step.effects], [completed, []]);
  });

  it('that the link could not take spends no attempt, and tries again', () => {
    const step = after(publishing, [{ type: 'unsent', attempt: 1 }]);
    assert.deepEqual([step.command.status, step.command.attempts], ['PENDING', 0]);
    const again = transition(step.command, due, step.command.wakeAt as number);
    assert.deepEqual([again.command.attempts, again.effects], [1, [{ type: 'publish', attempt: 1 }]]);
  });

  it('that does not wait for the broker and finds it away is FAILED(not_connected)', () => {
    const step = after({ ...publishing, waitsForBroker: false }, [{ type: 'unsent', attempt: 1 }]);
    assert.deepEqual(
      [step.command.status, step.command.reason, step.command.message],
      ['FAILED', 'not_connected', 'MQTT client not connected'],
    );
  });

  it('that the broker refuses is tried again, and in the end is FAILED(not_connected) with the reason', () => {
    let current = publishing;
    for (let attempt = 1; attempt <= 4; attempt += 1) {
      const refused = transition(current, { type: 'refused', attempt, message: 'not authorized' }, T);
      current = refused.command;
      if (current.phase === 'backoff') current = transition(current, due, current.wakeAt as number).command;
    }
    assert.deepEqual([current.attempts, current.reason], [4, 'not_connected']);
    assert.match(current.message ?? '', /not authorized/);
    const later = after({ ...sent, phase: 'publishing', attempts: 4 }, [
      { type: 'refused', attempt: 4, message: 'not authorized' },
    ]);
    assert.equal(later.command.reason, 'timeout', 'an earlier attempt has left');
  });

  it('whose attempt the broker does not confirm in 10 s is sent again', () => {
    const step = after(publishing, [due, 10]);
    assert.deepEqual([step.command.status, step.command.phase], ['PENDING', 'backoff']);
    const confirmed = transition(step.command, published(), T + 10.5 * SECOND);
    assert.deepEqual([confirmed.command.phase, seconds(confirmed.command.wakeAt)], ['awaiting_ack', 20.5]);
    const older = transition({ ...publishing, attempts: 2 }, published(1), T + SECOND);
    assert.deepEqual([older.command.status, older.command.phase], ['SENT', 'publishing']);
  });

  it('whose attempt waited in the link for the broker has its 10 s from when it is back', () => {
    assert.equal(seconds(after(publishing, [{ type: 'connected' }, 30]).command.wakeAt), 40);
    assert.equal(after(sent, [{ type: 'connected' }, 30]).command, sent);
  });

  it('whose expiry has passed is EXPIRED, not sent any more, and never waits beyond it', () => {
    const expiresAt = T + 5_000;
    for (const before of unfinished) {
      const step = transition({ ...before, expiresAt, wakeAt: expiresAt }, due, expiresAt);
      assert.deepEqual([step.command.status, step.command.reason], ['EXPIRED', 'expired']);
      assert.ok(!step.effects.some(isPublish));
      assert.equal(/unknown/.test(step.command.message ?? ''), before.attempts > 0);
    }
    const expiring = command({ expiresAt, wakeAt: expiresAt });
    assert.equal(after(expiring, [{ type: 'turn' }], [published()]).command.wakeAt, expiresAt);
    const acknowledged = after({ ...sent, expiresAt }, [ack(null), 1]);
    assert.equal(seconds(acknowledged.command.wakeAt), 61, 'what is acknowledged does not expire');
  });

  for (const [phase, before] of Object.entries(open)) {
    it(`${phase} and cancelled is CANCELLED, and says whether it may have reached the device`, () => {
      const step = after(before, [{ type: 'cancel' }, 1]);
      assert.deepEqual([step.command.status, step.command.reason], ['CANCELLED', 'cancelled']);
      assert.equal(/may have acted/.test(step.command.message ?? ''), before.attempts > 0);
      for (const event of [due, { type: 'turn' } as const, published(before.attempts)]) {
        assert.equal(transition(step.command, event, T + 100 * SECOND).command, step.command);
      }
    });
  }

  it('that has ended cannot be cancelled', () => {
    for (const end of Object.values(ends)) {
      assert.equal(after(end, [{ type: 'cancel' }, 99]).command, end);
    }
  });
});

describe('an acknowledgement after the end', () => {
  const rows: [keyof typeof ends, boolean | null, string][] = [
    ['completed', true, 'duplicate'],
    ['completed', null, 'duplicate'],
    ['completed', false, 'anomaly'],
    ['device', false, 'duplicate'],
    ['device', null, 'duplicate'],
    ['device', true, 'anomaly'],
    ['timeout', true, 'late'],
    ['timeout', false, 'late'],
    ['timeout', null, 'late'],
    ['execution_timeout', true, 'late'],
    ['execution_timeout', false, 'late'],
    ['execution_timeout', null, 'duplicate'],
    ['not_connected', true, 'anomaly'],
    ['not_connected', false, 'late'],
    ['cancelled', true, 'anomaly'],
    ['cancelled', false, 'late'],
    ['cancelled', null, 'duplicate'],
    ['expired', true, 'anomaly'],
    ['expired', false, 'late'],
    ['expired', null, 'duplicate'],
  ];
  for (const [end, success, expected] of rows) {
    it(`that says success ${success} of a command that ended as ${end} is ${expected}`, () => {
      const step = after(ends[end] as CommandRecord, [ack(success, 'word'), 99]);
      assert.deepEqual(counts(step), [expected]);
      assert.deepEqual(
        lines(step).map(([event]) => event),
        expected === 'duplicate' ? [] : [expected],
      );
      if (expected === 'duplicate') assert.equal(step.command, ends[end]);
      const turned = expected === 'late' && success === true;
      assert.equal(step.command.status, turned ? 'COMPLETED' : ends[end]?.status);
    });
  }

  it('makes FAILED(timeout) COMPLETED and late where it is a success, and later ones are the second', () => {
    const step = after(ends['timeout'] as CommandRecord, [ack(true, 'fed'), 60]);
    const { status, reason, late, message, acknowledgedAt } = step.command;
    assert.deepEqual([status, reason, late, message], ['COMPLETED', null, true, 'fed']);
    assert.equal(seconds(acknowledgedAt), 60);
    assert.deepEqual(counts(after(step.command, [ack(true), 61])), ['duplicate']);
    assert.deepEqual(counts(after(step.command, [ack(false), 61])), ['anomaly']);
  });

  it('leaves FAILED(timeout) FAILED where it is a failure, but its outcome is known now', () => {
    const step = after(ends['timeout'] as CommandRecord, [ack(false, 'motor is stuck'), 60]);
    const { status, reason, late, message } = step.command;
    assert.deepEqual([status, reason, late, message], ['FAILED', 'device', true, 'motor is stuck']);
    assert.deepEqual(counts(after(step.command, [ack(true), 61])), ['anomaly']);
  });

  it('tells once that a device has acted on what was cancelled', () => {
    const first = after(ends['cancelled'] as CommandRecord, [ack(true), 60]);
    assert.equal(first.command.status, 'CANCELLED');
    assert.deepEqual(counts(after(first.command, [ack(true), 61])), ['duplicate']);
  });
});

describe('a command that its device does not acknowledge', () => {
  const terms = { ...queued.terms, acknowledged: false };
  const onTheWay = after(command({ terms }), [{ type: 'turn' }]).command;

  it('is COMPLETED when the broker has it', () => {
    const step = after(onTheWay, [published(), 1]);
    assert.deepEqual([step.command.status, step.command.acknowledgedAt], ['COMPLETED', null]);
    assert.deepEqual(lines(step), [
      ['published', 'SENT'],
      ['completed', 'COMPLETED'],
    ]);
  });

  it('is not sent again where the broker does not confirm it: the device could not tell', () => {
    const step = after(onTheWay, [due, 10]);
    assert.deepEqual([step.command.status, step.command.reason], ['FAILED', 'timeout']);
    assert.match(step.command.message ?? '', /unknown/);
    const late = after(step.command, [published(), 20]);
    assert.deepEqual([late.command.status, late.command.late], ['COMPLETED', true]);
  });
});

describe('any events in any order', () => {
  const event: fc.Arbitrary<CommandEvent> = fc.oneof(
    fc.constantFrom<CommandEvent>(
      { type: 'turn' },
      { type: 'due' },
      { type: 'connected' },
      { type: 'cancel' },
      ack(true),
      ack(false),
      ack(null),
    ),
    fc.integer({ min: 1, max: 4 }).map(published),
    fc.integer({ min: 1, max: 4 }).map((attempt): CommandEvent => ({ type: 'unsent', attempt })),
    fc
      .integer({ min: 1, max: 4 })
      .map((attempt): CommandEvent => ({ type: 'refused', attempt, message: 'no' })),
  );
  const steps = fc.array(fc.tuple(event, fc.integer({ min: 0, max: 70_000 })), { maxLength: 40 });

  it('keep status, phase and clocks in step, and publish nothing that has been answered or given up', () => {
    fc.assert(
      fc.property(steps, fc.option(fc.integer({ min: 0, max: 100_000 })), (events, expiry) => {
        const expiresAt = expiry === null ? null : T + expiry;
        let current = command({ expiresAt, wakeAt: expiresAt });
        let now = T;
        let over = false;
        let ended: [string, FailureReason | null] | undefined;
        for (const [each, passed] of events) {
          now += passed;
          const step = transition(current, each, now);
          if (over) assert.ok(!step.effects.some(isPublish));
          current = step.command;
          if (each.type === 'ack' || current.phase === 'ended') over = true;
          assert.ok(current.attempts <= 4);
          const statuses: Record<CommandPhase, string[]> = {
            queued: ['PENDING'],
            publishing: ['PENDING', 'SENT'],
            awaiting_ack: ['SENT'],
            backoff: ['PENDING', 'SENT'],
            executing: ['ACKNOWLEDGED'],
            ended: ['COMPLETED', 'FAILED', 'EXPIRED', 'CANCELLED'],
          };
          assert.ok(statuses[current.phase].includes(current.status));
          assert.equal(current.completedAt !== null, current.phase === 'ended');
          // Every phase goes on by itself, but for the first, which waits for its turn.
          const clock =
            !['queued', 'ended'].includes(current.phase) ||
            (current.phase === 'queued' && expiresAt !== null);
          assert.equal(current.wakeAt !== null, clock, current.phase);
          if (ended?.[0] === 'COMPLETED') assert.equal(current.status, 'COMPLETED');
          if (current.phase === 'ended') ended = [current.status, current.reason];
        }
      }),
      { numRuns: 3_000 },
    );
  });
});
