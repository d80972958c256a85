import { heard, type LivenessSettings, patience, type Rhythm, rhythmOf } from '../core/liveness.js';
import { type AlertChange, alertKey, judgeAlert } from './alerts.js';
import type {
  KnownMessage,
  LatestValue,
  LoadedDevice,
  StoredAlert,
  StoredDevice,
  StoredReading,
} from './device-ports.js';
import type { DeviceEvent } from './events-codec.js';
import type { DeviceRecord } from './ports.js';

/**
 * One device: what its messages do to it (protocols.md "Node device-events"). Alerts have their own table in alerts.ts.
 *
 * | event       | state                                     | does                                                  |
 * | ----------- | ----------------------------------------- | ----------------------------------------------------- |
 * | any message | offline or new                            | online                                                |
 * | sensors     | repeated (ingest.md "Same message twice") | duplicate: nothing but that it is there               |
 * |             | else                                      | a reading; newest values move where it is not older   |
 * | heartbeat   | any                                       | its interval is learnt                                |
 * | startup     | repeated                                  | duplicate                                             |
 * |             | older than the last one                   | stale                                                 |
 * |             | else                                      | started then, with its firmware version               |
 * | threshold   | any                                       | as alerts.ts says                                     |
 * | retained or | any                                       | the same, but says nothing of whether it is there;    |
 * |   replayed  |                                           | a heartbeat is stale                                  |
 * | deadline    | online, silent for the missed intervals   | offline                                               |
 * | restored    | any                                       | the count of missed intervals begins now              |
 * | acknowledge | alert not acknowledged                    | acknowledged, by whom and when; else nothing          |
 */
export interface DeviceState {
  readonly device: string;
  readonly online: boolean;
  /** Time of receipt of its newest message, epoch ms; 0 before the first. */
  readonly lastSeen: number;
  /** From when on silence counts: the last message, or the start of the gateway where that is later. */
  readonly silentSince: number;
  readonly rhythm: Rhythm;
  /**
   * What its interval is learnt from: heartbeats; before the first of them, readings of one position, for devices that
   * send no heartbeats at all.
   */
  readonly pace: 'heartbeat' | { position: number | null } | undefined;
  readonly startedAt: number | null;
  readonly firmwareVersion: string | null;
  readonly startup: KnownMessage | null;
  /** The connection that it speaks on, and when it was heard of last before that began. */
  readonly connection: { since: number; before: number } | undefined;
  /** By `alertKey`. */
  readonly latest: ReadonlyMap<string, LatestValue>;
  /** The newest alert of each position and parameter, open or cleared. */
  readonly alerts: ReadonlyMap<string, StoredAlert>;
}

export type DeviceStateEvent =
  | {
      type: 'message';
      message: DeviceEvent;
      /** As in Message: the sender may repeat what it sent before that. */
      resumedAt: number | undefined;
      /** A reading that is stored already. */
      repeated: boolean;
      /** The broker had kept it, or it is a dead letter read again: nothing says that the device is there now. */
      past: boolean;
      /** For an alert that is raised. */
      newId(): string;
    }
  | { type: 'deadline' }
  | { type: 'restored' }
  | { type: 'acknowledge'; alert: StoredAlert; by: string };

export type Outcome = 'accepted' | 'duplicate' | 'stale' | 'unmatched';

/** What is to be done: to be stored, then told. */
export interface DeviceEffects {
  /** For the history of messages; undefined where it was no message. */
  outcome: Outcome | undefined;
  reading: StoredReading | undefined;
  latest: LatestValue[];
  /** To be stored; told where something was done to it. */
  alert: { change: AlertChange | undefined; alert: StoredAlert } | undefined;
  /** Set where the device came or went. */
  liveness: 'online' | 'offline' | undefined;
}

/** Messages that may still be without an acknowledgement when a connection is lost came within so long before it, ms. */
const UNACKNOWLEDGED_MS = 10_000;

const ALWAYS = { from: -Infinity, to: Infinity };

