import assert from 'node:assert/strict';
import { FieldloomError } from '../../lib/core/errors.js';
import type { DeploymentState } from '../../lib/firmware/deployment-record.js';
import { parseRolloutRequest, ROLLOUT_DEFAULTS } from '../../lib/firmware/plan.js';
import {
  draft,
  GATE_AGAIN_MS,
  type Rollout,
  type RolloutEffects,
  type RolloutEvent,
  type StagePlan,
  startedStage,
  transition,
} from '../../lib/firmware/rollout.js';

const T = Date.UTC(2024, 0, 15, 9, 0, 0);
const plan = (given: Partial<StagePlan> = {}): StagePlan => ({
  ...{ percent: null, targets: 10, successThreshold: 0.8, errorThreshold: 0.3, onError: 'cancel' },
  ...{ soakMs: 0, approval: false },
  ...given,
});

/** A rollout and what it has asked for, driven event by event. */
class Driven {
  rollout: Rollout;
  asked: RolloutEffects[] = [];
  now = T;
  constructor(
    readonly stages: StagePlan[],
    public gated = false,
  ) {
    this.rollout = draft('r', stages);
  }
  do(event: RolloutEvent): RolloutEffects {
    const step = transition(this.rollout, event, this.now, { stages: this.stages, gated: this.gated });
    this.rollout = step.rollout;
    this.asked.push(step.effects);
    return step.effects;
  }
  end(stage: number, to: DeploymentState, times = 1): void {
    for (let time = 0; time < times; time += 1) {
      this.do({ type: 'counted', change: { stage, from: 'SCHEDULED', to, stuck: 0 } });
    }
  }
  get gates(): number[] {
    return this.asked.flatMap(({ askGate }) => (askGate === undefined ? [] : [askGate]));
  }
  get cancels(): number {
    return this.asked.filter(({ cancelAll }) => cancelAll).length;
  }
}

const started = (stages = [plan(), plan()], gated = false) => {
  const driven = new Driven(stages, gated);
  driven.do({ type: 'start' });
  return driven;
};

