import assert from 'node:assert/strict';
import fc from 'fast-check';
import {
  checkDetectionSettings,
  DETECTION_DEFAULTS,
  type DetectionInput,
  type DetectionState,
  detect,
  newDetection,
} from '../../lib/roast/detection.js';
import { type EventType, effectiveEvents, type RoastEvent } from '../../lib/roast/event.js';
import type { Sample } from '../../lib/roast/reading.js';
import { type Random, randomFrom } from '../support/random.js';
import { type RoastPlan, randomPlan, synthesize } from '../support/synthetic-roast.js';

const QUIET: RoastPlan = {
  chargeC: 190,
  preheatRate: 3,
  wobbleC: 0,
  wobbleS: 120,
  probeS: 10,
  amongBeans: 0.8,
  beansS: 200,
  preheatS: 120,
  roastS: 600,
  cutS: 0,
  cutC: 0,
  sampleS: 1,
  irregular: false,
  noiseC: 0,
  stepC: 0.01,
};
const roastOf = (plan: Partial<RoastPlan> = {}, seed = 1) =>
  synthesize({ ...QUIET, ...plan }, randomFrom(seed));

const taken = (sample: Sample): DetectionInput => ({ type: 'sample', sample });
const marked = (event: EventType, timeMs: number, nowMs = timeMs): DetectionInput => ({
  type: 'mark',
  event,
  timeMs,
  nowMs,
});

function run(inputs: readonly DetectionInput[], settings = DETECTION_DEFAULTS) {
  let state: DetectionState = newDetection();
  const events: RoastEvent[] = [];
  for (const input of inputs) {
    const step = detect(state, input, settings);
    state = step.state;
    events.push(...step.effects.map(({ event }) => event));
  }
  assert.deepEqual(events, state.events);
  return { state, events, effective: effectiveEvents(events) };
}
const replay = (samples: readonly Sample[]) => run(samples.map(taken));
const line = (samples: [number, number][]): Sample[] =>
  samples.map(([seconds, bt]) => ({ timeMs: seconds * 1000, bt, et: null }));
const near = (event: RoastEvent | undefined, timeMs: number, withinMs: number) =>
  assert.ok(event && Math.abs(event.timeMs - timeMs) <= withinMs, `${event?.timeMs} is not ${timeMs}`);