export function newDevice(device: string, settings: LivenessSettings): DeviceState {
  return {
    device,
    online: false,
    lastSeen: 0,
    silentSince: 0,
    rhythm: rhythmOf(settings.intervalMs),
    pace: undefined,
    startedAt: null,
    firmwareVersion: null,
    startup: null,
    connection: undefined,
    latest: new Map(),
    alerts: new Map(),
  };
}

/** The state of a device as the store has it. */
export function storedDevice({ device, latest, alerts }: LoadedDevice): DeviceState {
  const { startupDigest, startupReceivedAt } = device;
  return {
    device: device.device,
    online: device.online,
    lastSeen: device.lastSeen,
    silentSince: device.lastSeen,
    rhythm: rhythmOf(device.intervalMs),
    pace: undefined,
    startedAt: device.startedAt,
    firmwareVersion: device.firmwareVersion,
    startup: startupDigest === null ? null : { digest: startupDigest, receivedAt: startupReceivedAt ?? 0 },
    connection: undefined,
    latest: new Map(latest.map((value) => [alertKey(value), value])),
    alerts: new Map(alerts.map((alert) => [alertKey(alert), alert])),
  };
}

/** What others see of a device. */
export function deviceRecord(state: DeviceState): DeviceRecord {
  const { device, online, lastSeen, startedAt, firmwareVersion, rhythm } = state;
  return { device, online, lastSeen, startedAt, firmwareVersion, intervalMs: rhythm.intervalMs };
}

/** What of a device is stored; newest values and alerts are stored by the effects. */
export function deviceRow(state: DeviceState, revision: number): StoredDevice {
  const { startup } = state;
  return {
    ...deviceRecord(state),
    revision,
    startupDigest: startup?.digest ?? null,
    startupReceivedAt: startup?.receivedAt ?? null,
  };
}

/** When an online device that stays silent is offline, epoch ms; Infinity while it is offline. */
export function deadlineOf(state: DeviceState, settings: LivenessSettings): number {
  return state.online ? state.silentSince + patience(state.rhythm, settings) : Infinity;
}

/**
 * When a message of an earlier connection was received that the device, or the broker, may be repeating on this one:
 * after `from` and up to `to`, epoch ms. What was acknowledged is not repeated, so only the last seconds count.
 */
export function repetitionWindow(state: DeviceState, resumedAt: number): { from: number; to: number } {
  const { connection, lastSeen } = state;
  const to = connection?.since === resumedAt ? connection.before : Math.min(lastSeen, resumedAt);
  return { from: to - UNACKNOWLEDGED_MS, to };
}

/** @returns whether one of the messages that are known is this one, sent again */
export function isKnown(
  known: readonly KnownMessage[],
  { identified, digest }: Pick<DeviceEvent, 'identified' | 'digest'>,
  window: { from: number; to: number } | undefined,
): boolean {
  return known.some(
    (each) =>
      each.digest === digest &&
      (identified || (window !== undefined && each.receivedAt > window.from && each.receivedAt <= window.to)),
  );
}

/** @param now epoch milliseconds UTC at this gateway */
export function transition(
  state: DeviceState,
  event: DeviceStateEvent,
  now: number,
  settings: LivenessSettings,
): { state: DeviceState; effects: DeviceEffects } {
  const effects: DeviceEffects = {
    outcome: undefined,
    reading: undefined,
    latest: [],
    alert: undefined,
    liveness: undefined,
  };
  switch (event.type) {
    case 'restored':
      return { state: { ...state, silentSince: Math.max(state.silentSince, now) }, effects };
    case 'deadline':
      if (deadlineOf(state, settings) > now) return { state, effects };
      effects.liveness = 'offline';
      return { state: { ...state, online: false }, effects };
    case 'acknowledge': {
      if (event.alert.acknowledgedAt !== null) return { state, effects };
      const alert = { ...event.alert, acknowledgedAt: now, acknowledgedBy: event.by };
      effects.alert = { change: 'acknowledged', alert };
      const newest = state.alerts.get(alertKey(alert))?.alertId === alert.alertId;
      return { state: newest ? withAlert(state, alert) : state, effects };
    }
    case 'message': {
      const connected = onConnection(state, event.resumedAt);
      const present = event.past ? connected : seen(connected, event.message, effects, settings);
      return { state: take(present, event, effects), effects };
    }
  }
}

