import machineSchema from '../../schemas/laundry/machine.schema.json';
import messageSchema from '../../schemas/laundry/machine-state.schema.json';
import {
  checkKind,
  controllerTopic,
  type Envelope,
  formatEnvelope,
  idsOfTopic,
  noInstant,
  type Refusal,
  readEnvelope,
} from '../core/envelope.js';
import { asError, type ErrorCode, FieldloomError } from '../core/errors.js';
import { formatInstant, parseInstant } from '../core/instant.js';
import { MESSAGE_LIMITS, parseJson } from '../core/json.js';
import { compileSchema, registerSchema } from '../core/schema.js';
import type { TopicParameters, TopicTemplate } from '../core/topic.js';
import type { MachineStatus, MachineType } from './ports.js';
import { isPacked, UNPACKED_BYTES, unpack } from './unpack.js';
import type { Machine, MachineStateMessage as WireMessage } from './wire.js';

registerSchema(machineSchema);
const validateMessage = compileSchema<WireMessage>(messageSchema);
const validateMachine = compileSchema<Machine>({ $ref: machineSchema.$id });

/** What a controller says of one machine. */
export interface MachineReport {
  relayId: number;
  /** Null where the controller does not know it. */
  machineType: MachineType;
  status: MachineStatus;
  /** Epoch milliseconds UTC. */
  lastUpdated: number;
}

export interface MachineStateMessage extends Envelope {
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

const IN_MACHINES = /^\/payload\/machines\/\d/;

/**
 * The topic that controllers report on (seed: laundry-machine-state, MQTT Topic).
 * @param prefix put before the topic, with or without a slash at its end: `lms` gives `lms/stores/…`
 */
export function metricsTopic(prefix = ''): TopicTemplate {
  return controllerTopic('metrics', prefix);
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

function judge(ids: { storeId: string; controllerId: string }, value: unknown, now: number): Parsed {
  checkKind(value, ['machine_state']);
  const result = validateMessage(value);
  if (!result.valid && !IN_MACHINES.test(result.pointer)) {
    return refused('schema_mismatch', result.message, result.pointer);
  }
  const wire = value as WireMessage;
  const envelope = readEnvelope(wire, ids, now);
  const refusals: Refusal[] = [];
  const machines = readMachines(wire.payload.machines, result.valid, refusals);
  return { message: { ...envelope, machines, original: wire }, refusals };
}

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
export interface OutgoingMessage extends Omit<MachineStateMessage, 'original'> {
  /** The firmware that the controller runs; left out where it is not known. */
  firmwareVersion?: string | undefined;
}

/**
 * The wire's JSON, its fields in the order of the seed.
 * @param offsetMinutes of the clock that times are written by, east of Greenwich; 0 is written `Z`
 */
export function format(message: OutgoingMessage, offsetMinutes = 0): string {
  const time = (instant: number) => formatInstant(instant, offsetMinutes);
  const wire: WireMessage = {
    ...formatEnvelope(message, 'machine_state', offsetMinutes),
    payload: {
      machines: message.machines.map((machine) => ({
        machine_type: machine.machineType,
        relay_id: machine.relayId,
        status: machine.status,
        last_updated: time(machine.lastUpdated),
      })),
      ...(message.firmwareVersion !== undefined && { firmware_version: message.firmwareVersion }),
    },
  };
  return JSON.stringify(wire);
}
