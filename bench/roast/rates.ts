import { withoutSpikes } from '../../lib/roast/break.js';
import { movingFit } from '../../lib/roast/moving-fit.js';
import { type RateSettings, rateOfRise } from '../../lib/roast/rate-of-rise.js';
import type { Reading } from '../../lib/roast/reading.js';
import { percentile } from '../harness/percentile.js';
import type { Recording } from './recordings.js';
import { spikes, stressed } from './stress.js';

/** A rate at a time, °C/min. */
interface Point {
  readonly timeMs: number;
  readonly rate: number;
}

/** A way to take the rate of rise, reading by reading: what it says when each has come. */
export type RateMethod = (readings: readonly Reading[]) => Point[];

/** Half of the window of the offline reference. */
const REFERENCE_MS = 15_000;
const LONGEST_LAG_MS = 30_000;
const LAG_STEP_MS = 250;
/** The roast proper: from here after CHARGE, past the turning point, to just before DROP. */
const AFTER_CHARGE_MS = 120_000;
const BEFORE_DROP_MS = 5_000;

export const twoPoint: RateMethod = (readings) =>
  readings.slice(1).map(({ timeMs, celsius }, index) => {
    const before = readings[index] as Reading;
    return { timeMs, rate: ((celsius - before.celsius) / (timeMs - before.timeMs)) * 60_000 };
  });

export const plainRegression: RateMethod = (readings) => {
  const fit = movingFit(30_000);
  return readings.flatMap((reading) => {
    fit.add(reading);
    const rate = fit.slope();
    return rate === null ? [] : [{ timeMs: reading.timeMs, rate }];
  });
};

export const streamed =
  (settings: RateSettings): RateMethod =>
  (readings) => {
    const rates = rateOfRise(settings);
    return readings.flatMap(({ timeMs, celsius }) => {
      const rate = rates.add(timeMs, celsius)?.ror ?? null;
      return rate === null ? [] : [{ timeMs, rate }];
    });
  };

/** Slope of the parabola through the readings around each, half of them still to come: what nobody has in time. */
function reference(readings: readonly Reading[]): Point[] {
  return readings.flatMap(({ timeMs }) => {
    const around = readings.filter((reading) => Math.abs(reading.timeMs - timeMs) <= REFERENCE_MS);
    if (around.length < 5) return [];
    // In the middle of an even spread the slope of a parabola is that of the line.
    const fit = movingFit(2 * REFERENCE_MS);
    for (const reading of around) fit.add(reading);
    const rate = fit.slope();
    return rate === null ? [] : [{ timeMs, rate }];
  });
}

function at(points: readonly Point[], timeMs: number): number | null {
  let [low, high] = [0, points.length - 1];
  const first = points[low];
  const last = points[high];
  if (first === undefined || last === undefined || timeMs < first.timeMs || timeMs > last.timeMs) return null;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if ((points[middle] as Point).timeMs <= timeMs) low = middle;
    else high = middle;
  }
  const from = points[low] as Point;
  const to = points[high] as Point;
  if (to.timeMs - from.timeMs > REFERENCE_MS) return null;
  return from.rate + ((timeMs - from.timeMs) / (to.timeMs - from.timeMs)) * (to.rate - from.rate);
}

const readingsOf = ({ samples }: Pick<Recording, 'samples'>): Reading[] =>
  samples.flatMap(({ timeMs, bt }) => (bt === null ? [] : [{ timeMs, celsius: bt }]));

export interface RateFigures {
  /** How far behind the reference it follows best, s. */
  readonly lagS: number;
  /** What is left then over all recordings, rms, °C/min. */
  readonly noise: number;
  /** The same of the recording in the middle: most have no two spikes close to each other. */
  readonly middle: number;
}

/** The recordings' rates with spikes, against the reference without. */
export function rateFigures(recordings: readonly Recording[], method: RateMethod): RateFigures {
  const curves = recordings.flatMap((recording) => {
    const { charge, drop } = recording;
    if (charge === null || drop === null) return [];
    const told = method(readingsOf({ samples: stressed(spikes, recording.name, recording.samples) })).filter(
      ({ timeMs }) => timeMs > charge + AFTER_CHARGE_MS && timeMs < drop - BEFORE_DROP_MS,
    );
    return [{ told, truth: reference(withoutSpikes(readingsOf(recording))) }];
  });
  let best: RateFigures = { lagS: Number.NaN, noise: Infinity, middle: Infinity };
  for (let lag = 0; lag <= LONGEST_LAG_MS; lag += LAG_STEP_MS) {
    const squares = curves.map(({ told, truth }) =>
      told.flatMap(({ timeMs, rate }) => {
        const right = at(truth, timeMs - lag);
        return right === null ? [] : [(rate - right) ** 2];
      }),
    );
    const noise = rms(squares.flat());
    if (noise < best.noise) best = { lagS: lag / 1000, noise, middle: percentile(squares.map(rms), 0.5) };
  }
  return best;
}

const rms = (squares: readonly number[]) =>
  Math.sqrt(squares.reduce((sum, square) => sum + square, 0) / squares.length);
