import { asError, FieldloomError } from '../../lib/core/errors.js';
import { positiveNumber } from '../runtime/numbers.js';

/** Words separated by commas; empty: none. */
export const words = (text: string | undefined): string[] =>
  (text ?? '')
    .split(',')
    .map((word) => word.trim())
    .filter((word) => word !== '');

/** Seconds as written in the editor, in ms; empty: undefined. @throws FieldloomError invalid_setting */
export function seconds(name: string, text: string | undefined): number | undefined {
  const number = positiveNumber(name, text, Number.NaN);
  return Number.isNaN(number) ? undefined : number * 1000;
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** JSON text: a JSON Schema by command type. @throws FieldloomError invalid_setting */
export function parameterSchemas(text: string | undefined): Record<string, object> {
  if (text === undefined || text.trim() === '') return {};
  const wrong = (what: string) =>
    new FieldloomError(
      'invalid_setting',
      `parameter schemas ${what}: accepted is a JSON object with a JSON Schema for each command type`,
    );
  let schemas: unknown;
  try {
    schemas = JSON.parse(text);
  } catch (error) {
    throw wrong(`are not JSON (${asError(error).message})`);
  }
  if (!isObject(schemas)) throw wrong('are no object');
  for (const [type, schema] of Object.entries(schemas)) {
    if (!isObject(schema)) throw wrong(`of ${type} are no object`);
  }
  return schemas as Record<string, object>;
}
