import type { DispatcherSettings } from '../../lib/command/dispatcher.js';
import type { ProfileName, ProfileSettings } from '../../lib/command/profile.js';
import { FieldloomError } from '../../lib/core/errors.js';
import { positiveNumber, wholeNumber } from '../runtime/numbers.js';

/** As the editor keeps it. */
export interface Config {
  connection: string;
  store: string;
  profile: ProfileName;
  prefix: string;
  commandTopic: string;
  ackTopic: string;
  /** Seconds. */
  ackTimeout: string;
  retries: string;
  /** Seconds. */
  executionTimeout: string;
  inFlight: string;
  waitForBroker: boolean;
  /** JSON: a JSON Schema by command type. */
  parameterSchemas: string;
  fieldId: string;
  fieldType: string;
  fieldParameters: string;
  fieldTimestamp: string;
  fieldExpires: string;
  ackId: string;
  ackSuccess: string;
  ackMessage: string;
}

/** @throws FieldloomError invalid_setting */
export function dispatcherSettings(config: Config): DispatcherSettings {
  return {
    ackTimeoutMs: positiveNumber('acknowledgement timeout', config.ackTimeout, 10) * 1000,
    maxRetries: wholeNumber('retries', config.retries, 3, 0),
    executionTimeoutMs: positiveNumber('execution timeout', config.executionTimeout, 60) * 1000,
    inFlight: wholeNumber('in flight', config.inFlight, 1, 1),
  };
}

/** @throws FieldloomError invalid_setting */
export function profileSettings(config: Config): ProfileSettings {
  // A field that an older flow does not have keeps its standard; one that is empty is left out of the message.
  const given = <T extends object>(fields: T): Partial<T> =>
    Object.fromEntries(Object.entries(fields).filter(([, name]) => name !== undefined)) as Partial<T>;
  return {
    profile: config.profile || 'pond',
    prefix: config.prefix ?? '',
    commandTopic: config.commandTopic ?? '',
    ackTopic: config.ackTopic ?? '',
    commandFields: given({
      id: config.fieldId,
      type: config.fieldType,
      parameters: config.fieldParameters,
      timestamp: config.fieldTimestamp,
      expiresAt: config.fieldExpires,
    }),
    ackFields: given({ id: config.ackId, success: config.ackSuccess, message: config.ackMessage }),
    parameterSchemas: schemasOf(config.parameterSchemas),
  };
}

function schemasOf(text: string | undefined): Record<string, object> {
  if (text === undefined || text.trim() === '') return {};
  let schemas: unknown;
  try {
    schemas = JSON.parse(text);
  } catch (cause) {
    throw new FieldloomError('invalid_setting', `parameter schemas: ${(cause as Error).message}`, { cause });
  }
  const objects = (value: unknown) => value !== null && typeof value === 'object' && !Array.isArray(value);
  if (!objects(schemas) || !Object.values(schemas as object).every(objects)) {
    throw new FieldloomError(
      'invalid_setting',
      'parameter schemas: accepted is an object with a JSON Schema for each command type',
    );
  }
  return schemas as Record<string, object>;
}