function onConnection(state: DeviceState, resumedAt: number | undefined): DeviceState {
  if (resumedAt === undefined || state.connection?.since === resumedAt) return state;
  const { to } = repetitionWindow(state, resumedAt);
  return { ...state, connection: { since: resumedAt, before: to } };
}

function seen(
  state: DeviceState,
  message: DeviceEvent,
  effects: DeviceEffects,
  settings: LivenessSettings,
): DeviceState {
  if (!state.online) effects.liveness = 'online';
  const { receivedAt } = message;
  return {
    ...learn(state, message, settings),
    online: true,
    lastSeen: Math.max(state.lastSeen, receivedAt),
    silentSince: Math.max(state.silentSince, receivedAt),
  };
}

/** By the messages' own times, where they have them: what a device has kept while it was away comes all at once. */
function learn(state: DeviceState, message: DeviceEvent, settings: LivenessSettings): DeviceState {
  const { kind, at } = message;
  if (kind === 'heartbeat') {
    const rhythm = state.pace === 'heartbeat' ? state.rhythm : rhythmOf(state.rhythm.intervalMs);
    return { ...state, pace: 'heartbeat', rhythm: heard(rhythm, at, at, true, settings) };
  }
  if (kind !== 'sensors' || state.pace === 'heartbeat') return state;
  // A device of two ponds sends twice in one interval.
  if (state.pace !== undefined && state.pace.position !== message.position) return state;
  return {
    ...state,
    pace: { position: message.position },
    rhythm: heard(state.rhythm, at, at, true, settings),
  };
}

function take(
  state: DeviceState,
  { message, resumedAt, repeated, past, newId }: Extract<DeviceStateEvent, { type: 'message' }>,
  effects: DeviceEffects,
): DeviceState {
  const resumed = resumedAt === undefined ? undefined : repetitionWindow(state, resumedAt);
  const window = past ? ALWAYS : resumed;
  effects.outcome = 'accepted';
  switch (message.kind) {
    case 'heartbeat': {
      if (past) effects.outcome = 'stale';
      const { firmwareVersion } = message;
      return firmwareVersion === null ? state : { ...state, firmwareVersion };
    }
    case 'startup': {
      if (state.startup !== null && isKnown([state.startup], message, window)) {
        effects.outcome = 'duplicate';
        return state;
      }
      if (state.startedAt !== null && message.at < state.startedAt) {
        effects.outcome = 'stale';
        return state;
      }
      const { at, digest, receivedAt } = message;
      const firmwareVersion = message.firmwareVersion ?? state.firmwareVersion;
      return { ...state, startedAt: at, firmwareVersion, startup: { digest, receivedAt } };
    }
    case 'sensors':
      if (repeated) {
        effects.outcome = 'duplicate';
        return state;
      }
      return takeReading(state, message, effects);
    case 'threshold': {
      const { outcome, change, alert } = judgeAlert(
        state.alerts.get(alertKey(message)),
        message,
        (known) => isKnown(known, message, window),
        newId,
      );
      effects.outcome = outcome;
      if (alert === undefined) return state;
      effects.alert = { change, alert };
      return withAlert(state, alert);
    }
  }
}

function takeReading(
  state: DeviceState,
  message: Extract<DeviceEvent, { kind: 'sensors' }>,
  effects: DeviceEffects,
): DeviceState {
  const { device, position, at, receivedAt, values, extra, digest } = message;
  effects.reading = { device, position, at, receivedAt, values, extra, digest };
  const latest = new Map(state.latest);
  for (const [parameter, value] of Object.entries(values)) {
    const key = alertKey({ position, parameter });
    const known = latest.get(key);
    if (known !== undefined && known.at > at) continue;
    const newest = { position, parameter, value, at };
    latest.set(key, newest);
    effects.latest.push(newest);
  }
  return { ...state, latest };
}

const withAlert = (state: DeviceState, alert: StoredAlert): DeviceState => ({
  ...state,
  alerts: new Map(state.alerts).set(alertKey(alert), alert),
});
