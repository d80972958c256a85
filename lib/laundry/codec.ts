import envelopeSchema from '../../schemas/common/envelope.schema.json';
import machineSchema from '../../schemas/laundry/machine.schema.json';
import messageSchema from '../../schemas/laundry/machine-state.schema.json';
import { asError, type ErrorCode, FieldloomError } from '../core/errors.js';
import { formatInstant, parseInstant } from '../core/instant.js';
import { MESSAGE_LIMITS, parseJson } from '../core/json.js';
import { compileSchema, registerSchema } from '../core/schema.js';
import { type TopicParameters, type TopicTemplate, topicTemplate } from '../core/topic.js';
import type { MachineStatus, MachineType } from './ports.js';
import { isPacked, UNPACKED_BYTES, unpack } from './unpack.js';
import type { Machine, MachineStateMessage as WireMessage } from './wire.js';

registerSchema(envelopeSchema);
registerSchema(machineSchema);
const validateMessage = compileSchema<WireMessage>(messageSchema);
const validateMachine = compileSchema<Machine>({ $ref: machineSchema.$id });

/** Why a message, or one machine of it, is not accepted. */
export interface Refusal {
  code: ErrorCode;
  /** For people: names the field and what is accepted. */
  message: string;
  /** JSON pointer into the payload. */
  pointer?: string;
}

/** What a controller says of one machine. */
export interface MachineReport {
  relayId: number;
  /** Null where the controller does not know it. */
  machineType: MachineType;
  status: MachineStatus;
  /** Epoch milliseconds UTC. */
  lastUpdated: number;
}

export interface MachineStateMessage {
  /** Lower case. */
  storeId: string;
  /** Lower case. */
  controllerId: string;
  version: string;
  correlationId: string | null;
  /** When the controller sent it by its own clock, epoch milliseconds UTC. */
  timestamp: number;
  /** The machines that are right. */
  machines: MachineReport[];
  /** The message as it came, fields that we do not know included. */
  original: Record<string, unknown>;
}

export interface Parsed {
  /** Undefined where the whole message is refused. */
  message: MachineStateMessage | undefined;
  refusals: Refusal[];
}

/** How far ahead of our clock a message's timestamp may be (protocols.md "Common"). */
const FUTURE_MS = 24 * 60 * 60 * 1000;

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;
const IN_MACHINES = /^\/payload\/machines\/\d/;

/**
 * The topic that controllers report on (seed: laundry-machine-state, MQTT Topic).
 * @param prefix put before the topic, with or without a slash at its end: `lms` gives `lms/stores/…`
 */
export function metricsTopic(prefix = ''): TopicTemplate {
  const before = prefix.replace(/\/+$/, '');
  return topicTemplate(`${before}/stores/{store_id}/controllers/{controller_id}/metrics`);
}

/**
 * The ids of a topic that `metricsTopic` has matched, in lower case: UUIDs are compared without regard to case.
 * @throws FieldloomError invalid_topic where one is not a UUID
 */
export function idsOfTopic(parameters: TopicParameters): { storeId: string; controllerId: string } {
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

const refused = (code: ErrorCode, message: string, pointer?: string): Parsed => ({
  message: undefined,
  refusals: [pointer === undefined ? { code, message } : { code, message, pointer }],
});

function refusedBy(thrown: unknown): Parsed {
  if (!(thrown instanceof FieldloomError)) throw asError(thrown);
  return refused(thrown.code, thrown.message, thrown.pointer);
}

/**
 * Reads a message of the metrics topic. Each machine is judged alone: a bad one is a refusal with its pointer, the
 * others count (protocols.md "Laundry"). Never throws for what is in the message.
 * @param parameters values of the topic
 * @param payload bytes as they came: JSON, or JSON packed with gzip or zlib
 * @param now epoch milliseconds UTC
 * @returns at once, or a promise where it has to be unpacked
 */
export function parse(parameters: TopicParameters, payload: Buffer, now: number): Parsed | Promise<Parsed> {
  if (payload.length > MESSAGE_LIMITS.maxBytes) {
    return refused(
      'payload_too_large',
      `payload has ${payload.length} bytes; at most ${MESSAGE_LIMITS.maxBytes} are accepted`,
    );
  }
  if (!isPacked(payload)) return parseContent(parameters, payload, now);
  return unpack(payload).then((content) => parseContent(parameters, content, now), refusedBy);
}

function parseContent(parameters: TopicParameters, content: Buffer, now: number): Parsed {
  try {
    const ids = idsOfTopic(parameters);
    return judge(ids, parseJson(content, { ...MESSAGE_LIMITS, maxBytes: UNPACKED_BYTES }), now);
  } catch (error) {
    return refusedBy(error);
  }
}

/** What decides before any other field: which format and which kind of message it is at all. */
function foreignness(value: unknown): Parsed | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const { version, event_type: eventType } = value as Record<string, unknown>;
  if (typeof version === 'string' && !/^1(\.\d+)*$/.test(version)) {
    return refused(
      'unsupported_version',
      `/version is ${JSON.stringify(version.slice(0, 64))}; accepted is 1.x`,
      '/version',
    );
  }
  if (typeof eventType === 'string' && eventType !== 'machine_state') {
    return refused(
      'unexpected_event_type',
      `/event_type is ${JSON.stringify(eventType.slice(0, 64))}; on this topic "machine_state" is accepted`,
      '/event_type',
    );
  }
  return undefined;
}

