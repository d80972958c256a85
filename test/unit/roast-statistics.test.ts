import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { eventAt } from '../../lib/roast/profile.js';
import { parseProfile } from '../../lib/roast/profile-codec.js';
import type { Sample } from '../../lib/roast/reading.js';
import { roastStatistics } from '../../lib/roast/statistics.js';

/** Ten minutes at 12 °C a minute. */
const samples: Sample[] = Array.from({ length: 601 }, (_, second) => ({
  timeMs: second * 1000,
  bt: 80 + second / 5,
  et: 200,
}));
const at = (type: Parameters<typeof eventAt>[1], second: number) => eventAt(samples, type, second * 1000);
const events = [at('CHARGE', 0), at('TP', 60), at('DRY_END', 240), at('FCs', 480), at('DROP', 600)];

describe('statistics of a roast', () => {
  it('have the phases with their times, shares and rates, and the development ratio', () => {
    const figures = roastStatistics({ samples, events, greenG: 200, roastedG: 170 });
    assert.equal(figures.totalMs, 600_000);
    const phase = (durationMs: number, share: number) => ({ durationMs, share, ror: 12 });
    assert.deepEqual(figures.drying, phase(240_000, 0.4));
    assert.deepEqual(figures.maillard, phase(240_000, 0.4));
    assert.deepEqual(figures.development, phase(120_000, 0.2));
    assert.equal(figures.developmentRatio, 0.2);
    assert.equal(figures.weightLoss, 0.15);
  });

  it('have time, temperatures and rate at each event', () => {
    const { events: told } = roastStatistics({ samples, events, greenG: null, roastedG: null });
    assert.deepEqual(
      told.map(({ type, sinceChargeMs, bt, et }) => [type, sinceChargeMs, bt, et]),
      [
        ['CHARGE', 0, 80, 200],
        ['TP', 60_000, 92, 200],
        ['DRY_END', 240_000, 128, 200],
        ['FCs', 480_000, 176, 200],
        ['DROP', 600_000, 200, 200],
      ],
    );
    assert.equal(told[0]?.btRor, null);
    assert.ok(Math.abs((told[2]?.btRor as number) - 12) < 1e-6);
    assert.ok(Math.abs(told[2]?.etRor as number) < 1e-6);
  });

  it('have the mean rate of drying from TP on, not over the plunge of the probe before it', () => {
    const plunging = samples.map((sample) =>
      sample.timeMs < 60_000 ? { ...sample, bt: 200 - sample.timeMs / 1000 } : sample,
    );
    const charged = [{ ...at('CHARGE', 0), bt: 200 }, ...events.slice(1)];
    const drying = (of: typeof events) =>
      roastStatistics({ samples: plunging, events: of, greenG: null, roastedG: null }).drying;
    assert.equal(drying(charged)?.ror, 12);
    assert.equal(drying(charged)?.durationMs, 240_000);
    assert.equal(drying(charged.filter(({ type }) => type !== 'TP'))?.ror, null);
  });

  it('say nothing of what is not known', () => {
    const figures = roastStatistics({ samples, events: events.slice(0, 3), greenG: 100, roastedG: null });
    assert.deepEqual(
      [figures.totalMs, figures.drying, figures.maillard, figures.development, figures.developmentRatio],
      [null, null, null, null, null],
    );
    assert.equal(figures.weightLoss, null);
    assert.equal(roastStatistics({ samples, events, greenG: 100, roastedG: 120 }).weightLoss, null);
    const backwards = [at('CHARGE', 500), at('DROP', 100)];
    assert.equal(roastStatistics({ samples, events: backwards, greenG: null, roastedG: null }).totalMs, null);
  });

  it('agree with what a recording program computed', () => {
    const file = join(__dirname, '../../../test/fixtures/roasts/alog/scottjames-roast_25-11-29_1440.alog');
    const profile = parseProfile(readFileSync(file));
    const computed = profile.artisan?.['computed'] as Record<string, number>;
    const figures = roastStatistics(profile);
    for (const [ms, key] of [
      [figures.totalMs, 'totaltime'],
      [figures.drying?.durationMs, 'dryphasetime'],
      [figures.maillard?.durationMs, 'midphasetime'],
      [figures.development?.durationMs, 'finishphasetime'],
    ] as const) {
      assert.ok(Math.abs((ms ?? 0) / 1000 - (computed[key] as number)) <= 1, key);
    }
    assert.ok(Math.abs((figures.weightLoss as number) * 100 - (computed['weight_loss'] as number)) < 0.5);
  });
});
