import sensorsSchema from '../../schemas/command/sensors.schema.json';
import { FieldloomError } from '../core/errors.js';
import { compileSchema } from '../core/schema.js';

/** Fields of the message itself, which are no readings whatever they hold. */
const OWN_FIELDS = new Set(['device_id', 'message_id', 'timestamp', 'pond_position', 'data', 'metadata']);
/** What the schema says of readings holds inside `data` as well. */
const declared = Object.entries(sensorsSchema.properties).filter(([name]) => !OWN_FIELDS.has(name));
const validateData = compileSchema<unknown>({ type: 'object', properties: Object.fromEntries(declared) });

const LONGEST_NAME = 64;
const MOST_READINGS = 256;
/** What a message says besides its readings, as JSON. */
const EXTRA_BYTES = 16 * 1024;

const wrong = (message: string, pointer: string) =>
  new FieldloomError('schema_mismatch', message, { pointer });
const escaped = (name: string) => name.replaceAll('~', '~0').replaceAll('/', '~1');

/**
 * The readings of a sensors message: every number by its own name, those inside `data` too, which some devices use for
 * all of them. What else the message says is kept as it is.
 * @throws FieldloomError schema_mismatch with a pointer: no finite number, a name too long, too many, none at all
 */
export function readingsIn(wire: Readonly<Record<string, unknown>>) {
  const values = new Map<string, number>();
  const extra: [string, unknown][] = [];

  function take(fields: Readonly<Record<string, unknown>>, pointer: string, own: ReadonlySet<string>): void {
    for (const [name, value] of Object.entries(fields)) {
      if (own.has(name)) continue;
      if (typeof value !== 'number') {
        if (value !== null) extra.push([name, value]);
        continue;
      }
      const at = `${pointer}/${escaped(name)}`;
      // JSON has no word for it, but 1e999 is read as one.
      if (!Number.isFinite(value)) throw wrong(`${at} must be a finite number`, at);
      if (name.length > LONGEST_NAME) {
        throw wrong(`${at} has a name of ${name.length} characters; accepted are ${LONGEST_NAME}`, at);
      }
      values.set(name, value);
    }
  }

  take(wire, '', OWN_FIELDS);
  const { data, metadata } = wire as { data?: Record<string, unknown>; metadata?: unknown };
  if (data !== undefined) {
    const result = validateData(data);
    if (!result.valid) {
      const { pointer, message } = result;
      throw wrong(message.replace(pointer, `/data${pointer}`), `/data${pointer}`);
    }
    take(data, '/data', new Set());
  }
  if (metadata !== undefined) extra.push(['metadata', metadata]);
  if (values.size === 0) throw wrong('the message has no reading: at least one number is accepted', '');
  if (values.size > MOST_READINGS) {
    throw wrong(`the message has ${values.size} readings; at most ${MOST_READINGS} are accepted`, '');
  }
  const rest = Object.fromEntries(extra);
  const bytes = extra.length === 0 ? 0 : Buffer.byteLength(JSON.stringify(rest));
  if (bytes > EXTRA_BYTES) {
    throw wrong(
      `what the message says besides its readings has ${bytes} bytes; at most ${EXTRA_BYTES} are accepted`,
      '',
    );
  }
  return { values: Object.fromEntries(values), extra: rest };
}