function judge(ids: { storeId: string; controllerId: string }, value: unknown, now: number): Parsed {
  const foreign = foreignness(value);
  if (foreign !== undefined) return foreign;
  const result = validateMessage(value);
  if (!result.valid && !IN_MACHINES.test(result.pointer)) {
    return refused('schema_mismatch', result.message, result.pointer);
  }
  const wire = value as WireMessage;
  if (wire.store_id.toLowerCase() !== ids.storeId) return mismatch('store_id', wire.store_id, ids.storeId);
  if (wire.controller_id.toLowerCase() !== ids.controllerId) {
    return mismatch('controller_id', wire.controller_id, ids.controllerId);
  }
  const timestamp = parseInstant(wire.timestamp);
  if (timestamp === undefined) return refused('schema_mismatch', noInstant('/timestamp'), '/timestamp');
  if (timestamp > now + FUTURE_MS) {
    return refused(
      'timestamp_in_future',
      `/timestamp ${wire.timestamp} is more than 24 h ahead of ${formatInstant(now)}`,
      '/timestamp',
    );
  }
  const refusals: Refusal[] = [];
  const machines = readMachines(wire.payload.machines, result.valid, refusals);
  const message: MachineStateMessage = {
    storeId: ids.storeId,
    controllerId: ids.controllerId,
    version: wire.version,
    correlationId: wire.correlation_id ?? null,
    timestamp,
    machines,
    original: wire,
  };
  return { message, refusals };
}

const noInstant = (pointer: string) => `${pointer} must be an ISO 8601 date and time with offset`;

const mismatch = (field: string, found: string, wanted: string) =>
  refused('id_mismatch', `/${field} is ${found}, the topic says ${wanted}`, `/${field}`);

function readMachines(machines: readonly Machine[], checked: boolean, refusals: Refusal[]): MachineReport[] {
  const good: MachineReport[] = [];
  for (const [index, machine] of machines.entries()) {
    const base = `/payload/machines/${index}`;
    const result = checked ? undefined : validateMachine(machine);
    if (result?.valid === false) {
      const pointer = `${base}${result.pointer}`;
      const subject = result.pointer === '' ? 'the message' : result.pointer;
      refusals.push({ code: 'schema_mismatch', message: result.message.replace(subject, pointer), pointer });
      continue;
    }
    const lastUpdated = parseInstant(machine.last_updated);
    if (lastUpdated === undefined) {
      const pointer = `${base}/last_updated`;
      refusals.push({ code: 'schema_mismatch', message: noInstant(pointer), pointer });
      continue;
    }
    good.push({
      relayId: machine.relay_id,
      machineType: machine.machine_type ?? null,
      status: machine.status,
      lastUpdated,
    });
  }
  return good;
}

/** What `format` writes. Times are epoch milliseconds UTC. */
export type OutgoingMessage = Omit<MachineStateMessage, 'original'>;

/**
 * The wire's JSON, its fields in the order of the seed.
 * @param offsetMinutes of the clock that times are written by, east of Greenwich; 0 is written `Z`
 */
export function format(message: OutgoingMessage, offsetMinutes = 0): string {
  const time = (instant: number) => formatInstant(instant, offsetMinutes);
  const wire: WireMessage = {
    version: message.version,
    event_type: 'machine_state',
    timestamp: time(message.timestamp),
    correlation_id: message.correlationId,
    controller_id: message.controllerId,
    store_id: message.storeId,
    payload: {
      machines: message.machines.map((machine) => ({
        machine_type: machine.machineType,
        relay_id: machine.relayId,
        status: machine.status,
        last_updated: time(machine.lastUpdated),
      })),
    },
  };
  return JSON.stringify(wire);
}
