import commandSchema from '../../schemas/solar/command.schema.json';
import { FieldloomError } from '../core/errors.js';
import { formatInstant } from '../core/instant.js';
import { parseJson } from '../core/json.js';
import { compileSchema } from '../core/schema.js';
import { topicTemplate } from '../core/topic.js';
import { parseStatus, parseTelemetry, readTopic, solarTopics } from './codec.js';
import type { MachineStatus, Measurement } from './machine-ports.js';
import type { MachineIds } from './ports.js';
import type { CommandMessage } from './wire.js';

const validateCommand = compileSchema<CommandMessage>(commandSchema);

export interface MachineTopics {
  telemetry: string;
  status: string;
  command: string;
}

/**
 * The topics of one machine (seed: solar-mqtt, Topic Structure).
 * @param prefix put before each, with or without a slash at its end
 * @throws FieldloomError invalid_topic_parameter, invalid_topic
 */
export function machineTopics({ companyId, machineId }: MachineIds, prefix = ''): MachineTopics {
  const templates = solarTopics(prefix);
  const ids = { company_id: companyId, machine_id: machineId };
  const [telemetry, status] = [templates.telemetry.format(ids), templates.status.format(ids)];
  readTopic(templates, telemetry); // ids of a length that the other end takes
  const command = topicTemplate(templates.status.template.replace(/status$/, 'command')).format(ids);
  return { telemetry, status, command };
}

const given = (what: string, message: string, pointer?: string) =>
  new FieldloomError('invalid_input', `${what}: ${message}`, pointer === undefined ? {} : { pointer });

/** JSON has no word for a number that is not finite: it would become null, which is not measured. */
function toJson(what: string, value: unknown): Buffer {
  const text = JSON.stringify(value, (name, each: unknown) => {
    if (typeof each !== 'number' || Number.isFinite(each)) return each;
    throw given(what, `${name} is ${each}: accepted is a finite number`);
  });
  return Buffer.from(text ?? 'null');
}

/** What the other end would make a dead letter of is refused here already, with its words. */
function check(what: string, parse: () => unknown): void {
  try {
    parse();
  } catch (error) {
    if (!(error instanceof FieldloomError)) throw error;
    throw given(what, error.message, error.pointer);
  }
}

/**
 * What a flow has measured.
 * @throws FieldloomError invalid_input, which names the field and what is accepted
 */
export function readMeasurement(payload: unknown, now: number): Measurement {
  const what = 'msg.payload';
  const bytes = toJson(what, payload);
  check(what, () => parseTelemetry(bytes, now, now, 0));
  const values = parseJson(bytes) as Measurement;
  for (const name of ['timestamp', 'message_id']) {
    if (name in values)
      throw given(what, `/${name} is not accepted: values are sent with the node's own time`);
  }
  return values;
}

/** That the values of an interval fit into one message. @throws FieldloomError invalid_input */
export function checkMeasurement(values: Measurement, now: number): void {
  check('the values since the last message', () => parseTelemetry(toJson('', values), now, now, 0));
}

/**
 * A status as text, or as the message says it.
 * @throws FieldloomError invalid_input, which names the field and what is accepted
 */
export function readReport(payload: unknown, now: number): MachineStatus {
  const what = 'msg.payload';
  const bytes = toJson(what, typeof payload === 'string' ? { status: payload } : payload);
  check(what, () => parseStatus(bytes, now));
  return parseJson(bytes) as MachineStatus;
}

/** @param at epoch ms; undefined: the message says no time */
export function formatTelemetry(values: Measurement, at: number | undefined): Buffer {
  const message = at === undefined ? values : { ...values, timestamp: formatInstant(at) };
  return Buffer.from(JSON.stringify(message));
}

export const formatStatus = (status: MachineStatus): Buffer => Buffer.from(JSON.stringify(status));

/** The last will, and what an orderly end says (seed: solar-mqtt, 2. Status). */
export const OFFLINE_STATUS: MachineStatus = { status: 'offline' };

/** A command as a machine takes it. */
export interface MachineCommand {
  command: string;
  params: Readonly<Record<string, unknown>>;
  /** What tells it from all others, where the sender says so: `command_id`, else `message_id`. */
  commandId: string | undefined;
}

/**
 * Reads a command (seed: solar-mqtt, 3. Command).
 * @throws FieldloomError schema_mismatch and those of parseJson
 */
export function parseCommand(payload: Buffer): MachineCommand {
  const result = validateCommand(parseJson(payload));
  if (!result.valid) throw new FieldloomError('schema_mismatch', result.message, { pointer: result.pointer });
  const { command, params, command_id: own, message_id: other } = result.value;
  const id = own ?? other ?? undefined;
  return { command, params, commandId: id === undefined ? undefined : String(id) };
}