describe('a rollout', () => {
  it('goes on to the next stage with the completion that reaches its success threshold, once', () => {
    const driven = started();
    driven.end(0, 'COMPLETED', 7);
    assert.equal(driven.rollout.stage, 0);
    driven.end(0, 'COMPLETED');
    assert.equal(driven.rollout.stage, 1);
    driven.end(0, 'COMPLETED', 2);
    assert.equal(driven.rollout.stage, 1);
  });

  it('is completed when the last stage has passed and everything has ended', () => {
    const driven = started([plan()]);
    driven.end(0, 'COMPLETED', 9);
    assert.deepEqual([driven.rollout.state, driven.rollout.phase], ['RUNNING', 'settling']);
    driven.end(0, 'FAILED');
    assert.deepEqual([driven.rollout.state, driven.rollout.endedAt], ['COMPLETED', T]);
  });

  it('is aborted by the error that reaches the error threshold, and cancels everything once', () => {
    const driven = started();
    driven.end(0, 'FAILED', 2);
    assert.equal(driven.rollout.state, 'RUNNING');
    driven.end(0, 'TIMED_OUT');
    assert.equal(driven.rollout.state, 'ABORTED');
    assert.match(driven.rollout.reason ?? '', /stage 0: 3 of 10/);
    driven.end(0, 'CANCELLED', 7);
    assert.equal(driven.cancels, 1);
  });

  it('stays aborted when a timed out deployment completes late', () => {
    const driven = started([plan({ errorThreshold: 0 })]);
    driven.end(0, 'TIMED_OUT');
    driven.do({ type: 'counted', change: { stage: 0, from: 'TIMED_OUT', to: 'COMPLETED', stuck: 0 } });
    assert.equal(driven.rollout.state, 'ABORTED');
  });

  it('tolerates no error where its error threshold is 0, and none at first', () => {
    const driven = started([plan({ errorThreshold: 0 })]);
    driven.end(0, 'COMPLETED');
    assert.equal(driven.rollout.state, 'RUNNING');
    driven.end(0, 'FAILED');
    assert.equal(driven.rollout.state, 'ABORTED');
  });

  it('only pauses at errors where the stage says so, and a person may go on', () => {
    const driven = started([plan({ onError: 'pause' })]);
    driven.end(0, 'FAILED', 3);
    assert.deepEqual([driven.rollout.state, driven.cancels], ['PAUSED', 0]);
    driven.do({ type: 'resume' });
    assert.equal(driven.rollout.state, 'RUNNING');
    driven.end(0, 'COMPLETED');
    assert.equal(driven.rollout.state, 'RUNNING');
    driven.end(0, 'FAILED');
    assert.equal(driven.rollout.state, 'PAUSED', 'one more error stops it again');
  });

  it('pauses when all have ended and too few completed; a person may overrule it', () => {
    const driven = started([plan({ errorThreshold: 1 }), plan()]);
    driven.end(0, 'COMPLETED', 7);
    driven.end(0, 'FAILED', 3);
    assert.equal(driven.rollout.state, 'PAUSED');
    driven.do({ type: 'resume' });
    assert.deepEqual([driven.rollout.state, driven.rollout.stage], ['RUNNING', 1]);
  });

  it('leaves cancelled and rejected targets out of its shares', () => {
    const driven = started();
    driven.end(0, 'CANCELLED', 3);
    driven.end(0, 'REJECTED', 2);
    driven.end(0, 'COMPLETED', 4);
    assert.equal(driven.rollout.stage, 1);
  });

  it('soaks before it goes on, and errors may still stop it then', () => {
    const soaking = () => {
      const driven = started([plan({ soakMs: 60_000 }), plan()]);
      driven.end(0, 'COMPLETED', 8);
      assert.equal(driven.rollout.phase, 'soaking');
      return driven;
    };
    const quiet = soaking();
    quiet.now = T + 59_999;
    quiet.do({ type: 'tick' });
    assert.equal(quiet.rollout.stage, 0);
    quiet.now = quiet.rollout.wakeAt ?? 0;
    quiet.do({ type: 'tick' });
    assert.equal(quiet.rollout.stage, 1);
    const failing = soaking();
    failing.do({ type: 'counted', change: { stage: 0, from: 'COMPLETED', to: 'FAILED', stuck: 0 } });
    failing.end(0, 'FAILED', 2);
    assert.equal(failing.rollout.state, 'ABORTED');
  });

  it('waits for a person where the stage wants approval', () => {
    const driven = started([plan({ approval: true }), plan()]);
    driven.end(0, 'COMPLETED', 8);
    assert.equal(driven.rollout.state, 'WAITING_APPROVAL');
    driven.do({ type: 'pause' });
    driven.do({ type: 'resume' });
    assert.equal(driven.rollout.state, 'WAITING_APPROVAL');
    driven.do({ type: 'approve' });
    assert.deepEqual([driven.rollout.state, driven.rollout.stage], ['RUNNING', 1]);
  });

  it('starts no stage before its gate has passed, and asks again every minute', () => {
    const driven = started([plan(), plan()], true);
    assert.deepEqual([driven.gates, startedStage(driven.rollout)], [[0], -1]);
    driven.do({ type: 'gate', stage: 0, pass: false, reason: 'night' });
    assert.deepEqual([driven.rollout.reason, startedStage(driven.rollout)], ['night', -1]);
    driven.now += GATE_AGAIN_MS;
    driven.do({ type: 'tick' });
    assert.deepEqual(driven.gates, [0, 0]);
    assert.match(driven.do({ type: 'gate', stage: 1, pass: true }).refused ?? '', /not being asked/);
    driven.do({ type: 'gate', stage: 0, pass: true });
    assert.equal(startedStage(driven.rollout), 0);
    driven.end(0, 'COMPLETED', 8);
    assert.deepEqual([driven.gates, startedStage(driven.rollout)], [[0, 0, 1], 0]);
  });

  it('needs no gate any more where its wire was removed', () => {
    const driven = started([plan()], true);
    driven.gated = false;
    driven.do({ type: 'tick' });
    assert.equal(startedStage(driven.rollout), 0);
  });

  it('counts a stuck deployment as one that nothing is to be awaited of', () => {
    const driven = started([plan({ targets: 1, successThreshold: 1 })]);
    driven.do({ type: 'counted', change: { stage: 0, from: 'SCHEDULED', to: 'CANCELLING', stuck: 1 } });
    assert.equal(driven.rollout.state, 'PAUSED');
  });

  it('runs again where a person retries what failed', () => {
    const driven = started([plan({ errorThreshold: 0.1 })]);
    driven.end(0, 'FAILED');
    assert.equal(driven.rollout.state, 'ABORTED');
    driven.do({ type: 'retried', changes: [{ stage: 0, from: 'FAILED', to: 'SCHEDULED', stuck: 0 }] });
    assert.deepEqual([driven.rollout.state, driven.rollout.endedAt], ['RUNNING', null]);
    driven.end(0, 'COMPLETED', 10);
    assert.equal(driven.rollout.state, 'COMPLETED');
  });

  it('refuses what is not for its state, and says so', () => {
    const types = ['start', 'pause', 'resume', 'approve', 'cancel'] as const;
    const accepted = (make: () => Driven) =>
      types.filter((type) => make().do({ type }).refused === undefined);
    assert.deepEqual(
      accepted(() => new Driven([plan()])),
      ['start', 'cancel'],
    );
    assert.deepEqual(
      accepted(() => started()),
      ['pause', 'cancel'],
    );
    const made = (event: RolloutEvent) => () => {
      const driven = started();
      driven.do(event);
      return driven;
    };
    assert.deepEqual(accepted(made({ type: 'pause' })), ['resume', 'cancel']);
    assert.deepEqual(accepted(made({ type: 'cancel' })), []);
  });

  it('costs the same with ten thousand targets: a step touches numbers alone', () => {
    const driven = started([plan({ targets: 10_000 })]);
    driven.end(0, 'COMPLETED', 8_000);
    assert.equal(driven.rollout.phase, 'settling');
    assert.equal(JSON.stringify(driven.rollout).length < 1_000, true);
  });
});

