import commandSchema from '../../schemas/roast/command.schema.json';
import controlSchema from '../../schemas/roast/control.schema.json';
import replayControlSchema from '../../schemas/roast/replay-control.schema.json';
import { FieldloomError } from '../core/errors.js';
import { parseJson } from '../core/json.js';
import { compileSchema, type Validator } from '../core/schema.js';
import type { AlarmRule } from './alarms.js';
import type { ControlOutcome } from './controls.js';
import type { EventType, RoastEvent } from './event.js';
import type { ReplayPoint } from './replay.js';
import type { Point, SessionAction, SessionPhase } from './session.js';
import type {
  RoastCommand,
  RoastControl,
  RoastControlAck,
  RoastLiveAlarm,
  RoastLiveConnection,
  RoastLiveError,
  RoastLiveEvent,
  RoastLiveGap,
  RoastLiveState,
  RoastReplayControl,
  RoastReplayPoint,
  RoastTemperature,
} from './wire.js';

/** A longer message is refused (contract.md "WebSocket"). */
export const MAX_MESSAGE_BYTES = 64 * 1024;
const LIMITS = { maxBytes: MAX_MESSAGE_BYTES, maxDepth: 16 };

/** What a client may say (seed: roast-protocol, Client → Server Messages). */
export type ClientMessage =
  | { readonly type: 'control'; readonly channel: string; readonly value: number }
  | { readonly type: 'action'; readonly action: SessionAction }
  | { readonly type: 'mark'; readonly event: EventType; readonly timeMs: number | undefined }
  | { readonly type: 'sync'; readonly lastMs: number | undefined; readonly sessionId: string | undefined }
  | ReplayMessage;

export type ReplayMessage =
  | {
      readonly type: 'replay';
      readonly action: 'start';
      readonly profileId: string;
      readonly speed: number;
      readonly by: 'time' | 'bt';
      readonly positionMs: number;
      readonly actuate: boolean;
    }
  | { readonly type: 'replay'; readonly action: 'pause' | 'stop' }
  | { readonly type: 'replay'; readonly action: 'resume'; readonly speed: number | undefined }
  | { readonly type: 'replay'; readonly action: 'seek'; readonly positionMs: number };

const validators: Readonly<Record<string, Validator<{ type: string }>>> = {
  control: compileSchema<RoastControl>(controlSchema),
  command: compileSchema<RoastCommand>(commandSchema),
  replay_control: compileSchema<RoastReplayControl>(replayControlSchema),
};

/**
 * One message of a client.
 * @throws FieldloomError payload_too_large, invalid_utf8, invalid_json, nesting_too_deep, schema_mismatch: all of them
 *   are INVALID_MESSAGE to the client
 */
export function parseClientMessage(bytes: Buffer): ClientMessage {
  const value = parseJson(bytes, LIMITS);
  const type = (value as { type?: unknown } | null)?.type;
  const validate = typeof type === 'string' && Object.hasOwn(validators, type) ? validators[type] : undefined;
  if (validate === undefined) {
    const accepted = Object.keys(validators).join(', ');
    const found = JSON.stringify(type)?.slice(0, 60) ?? 'missing';
    throw new FieldloomError('schema_mismatch', `type is ${found}: accepted is ${accepted}`, {
      pointer: '/type',
    });
  }
  const checked = validate(value);
  if (!checked.valid) {
    throw new FieldloomError('schema_mismatch', checked.message, { pointer: checked.pointer });
  }
  return ofWire(checked.value as RoastControl | RoastCommand | RoastReplayControl);
}

function ofWire(wire: RoastControl | RoastCommand | RoastReplayControl): ClientMessage {
  switch (wire.type) {
    case 'control':
      return { type: 'control', channel: wire.channel, value: wire.value };
    case 'command':
      return ofCommand(wire);
    case 'replay_control':
      return ofReplay(wire);
  }
}

function ofCommand(wire: RoastCommand): ClientMessage {
  switch (wire.action) {
    case 'mark_event':
      return { type: 'mark', event: wire.event_type as EventType, timeMs: wire.timestamp_ms };
    case 'sync':
      return {
        type: 'sync',
        lastMs: wire.last_timestamp_ms ?? undefined,
        sessionId: wire.session_id ?? undefined,
      };
    default:
      return { type: 'action', action: wire.action };
  }
}

