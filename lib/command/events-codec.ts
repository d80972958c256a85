import { createHash } from 'node:crypto';
import heartbeatSchema from '../../schemas/command/heartbeat.schema.json';
import sensorsSchema from '../../schemas/command/sensors.schema.json';
import startupSchema from '../../schemas/command/startup.schema.json';
import thresholdSchema from '../../schemas/command/threshold.schema.json';
import { asError, type ErrorCode, FieldloomError } from '../core/errors.js';
import { formatInstant, readInstant } from '../core/instant.js';
import { parseJson } from '../core/json.js';
import { payloadDigest } from '../core/redelivery.js';
import { compileSchema, type Validator } from '../core/schema.js';
import { isTopicLevel, type TopicTemplate, topicTemplate } from '../core/topic.js';
import type { Alert } from './ports.js';
import { readingsIn } from './sensors.js';
import type { HeartbeatMessage, SensorsMessage, StartupMessage, ThresholdMessage } from './wire.js';

/** What a device says by itself (seed: pond-command-flow, MQTT Topics Used). */
export type DeviceContent =
  | {
      kind: 'sensors';
      position: number | null;
      /** Finite numbers by name. */
      values: Readonly<Record<string, number>>;
      extra: Readonly<Record<string, unknown>>;
    }
  | { kind: 'heartbeat'; firmwareVersion: string | null }
  | { kind: 'startup'; firmwareVersion: string | null; reason: string | null }
  | {
      kind: 'threshold';
      position: number | null;
      parameter: string;
      value: number | null;
      limit: number | null;
      severity: Alert['severity'];
      message: string | null;
      /** The value is back within its limits. */
      cleared: boolean;
    };

export type DeviceMessageKind = DeviceContent['kind'];

export type DeviceEvent<Content = DeviceContent> = Content & {
  device: string;
  /** The message's own time where that can be believed, else the time of receipt; epoch ms. */
  at: number;
  receivedAt: number;
  /** It says its own time or number: the same again is the same message. */
  identified: boolean;
  /** SHA-256 in hex: of what identifies it, or else of its bytes. */
  digest: string;
  /** Its time was ahead of ours by too much to be believed. */
  clockSkew: boolean;
  /** The message as it came. */
  original: Readonly<Record<string, unknown>>;
};

/** Why a message is not accepted. */
export interface Refusal {
  code: ErrorCode;
  /** For people: names the field and what is accepted. */
  message: string;
  /** JSON pointer into the payload. */
  pointer?: string;
}

export type ParsedEvent = { event: DeviceEvent } | { refusal: Refusal };

/** How far ahead of our clock a message may be at all, and how far before its time is not believed. */
const FUTURE_MS = 24 * 60 * 60 * 1000;
const SKEW_MS = 5 * 60 * 1000;
/** 9 September 2001: what says less was never set, or counts from the device's start. */
const CLOCK_SET_FROM = 1e12;
const DEVICE_CHARACTERS = 255;

const validators: { [Kind in DeviceMessageKind]: Validator<Wire> } = {
  sensors: compileSchema<Wire>(sensorsSchema),
  heartbeat: compileSchema<Wire>(heartbeatSchema),
  startup: compileSchema<Wire>(startupSchema),
  threshold: compileSchema<Wire>(thresholdSchema),
};

type Wire = Pick<HeartbeatMessage, 'device_id' | 'message_id' | 'timestamp'> & Record<string, unknown>;

/**
 * The topics of devices' own messages (seed: pond-command-flow, MQTT Topics Used).
 * @param prefix put before each, with or without a slash at its end
 */
export function eventTopics(prefix = ''): Record<DeviceMessageKind, TopicTemplate> {
  const before = prefix === '' ? '' : `${prefix.replace(/\/+$/, '')}/`;
  const topic = (end: string) => topicTemplate(`${before}devices/{device_id}/${end}`);
  return {
    sensors: topic('data/sensors'),
    heartbeat: topic('data/heartbeat'),
    startup: topic('data/startup'),
    threshold: topic('threshold'),
  };
}

/** True for an id that may stand in a topic and in a key of the store. */
export const isDeviceId = (id: string): boolean => isTopicLevel(id) && id.length <= DEVICE_CHARACTERS;

const refused = (code: ErrorCode, message: string, pointer?: string): FieldloomError =>
  new FieldloomError(code, message, pointer === undefined ? {} : { pointer });

/**
 * Reads a message of a device. Never throws for what is in the message.
 * @param device id of the topic
 * @param payload bytes as they came
 * @param now epoch milliseconds UTC
 */
