import { Ajv, type ErrorObject, type ValidateFunction } from 'ajv';
import addFormats from 'ajv-formats';

export type SchemaResult<T> =
  | { valid: true; value: T }
  /** `pointer` is a JSON pointer to the offending part; `message` names the field and what is accepted. */
  | { valid: false; pointer: string; message: string };

export type Validator<T> = (value: unknown) => SchemaResult<T>;

const ajv = new Ajv({ allowUnionTypes: true, strict: true, validateFormats: true });
/** Strictness finds mistakes in our own schemas; a user's may be written in any way that JSON Schema allows. */
const lenient = new Ajv({ strict: false, validateFormats: true, logger: false });
// The default export of a CommonJS package, seen from CommonJS with esModuleInterop.
for (const instance of [ajv, lenient]) {
  (addFormats as unknown as (instance: Ajv, formats: string[]) => void)(instance, [
    'date-time',
    'uuid',
    'uri',
  ]);
}

const escapePointer = (name: string) => name.replaceAll('~', '~0').replaceAll('/', '~1');

function pointerOf(error: ErrorObject): string {
  const named = error.params['missingProperty'] ?? error.params['additionalProperty'];
  return typeof named === 'string' ? `${error.instancePath}/${escapePointer(named)}` : error.instancePath;
}

function messageOf(error: ErrorObject, pointer: string): string {
  const field = pointer === '' ? 'the message' : pointer;
  switch (error.keyword) {
    case 'enum':
      return `${field} must be one of ${JSON.stringify(error.params['allowedValues'])}`;
    case 'const':
      return `${field} must be ${JSON.stringify(error.params['allowedValue'])}`;
    case 'required':
      return `${field} is missing`;
    default:
      return `${field} ${error.message ?? 'is not accepted'}`;
  }
}

/** Makes the schema known by its `$id`, so that others may `$ref` it. */
export function registerSchema(schema: object): void {
  const id = (schema as { $id?: string }).$id;
  if (id !== undefined && ajv.getSchema(id) === undefined) ajv.addSchema(schema);
}

/**
 * Compiles a JSON Schema (draft 7) of `schemas/` to a validator. The type parameter is the type generated from the
 * same file. Compiling is slow, validating is not: compile once, at load.
 */
export function compileSchema<T>(schema: object): Validator<T> {
  return validatorOf(ajv.compile<T>(schema));
}

/**
 * The same for a schema that a user has written. Its `$id` is not taken: two of one name must not meet.
 * @throws Error where it is no JSON Schema (draft 7)
 */
export function compileUserSchema<T>(schema: object): Validator<T> {
  const { $id: _, ...nameless } = schema as { $id?: unknown };
  return validatorOf(lenient.compile<T>(nameless));
}

function validatorOf<T>(check: ValidateFunction<T>): Validator<T> {
  return (value) => {
    if (check(value)) return { valid: true, value };
    const error = check.errors?.[0] as ErrorObject;
    const pointer = pointerOf(error);
    return { valid: false, pointer, message: messageOf(error, pointer) };
  };
}