function ofReplay(wire: RoastReplayControl): ReplayMessage {
  switch (wire.action) {
    case 'start':
      return {
        type: 'replay',
        action: 'start',
        profileId: wire.profile_id as string,
        speed: wire.speed ?? 1,
        by: wire.by ?? 'time',
        positionMs: wire.position_ms ?? 0,
        actuate: wire.actuate ?? false,
      };
    case 'resume':
      return { type: 'replay', action: 'resume', speed: wire.speed };
    case 'seek':
      return { type: 'replay', action: 'seek', positionMs: wire.position_ms as number };
    default:
      return { type: 'replay', action: wire.action };
  }
}

export type LiveErrorCode = RoastLiveError['code'];
export type DriverState = RoastLiveConnection['driver_state'];
export type LockView = RoastLiveState['lock'];

/** Every message to a client (seed: roast-protocol, Server → Client Messages). */
export type ServerMessage =
  | RoastTemperature
  | RoastLiveEvent
  | RoastLiveState
  | RoastLiveAlarm
  | RoastReplayPoint
  | RoastControlAck
  | RoastLiveError
  | RoastLiveConnection
  | RoastLiveGap;

/** As much of a figure as any probe knows: what is kept is what is told. */
export const rounded = (value: number | null): number | null =>
  value === null ? null : Math.round(value * 100) / 100;

export const formatPoint = (point: Point): RoastTemperature => ({
  type: 'temperature',
  timestamp_ms: point.timeMs,
  et: point.et,
  bt: point.bt,
  et_ror: point.etRor,
  bt_ror: point.btRor,
  extra_channels: { ...point.extra },
});

export const formatEvent = (event: RoastEvent): RoastLiveEvent => ({
  type: 'event',
  event_type: event.type,
  timestamp_ms: event.timeMs,
  auto_detected: event.source === 'detected',
  bt_at_event: event.bt,
  et_at_event: event.et,
  detected_at_ms: event.knownMs,
  number: event.number,
  supersedes: event.supersedes,
});

export const formatState = (
  state: SessionPhase,
  previous: SessionPhase,
  sessionId: string | null,
  lock: LockView,
): RoastLiveState => ({ type: 'state', state, previous_state: previous, session_id: sessionId, lock });

export const formatAlarm = (rule: AlarmRule, timeMs: number, point: Point | null): RoastLiveAlarm => ({
  type: 'alarm',
  alarm_id: rule.id,
  message: rule.message,
  severity: rule.severity,
  timestamp_ms: timeMs,
  bt: point?.bt ?? null,
  et: point?.et ?? null,
});

export const formatReplay = (point: ReplayPoint): RoastReplayPoint => ({
  type: 'replay',
  timestamp_ms: Math.round(point.timeMs),
  et: rounded(point.et),
  bt: rounded(point.bt),
  et_ror: rounded(point.etRor),
  bt_ror: rounded(point.btRor),
  controls: { ...point.controls },
  progress_pct: Math.round(point.share * 1000) / 10,
  total_duration_ms: Math.round(point.durationMs),
});

export const formatAck = ({ channel, value, applied, message }: ControlOutcome): RoastControlAck => ({
  type: 'control_ack',
  channel,
  value,
  applied,
  message,
});

export const formatError = (code: LiveErrorCode, message: string): RoastLiveError => ({
  type: 'error',
  code,
  message,
  recoverable: code !== 'MACHINE_NOT_FOUND',
});

export const formatConnection = (state: DriverState, name: string, message: string): RoastLiveConnection => ({
  type: 'connection',
  driver_state: state,
  driver_name: name,
  message,
});

export const formatGap = (fromMs: number, toMs: number, reason: RoastLiveGap['reason']): RoastLiveGap => ({
  type: 'gap',
  from_timestamp_ms: Math.round(fromMs),
  to_timestamp_ms: Math.round(toMs),
  reason,
});
