import { FieldloomError } from '../core/errors.js';
import { parseInstant } from '../core/instant.js';
import { type TemperatureUnit, toCelsius } from './reading.js';

const DECIMAL = /^\s*[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?\s*$/;

/**
 * A temperature from any wire, in °C: a number, a text that is one, or an object that has it as a property.
 * @param property name in an object; empty where the payload is the temperature
 * @returns null where the reading is missing: null, NaN, -1, out of range
 * @throws FieldloomError invalid_input for anything else
 */
export function temperatureOf(payload: unknown, property: string, unit: TemperatureUnit): number | null {
  let value = payload;
  if (property !== '') {
    if (typeof payload !== 'object' || payload === null || !Object.hasOwn(payload, property)) {
      throw new FieldloomError(
        'invalid_input',
        `msg.payload has no ${property}: accepted is an object with it`,
        {
          pointer: `/${property}`,
        },
      );
    }
    value = (payload as Record<string, unknown>)[property];
  }
  if (typeof value === 'string' && DECIMAL.test(value)) value = Number(value);
  if (value !== null && value !== undefined && typeof value !== 'number') {
    const where = property === '' ? 'msg.payload' : `msg.payload.${property}`;
    throw new FieldloomError(
      'invalid_input',
      `${where} is ${JSON.stringify(value)?.slice(0, 60)}: accepted is a temperature, or null where there is none`,
    );
  }
  return toCelsius(value, unit);
}

/**
 * When a message's temperature was taken, ms: its timestamp, or else `arrivalMs`.
 * @param timestamp ms on any clock, or ISO 8601 with offset
 * @throws FieldloomError invalid_input
 */
export function timeOfMessage(timestamp: unknown, arrivalMs: number): number {
  if (timestamp === undefined || timestamp === null) return arrivalMs;
  const time = typeof timestamp === 'string' ? parseInstant(timestamp) : timestamp;
  if (typeof time === 'number' && Number.isFinite(time)) return time;
  throw new FieldloomError(
    'invalid_input',
    `msg.timestamp is ${JSON.stringify(timestamp)?.slice(0, 60)}: accepted is ms, or ISO 8601 with its offset`,
  );
}
