import { createHash } from 'node:crypto';
import statusSchema from '../../schemas/solar/status.schema.json';
import telemetrySchema from '../../schemas/solar/telemetry.schema.json';
import { FieldloomError } from '../core/errors.js';
import { formatInstant, readInstant } from '../core/instant.js';
import { parseJson } from '../core/json.js';
import { compileSchema } from '../core/schema.js';
import { isTopicLevel, type TopicTemplate, topicTemplate } from '../core/topic.js';
import type { Append, MachineIds, ReportedStatus, TelemetryRow } from './ports.js';
import type { StatusMessage, TelemetryMessage } from './wire.js';

/** How far ahead of our clock a message may be at all, and how far before its time is not believed. */
const FUTURE_MS = 24 * 60 * 60 * 1000;
const SKEW_MS = 5 * 60 * 1000;
/** `extra` and fields that the seed does not name, as JSON (protocols.md "Solar"). */
const EXTRA_BYTES = 16 * 1024;
const ID_CHARACTERS = 255;

const validateTelemetry = compileSchema<TelemetryMessage>(telemetrySchema);
const validateStatus = compileSchema<StatusMessage>(statusSchema);

export interface SolarTopics {
  telemetry: TopicTemplate;
  status: TopicTemplate;
}

/**
 * The topics that machines publish (seed: solar-mqtt, Topic Structure).
 * @param prefix put before each, with or without a slash at its end
 */
export function solarTopics(prefix = ''): SolarTopics {
  const before = prefix === '' ? '' : `${prefix.replace(/\/+$/, '')}/`;
  const topic = (type: string) => topicTemplate(`${before}company/{company_id}/machine/{machine_id}/${type}`);
  return { telemetry: topic('telemetry'), status: topic('status') };
}

export type SolarMessageKind = keyof SolarTopics;

const isId = (id: string) => isTopicLevel(id) && id.length <= ID_CHARACTERS;

/** Whose message a topic is. @throws FieldloomError invalid_topic */
export function readTopic(topics: SolarTopics, topic: string): MachineIds & { kind: SolarMessageKind } {
  for (const kind of ['telemetry', 'status'] as const) {
    const { company_id: companyId, machine_id: machineId } = topics[kind].match(topic) ?? {};
    if (companyId !== undefined && machineId !== undefined && isId(companyId) && isId(machineId)) {
      return { kind, companyId, machineId };
    }
  }
  throw new FieldloomError(
    'invalid_topic',
    `topic ${JSON.stringify(topic.slice(0, 256))} is not of the form ${topics.telemetry.template} or ` +
      `${topics.status.template}, with ids of at most ${ID_CHARACTERS} characters`,
  );
}

/** Both wait for their commit: as ArrivedMessage (lib/core/link.ts). */
class NewRow implements TelemetryRow {
  machine = 0;
  id = 0;
  at: number;
  readonly battery: number | null;
  readonly solarV: number | null;
  readonly solarA: number | null;
  readonly water: number | null;
  readonly extra: string | null;

  constructor(
    wire: TelemetryMessage,
    readonly receivedAt: number,
  ) {
    this.at = receivedAt;
    this.battery = wire.battery ?? null;
    this.solarV = wire.solar_v ?? null;
    this.solarA = wire.solar_a ?? null;
    this.water = wire.water ?? null;
    this.extra = extraOf(wire);
  }
}

class NewAppend implements Append {
  identified = false;
  digest: string | null = null;
  late = false;

  constructor(readonly row: NewRow) {}
}

const wrong = (pointer: string, what: string) =>
  new FieldloomError('schema_mismatch', `${pointer === '' ? 'the message' : pointer} ${what}`, { pointer });

/**
 * Reads a telemetry message (seed: solar-mqtt, 1. Telemetry).
 * @param payload bytes as they came
 * @param receivedAt, now epoch milliseconds UTC
 * @param oldest the history begins here: an older time of measurement is not believed, as that of a clock never set
 * @returns a row that has not got the machine's number yet, nor, where the message is not identified, its id
 * @throws FieldloomError as a dead letter says it
 */
export function parseTelemetry(payload: Buffer, receivedAt: number, now: number, oldest: number): Append {
  const value = parseJson(payload);
  const result = validateTelemetry(value);
  if (!result.valid) throw new FieldloomError('schema_mismatch', result.message, { pointer: result.pointer });
  const wire = result.value;
  const append = new NewAppend(new NewRow(wire, receivedAt));
  const { message_id: messageId = null, timestamp = null } = wire;
  if (timestamp !== null || messageId !== null) identify(append, messageId, timestamp, now, oldest);
  return append;
}

/**
 * A message that says its time or number is known again by it, together with what else it says: some machines count
 * from one again at each start, and some send twice in the same second.
 */
