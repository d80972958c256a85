/** A JSON Schema (draft 7) as a user has written it: nothing of it is certain. */
export type Schema = Readonly<Record<string, unknown>>;

/** One field of a form. What no control fits is written as JSON. */
export interface Field {
  name: string;
  label: string;
  hint: string;
  required: boolean;
  kind: 'number' | 'text' | 'choice' | 'yes-no' | 'json';
  /** What stands there first, as text. */
  initial: string;
  /** Of `choice` and `yes-no`: values as JSON, for people as they are. Empty text is no answer. */
  choices: readonly { value: string; label: string }[];
  /** Of `number`. */
  least: number | undefined;
  greatest: number | undefined;
  whole: boolean;
  schema: Schema;
}

export interface Form {
  fields: readonly Field[];
  /** Params beside the fields are taken too: they are written as one JSON object. */
  open: boolean;
}

/** What somebody has entered, by the name of the field. */
export type Entered = Readonly<Record<string, string>>;

/** The name of what is entered for an open form beside its fields; no field of a schema gets it. */
export const OTHER = '';

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const text = (value: unknown) => (typeof value === 'string' ? value : undefined);
const numeric = (value: unknown) => (typeof value === 'number' ? value : undefined);

/** The form of a command whose params have this schema. @param any the gateway takes any params */
export function formOf(schema: Schema, any = false): Form {
  const properties = isObject(schema['properties']) ? schema['properties'] : {};
  const required = Array.isArray(schema['required']) ? schema['required'] : [];
  const fields = Object.entries(properties).map(([name, property]) =>
    fieldOf(name, isObject(property) ? property : {}, required.includes(name)),
  );
  // A schema that forbids nothing else and names nothing has to be filled in all the same.
  const names = fields.length > 0 || required.length === 0;
  return { fields, open: any || !names };
}

function fieldOf(name: string, schema: Schema, required: boolean): Field {
  const kind = kindOf(schema);
  const initial = initialOf(schema, kind);
  return {
    name,
    label: text(schema['title']) ?? name.replaceAll('_', ' '),
    hint: [text(schema['description']), rangeOf(schema)].filter(Boolean).join('; '),
    required,
    kind,
    initial,
    choices: choicesOf(schema, kind),
    least: numeric(schema['minimum']),
    greatest: numeric(schema['maximum']),
    whole: schema['type'] === 'integer',
    schema,
  };
}

function kindOf(schema: Schema): Field['kind'] {
  if (Array.isArray(schema['enum']) || 'const' in schema) return 'choice';
  switch (schema['type']) {
    case 'number':
    case 'integer':
      return 'number';
    case 'string':
      return 'text';
    case 'boolean':
      return 'yes-no';
    default:
      return 'json';
  }
}

function initialOf(schema: Schema, kind: Field['kind']): string {
  const value = 'const' in schema ? schema['const'] : schema['default'];
  if (value === undefined) return '';
  return kind === 'text' || kind === 'number' ? String(value) : JSON.stringify(value);
}

function choicesOf(schema: Schema, kind: Field['kind']): Field['choices'] {
  if (kind === 'yes-no') return [choice(true, 'yes'), choice(false, 'no')];
  if (kind !== 'choice') return [];
  const values = 'const' in schema ? [schema['const']] : (schema['enum'] as unknown[]);
  return values.map((value) => choice(value, text(value) ?? JSON.stringify(value)));
}

const choice = (value: unknown, label: string) => ({ value: JSON.stringify(value), label });

/** `1 to 10`, `at least 1`, `at most 8 characters`. */
function rangeOf(schema: Schema): string {
  const [least, greatest] = [numeric(schema['minimum']), numeric(schema['maximum'])];
  const [above, below] = [numeric(schema['exclusiveMinimum']), numeric(schema['exclusiveMaximum'])];
  const longest = numeric(schema['maxLength']);
  if (least !== undefined && greatest !== undefined) return `${least} to ${greatest}`;
  const parts = [
    least === undefined ? '' : `at least ${least}`,
    greatest === undefined ? '' : `at most ${greatest}`,
    above === undefined ? '' : `above ${above}`,
    below === undefined ? '' : `below ${below}`,
    longest === undefined ? '' : `at most ${longest} characters`,
  ];
  return parts.filter(Boolean).join(', ');
}

export const initialEntries = ({ fields }: Form): Record<string, string> =>
  Object.fromEntries(fields.map(({ name, initial }) => [name, initial]));

export interface Filled {
  params: Record<string, unknown>;
  /** Why something is not accepted, by the name of its field. What only the gateway can judge is not in here. */
  problems: Readonly<Record<string, string>>;
}

/** Reads what was entered. A field that is left empty is left out. */
export function fill({ fields, open }: Form, entered: Entered): Filled {
  const params: Record<string, unknown> = {};
  const problems: Record<string, string> = {};
  if (open) {
    const other = (entered[OTHER] ?? '').trim();
    const value = other === '' ? {} : parsed(other);
    if (isObject(value)) Object.assign(params, value);
    else problems[OTHER] = 'This is no JSON object, such as {"speed": 5}.';
  }
  for (const field of fields) {
    const typed = entered[field.name] ?? '';
    if (typed.trim() === '') {
      if (field.required) problems[field.name] = 'This is needed.';
      continue;
    }
    const { value, problem } = read(field, typed);
    if (problem === undefined) params[field.name] = value;
    else problems[field.name] = problem;
  }
  return { params, problems };
}

function read(field: Field, typed: string): { value?: unknown; problem?: string } {
  switch (field.kind) {
    case 'number':
      return readNumber(field, typed);
    case 'text':
      return readText(field, typed);
    default: {
      const value = parsed(typed);
      return value === undefined ? { problem: 'This is no JSON.' } : { value };
    }
  }
}

/** A decimal comma is one too. */
function readNumber({ whole, schema }: Field, typed: string): { value?: number; problem?: string } {
  const value = Number(typed.trim().replace(',', '.'));
  if (!Number.isFinite(value)) return { problem: 'This is no number.' };
  if (whole && !Number.isInteger(value)) return { problem: 'This is no whole number.' };
  const bounds: [name: string, fits: (bound: number) => boolean, words: string][] = [
    ['minimum', (bound) => value >= bound, 'At least'],
    ['maximum', (bound) => value <= bound, 'At most'],
    ['exclusiveMinimum', (bound) => value > bound, 'Above'],
    ['exclusiveMaximum', (bound) => value < bound, 'Below'],
  ];
  for (const [name, fits, words] of bounds) {
    const bound = numeric(schema[name]);
    if (bound !== undefined && !fits(bound)) return { problem: `${words} ${bound} is accepted.` };
  }
  return { value };
}

function readText({ schema }: Field, typed: string): { value?: string; problem?: string } {
  const [least, most] = [numeric(schema['minLength']), numeric(schema['maxLength'])];
  const { length } = [...typed];
  if (least !== undefined && length < least) return { problem: `At least ${least} characters are accepted.` };
  if (most !== undefined && length > most) return { problem: `At most ${most} characters are accepted.` };
  return { value: typed };
}

function parsed(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    return undefined;
  }
}