const STORE = '6ba7b811-9dad-11d1-80b4-00c04fd430c8';
const target = (index: number) => ({
  store_id: STORE,
  controller_id: `6ba7b810-9dad-11d1-80b4-${String(index).padStart(12, '0')}`,
});
const targets = (count: number) => Array.from({ length: count }, (_, index) => target(index));
const stage = (given: object) => ({ success_threshold: 1, error_threshold: 0.5, ...given });
const body = (given: object = {}) => ({
  image_id: 'i',
  targets: targets(10),
  stages: [stage({ percent: 100 })],
  ...given,
});

describe('a request for a rollout', () => {
  const read = (given: object) => parseRolloutRequest(body(given), ROLLOUT_DEFAULTS);

  it('puts targets into stages by cumulative percents, rounded up', () => {
    const percents = (...list: number[]) => ({ stages: list.map((percent) => stage({ percent })) });
    const sizes = (given: object) => read(given).plan.stages.map((each) => each.targets);
    assert.deepEqual(sizes(percents(1, 50, 100)), [1, 4, 5]);
    assert.deepEqual(sizes(percents(100)), [10]);
    assert.deepEqual(sizes({ targets: targets(3), ...percents(34, 100) }), [2, 1]);
    assert.deepEqual(sizes({ targets: targets(1), ...percents(10, 100) }), [1, 0]);
  });

  it('puts targets into stages by lists', () => {
    const stages = [stage({ targets: [target(1)] }), stage({ targets: [target(0), target(2)] })];
    const made = read({ targets: targets(3), stages });
    assert.deepEqual(
      made.targets.map((each) => each.stage),
      [1, 0, 1],
    );
  });

  it('takes 30 s, 1 h and no verification where it leaves them open', () => {
    const { terms } = read({}).plan;
    assert.deepEqual(
      [terms.ackTimeoutMs, terms.deadlineMs, terms.verifyMs, terms.force],
      [30_000, 3_600_000, null, false],
    );
    assert.equal(read({ force: { reason: 'known bad' } }).plan.terms.force, true);
  });

  for (const [given, pointer] of [
    [{ image_id: 7 }, '/image_id'],
    [{ image_id: undefined }, '/image_id'],
    [{ targets: [] }, '/targets'],
    [{ targets: [{ store_id: STORE }] }, '/targets/0/controller_id'],
    [{ targets: [{ store_id: 'shop', controller_id: STORE }] }, '/targets/0/store_id'],
    [{ targets: [target(1), target(2), target(1)] }, '/targets/2'],
    [{ stages: [] }, '/stages'],
    [{ stages: [stage({})] }, '/stages/0/percent'],
    [{ stages: [stage({ percent: 50 })] }, '/stages/0/percent'],
    [{ stages: [stage({ percent: 50 }), stage({ percent: 40 })] }, '/stages/1/percent'],
    [{ stages: [stage({ percent: 101 })] }, '/stages/0/percent'],
    [{ stages: [{ percent: 100, error_threshold: 0 }] }, '/stages/0/success_threshold'],
    [{ stages: [stage({ percent: 100, success_threshold: 1.1 })] }, '/stages/0/success_threshold'],
    [{ stages: [stage({ percent: 100, error_threshold: -1 })] }, '/stages/0/error_threshold'],
    [{ stages: [stage({ percent: 100, soak_s: -1 })] }, '/stages/0/soak_s'],
    [{ stages: [stage({ percent: 100, approval: 'yes' })] }, '/stages/0/approval'],
    [{ stages: [stage({ percent: 100, on_error: 'shrug' })] }, '/stages/0/on_error'],
    [{ stages: [stage({ targets: [target(1)] })] }, '/targets/0'],
    [{ stages: [stage({ targets: [target(99)] })] }, '/stages/0/targets/0'],
    [{ ack_timeout_s: 0 }, '/ack_timeout_s'],
    [{ deadline_s: 'long' }, '/deadline_s'],
    [{ supersede: 1 }, '/supersede'],
    [{ force: true }, '/force'],
    [{ force: { reason: ' ' } }, '/force/reason'],
    [{ start: 'now' }, '/start'],
    [{ sucess: 1 }, '/sucess'],
  ] as const) {
    it(`is refused at ${pointer} for ${JSON.stringify(given).slice(0, 80)}`, () => {
      assert.throws(
        () => read(given),
        (error) => {
          assert.ok(error instanceof FieldloomError);
          assert.deepEqual([error.code, error.pointer], ['invalid_input', pointer]);
          assert.ok(error.message.includes(pointer), error.message);
          return true;
        },
      );
    });
  }
});
