import assert from 'node:assert/strict';
import fc from 'fast-check';
import { detect, newDetection } from '../../lib/roast/detection.js';
import type { StoredEvent } from '../../lib/roast/ports.js';
import { rebuiltState } from '../../lib/roast/recording.js';
import {
  IDLE,
  type Point,
  SESSION_DEFAULTS,
  type SessionAction,
  type SessionEffect,
  type SessionInput,
  type SessionPhase,
  type SessionState,
  sessionTime,
  stepSession,
} from '../../lib/roast/session.js';
import { randomFrom } from '../support/random.js';
import { randomPlan, synthesize } from '../support/synthetic-roast.js';

const ACTIONS: SessionAction[] = ['start_monitoring', 'start_recording', 'stop_recording', 'reset'];
const act = (action: SessionAction, newId: string = action): SessionInput => ({
  type: 'action',
  action,
  newId,
});
const reading = (bt: number | null, et: number | null = 200): SessionInput => ({
  ...{ type: 'reading', bt, et, btRor: null, etRor: null, extra: {} },
});
const mark = (event: 'FCs' | 'CHARGE' | 'DROP', timeMs?: number): SessionInput => ({
  type: 'mark',
  event,
  ...(timeMs !== undefined && { timeMs }),
});

function run(state: SessionState, ...steps: [SessionInput, number][]) {
  let now = state;
  const effects: SessionEffect[] = [];
  for (const [input, at] of steps) {
    const step = stepSession(now, input, at);
    now = step.state;
    effects.push(...step.effects);
  }
  return { state: now, effects };
}

const AT: Record<SessionPhase, SessionState> = {
  idle: IDLE,
  monitoring: run(IDLE, [act('start_monitoring'), 0]).state,
  recording: run(IDLE, [act('start_monitoring'), 0], [act('start_recording'), 1_000]).state,
  finished: run(
    IDLE,
    [act('start_monitoring'), 0],
    [act('start_recording'), 1_000],
    [act('stop_recording'), 9_000],
  ).state,
};
const ALLOWED: Record<SessionPhase, Partial<Record<SessionAction, SessionPhase>>> = {
  idle: { start_monitoring: 'monitoring' },
  monitoring: { start_recording: 'recording', reset: 'idle' },
  recording: { stop_recording: 'finished', reset: 'idle' },
  finished: { reset: 'idle' },
};

