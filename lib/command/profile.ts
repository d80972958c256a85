import { asError, FieldloomError } from '../core/errors.js';
import { formatInstant } from '../core/instant.js';
import { compileUserSchema, type Validator } from '../core/schema.js';
import { type TopicParameters, type TopicTemplate, topicTemplate } from '../core/topic.js';
import { addressOf, namesIn } from './address.js';
import {
  type AckFields,
  type Acknowledgement,
  ackReader,
  type CommandFields,
  formatCommand,
  POND_ACK,
  POND_COMMAND,
  SOLAR_COMMAND,
} from './codec.js';
import type { CommandRecord, CommandRequest } from './ports.js';

export type ProfileName = 'pond' | 'solar' | 'custom';

export interface ProfileSettings {
  profile: ProfileName;
  /** Before both topics, with or without a slash at its end. */
  prefix?: string;
  /** Topic of commands, its ids as `{names}`. */
  commandTopic?: string;
  /** Topic of acknowledgements. Custom profile: empty for a device that sends none. */
  ackTopic?: string;
  /** Custom profile: names of fields on the wire, where they differ from the pond's. */
  commandFields?: Partial<CommandFields>;
  ackFields?: Partial<AckFields>;
  /**
   * JSON Schema (draft 7) of the parameters, by command type, beside those of the profile. Where there is any, a type
   * that has none is refused.
   */
  parameterSchemas?: Readonly<Record<string, object>>;
}

/** What a request becomes on the wire. */
export interface PreparedCommand
  extends Pick<CommandRecord, 'device' | 'topic' | 'payload' | 'commandType' | 'parameters'> {}

/** How commands and acknowledgements of one kind of device look. */
export interface Profile {
  /** False: the device sends none, and what the broker has confirmed is completed. */
  readonly acknowledged: boolean;
  /** MQTT filter of acknowledgements. */
  readonly ackFilter: string | undefined;
  /** @throws FieldloomError invalid_input, invalid_topic_parameter */
  prepare(request: CommandRequest, id: string, now: number): PreparedCommand;
  /** Values of an acknowledgement's topic, or undefined where it is none. */
  matchAck(topic: string): TopicParameters | undefined;
  /** @throws FieldloomError as a dead letter says it */
  readAck(payload: Buffer): Acknowledgement;
  /** Whether an acknowledgement with these topic values is from the device that got the command of this topic. */
  isFrom(commandTopic: string, parameters: TopicParameters): boolean;
  /** Name of the device whose acknowledgement topic has these values, as far as they tell. */
  deviceOf(parameters: TopicParameters): string;
}

interface Rules {
  commandTopic: string;
  ackTopic: string;
  commandFields: CommandFields;
  ackFields: AckFields;
  /** Values of a request that the message wants; `others`: every one that is not in the topic. */
  values: 'pond_position' | 'none' | 'others';
  parameterSchemas: Readonly<Record<string, object>>;
}

const FEED = {
  type: 'object',
  required: ['amount'],
  properties: { action: { const: 'feed' }, amount: { type: 'number', exclusiveMinimum: 0 } },
};
const WATER_VALVE = {
  type: 'object',
  required: ['action'],
  properties: { action: { enum: ['open', 'close'] }, duration_s: { type: 'number', exclusiveMinimum: 0 } },
};

const RULES: Readonly<Record<ProfileName, Rules>> = {
  /** seed: pond-command-flow, 6 and 8 */
  pond: {
    commandTopic: 'devices/{device_id}/commands',
    ackTopic: 'devices/{device_id}/ack',
    commandFields: POND_COMMAND,
    ackFields: POND_ACK,
    values: 'pond_position',
    parameterSchemas: { FEED, WATER_VALVE },
  },
  /** seed: solar-mqtt, 3. Command */
  solar: {
    commandTopic: 'company/{company_id}/machine/{machine_id}/command',
    ackTopic: '',
    commandFields: SOLAR_COMMAND,
    ackFields: POND_ACK,
    values: 'none',
    parameterSchemas: {},
  },
  custom: {
    commandTopic: '',
    ackTopic: '',
    commandFields: POND_COMMAND,
    ackFields: POND_ACK,
    values: 'others',
    parameterSchemas: {},
  },
};

/** A payload is kept in a text column. */
const LARGEST_PAYLOAD = 65_535;
const LONGEST_NAME = 255;

