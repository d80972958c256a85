import saveSchema from '../../schemas/roast/save-profile.schema.json';
import { FieldloomError } from '../core/errors.js';
import { formatInstant } from '../core/instant.js';
import { compileSchema } from '../core/schema.js';
import type { RoastMachine } from './machine.js';
import { formatMachine } from './machine-definition.js';
import type { Profile } from './profile.js';
import { parseProfile } from './profile-codec.js';
import { profileToJson } from './profile-json.js';
import { formatAlarm, formatEvent, formatPoint } from './protocol.js';
import { gapsOf, type RoastRemarks } from './recording.js';
import type { RoastStatistics } from './statistics.js';
import type { RoastSaveProfile } from './wire.js';

/** A machine as REST answers it. */
export function formatMachineView(machine: RoastMachine) {
  const { state, name, message } = machine.driverState;
  return {
    ...formatMachine(machine.definition),
    driver_state: state,
    driver_name: name,
    driver_message: message,
    channels: machine.channels,
    state: machine.phase,
    session_id: machine.sessionId,
  };
}

/** The session of a machine, whole: all of the recording (roast.md "Sessions"). */
export function formatSession(machine: RoastMachine) {
  const { recording, definition } = machine;
  const points = recording?.points ?? [];
  return {
    machine_id: definition.id,
    state: machine.phase,
    session_id: machine.sessionId,
    started_at: recording === undefined ? null : formatInstant(recording.startedAt),
    timestamp_ms: machine.timeMs,
    driver_state: machine.driverState.state,
    events: machine.events.map((event) => withoutType(formatEvent(event))),
    temperatures: points.map((point) => withoutType(formatPoint(point))),
    controls: (recording?.controls ?? []).map(({ timeMs, channel, value }) => ({
      timestamp_ms: timeMs,
      channel,
      value,
    })),
    control_values: machine.controlValues,
    alarms: (recording?.alarms ?? []).map(({ rule, timeMs, point }) =>
      withoutType(formatAlarm(rule, timeMs, point)),
    ),
    gaps: gapsOf(points, definition.samplingMs).map(({ fromMs, toMs }) => ({
      from_timestamp_ms: fromMs,
      to_timestamp_ms: toMs,
    })),
  };
}

function withoutType<T extends { type: unknown }>({ type: _, ...rest }: T): Omit<T, 'type'> {
  return rest;
}

const validateSave = compileSchema<RoastSaveProfile>(saveSchema);

/** What a body of `POST /api/profiles` asks for. */
export type ProfileRequest =
  | { readonly type: 'save'; readonly machineId: string; readonly remarks: RoastRemarks }
  | { readonly type: 'import'; readonly profile: Profile };

/**
 * @param body parsed JSON, or the bytes of a file of any format
 * @param name what the profile is called where the file does not say
 * @throws FieldloomError schema_mismatch, invalid_profile
 */
export function parseProfileRequest(body: unknown, name = ''): ProfileRequest {
  if (Buffer.isBuffer(body)) {
    const profile = parseProfile(body);
    return { type: 'import', profile: profile.title === '' ? { ...profile, title: name } : profile };
  }
  if (typeof body === 'object' && body !== null && ('format' in body || 'timex' in body)) {
    const { name: own } = body as { name?: unknown };
    const profile = parseProfile(Buffer.from(JSON.stringify(body)));
    const title = typeof own === 'string' && own !== '' ? own.slice(0, 1000) : profile.title || name;
    return { type: 'import', profile: { ...profile, title } };
  }
  const checked = validateSave(body);
  if (!checked.valid) {
    throw new FieldloomError('schema_mismatch', checked.message, { pointer: checked.pointer });
  }
  const { machine_id, notes = {}, weight = {} } = checked.value;
  return {
    type: 'save',
    machineId: machine_id,
    remarks: {
      name: checked.value.name,
      notes,
      greenG: weight.green_g ?? null,
      roastedG: weight.roasted_g ?? null,
    },
  };
}

/** A saved profile without its samples. */
export interface ProfileHead {
  readonly id: string;
  readonly name: string;
  readonly companyId: string | null;
  readonly machineId: string | null;
  readonly startedAt: number | null;
  readonly durationMs: number;
  readonly createdAt: number;
}

export function formatProfileHead(head: ProfileHead) {
  return {
    id: head.id,
    name: head.name,
    company_id: head.companyId,
    machine_id: head.machineId,
    started_at: head.startedAt === null ? null : formatInstant(head.startedAt),
    duration_ms: head.durationMs,
    created_at: formatInstant(head.createdAt),
  };
}

/** A saved profile, whole. */
export function formatSavedProfile(head: ProfileHead, profile: Profile, statistics: RoastStatistics) {
  return {
    ...profileToJson(profile),
    ...formatProfileHead(head),
    statistics: formatStatistics(statistics),
  };
}

function formatStatistics({
  totalMs,
  drying,
  maillard,
  development,
  developmentRatio,
  weightLoss,
}: RoastStatistics) {
  const phase = (figures: RoastStatistics['drying']) =>
    figures && { duration_ms: figures.durationMs, share: figures.share, ror: figures.ror };
  return {
    total_ms: totalMs,
    drying: phase(drying),
    maillard: phase(maillard),
    development: phase(development),
    development_ratio: developmentRatio,
    weight_loss: weightLoss,
  };
}
