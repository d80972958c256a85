import { isUuid } from '../../lib/core/envelope.js';
import { FieldloomError } from '../../lib/core/errors.js';

/** An id of a store or a controller as the editor keeps it, in lower case. @throws FieldloomError invalid_setting */
export function uuidSetting(name: string, value: string | undefined): string {
  if (isUuid(value)) return value.toLowerCase();
  throw new FieldloomError(
    'invalid_setting',
    `${name} is ${JSON.stringify(value ?? '')}: accepted is a UUID`,
  );
}
