import { asError, FieldloomError } from '../core/errors.js';
import { compileUserSchema, type Validator } from '../core/schema.js';

/** A command that a company's machines take. */
export interface AllowedCommand {
  command: string;
  /** JSON Schema (draft 7) of its params, as it was set. */
  params: Readonly<Record<string, unknown>>;
}

/** Which commands the machines of a company take (protocols.md "Solar"). */
export interface AllowedCommands {
  /** In the order in which they were set; undefined: any command, with any params. */
  of(companyId: string): readonly AllowedCommand[] | undefined;
  /** @throws FieldloomError invalid_input, which names what is accepted */
  check(companyId: string, command: string, params: Readonly<Record<string, unknown>>): void;
}

/** Stands for every company that is not named itself. */
const OTHERS = '*';

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const wrong = (what: string) =>
  new FieldloomError(
    'invalid_setting',
    `allowed commands: ${what}; accepted is {"<company>": {"<command>": <JSON Schema of its params>}}, ` +
      `"${OTHERS}" for every other company`,
    { details: { setting: 'allowed' } },
  );

/**
 * @param text JSON: for each company its commands, each with a JSON Schema (draft 7) of its params; empty: every command
 *   of every company. A company that is not named, where `*` is not either, may send any.
 * @throws FieldloomError invalid_setting
 */
export function parseAllowedCommands(text = ''): AllowedCommands {
  if (text.trim() === '') return { of: () => undefined, check() {} };
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw wrong(asError(error).message);
  }
  if (!isObject(value)) throw wrong('no object');
  const companies = new Map<string, Map<string, Validator<unknown>>>();
  const lists = new Map<string, AllowedCommand[]>();
  for (const [company, commands] of Object.entries(value)) {
    if (!isObject(commands)) throw wrong(`${company} is no object`);
    const validators = new Map<string, Validator<unknown>>();
    const list: AllowedCommand[] = [];
    for (const [command, schema] of Object.entries(commands)) {
      if (!isObject(schema)) throw wrong(`${company}, ${command} is no JSON Schema`);
      list.push({ command, params: schema });
      try {
        validators.set(command, compileUserSchema<unknown>(schema));
      } catch (error) {
        throw wrong(`${company}, ${command}: ${asError(error).message}`);
      }
    }
    companies.set(company, validators);
    lists.set(company, list);
  }
  return {
    of: (companyId) => lists.get(companyId) ?? lists.get(OTHERS),
    check(companyId, command, params) {
      const validators = companies.get(companyId) ?? companies.get(OTHERS);
      if (validators === undefined) return;
      const validate = validators.get(command);
      if (validate === undefined) {
        const accepted = [...validators.keys()].map((name) => JSON.stringify(name)).join(', ') || 'none';
        throw new FieldloomError(
          'invalid_input',
          `command is ${JSON.stringify(command)}: accepted is ${accepted}`,
          { pointer: '/command' },
        );
      }
      const result = validate(params);
      if (result.valid) return;
      const pointer = `/params${result.pointer}`;
      const text = result.message.replace(result.pointer || 'the message', pointer);
      throw new FieldloomError('invalid_input', text, { pointer });
    },
  };
}