/** @throws FieldloomError invalid_setting, which names the setting; invalid_topic_filter */
export function createProfile(settings: ProfileSettings): Profile {
  const rules = RULES[settings.profile];
  if (rules === undefined) throw invalidSetting('profile', settings.profile, 'pond, solar or custom');
  const commandTopic = template(
    'command topic',
    settings.commandTopic || rules.commandTopic,
    settings.prefix,
  );
  const ackText = settings.ackTopic || rules.ackTopic;
  const ackTopic = ackText === '' ? undefined : template('acknowledgement topic', ackText, settings.prefix);
  const custom = settings.profile === 'custom';
  const commandFields = { ...rules.commandFields, ...(custom && settings.commandFields) };
  const ackFields = { ...rules.ackFields, ...(custom && settings.ackFields) };
  for (const name of ['type', 'parameters'] as const) {
    if (commandFields[name] === '') throw invalidSetting(`field of the ${name}`, '', 'a name');
  }
  if (ackTopic !== undefined && (commandFields.id === '' || ackFields.id === '')) {
    throw invalidSetting('field of the id', '', 'a name, or no acknowledgement topic');
  }
  const readAck = ackReader(ackFields);
  const schemas = new Map<string, Validator<unknown>>();
  for (const [type, schema] of Object.entries({ ...rules.parameterSchemas, ...settings.parameterSchemas })) {
    schemas.set(type, compileParameters(type, schema));
  }

  /** The pond's service fills in what every command of a type says (seed: pond-command-flow, 4). */
  function complete(request: CommandRequest, now: number): Readonly<Record<string, unknown>> {
    const parameters: unknown = request.parameters ?? {};
    if (typeof parameters !== 'object' || parameters === null || Array.isArray(parameters)) {
      throw invalidInput('parameters', parameters, 'an object', '/parameters');
    }
    if (rules.values !== 'pond_position') return parameters as Readonly<Record<string, unknown>>;
    const action = request.commandType === 'FEED' ? { action: 'feed' } : {};
    return { ...action, ...parameters, ...stamp(parameters, now) };
  }

  function valuesOf(request: CommandRequest, inTopic: readonly string[]): Record<string, unknown> {
    const values = request.values ?? {};
    if (rules.values === 'none') return {};
    if (rules.values === 'others') {
      return Object.fromEntries(Object.entries(values).filter(([name]) => !inTopic.includes(name)));
    }
    const position = values['pond_position'];
    if (!Number.isInteger(position) || (position as number) < 1) {
      throw invalidInput('pond_position', position, 'a whole number from 1 on', '/pond_position');
    }
    return { pond_position: position };
  }

  return {
    acknowledged: ackTopic !== undefined,
    ackFilter: ackTopic?.filter,
    prepare(request, id, now) {
      const { commandType } = request;
      if (typeof commandType !== 'string' || commandType === '' || commandType.length > LONGEST_NAME) {
        throw invalidInput(
          'command_type',
          commandType,
          `text of 1 to ${LONGEST_NAME} characters`,
          '/command_type',
        );
      }
      const parameters = complete(request, now);
      checkParameters(schemas, commandType, parameters);
      const { device, levels } = addressOf(commandTopic, request);
      if (device.length > LONGEST_NAME) {
        throw invalidInput('device', device, `text of 1 to ${LONGEST_NAME} characters`, '/device');
      }
      const payload = formatCommand(commandFields, {
        id,
        commandType,
        parameters,
        values: valuesOf(request, namesIn(commandTopic)),
        createdAt: now,
        expiresAt: request.expiresAt ?? null,
      });
      const bytes = Buffer.byteLength(payload);
      if (bytes > LARGEST_PAYLOAD) {
        throw invalidInput('the command', `${bytes} bytes`, `at most ${LARGEST_PAYLOAD} bytes of JSON`);
      }
      return { device, topic: commandTopic.format(levels), payload, commandType, parameters };
    },
    matchAck: (topic) => ackTopic?.match(topic),
    readAck,
    isFrom(topic, parameters) {
      const levels = commandTopic.match(topic) ?? {};
      return Object.entries(parameters).every(([name, value]) => !(name in levels) || levels[name] === value);
    },
    deviceOf: (parameters) =>
      namesIn(commandTopic)
        .flatMap((name) => parameters[name] ?? [])
        .join('/'),
  };
}

const stamp = (parameters: object, now: number) => ({
  timestamp: (parameters as { timestamp?: unknown }).timestamp ?? formatInstant(now),
});

function template(setting: string, text: string, prefix = ''): TopicTemplate {
  const before = prefix.replace(/\/+$/, '');
  if (text === '') throw invalidSetting(setting, text, 'a topic, its ids as {names}');
  return topicTemplate(before === '' ? text : `${before}/${text.replace(/^\/+/, '')}`);
}

function compileParameters(type: string, schema: object): Validator<unknown> {
  try {
    return compileUserSchema<unknown>(schema);
  } catch (error) {
    throw invalidSetting(`parameter schema of ${type}`, asError(error).message, 'a JSON Schema (draft 7)');
  }
}

function checkParameters(schemas: Map<string, Validator<unknown>>, type: string, parameters: unknown): void {
  if (schemas.size === 0) return;
  const validate = schemas.get(type);
  if (validate === undefined) {
    throw invalidInput('command_type', type, [...schemas.keys()].join(', '), '/command_type');
  }
  const result = validate(parameters);
  if (result.valid) return;
  const pointer = `/parameters${result.pointer}`;
  const subject = result.pointer === '' ? 'the message' : result.pointer;
  throw new FieldloomError('invalid_input', result.message.replace(subject, pointer), { pointer });
}

function invalidInput(field: string, found: unknown, accepted: string, pointer?: string): FieldloomError {
  const text = `${field} is ${JSON.stringify(found)}: accepted is ${accepted}`;
  return new FieldloomError('invalid_input', text, pointer === undefined ? {} : { pointer });
}

function invalidSetting(setting: string, found: string, accepted: string): FieldloomError {
  const text = `${setting} is ${JSON.stringify(found)}: accepted is ${accepted}`;
  return new FieldloomError('invalid_setting', text, { details: { setting } });
}
