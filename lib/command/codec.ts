import ackSchema from '../../schemas/command/ack.schema.json';
import { FieldloomError } from '../core/errors.js';
import { formatInstant } from '../core/instant.js';
import { parseJson } from '../core/json.js';
import { compileSchema } from '../core/schema.js';

/** Names of a command's fields on the wire; an empty name is a field that is not written. */
export interface CommandFields {
  id: string;
  type: string;
  parameters: string;
  timestamp: string;
  expiresAt: string;
}

/** Names of an acknowledgement's fields on the wire; an empty name is a field that is not read. */
export interface AckFields {
  id: string;
  success: string;
  message: string;
}

/** seed: pond-command-flow, 6 */
export const POND_COMMAND: CommandFields = {
  id: 'command_id',
  type: 'command_type',
  parameters: 'parameters',
  timestamp: 'timestamp',
  expiresAt: 'expires_at',
};

/** seed: pond-command-flow, 8 */
export const POND_ACK: AckFields = { id: 'command_id', success: 'success', message: 'message' };

/** seed: solar-mqtt, 3. Command */
export const SOLAR_COMMAND: CommandFields = {
  id: '',
  type: 'command',
  parameters: 'params',
  timestamp: '',
  expiresAt: '',
};

export interface OutgoingCommand {
  id: string;
  commandType: string;
  parameters: Readonly<Record<string, unknown>>;
  /** Written between the type and the parameters, as they are named. */
  values: Readonly<Record<string, unknown>>;
  /** Epoch milliseconds UTC. */
  createdAt: number;
  expiresAt: number | null;
}

/** The wire's JSON, its fields in the order of the seed. */
export function formatCommand(fields: CommandFields, command: OutgoingCommand): string {
  const wire: Record<string, unknown> = {};
  const put = (name: string, value: unknown) => {
    if (name !== '') wire[name] = value;
  };
  put(fields.id, command.id);
  put(fields.type, command.commandType);
  for (const [name, value] of Object.entries(command.values)) put(name, value);
  put(fields.parameters, command.parameters);
  put(fields.timestamp, formatInstant(command.createdAt));
  if (command.expiresAt !== null) put(fields.expiresAt, formatInstant(command.expiresAt));
  return JSON.stringify(wire);
}

export interface Acknowledgement {
  /** In lower case: UUIDs are compared without regard to case. */
  commandId: string;
  /** Null where the device does not say: that is not success. */
  success: boolean | null;
  message: string | null;
}

/** What is kept of a device's words; the whole message is in the history of messages. */
const LONGEST_MESSAGE = 2_000;

function schemaOf(fields: AckFields): object {
  const { command_id, success, message, timestamp } = ackSchema.properties;
  if (
    fields.id === POND_ACK.id &&
    fields.success === POND_ACK.success &&
    fields.message === POND_ACK.message
  ) {
    return { ...ackSchema, $id: undefined, properties: { command_id, success, message, timestamp } };
  }
  const properties: Record<string, object> = { [fields.id]: command_id };
  if (fields.success !== '') properties[fields.success] = success;
  if (fields.message !== '') properties[fields.message] = message;
  return { type: 'object', required: [fields.id], properties };
}

/**
 * Makes what reads an acknowledgement.
 * @returns throws FieldloomError payload_too_large, invalid_utf8, invalid_json, nesting_too_deep or schema_mismatch
 *   with a JSON pointer, for a payload that is none
 */
export function ackReader(fields: AckFields): (payload: Buffer) => Acknowledgement {
  const validate = compileSchema<Record<string, unknown>>(schemaOf(fields));
  return (payload) => {
    const result = validate(parseJson(payload));
    if (!result.valid) {
      throw new FieldloomError('schema_mismatch', result.message, { pointer: result.pointer });
    }
    const success = fields.success === '' ? undefined : result.value[fields.success];
    const message = fields.message === '' ? undefined : result.value[fields.message];
    return {
      commandId: String(result.value[fields.id]).toLowerCase(),
      success: typeof success === 'boolean' ? success : null,
      message: typeof message === 'string' ? cut(message) : null,
    };
  };
}

/** Not every database takes the character 0. */
function cut(text: string): string {
  const clean = text.replaceAll('\0', '\ufffd');
  return clean.length > LONGEST_MESSAGE ? `${clean.slice(0, LONGEST_MESSAGE - 1)}…` : clean;
}