function identify(
  append: Append,
  messageId: string | number | null,
  timestamp: string | number | null,
  now: number,
  oldest: number,
): void {
  const said = timestamp === null ? undefined : timeOf(timestamp, now);
  const isBelieved = said !== undefined && said >= oldest && said <= now + SKEW_MS;
  const { row } = append;
  if (isBelieved) row.at = said;
  const { battery, solarV, solarA, water, extra } = row;
  const content = [messageId, said ?? null, battery, solarV, solarA, water, extra];
  const hash = createHash('sha256').update(JSON.stringify(content)).digest();
  append.identified = true;
  row.id = -1 - hash.readUIntBE(0, 6);
  // The row's key has it only where the time of measurement is in it.
  if (!isBelieved) append.digest = hash.toString('hex');
}

/** @throws FieldloomError schema_mismatch, timestamp_in_future */
function timeOf(timestamp: string | number, now: number): number {
  const instant = readInstant(timestamp);
  if (instant === undefined) {
    throw wrong(
      '/timestamp',
      'must be an ISO 8601 date and time with offset, or epoch seconds or milliseconds',
    );
  }
  if (instant > now + FUTURE_MS) {
    const text = `/timestamp ${formatInstant(instant)} is more than 24 h ahead of ${formatInstant(now)}`;
    throw new FieldloomError('timestamp_in_future', text, { pointer: '/timestamp' });
  }
  return instant;
}

/**
 * `extra` as JSON, with the fields of the message that the seed does not name: by their own names, or by their JSON
 * pointer where `extra` has that name itself. An `extra` that is no object then stands under its own name.
 */
function extraOf(wire: TelemetryMessage): string | null {
  let extra: unknown = wire.extra ?? null;
  let more: Record<string, unknown> | undefined;
  for (const name in wire) {
    switch (name) {
      case 'battery':
      case 'solar_v':
      case 'solar_a':
      case 'water':
      case 'extra':
      case 'message_id':
      case 'timestamp':
        break;
      default:
        more ??= {};
        Object.defineProperty(more, name, { value: wire[name], enumerable: true });
    }
  }
  if (more !== undefined) extra = withMore(extra, more);
  if (extra === null) return null;
  const text = JSON.stringify(extra);
  const pointer = text.includes('null') ? infiniteIn(extra) : undefined;
  if (pointer !== undefined) {
    const at = `${more === undefined ? '/extra' : pointerOf(wire, pointer)}${more === undefined ? pointer : ''}`;
    throw wrong(at, 'must be a finite number');
  }
  return limited(text, '/extra');
}

function withMore(extra: unknown, more: Record<string, unknown>): unknown {
  const isObject = typeof extra === 'object' && extra !== null && !Array.isArray(extra);
  const own = isObject ? Object.entries(extra) : extra === null ? [] : [['extra', extra] as const];
  const names = new Set(own.map(([name]) => name));
  const others = Object.entries(more).map(
    ([name, value]) => [names.has(name) ? `/${name}` : name, value] as const,
  );
  return Object.fromEntries([...own, ...others]);
}

/** Where something of the merged `extra` stood in the message. */
function pointerOf(wire: TelemetryMessage, pointer: string): string {
  const [, name = ''] = pointer.split('/');
  return name in wire && name !== 'extra' ? pointer : `/extra${pointer}`;
}

/** JSON pointer to a number that is not finite: 1e999 is read as one, and written as null. */
function infiniteIn(value: unknown): string | undefined {
  if (typeof value === 'number') return Number.isFinite(value) ? undefined : '';
  if (typeof value !== 'object' || value === null) return undefined;
  for (const name in value) {
    const found = infiniteIn((value as Record<string, unknown>)[name]);
    if (found !== undefined) return `/${name.replaceAll('~', '~0').replaceAll('/', '~1')}${found}`;
  }
  return undefined;
}

function limited(text: string, pointer: string): string {
  // A character of text has at most three bytes in UTF-8: exactness costs time.
  if (text.length * 3 > EXTRA_BYTES) {
    const bytes = Buffer.byteLength(text);
    if (bytes > EXTRA_BYTES) throw wrong(pointer, `has ${bytes} bytes; at most ${EXTRA_BYTES} are accepted`);
  }
  return text;
}

/** The status that a machine's last will says (seed: solar-mqtt, 2. Status). */
const OFFLINE = 'offline';

export const isOffline = (status: string) => status.trim().toLowerCase() === OFFLINE;

/**
 * Reads a status message (seed: solar-mqtt, 2. Status).
 * @param now epoch milliseconds UTC
 * @throws FieldloomError as a dead letter says it
 */
export function parseStatus(payload: Buffer, now: number): ReportedStatus {
  const result = validateStatus(parseJson(payload));
  if (!result.valid) throw new FieldloomError('schema_mismatch', result.message, { pointer: result.pointer });
  const { status, energy = null, water = null, area = null, ...others } = result.value;
  const { timestamp = null } = others;
  if (timestamp !== null) timeOf(timestamp, now);
  const pointer = infiniteIn(others);
  if (pointer !== undefined) throw wrong(pointer, 'must be a finite number');
  const text = Object.keys(others).length === 0 ? null : limited(JSON.stringify(others), '');
  return { status, energy, water, area, others: text };
}
