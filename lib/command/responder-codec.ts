import { asError, type ErrorCode, FieldloomError } from '../core/errors.js';
import { formatInstant, readInstant } from '../core/instant.js';
import { parseJson } from '../core/json.js';
import { compileSchema, type Validator } from '../core/schema.js';
import { type TopicTemplate, topicTemplate } from '../core/topic.js';
import type { Problem } from './responder.js';
import type { Answer } from './responder-ports.js';

/** A command as a device takes it (seed: pond-command-flow, 6). Times are epoch milliseconds UTC. */
export interface Command {
  commandId: string;
  commandType: string;
  /** Null where the message names none. */
  pondPosition: number | null;
  parameters: Readonly<Record<string, unknown>>;
  timestamp: number | null;
  expiresAt: number | null;
  /** The message as it came. */
  original: Readonly<Record<string, unknown>>;
}

export type ReadCommand =
  | { kind: 'command'; command: Command }
  /** It has an id, so that its sender can be answered. */
  | { kind: 'wrong'; commandId: string; problem: Problem }
  | { kind: 'unreadable'; code: ErrorCode; message: string; pointer?: string };

export interface CommandChecks {
  /** Types that the device knows; empty: every type. */
  types: readonly string[];
  /** JSON Schema (draft 7) of the parameters, by command type. */
  parameterSchemas: Readonly<Record<string, object>>;
  /** Commands whose `timestamp` is older are expired, ms; undefined: none is. */
  maxAgeMs: number | undefined;
}

interface Wire {
  command_id: string;
  command_type: string;
  pond_position?: number | null;
  parameters?: Record<string, unknown> | null;
  timestamp?: string | number | null;
  expires_at?: string | number | null;
}

const COMMAND_ID_CHARACTERS = 255;
const validate = compileSchema<Wire>({
  type: 'object',
  required: ['command_type'],
  properties: {
    command_type: { type: 'string', minLength: 1 },
    pond_position: { type: ['integer', 'null'], minimum: 1 },
    parameters: { type: ['object', 'null'] },
    timestamp: { type: ['string', 'number', 'null'] },
    expires_at: { type: ['string', 'number', 'null'] },
  },
});

export interface ResponderTopics {
  /** Where commands come from. */
  commands: string;
  /** Where answers go. */
  ack: string;
}

/**
 * The topics of one device (seed: pond-command-flow, MQTT Topics Used).
 * @param prefix put before the topics, with or without a slash at its end
 * @param custom templates of another system, each with one level `{device_id}`
 * @throws FieldloomError invalid_topic_parameter, invalid_topic_filter
 */
export function responderTopics(
  deviceId: string,
  prefix = '',
  custom: { commands?: string; ack?: string } = {},
): ResponderTopics {
  const before = prefix === '' ? '' : `${prefix.replace(/\/+$/, '')}/`;
  const topic = (template: string): string => {
    const made: TopicTemplate = topicTemplate(before + template);
    return made.format({ device_id: deviceId });
  };
  return {
    commands: topic(custom.commands || 'devices/{device_id}/commands'),
    ack: topic(custom.ack || 'devices/{device_id}/ack'),
  };
}

/**
 * Makes what reads a command and checks it. It throws nothing for what is in the message.
 * @throws FieldloomError invalid_setting where a schema of parameters is none
 */
export function commandReader(checks: CommandChecks): (payload: Buffer, now: number) => ReadCommand {
  const { types, maxAgeMs } = checks;
  const parameters = new Map(
    Object.entries(checks.parameterSchemas).map(([type, schema]) => [type, compile(type, schema)]),
  );

  function problemOf(wire: Wire, now: number): Problem | undefined {
    const refused = (message: string): Problem => ({ reason: 'refused', message });
    const result = validate(wire);
    if (!result.valid) return refused(result.message);
    if (types.length > 0 && !types.includes(wire.command_type)) {
      return refused(
        `/command_type is ${JSON.stringify(wire.command_type)}; accepted is ${types.join(', ')}`,
      );
    }
    const expiresAt = instantOf(wire.expires_at);
    if (expiresAt === undefined) return refused(`/expires_at ${NO_INSTANT}`);
    if (expiresAt !== null && expiresAt <= now) {
      return { reason: 'expired', message: `/expires_at ${formatInstant(expiresAt)} has passed` };
    }
    if (maxAgeMs !== undefined) {
      const sentAt = instantOf(wire.timestamp);
      if (sentAt === undefined) return refused(`/timestamp ${NO_INSTANT}`);
      if (sentAt === null) return refused('/timestamp is missing: the age of a command is checked here');
      if (sentAt + maxAgeMs < now) {
        const found = formatInstant(sentAt);
        return { reason: 'expired', message: `/timestamp ${found} is more than ${maxAgeMs / 1000} s ago` };
      }
    }
    const checked = parameters.get(wire.command_type)?.(wire.parameters ?? {});
    if (checked === undefined || checked.valid) return undefined;
    const pointer = `/parameters${checked.pointer}`;
    return refused(
      checked.message.replace(checked.pointer === '' ? 'the message' : checked.pointer, pointer),
    );
  }

  return (payload, now) => {
    let value: unknown;
    try {
      value = parseJson(payload);
    } catch (thrown) {
      const error = asError(thrown);
      if (!(error instanceof FieldloomError)) throw error;
      return { kind: 'unreadable', code: error.code, message: error.message };
    }
    const commandId = idOf(value);
    if (commandId === undefined) {
      const pointer = '/command_id';
      const message = `${pointer} must be text of 1 to ${COMMAND_ID_CHARACTERS} characters`;
      return { kind: 'unreadable', code: 'schema_mismatch', message, pointer };
    }
    const wire = value as Wire;
    const problem = problemOf(wire, now);
    if (problem !== undefined) return { kind: 'wrong', commandId, problem };
    return {
      kind: 'command',
      command: {
        commandId,
        commandType: wire.command_type,
        pondPosition: wire.pond_position ?? null,
        parameters: wire.parameters ?? {},
        timestamp: instantOf(wire.timestamp) ?? null,
        expiresAt: instantOf(wire.expires_at) ?? null,
        original: value as Record<string, unknown>,
      },
    };
  };
}

function compile(type: string, schema: object): Validator<unknown> {
  // An id would be known to every node of the process, and the same schema could not be set twice.
  const { $id: _, ...anonymous } = schema as { $id?: string };
  try {
    return compileSchema<unknown>(anonymous);
  } catch (error) {
    throw new FieldloomError(
      'invalid_setting',
      `parameter schema of ${type}: ${asError(error).message}; accepted is a JSON Schema (draft 7)`,
      { cause: error },
    );
  }
}

function idOf(value: unknown): string | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  const { command_id: id } = value as Record<string, unknown>;
  return typeof id === 'string' && id !== '' && id.length <= COMMAND_ID_CHARACTERS ? id : undefined;
}

const NO_INSTANT = 'must be an ISO 8601 date and time with offset, or epoch seconds';

/** Null where there is none, undefined where it cannot be read. */
const instantOf = (value: string | number | null | undefined): number | null | undefined =>
  value === undefined || value === null ? null : readInstant(value);

/** The acknowledgement, its fields in the order of the seed (seed: pond-command-flow, 8). */
export function formatAck(commandId: string, { success, message, at }: Answer): string {
  return JSON.stringify({ command_id: commandId, success, message, timestamp: formatInstant(at) });
}

/** An acknowledgement that leaves open whether it works (protocols.md "ack without success"). */
export function formatProgress(commandId: string, at: number): string {
  return JSON.stringify({ command_id: commandId, message: 'received', timestamp: formatInstant(at) });
}
