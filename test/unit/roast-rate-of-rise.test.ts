import assert from 'node:assert/strict';
import fc from 'fast-check';
import { medianOfThree } from '../../lib/roast/median.js';
import { type Rate, type RateMode, rateOfRise } from '../../lib/roast/rate-of-rise.js';
import {
  fromCelsius,
  type Reading,
  rateFromCelsius,
  rateToCelsius,
  toCelsius,
} from '../../lib/roast/reading.js';

const WINDOW_MS = 30_000;
const MODES: RateMode[] = ['regression', 'low_lag'];

/** Least squares in one go, from the mean: what the running sums must equal. */
function exactSlope(readings: readonly Reading[]): number {
  const mean = (values: number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const begin = (readings[0] as Reading).timeMs;
  const x = readings.map(({ timeMs }) => (timeMs - begin) / 60_000);
  const y = readings.map(({ celsius }) => celsius);
  const [mx, my] = [mean(x), mean(y)];
  const top = x.reduce((sum, value, index) => sum + (value - mx) * ((y[index] as number) - my), 0);
  return top / x.reduce((sum, value) => sum + (value - mx) ** 2, 0);
}

function ratesOf(readings: readonly Reading[], mode: RateMode = 'regression', windowS = 30) {
  const rates = rateOfRise({ windowS, mode });
  return readings.map(({ timeMs, celsius }) => rates.add(timeMs, celsius));
}

/** A line with a reading a second. */
const ramp = (count: number, perMinute: number, from = 100): Reading[] =>
  Array.from({ length: count }, (_, index) => ({
    timeMs: index * 1000,
    celsius: from + (perMinute / 60) * index,
  }));

/** Irregular readings with gaps, of a curve and noise. */
const irregular = fc
  .array(
    fc.record({
      step: fc.oneof(
        { weight: 20, arbitrary: fc.integer({ min: 50, max: 5000 }) },
        { weight: 1, arbitrary: fc.integer({ min: 10_000, max: 120_000 }) },
      ),
      celsius: fc.double({ min: 20, max: 250, noNaN: true }),
    }),
    { minLength: 3, maxLength: 200 },
  )
  .chain((steps) =>
    fc.integer({ min: 0, max: 1_800_000_000_000 }).map((start) => {
      let timeMs = start;
      return steps.map(({ step, celsius }) => {
        timeMs += step;
        return { timeMs, celsius };
      });
    }),
  );

describe('the rate of rise', () => {
  it('equals an exact fit of the window within a millionth, on irregular readings with gaps', () => {
    fc.assert(
      fc.property(irregular, (readings) => {
        const median = medianOfThree(WINDOW_MS);
        const rates = rateOfRise();
        const filtered: Reading[] = [];
        for (const reading of readings) {
          const next = median.add(reading);
          const rate = rates.add(reading.timeMs, reading.celsius);
          if (next === null) {
            assert.equal(rate, null);
            continue;
          }
          filtered.push(next);
          const window = filtered.filter(({ timeMs }) => timeMs >= next.timeMs - WINDOW_MS);
          const full = next.timeMs - (window[0] as Reading).timeMs >= WINDOW_MS / 2 && window.length >= 3;
          assert.deepEqual([rate?.timeMs, rate?.celsius], [next.timeMs, next.celsius]);
          if (full) assert.ok(Math.abs((rate?.ror ?? Number.NaN) - exactSlope(window)) < 1e-6);
          else assert.equal(rate?.ror, null);
        }
      }),
      { numRuns: 300 },
    );
  });

  it('does not drift over a day of readings at today’s epoch times', () => {
    const start = Date.UTC(2026, 10, 21);
    const readings = Array.from({ length: 86_400 }, (_, index) => ({
      timeMs: start + index * 1000,
      celsius: 20 + index / 200 + 2 * Math.sin(index / 500),
    }));
    const last = ratesOf(readings).at(-1) as Rate;
    assert.ok(Math.abs((last.ror as number) - exactSlope(readings.slice(-32, -1))) < 1e-6);
  });

  for (const mode of MODES) {
    it(`${mode}: is that of a straight line, and null until the window is half full`, () => {
      const rates = ratesOf(ramp(60, 12), mode);
      const known = rates.findIndex((rate) => rate !== null && rate.ror !== null);
      assert.equal(known, mode === 'regression' ? 17 : 10);
      for (const rate of rates.slice(known)) assert.ok(Math.abs((rate?.ror as number) - 12) < 1e-6);
    });

    it(`${mode}: shows no single spike`, () => {
      const clean = ramp(90, 9);
      const expected = ratesOf(clean, mode);
      fc.assert(
        fc.property(
          fc.integer({ min: 0, max: 89 }),
          fc.double({ min: -300, max: 300, noNaN: true }),
          (at, by) => {
            const spiked = clean.map((reading, index) =>
              index === at ? { ...reading, celsius: reading.celsius + by } : reading,
            );
            ratesOf(spiked, mode).forEach((rate, index) => {
              if (rate === null) return;
              assert.ok(Math.abs(rate.celsius - (expected[index] as Rate).celsius) <= 0.3);
              if (rate.ror !== null) assert.ok(Math.abs(rate.ror - 9) < 1, `${rate.ror} at ${index}`);
            });
          },
        ),
      );
    });

    it(`${mode}: begins anew after a gap longer than the window`, () => {
      const readings = [
        ...ramp(60, 12),
        ...ramp(60, 6, 180).map((r) => ({ ...r, timeMs: r.timeMs + 200_000 })),
      ];
      const after = ratesOf(readings, mode).slice(60);
      assert.deepEqual(after.slice(0, 2), [null, null]);
      const known = after.findIndex((rate) => rate !== null && rate.ror !== null);
      assert.ok(known >= 9, String(known));
      for (const rate of after.slice(known)) assert.ok(Math.abs((rate?.ror as number) - 6) < 1e-6);
    });

    it(`${mode}: is the same whatever the clock shows at the start`, () => {
      fc.assert(
        fc.property(irregular, fc.integer({ min: -1e9, max: 1e9 }), (readings, shift) => {
          const shifted = readings.map((r) => ({ ...r, timeMs: r.timeMs + shift }));
          const rounded = (rates: (Rate | null)[], by: number) =>
            rates.map((rate) => rate && [rate.timeMs - by, rate.celsius, rate.ror?.toFixed(5)]);
          assert.deepEqual(rounded(ratesOf(shifted, mode), shift), rounded(ratesOf(readings, mode), 0));
        }),
        { numRuns: 50 },
      );
    });
  }

  it('takes its slope from the readings’ own times, not from a nominal interval', () => {
    const readings = Array.from({ length: 30 }, (_, index) => {
      const timeMs = index * 2000 + (index % 2) * 900;
      return { timeMs, celsius: 100 + timeMs / 6000 };
    });
    assert.ok(Math.abs(((ratesOf(readings).at(-1) as Rate).ror as number) - 10) < 1e-6);
  });

  it('lets no two spikes with one reading between them pass', () => {
    const readings = ramp(60, 9).map((r, index) =>
      index === 40 || index === 42 ? { ...r, celsius: r.celsius + 60 } : r,
    );
    for (const rate of ratesOf(readings)) {
      if (rate !== null && rate.ror !== null) assert.ok(Math.abs(rate.ror - 9) < 1);
    }
  });

  it('follows a bend sooner with low lag', () => {
    const bend = Array.from({ length: 120 }, (_, index) => ({
      timeMs: index * 1000,
      celsius: 150 + (index < 60 ? 0 : (index - 60) / 6),
    }));
    const half = (mode: RateMode) => ratesOf(bend, mode).findIndex((rate) => (rate?.ror ?? 0) >= 5);
    assert.ok(half('low_lag') <= half('regression') - 4, `${half('low_lag')} ${half('regression')}`);
  });

  it('passes over missing readings and times that do not go forward', () => {
    const rates = rateOfRise();
    for (const { timeMs, celsius } of ramp(40, 12)) {
      assert.equal(rates.add(timeMs + 500, null), null);
      rates.add(timeMs, celsius);
      assert.equal(rates.add(timeMs, 20), null);
    }
    assert.ok(Math.abs((rates.last?.ror as number) - 12) < 1e-6);
  });

  it('begins anew where the clock was set back by more than the window', () => {
    const rates = rateOfRise();
    for (const { timeMs, celsius } of ramp(60, 12)) rates.add(timeMs + 100_000, celsius);
    assert.equal(rates.add(10_000, 150), null);
    for (const { timeMs, celsius } of ramp(40, 6)) rates.add(timeMs + 11_000, celsius);
    assert.ok(Math.abs((rates.last?.ror as number) - 6) < 1e-6);
  });

  it('refuses windows and modes that it does not have', () => {
    for (const windowS of [9, 61, Number.NaN]) {
      assert.throws(() => rateOfRise({ windowS, mode: 'regression' }), {
        code: 'invalid_setting',
        message: `window is ${windowS} s: accepted is 10 to 60`,
      });
    }
    assert.throws(() => rateOfRise({ windowS: 30, mode: 'fast' as RateMode }), { code: 'invalid_setting' });
  });
});

describe('a temperature of a source', () => {
  it('is missing where it is null, no number, -1 in any unit, or out of range', () => {
    for (const value of [null, undefined, Number.NaN, Infinity, -1, -40.1, 600.1, '20', {}]) {
      assert.equal(toCelsius(value), null, String(value));
    }
    assert.deepEqual([toCelsius(-1, 'F'), toCelsius(1112.5, 'F'), toCelsius(-40.5, 'F')], [null, null, null]);
    assert.deepEqual([toCelsius(-40), toCelsius(600), toCelsius(-40, 'F')], [-40, 600, -40]);
  });

  it('is converted with its offset, a rate without', () => {
    assert.deepEqual([toCelsius(392, 'F'), rateToCelsius(18, 'F'), rateToCelsius(18, 'C')], [200, 10, 18]);
    assert.deepEqual(
      [fromCelsius(200, 'F'), rateFromCelsius(10, 'F'), fromCelsius(200, 'C')],
      [392, 18, 200],
    );
  });
});