export function parseEvent(
  kind: DeviceMessageKind,
  device: string,
  payload: Buffer,
  receivedAt: number,
  now: number,
): ParsedEvent {
  try {
    const value = parseJson(payload);
    const result = validators[kind](value);
    if (!result.valid) throw refused('schema_mismatch', result.message, result.pointer);
    const wire = result.value;
    checkDevice(wire, device);
    const saidAt = timeOf(wire, now);
    const clockSkew = saidAt !== undefined && saidAt > now + SKEW_MS;
    const content = contentOf(kind, wire);
    const numbered = (wire.message_id ?? undefined) !== undefined;
    const identity = wire.message_id ?? saidAt;
    return {
      event: {
        ...content,
        device,
        at: saidAt === undefined || clockSkew ? receivedAt : saidAt,
        receivedAt,
        identified: identity !== undefined,
        digest: identity === undefined ? payloadDigest(payload) : digestOf(numbered, identity, content),
        clockSkew,
        original: wire,
      },
    };
  } catch (thrown) {
    const error = asError(thrown);
    if (!(error instanceof FieldloomError)) throw error;
    const { code, message, pointer } = error;
    return { refusal: pointer === undefined ? { code, message } : { code, message, pointer } };
  }
}

function checkDevice({ device_id: said }: Wire, device: string): void {
  // Devices that are named by their MAC address write it in either case.
  if (said === undefined || said === null || said.toLowerCase() === device.toLowerCase()) return;
  throw refused(
    'id_mismatch',
    `/device_id is ${JSON.stringify(said.slice(0, 64))}, the topic says ${device}`,
    '/device_id',
  );
}

/** Undefined where it says none, or its clock was never set. */
function timeOf({ timestamp }: Wire, now: number): number | undefined {
  if (timestamp === undefined || timestamp === null) return undefined;
  const instant = readInstant(timestamp);
  if (instant === undefined) {
    throw refused(
      'schema_mismatch',
      '/timestamp must be an ISO 8601 date and time with offset, or epoch seconds or milliseconds',
      '/timestamp',
    );
  }
  if (instant > now + FUTURE_MS) {
    const message = `/timestamp ${formatInstant(instant)} is more than 24 h ahead of ${formatInstant(now)}`;
    throw refused('timestamp_in_future', message, '/timestamp');
  }
  return instant < CLOCK_SET_FROM ? undefined : instant;
}

/**
 * What a message says beside its number or time goes in as well: some devices count from one again at each start, and
 * some send for two ponds in the same second.
 */
function digestOf(numbered: boolean, identity: string | number, content: DeviceContent): string {
  const text = JSON.stringify([numbered ? 'message_id' : 'timestamp', identity, content]);
  return createHash('sha256').update(text).digest('hex');
}

function contentOf(kind: DeviceMessageKind, wire: Wire): DeviceContent {
  switch (kind) {
    case 'sensors': {
      const { pond_position: position = null } = wire as SensorsMessage;
      return { kind, position, ...readingsIn(wire) };
    }
    case 'heartbeat':
      return { kind, firmwareVersion: textOf((wire as HeartbeatMessage).firmware_version) };
    case 'startup': {
      const { firmware_version, reason } = wire as StartupMessage;
      return { kind, firmwareVersion: textOf(firmware_version), reason: textOf(reason) };
    }
    case 'threshold':
      return thresholdOf(wire as unknown as ThresholdMessage);
  }
}

const textOf = (value: unknown): string | null =>
  value === undefined || value === null ? null : String(value).slice(0, 255);

function thresholdOf(wire: ThresholdMessage): DeviceContent {
  const { parameter, value = null, limit, threshold, severity, message, active, cleared } = wire;
  if (active !== undefined && cleared !== undefined && active === cleared) {
    throw refused(
      'schema_mismatch',
      `/cleared is ${cleared} and /active as well: one of them is enough`,
      '/cleared',
    );
  }
  const limits = [limit, threshold].filter((each) => typeof each === 'number');
  if (limits.length === 2 && limits[0] !== limits[1]) {
    throw refused(
      'schema_mismatch',
      '/threshold is not the same as /limit: one of them is enough',
      '/threshold',
    );
  }
  return {
    kind: 'threshold',
    position: wire.pond_position ?? null,
    parameter,
    value,
    limit: limits[0] ?? null,
    severity: (severity ?? 'warning').toLowerCase() as Alert['severity'],
    message: message ?? null,
    cleared: cleared === true || active === false,
  };
}
