import type { NodeAPI } from 'node-red';
import { systemClock } from '../../lib/core/clock.js';
import { RATE_DEFAULTS, type RateMode, rateOfRise } from '../../lib/roast/rate-of-rise.js';
import { fromCelsius, rateFromCelsius, type TemperatureUnit } from '../../lib/roast/reading.js';
import { temperatureOf, timeOfMessage } from '../../lib/roast/temperature-input.js';
import { defineNode } from '../runtime/define-node.js';
import { positiveNumber } from '../runtime/numbers.js';

interface Config {
  /** Seconds. */
  window: string;
  mode: RateMode;
  unit: TemperatureUnit;
  property: string;
}

export = (RED: NodeAPI): void => {
  defineNode<Config>(RED, 'fieldloom-rate-of-rise', ({ config, status }) => {
    const unit: TemperatureUnit = config.unit === 'F' ? 'F' : 'C';
    const property = config.property ?? '';
    const rates = rateOfRise({
      windowS: positiveNumber('window', config.window, RATE_DEFAULTS.windowS),
      mode: config.mode || RATE_DEFAULTS.mode,
    });
    status('waiting', 'waiting');

    return {
      input(message, send) {
        if (message['reset'] === true) {
          rates.reset();
          status('waiting', 'waiting');
          return;
        }
        const timeMs = timeOfMessage(message['timestamp'], systemClock.now());
        const celsius = temperatureOf(message.payload, property, unit);
        if (celsius === null) {
          status('waiting', 'missing');
          return;
        }
        const rate = rates.add(timeMs, celsius);
        if (rate === null) return;
        const ror = rate.ror === null ? null : rateFromCelsius(rate.ror, unit);
        if (ror === null) status('waiting', 'waiting');
        else status('working', 'rate', { rate: ror.toFixed(1), unit });
        const temperature = fromCelsius(rate.celsius, unit);
        send([{ ...message, payload: { temperature, ror, timestamp_ms: rate.timeMs } }]);
      },
    };
  });
};