describe('event detection', () => {
  it('finds CHARGE, TP, DRY_END and DROP, in this order, each with the time it happened and was known', () => {
    const { samples, chargeMs, dropMs } = roastOf();
    const { events, effective, state } = replay(samples);
    assert.deepEqual(
      events.map(({ type, source }) => [type, source]),
      [
        ['CHARGE', 'detected'],
        ['TP', 'detected'],
        ['DRY_END', 'detected'],
        ['DROP', 'detected'],
      ],
    );
    assert.equal(state.phase, 'dropped');
    near(effective.get('CHARGE'), chargeMs, 2000);
    near(effective.get('DROP'), dropMs, 2000);
    const lowest = samples
      .filter(({ timeMs }) => timeMs > chargeMs && timeMs < dropMs)
      .reduce((low, sample) => ((sample.bt as number) <= (low.bt as number) ? sample : low));
    near(effective.get('TP'), lowest.timeMs, 1000);
    assert.equal(effective.get('TP')?.bt, lowest.bt);
    assert.ok(Math.abs((effective.get('DRY_END')?.bt as number) - 150) < 1);
    for (const { timeMs, knownMs } of events) assert.ok(knownMs >= timeMs && knownMs - timeMs < 15_000);
  });

  it('is right on roasts of many roasters and probes, in noise and steps, and never early', () => {
    for (let seed = 1; seed <= 150; seed += 1) {
      const random = randomFrom(seed);
      const { samples, chargeMs, dropMs, description } = synthesize(randomPlan(random), random);
      const { effective } = replay(samples);
      for (const [type, timeMs, withinMs] of [
        ['CHARGE', chargeMs, 5000],
        ['DROP', dropMs, 10_000],
      ] as const) {
        const event = effective.get(type);
        assert.ok(event, `no ${type}: ${description}`);
        assert.ok(Math.abs(event.timeMs - timeMs) <= withinMs, `${event.timeMs - timeMs} ms: ${description}`);
      }
    }
  });

  for (const sampleS of [0.5, 1, 2, 3, 5]) {
    it(`works every ${sampleS} s, with dropouts, spikes, noise of 0.3 °C and steps of 1 °C`, () => {
      for (let seed = 1; seed <= 20; seed += 1) {
        const { samples, chargeMs, dropMs } = roastOf(
          { sampleS, noiseC: 0.3, stepC: 1, irregular: sampleS === 5 },
          seed,
        );
        const { effective } = replay(worse(samples, randomFrom(seed)));
        near(effective.get('CHARGE'), chargeMs, Math.max(5000, 1500 * sampleS));
        near(effective.get('DROP'), dropMs, 10_000);
      }
    });
  }

  it('finds TP where the probe itself is at its lowest, in noise, of turns that are sharp and flat', () => {
    let count = 0;
    let near = 0;
    for (let seed = 1; seed <= 60; seed += 1) {
      const random = randomFrom(seed);
      const plan = {
        ...randomPlan(random),
        sampleS: 1.5,
        irregular: false,
        noiseC: 0.3,
        stepC: 0.1,
        wobbleC: 0,
      };
      const { samples, chargeMs, turningMs } = synthesize(plan, random);
      if (turningMs === null) continue;
      const { effective } = replay(samples.filter(({ timeMs }) => timeMs < chargeMs + 180_000));
      const turned = effective.get('TP');
      count += 1;
      if (turned !== undefined && Math.abs(turned.timeMs - turningMs) <= 2_000) near += 1;
    }
    assert.ok(count >= 30 && near >= 0.9 * count, `${near} of ${count}`);
  });

  it('takes no wobble of a preheat for CHARGE', () => {
    for (let seed = 1; seed <= 30; seed += 1) {
      const { samples, chargeMs } = roastOf({ preheatS: 600, wobbleC: 3, wobbleS: 90, noiseC: 0.2 }, seed);
      near(replay(samples).effective.get('CHARGE'), chargeMs, 5000);
    }
  });

  it('takes no dip of two seconds in the preheat for CHARGE', () => {
    const { samples, chargeMs } = roastOf();
    for (const depth of [3, 10, 50]) {
      const from = chargeMs - 40_000;
      const dipped = samples.map((sample) =>
        sample.timeMs >= from && sample.timeMs < from + 2000
          ? { ...sample, bt: (sample.bt as number) - depth }
          : sample,
      );
      near(replay(dipped).effective.get('CHARGE'), chargeMs, 2000);
    }
  });

  it('takes no dip of some seconds in the roast for DROP', () => {
    for (const seconds of [1, 2, 3, 4]) {
      const { samples, dropMs } = roastOf();
      const from = dropMs - 60_000;
      const dipped = samples.map((sample) =>
        sample.timeMs >= from && sample.timeMs < from + seconds * 1000
          ? { ...sample, bt: (sample.bt as number) - 30 }
          : sample,
      );
      near(replay(dipped).effective.get('DROP'), dropMs, 2000);
    }
  });

  it('takes no lull of half a minute without heat for DROP', () => {
    for (let seed = 1; seed <= 20; seed += 1) {
      const { samples, dropMs } = roastOf({ cutS: 30, cutC: 40, noiseC: 0.3 }, seed);
      near(replay(samples).effective.get('DROP'), dropMs, 5000);
    }
  });

  it('sees no CHARGE below 77 °C, but takes one from a person, and goes on from it', () => {
    const { samples, chargeMs, dropMs } = roastOf({ chargeC: 70, preheatRate: 0 });
    assert.deepEqual(replay(samples.filter(({ timeMs }) => timeMs < dropMs)).events, []);
    const at = samples.findIndex(({ timeMs }) => timeMs >= chargeMs);
    const inputs = samples.map(taken);
    inputs.splice(at, 0, marked('CHARGE', chargeMs));
    const { effective } = run(inputs);
    assert.deepEqual(
      [effective.get('CHARGE')?.source, effective.get('CHARGE')?.timeMs],
      ['marked', chargeMs],
    );
    near(effective.get('DROP'), dropMs, 5000);
  });

  it('goes on from a recording that starts at charge', () => {
    const { samples, chargeMs, dropMs } = roastOf();
    const recorded = samples.filter(({ timeMs }) => timeMs >= chargeMs);
    const begin = (recorded[0] as Sample).timeMs;
    const { events, effective } = run([marked('CHARGE', begin), ...recorded.map(taken)]);
    assert.deepEqual(
      events.map(({ type }) => type),
      ['CHARGE', 'TP', 'DRY_END', 'DROP'],
    );
    near(effective.get('DROP'), dropMs, 2000);
  });

  it('invents no turning point where the temperature rises from the start', () => {
    const rising = Array.from({ length: 300 }, (_, second): [number, number] => [second, 90 + second * 0.4]);
    // Late in the roast the heat fails, and it falls below nothing that was there before.
    const failing = Array.from({ length: 60 }, (_, second): [number, number] => [
      300 + second,
      210 - second * 0.05,
    ]);
    const { events } = run([marked('CHARGE', 0), ...line([...rising, ...failing]).map(taken)]);
    assert.deepEqual(
      events.map(({ type }) => type),
      ['CHARGE', 'DRY_END'],
    );
    assert.ok(Math.abs((events[1] as RoastEvent).timeMs - 150_000) < 10);
  });

  it('corrects a turning point by a later and lower one, which says what it supersedes', () => {
    const w: [number, number][] = [];
    for (let second = 0; second < 300; second += 1) {
      const first = 100 + Math.abs(second - 40) * 0.5;
      const second2 = 95 + Math.abs(second - 80) * 0.3;
      w.push([second, Math.min(first, second2)]);
    }
    const { events, effective } = run([marked('CHARGE', 0), ...line(w).map(taken)]);
    const turns = events.filter(({ type }) => type === 'TP');
    assert.deepEqual(
      turns.map(({ timeMs, supersedes }) => [timeMs, supersedes]),
      [
        [40_000, null],
        [80_000, turns[0]?.number],
      ],
    );
    assert.equal(effective.get('TP')?.timeMs, 80_000);
  });

  it('lets a mark stand in for what was detected, and keeps both', () => {
    const { samples, chargeMs, dropMs } = roastOf();
    const late = dropMs - 100_000;
    const inputs = samples.map(taken);
    inputs.splice(
      samples.findIndex(({ timeMs }) => timeMs >= late),
      0,
      marked('CHARGE', chargeMs + 1000, late),
      marked('FCs', late - 5000, late),
    );
    const { events, effective } = run(inputs);
    const charges = events.filter(({ type }) => type === 'CHARGE');
    assert.deepEqual(
      charges.map(({ source, supersedes }) => [source, supersedes]),
      [
        ['detected', null],
        ['marked', charges[0]?.number],
      ],
    );
    assert.equal(effective.get('CHARGE')?.timeMs, chargeMs + 1000);
    assert.equal(effective.get('FCs')?.knownMs, late);
    near(effective.get('DROP'), dropMs, 2000);
  });

  describe('DROP behind a bend that comes before it, as where the air is turned up', () => {
    const bend = 600;
    const out = 612;
    const bt = (seconds: number) => {
      if (seconds < 60) return 190;
      if (seconds < 90) return 190 - (seconds - 60) * 3;
      if (seconds < bend) return 100 + (seconds - 90) * 0.18;
      const highest = 100 + (bend - 90) * 0.18;
      return highest - Math.min(seconds - bend, out - bend) * 0.35 - Math.max(0, seconds - out) * 1.1;
    };
    const samples = line(Array.from({ length: 700 }, (_, seconds) => [seconds, bt(seconds)]));
    const drops = (events: readonly RoastEvent[]) => events.filter(({ type }) => type === 'DROP');

    it('is told at once, and corrected once, when more of the fall has been seen', () => {
      const { events, effective } = replay(samples);
      const [first, second, ...more] = drops(events) as [RoastEvent, RoastEvent];
      assert.deepEqual(more, []);
      assert.equal(second.supersedes, first.number);
      assert.equal(effective.get('DROP'), second);
      assert.equal(second.knownMs - first.knownMs, 8000);
      const away = ({ timeMs }: RoastEvent) => Math.abs(timeMs - out * 1000);
      assert.ok(away(second) < away(first) - 2000, `${first.timeMs}, then ${second.timeMs}`);
    });

    it('stays as a person marks it meanwhile', () => {
      const [{ knownMs }] = drops(replay(samples).events) as [RoastEvent];
      const until = samples.findIndex(({ timeMs }) => timeMs > knownMs + 2000);
      const { events, effective } = run([
        ...samples.slice(0, until).map(taken),
        marked('DROP', out * 1000, knownMs + 2000),
        ...samples.slice(until).map(taken),
      ]);
      assert.deepEqual(
        drops(events).map(({ source }) => source),
        ['detected', 'marked'],
      );
      assert.equal(effective.get('DROP')?.timeMs, out * 1000);
    });
  });

  it('sees nothing after DROP, whether it was detected or marked', () => {
    const { samples, dropMs } = roastOf();
    const again = samples.map((sample) => ({ ...sample, timeMs: sample.timeMs + 2_000_000 }));
    assert.deepEqual(replay([...samples, ...again]).events, replay(samples).events);

    const before = samples.filter(({ timeMs }) => timeMs < dropMs - 30_000);
    const { events, state } = run([
      ...before.map(taken),
      marked('DROP', dropMs - 30_000),
      ...samples.slice(before.length).map(taken),
      marked('COOL', dropMs + 60_000),
    ]);
    assert.equal(state.phase, 'dropped');
    assert.deepEqual(
      events.slice(-2).map(({ type, source }) => [type, source]),
      [
        ['DROP', 'marked'],
        ['COOL', 'marked'],
      ],
    );
  });

  it('passes DRY_END where it is set, and refuses to be set elsewhere', () => {
    const { samples } = roastOf();
    const { effective } = run(samples.map(taken), { dryEndC: 160 });
    assert.ok(Math.abs((effective.get('DRY_END')?.bt as number) - 160) < 1);
    assert.throws(() => checkDetectionSettings({ dryEndC: 99 }), { code: 'invalid_setting' });
  });

  it('keeps its order and says each thing once, whatever comes', () => {
    const input = fc.record({
      step: fc.integer({ min: -2000, max: 20_000 }),
      bt: fc.option(fc.double({ min: 20, max: 260, noNaN: true })),
    });
    const walk = fc.tuple(fc.integer({ min: 1, max: 10_000 }), fc.array(input, { maxLength: 30 }));
    fc.assert(
      fc.property(walk, ([seed, strange]) => {
        const random = randomFrom(seed);
        const samples = [...synthesize(randomPlan(random), random).samples];
        // Strange samples anywhere in a roast.
        for (const { step, bt } of strange) {
          const at = Math.floor(random.uniform() * samples.length);
          const { timeMs } = samples[at] as Sample;
          samples.splice(at, 0, { timeMs: timeMs + step, bt, et: null });
        }
        const { events, effective } = replay(samples);
        const count = (type: EventType) => events.filter((event) => event.type === type).length;
        assert.ok(count('CHARGE') <= 1 && count('DROP') <= 2 && count('DRY_END') <= 1);
        const order = (['CHARGE', 'TP', 'DROP'] as const).flatMap(
          (type) => effective.get(type)?.timeMs ?? [],
        );
        assert.deepEqual(
          order,
          order.toSorted((a, b) => a - b),
        );
        if (events.length > 0) assert.equal(events[0]?.type, 'CHARGE');
        const drop = events.findIndex(({ type }) => type === 'DROP');
        // After it nothing but its own correction.
        const after = drop < 0 ? [] : events.slice(drop + 1);
        for (const { type, supersedes } of after) {
          assert.deepEqual([type, supersedes], ['DROP', events[drop]?.number]);
        }
        for (const { timeMs, knownMs } of events) assert.ok(timeMs <= knownMs);
      }),
      // One that was found by chance, and 60 by chance.
      {
        numRuns: 60,
        examples: [
          [[7, [...new Array(4).fill({ step: 0, bt: null }), { step: 8101, bt: 224.3899800057886 }]]],
        ],
      },
    );
  });

  it('gives the same events again, and events shifted for times shifted', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 10_000 }),
        fc.integer({ min: -1e9, max: 1e12 }),
        (seed, shift) => {
          const random = randomFrom(seed);
          const { samples } = synthesize(randomPlan(random), random);
          const { events } = replay(samples);
          assert.deepEqual(replay(samples).events, events);
          const shifted = replay(
            samples.map((sample) => ({ ...sample, timeMs: sample.timeMs + shift })),
          ).events;
          assert.deepEqual(
            shifted.map(({ type, knownMs }) => [type, knownMs - shift]),
            events.map(({ type, knownMs }) => [type, knownMs]),
          );
          // Between readings, as exactly as numbers of this size can be.
          for (const [index, { type, timeMs }] of events.entries()) {
            const moved = (shifted[index]?.timeMs ?? Number.NaN) - shift;
            assert.ok(Math.abs(moved - timeMs) < 0.01, `${type} at ${moved} instead of ${timeMs}`);
          }
        },
      ),
      { numRuns: 30, examples: [[8966, 23732]] },
    );
  });

  it('goes on from its state as JSON, as after a restart', () => {
    const { samples } = roastOf();
    let state = newDetection();
    for (const sample of samples) {
      state = JSON.parse(JSON.stringify(detect(state, taken(sample)).state)) as DetectionState;
    }
    assert.deepEqual(state.events, replay(samples).events);
  });
});

/** Dropouts of 2 % and spikes of 0.5 %. */
function worse(samples: readonly Sample[], random: Random): Sample[] {
  return samples.map((sample) => {
    const luck = random.uniform();
    if (luck < 0.02) return { ...sample, bt: null };
    return luck < 0.025 ? { ...sample, bt: (sample.bt as number) + 200 * (random.uniform() - 0.5) } : sample;
  });
}