describe('a roast session', () => {
  for (const phase of Object.keys(AT) as SessionPhase[]) {
    for (const action of ACTIONS) {
      const next = ALLOWED[phase][action];
      it(`${phase}: ${action} ${next === undefined ? 'is refused and changes nothing' : `leads to ${next}`}`, () => {
        const step = stepSession(AT[phase], act(action), 10_000);
        if (next === undefined) {
          assert.equal(step.state, AT[phase]);
          assert.deepEqual(step.effects, []);
          assert.match(step.refused?.message ?? '', new RegExp(`${action} while ${phase}: accepted is`));
        } else {
          assert.equal(step.refused, undefined);
          assert.equal(step.state.phase, next);
          const [effect] = step.effects;
          assert.ok(effect?.type === 'state' && effect.previous === phase && effect.phase === next);
        }
      });
    }
    it(`${phase}: mark_event ${phase === 'recording' ? 'is an event' : 'is refused and changes nothing'}`, () => {
      const step = stepSession(AT[phase], mark('FCs'), 10_000);
      if (phase === 'recording') assert.equal(step.effects[0]?.type, 'event');
      else assert.ok(step.state === AT[phase] && step.refused !== undefined && step.effects.length === 0);
    });
    it(`${phase}: a reading ${['monitoring', 'recording'].includes(phase) ? 'is told' : 'is nothing'}`, () => {
      const { effects } = stepSession(AT[phase], reading(150), 10_000);
      assert.equal(effects.length, ['monitoring', 'recording'].includes(phase) ? 1 : 0);
    });
  }

  it('has a clock for monitoring and another for the recording, each from 0', () => {
    const { state, effects } = run(
      IDLE,
      [act('start_monitoring', 'a'), 5_000],
      [reading(150), 7_500],
      [act('start_recording', 'b'), 8_000],
      [reading(151), 8_250],
      [act('stop_recording'), 9_000],
    );
    const times = effects.flatMap((effect) => (effect.type === 'point' ? [effect.point.timeMs] : []));
    assert.deepEqual(times, [2_500, 250]);
    const ids = effects.flatMap((effect) => (effect.type === 'state' ? [effect.sessionId] : []));
    assert.deepEqual(ids, ['a', 'b', 'b']);
    assert.equal(sessionTime(state, 99_000), 1_000, 'it stands once the recording has ended');
  });

  it('takes no reading from before its clock began, and none that is not later than the last', () => {
    const started = AT.recording;
    assert.equal(stepSession(started, reading(150), 900).effects.length, 0);
    const first = stepSession(started, reading(150), 2_000).state;
    assert.equal(stepSession(first, reading(151), 2_000).effects.length, 0);
    assert.equal(stepSession(first, reading(151), 1_500).effects.length, 0);
    assert.equal(stepSession(first, reading(151), 2_001).effects.length, 1);
  });

  it('takes a mark that comes late at its own time, and refuses one from the future', () => {
    const late = stepSession(AT.recording, mark('FCs', 2_000), 6_000);
    const [effect] = late.effects;
    assert.ok(effect?.type === 'event');
    assert.deepEqual(
      [effect.event.timeMs, effect.event.knownMs, effect.event.source],
      [2_000, 5_000, 'marked'],
    );
    assert.ok(stepSession(AT.recording, mark('FCs', 5_001), 6_000).refused);
  });

  it('starts with CHARGE where it is set so', () => {
    const { effects } = stepSession(AT.monitoring, act('start_recording'), 4_000, {
      ...SESSION_DEFAULTS,
      chargeAtStart: true,
    });
    assert.deepEqual(
      effects.map((effect) => effect.type),
      ['state', 'event'],
    );
    assert.ok(
      effects[1]?.type === 'event' && effects[1].event.type === 'CHARGE' && effects[1].event.timeMs === 0,
    );
  });

  it('knows from monitoring what a CHARGE right after the start falls from', () => {
    const roast = synthesize(
      { ...randomPlan(randomFrom(3)), sampleS: 1, irregular: false, noiseC: 0.1, wobbleC: 0, preheatS: 100 },
      randomFrom(3),
    );
    const start = roast.chargeMs - 1_500;
    let state = run(IDLE, [act('start_monitoring'), 0]).state;
    let started = false;
    const events: SessionEffect[] = [];
    for (const { timeMs, bt, et } of roast.samples) {
      if (!started && timeMs >= start) {
        state = stepSession(state, act('start_recording'), start).state;
        started = true;
      }
      const step = stepSession(state, reading(bt, et), timeMs);
      state = step.state;
      events.push(...step.effects.filter(({ type }) => type === 'event'));
    }
    const [charge] = events;
    assert.ok(charge?.type === 'event' && charge.event.type === 'CHARGE');
    assert.ok(Math.abs(charge.event.timeMs - 1_500) < 3_000, `CHARGE at ${charge.event.timeMs}`);
  });

  it('detects in a recording what the detection alone does', () => {
    const roast = synthesize({ ...randomPlan(randomFrom(5)), preheatS: 120 }, randomFrom(5));
    let alone = newDetection();
    let state = run(IDLE, [act('start_monitoring'), -1_000], [act('start_recording'), 0]).state;
    for (const sample of roast.samples) {
      alone = detect(alone, { type: 'sample', sample }).state;
      state = stepSession(state, reading(sample.bt, sample.et), sample.timeMs).state;
    }
    assert.ok(alone.events.length >= 2);
    assert.deepEqual(
      state.detection.events.map(({ type, timeMs }) => [type, timeMs]),
      alone.events.map(({ type, timeMs }) => [type, Math.round(timeMs)]),
    );
  });

  it('is after a restart at any moment what it was before', () => {
    const roast = synthesize({ ...randomPlan(randomFrom(11)), preheatS: 60, sampleS: 1 }, randomFrom(11));
    fc.assert(
      fc.property(fc.nat(roast.samples.length - 1), fc.nat(roast.samples.length - 1), (cut, marked) => {
        let state = run(
          IDLE,
          [act('start_monitoring'), -5_000],
          [reading(190), -2_000],
          [act('start_recording', 's'), 0],
        ).state;
        const { leadIn } = state;
        const points: Point[] = [];
        const events: StoredEvent[] = [];
        roast.samples.slice(0, cut).forEach((sample, index) => {
          const inputs: SessionInput[] = [reading(sample.bt, sample.et)];
          if (index === marked) inputs.push(mark('FCs'));
          for (const input of inputs) {
            const step = stepSession(state, input, sample.timeMs);
            state = step.state;
            for (const effect of step.effects) {
              if (effect.type === 'point') points.push(effect.point);
              if (effect.type === 'event') events.push({ event: effect.event, given: effect.given });
            }
          }
        });
        const stored = {
          sessionId: 's',
          phase: 'recording' as const,
          startedAt: 0,
          endedMs: null,
          leadIn,
          points,
          events,
          controls: [],
        };
        assert.deepEqual(rebuiltState(stored, 0, SESSION_DEFAULTS).state, state);
      }),
      { numRuns: 20 },
    );
  });
});
