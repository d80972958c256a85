import envelopeSchema from '../../schemas/common/envelope.schema.json';
import { type ErrorCode, FieldloomError } from './errors.js';
import { formatInstant, parseInstant } from './instant.js';
import { registerSchema } from './schema.js';
import { type TopicParameters, type TopicTemplate, topicTemplate } from './topic.js';

registerSchema(envelopeSchema);

/** Why a message, or a part of one, is not accepted. */
export interface Refusal {
  code: ErrorCode;
  /** For people: names the field and what is accepted. */
  message: string;
  /** JSON pointer into the payload. */
  pointer?: string;
}

/** Whose message it is: the ids of its topic, in lower case. */
export interface ControllerIds {
  storeId: string;
  controllerId: string;
}

/** What every message of the laundry and firmware protocols has in common (protocols.md "Common"). */
export interface Envelope extends ControllerIds {
  version: string;
  /** Ties a reply to its request. */
  correlationId: string | null;
  /** When it was sent by the sender's own clock, epoch milliseconds UTC. */
  timestamp: number;
}

/** The envelope's fields as the wire names them. */
interface WireEnvelope {
  version: string;
  timestamp: string;
  correlation_id?: string | null;
  controller_id: string;
  store_id: string;
}

/** How far ahead of our clock a message's timestamp may be (protocols.md "Common"). */
const FUTURE_MS = 24 * 60 * 60 * 1000;

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

export function isUuid(value: unknown): value is string {
  return typeof value === 'string' && UUID.test(value);
}

/**
 * A topic of one controller: `/stores/{store_id}/controllers/{controller_id}/<channel>`.
 * @param prefix put before the topic, with or without a slash at its end: `lms` gives `lms/stores/…`
 */
export function controllerTopic(channel: string, prefix = ''): TopicTemplate {
  const before = prefix.replace(/\/+$/, '');
  return topicTemplate(`${before}/stores/{store_id}/controllers/{controller_id}/${channel}`);
}

/**
 * The ids of a topic that `controllerTopic` has matched, in lower case: UUIDs are compared without regard to case.
 * @throws FieldloomError invalid_topic where one is not a UUID
 */
export function idsOfTopic(parameters: TopicParameters): ControllerIds {
  const id = (name: string) => {
    const value = parameters[name] ?? '';
    if (!UUID.test(value)) {
      throw new FieldloomError(
        'invalid_topic',
        `${name} in the topic is ${JSON.stringify(value)}, not a UUID`,
      );
    }
    return value.toLowerCase();
  };
  return { storeId: id('store_id'), controllerId: id('controller_id') };
}

/**
 * What decides before any other field: which format and which kind of message it is at all.
 * @param accepted event types of the topic
 * @throws FieldloomError unsupported_version, unexpected_event_type
 */
export function checkKind(value: unknown, accepted: readonly string[]): void {
  if (typeof value !== 'object' || value === null) return;
  const { version, event_type: eventType } = value as Record<string, unknown>;
  if (typeof version === 'string' && !/^1(\.\d+)*$/.test(version)) {
    throw new FieldloomError(
      'unsupported_version',
      `/version is ${JSON.stringify(version.slice(0, 64))}; accepted is 1.x`,
      { pointer: '/version' },
    );
  }
  if (typeof eventType === 'string' && !accepted.includes(eventType)) {
    const known = accepted.map((type) => JSON.stringify(type)).join(', ');
    throw new FieldloomError(
      'unexpected_event_type',
      `/event_type is ${JSON.stringify(eventType.slice(0, 64))}; on this topic ${known} is accepted`,
      { pointer: '/event_type' },
    );
  }
}

/** What a time that no `parseInstant` takes is refused with. */
export const noInstant = (pointer: string): string =>
  `${pointer} must be an ISO 8601 date and time with offset`;

/**
 * The envelope of a message that its schema accepts.
 * @param ids of the topic: those of the message must be the same
 * @param now epoch milliseconds UTC
 * @throws FieldloomError id_mismatch, schema_mismatch, timestamp_in_future
 */
export function readEnvelope(wire: WireEnvelope, ids: ControllerIds, now: number): Envelope {
  checkId('store_id', wire.store_id, ids.storeId);
  checkId('controller_id', wire.controller_id, ids.controllerId);
  const timestamp = parseInstant(wire.timestamp);
  if (timestamp === undefined) {
    throw new FieldloomError('schema_mismatch', noInstant('/timestamp'), { pointer: '/timestamp' });
  }
  if (timestamp > now + FUTURE_MS) {
    throw new FieldloomError(
      'timestamp_in_future',
      `/timestamp ${wire.timestamp} is more than 24 h ahead of ${formatInstant(now)}`,
      { pointer: '/timestamp' },
    );
  }
  return { ...ids, version: wire.version, correlationId: wire.correlation_id ?? null, timestamp };
}

function checkId(field: string, found: string, wanted: string): void {
  if (found.toLowerCase() === wanted) return;
  throw new FieldloomError('id_mismatch', `/${field} is ${found}, the topic says ${wanted}`, {
    pointer: `/${field}`,
  });
}

/**
 * The envelope as the wire writes it, its fields in the order of the seeds; `payload` follows.
 * @param offsetMinutes of the clock that the time is written by, east of Greenwich; 0 is written `Z`
 */
export function formatEnvelope<T extends string>(envelope: Envelope, eventType: T, offsetMinutes = 0) {
  return {
    version: envelope.version,
    event_type: eventType,
    timestamp: formatInstant(envelope.timestamp, offsetMinutes),
    correlation_id: envelope.correlationId,
    controller_id: envelope.controllerId,
    store_id: envelope.storeId,
  };
}
