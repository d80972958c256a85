import { FieldloomError } from '../core/errors.js';
import { withoutSpikes } from './break.js';
import { medianOfThree } from './median.js';
import { movingFit } from './moving-fit.js';
import type { Reading } from './reading.js';
import { robustSlope } from './robust-slope.js';

/**
 * How the rate is taken (measured in docs/roast-detection.md). `regression`: least squares over the window, after a
 * median of three; it lags by half the window and one reading. `low_lag`: median of the slopes of all pairs over three
 * fifths of the window, up to the newest reading; it lags by less and is somewhat noisier.
 */
export type RateMode = 'regression' | 'low_lag';

export interface RateSettings {
  /** Length of the window, s; 10 to 60. */
  readonly windowS: number;
  readonly mode: RateMode;
}

export const RATE_DEFAULTS: RateSettings = { windowS: 30, mode: 'regression' };

const SHORTEST_S = 10;
const LONGEST_S = 60;
const LOW_LAG_SHARE = 0.6;

/** What is known once a reading has come. */
export interface Rate {
  /** Time of the filtered reading, which is the one before the newest. */
  readonly timeMs: number;
  /** Median of three, °C. */
  readonly celsius: number;
  /** °C/min; null until the window is half full. */
  readonly ror: number | null;
}

export interface RateOfRise {
  /**
   * Takes the next temperature. Null is a missing reading: nothing comes of it. A time that is not later than the last
   * one is passed over, for a slope needs two times; one that is more than the window earlier begins anew, for the
   * clock was set. Null too for the first two readings, and for the first two after a gap longer than the window.
   * @param celsius as `toCelsius` gives it
   */
  add(timeMs: number, celsius: number | null): Rate | null;
  /** The last rate that was given; null before the first. */
  readonly last: Rate | null;
  /** A new recording begins. */
  reset(): void;
}

/** @throws FieldloomError invalid_setting */
export function checkRateSettings({ windowS, mode }: RateSettings): void {
  if (!(windowS >= SHORTEST_S && windowS <= LONGEST_S)) {
    throw new FieldloomError(
      'invalid_setting',
      `window is ${windowS} s: accepted is ${SHORTEST_S} to ${LONGEST_S}`,
    );
  }
  if (mode !== 'regression' && mode !== 'low_lag') {
    throw new FieldloomError(
      'invalid_setting',
      `mode is ${JSON.stringify(mode)}: accepted is "regression" or "low_lag"`,
    );
  }
}

/** How a slope is taken of readings as they come: each mode is one of these. */
interface Slope {
  /** @param filtered the reading before `reading`, by the median of three */
  add(reading: Reading, filtered: Reading): number | null;
  reset(): void;
}

function regression(windowMs: number): Slope {
  const fit = movingFit(windowMs);
  return {
    add(_, filtered) {
      fit.add(filtered);
      return fit.spanMs >= windowMs / 2 ? fit.slope() : null;
    },
    reset: () => fit.reset(),
  };
}

function lowLag(windowMs: number): Slope {
  let readings: Reading[] = [];
  return {
    add(reading, filtered) {
      if (readings.length === 0) readings.push(filtered);
      readings.push(reading);
      const first = readings.findIndex(({ timeMs }) => timeMs >= reading.timeMs - windowMs);
      // One more than the window has, so that its oldest has a neighbour on either side.
      readings = readings.slice(Math.max(0, first - 1));
      const window = withoutSpikes(readings).slice(first > 0 ? 1 : 0);
      const spanMs = reading.timeMs - (window[0] as Reading).timeMs;
      return spanMs >= windowMs / 2 ? robustSlope(window) : null;
    },
    reset() {
      readings = [];
    },
  };
}

/**
 * Rate of rise in °C/min from temperatures as they come (roast.md "Signal"), on the readings' own times. Null until the
 * window is half full after the start and after a gap longer than the window. Work a reading does not grow with time.
 * @throws FieldloomError invalid_setting
 */
export function rateOfRise(settings: RateSettings = RATE_DEFAULTS): RateOfRise {
  checkRateSettings(settings);
  const windowMs = settings.windowS * 1000;
  const median = medianOfThree(windowMs);
  const slope = settings.mode === 'regression' ? regression(windowMs) : lowLag(windowMs * LOW_LAG_SHARE);
  let newestMs = -Infinity;
  let last: Rate | null = null;

  return {
    add(timeMs, celsius) {
      if (celsius === null) return null;
      if (timeMs < newestMs - windowMs) this.reset();
      if (timeMs <= newestMs) return null;
      if (timeMs - newestMs > windowMs) slope.reset();
      newestMs = timeMs;
      const reading = { timeMs, celsius };
      const filtered = median.add(reading);
      if (filtered === null) return null;
      last = { ...filtered, ror: slope.add(reading, filtered) };
      return last;
    },
    get last() {
      return last;
    },
    reset() {
      median.reset();
      slope.reset();
      newestMs = -Infinity;
      last = null;
    },
  };
}
