import { Ajv, type ErrorObject } from 'ajv';
import addFormats from 'ajv-formats';

export type SchemaResult<T> =
  | { valid: true; value: T }
  /** `pointer` is a JSON pointer to the offending part; `message` names the field and what is accepted. */
  | { valid: false; pointer: string; message: string };

export type Validator<T> = (value: unknown) => SchemaResult<T>;

const ajv = new Ajv({ allowUnionTypes: true, strict: true, validateFormats: true });
// The default export of a CommonJS package, seen from CommonJS with esModuleInterop.
(addFormats as unknown as (instance: Ajv, formats: string[]) => void)(ajv, ['date-time', 'uuid', 'uri']);

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
  const check = ajv.compile<T>(schema);
  return (value) => {
    if (check(value)) return { valid: true, value };
    const error = check.errors?.[0] as ErrorObject;
    const pointer = pointerOf(error);
    return { valid: false, pointer, message: messageOf(error, pointer) };
  };
}
