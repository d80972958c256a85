import { FieldloomError } from '../../lib/core/errors.js';

/** A setting as the editor keeps it, in text. @throws FieldloomError invalid_setting */
export function positiveNumber(name: string, text: string | undefined, standard: number): number {
  if (text === undefined || String(text).trim() === '') return standard;
  const number = Number(text);
  if (!(number > 0 && Number.isFinite(number))) {
    throw new FieldloomError('invalid_setting', `${name} is ${text}: accepted is a number above 0`);
  }
  return number;
}

/** A setting that counts something. @throws FieldloomError invalid_setting */
export function wholeNumber(name: string, text: string | undefined, standard: number, least: number): number {
  if (text === undefined || String(text).trim() === '') return standard;
  const number = Number(text);
  if (!(Number.isSafeInteger(number) && number >= least)) {
    throw new FieldloomError(
      'invalid_setting',
      `${name} is ${text}: accepted is a whole number from ${least} on`,
    );
  }
  return number;
}
