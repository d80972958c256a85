import assert from 'node:assert/strict';
import { detect, newDetection } from '../../lib/roast/detection.js';
import { createSimulatorDriver } from '../../lib/roast/simulator-driver.js';
import { advanceRoaster, warmRoaster } from '../../lib/roast/thermal-model.js';
import { randomFrom } from '../support/random.js';

/** A roast of the simulator, reading by reading, its hopper opened at 60 s and its door at 14 °C past the crack. */
async function roast(settings: { noiseC: number; dropoutShare: number; greenG: number }, seed = 1) {
  let now = 0;
  const driver = createSimulatorDriver(() => now, settings, randomFrom(seed).uniform);
  const samples: { timeMs: number; bt: number | null; et: number | null }[] = [];
  let crackMs: number | undefined;
  let dropMs: number | undefined;
  for (; now <= 25 * 60_000 && (dropMs === undefined || now < dropMs + 60_000); now += 1_000) {
    if (now === 60_000) {
      await driver.write('charge', 1);
      await driver.write('burner', 0.75);
    }
    const { bt, et, events = [] } = await driver.read();
    if (now === 61_000) await driver.write('charge', 0);
    if (events.includes('FCs')) crackMs = now;
    if (crackMs !== undefined && dropMs === undefined && now - crackMs > 90_000) {
      await driver.write('drop', 1);
      dropMs = now;
    }
    samples.push({ timeMs: now, bt, et });
  }
  return { samples, crackMs, dropMs };
}

describe('the simulated roaster', () => {
  for (const [name, settings] of Object.entries({
    'as it is': { noiseC: 0, dropoutShare: 0, greenG: 1000 },
    'with noise and dropouts': { noiseC: 0.3, dropoutShare: 0.02, greenG: 1000 },
    'with half a batch': { noiseC: 0.1, dropoutShare: 0, greenG: 500 },
  })) {
    it(`roasts like a roaster, ${name}: charge, turning point, crack, drop`, async () => {
      const { samples, crackMs, dropMs } = await roast(settings);
      assert.ok(crackMs !== undefined && dropMs !== undefined, 'it cracks');
      const minutes = (crackMs - 60_000) / 60_000;
      assert.ok(minutes > 5 && minutes < 14, `first crack after ${minutes} min`);
      const lowest = samples
        .filter(({ timeMs, bt }) => timeMs > 60_000 && timeMs < crackMs && bt !== null)
        .reduce((least, sample) => ((sample.bt as number) < (least.bt as number) ? sample : least));
      const turning = (lowest.timeMs - 60_000) / 1_000;
      assert.ok(turning > 20 && turning < 150, `turning point after ${turning} s`);
      let detection = newDetection();
      for (const sample of samples) detection = detect(detection, { type: 'sample', sample }).state;
      const found = new Map(detection.events.map(({ type, timeMs }) => [type, timeMs]));
      assert.ok(Math.abs((found.get('CHARGE') ?? 0) - 60_000) < 5_000, `CHARGE at ${found.get('CHARGE')}`);
      assert.ok(Math.abs((found.get('TP') ?? 0) - lowest.timeMs) < 15_000, `TP at ${found.get('TP')}`);
      assert.ok(found.has('DRY_END'));
      assert.ok(Math.abs((found.get('DROP') ?? 0) - dropMs) < 10_000, `DROP at ${found.get('DROP')}`);
    });
  }

  it('is hotter with more burner and cooler with more air', () => {
    const after = (burner: number, airflow: number) =>
      advanceRoaster(warmRoaster(), { burner, airflow, charge: 0, drop: 0 }, 300).air;
    assert.ok(after(0.9, 0.3) > after(0.5, 0.3));
    assert.ok(after(0.9, 0.9) < after(0.9, 0.1));
  });

  it('stands where it was after steps of any length', () => {
    const controls = { burner: 0.7, airflow: 0.4, charge: 1, drop: 0 };
    const once = advanceRoaster(warmRoaster(), controls, 120);
    let many = warmRoaster();
    for (let step = 0; step < 240; step += 1) many = advanceRoaster(many, controls, 0.5);
    assert.ok(Math.abs(once.btProbe - many.btProbe) < 0.01);
  });

  it('loses the readings it is told to lose', async () => {
    const { samples } = await roast({ noiseC: 0, dropoutShare: 0.2, greenG: 1000 });
    const share = samples.filter(({ bt }) => bt === null).length / samples.length;
    assert.ok(share > 0.12 && share < 0.28, `${share}`);
  });
});
