import type { KnownMessage, StoredAlert } from './device-ports.js';
import type { DeviceEvent } from './events-codec.js';
import type { Outcome } from './events-state.js';

/**
 * The alerts of one parameter of a device, as its threshold messages raise and clear them.
 *
 * | message                          | no alert, or cleared    | open                                           |
 * | -------------------------------- | ----------------------- | ---------------------------------------------- |
 * | known already                    | duplicate               | duplicate                                      |
 * | older than what is known         | stale                   | stale                                          |
 * | raised                           | a new alert             | updated: value, limit, severity, message       |
 * | cleared                          | unmatched: its time is  | cleared                                        |
 * |                                  | kept, told nobody       |                                                |
 *
 * The time of a clearing counts also where it meets no alert: of two gateways the other may be about to store the
 * raising that came before it.
 *
 * A person acknowledges an alert, open or cleared, once; that changes nothing of the above.
 */
export type AlertChange = 'raised' | 'updated' | 'acknowledged' | 'cleared';

type Threshold = Extract<DeviceEvent, { kind: 'threshold' }>;

/** Messages about an alert by which a repetition is told. */
const REMEMBERED = 16;

/** `raisedAt` of a row that only keeps when its parameter was cleared: it is no alert to anybody. */
export const NEVER_RAISED = 0;

/** One position and parameter of a device: what there is one open alert of, and one newest value. */
export const alertKey = ({ position, parameter }: { position: number | null; parameter: string }): string =>
  `${position ?? 0}/${parameter}`;

/**
 * @param newest the newest alert of the message's position and parameter
 * @param isKnown whether the message is one of these, sent again
 * @returns what became of the message; the alert, and what was done to it, where it is to be stored
 */
export function judgeAlert(
  newest: StoredAlert | undefined,
  message: Threshold,
  isKnown: (known: readonly KnownMessage[]) => boolean,
  newId: () => string,
): { outcome: Outcome; change?: AlertChange; alert?: StoredAlert } {
  if (newest !== undefined && isKnown(newest.known)) return { outcome: 'duplicate' };
  if (newest !== undefined && message.at < newest.saidAt) return { outcome: 'stale' };
  const open = newest === undefined || newest.clearedAt !== null ? undefined : newest;
  if (message.cleared) {
    if (open === undefined) return { outcome: 'unmatched', alert: unraised(newest, message, newId) };
    const value = message.value ?? open.value;
    const alert = { ...heardOf(open, message), value, clearedAt: message.at };
    return { outcome: 'accepted', change: 'cleared', alert };
  }
  const { device, position, parameter, value, limit, severity, at } = message;
  const text = message.message ?? textOf(message);
  if (open !== undefined) {
    const alert = {
      ...heardOf(open, message),
      value: value ?? open.value,
      limit: limit ?? open.limit,
      severity,
      message: text,
    };
    return { outcome: 'accepted', change: 'updated', alert };
  }
  // What was known of the alert before goes on: a lost connection may have all of it sent again.
  const alert = {
    ...heardOf({ ...NO_ALERT, known: newest?.known ?? [] }, message),
    ...{ alertId: newId(), device, position, parameter, value, limit, severity, message: text, raisedAt: at },
  };
  return { outcome: 'accepted', change: 'raised', alert };
}

const knownOf = ({ digest, receivedAt }: Threshold): KnownMessage => ({ digest, receivedAt });

/** Not ahead of our clock: a device that then corrects its own would be taken for late. */
const saidAtOf = ({ at, receivedAt }: Threshold): number => Math.min(at, receivedAt);

const heardOf = (alert: StoredAlert, message: Threshold): StoredAlert => ({
  ...alert,
  saidAt: saidAtOf(message),
  known: [...alert.known, knownOf(message)].slice(-REMEMBERED),
});

const NO_ALERT: StoredAlert = {
  alertId: '',
  device: '',
  position: null,
  parameter: '',
  value: null,
  limit: null,
  severity: 'info',
  message: '',
  raisedAt: NEVER_RAISED,
  acknowledgedAt: null,
  acknowledgedBy: null,
  clearedAt: null,
  saidAt: 0,
  known: [],
};

/** The newest alert, heard of once more; where there is none, one that was never raised. */
function unraised(newest: StoredAlert | undefined, message: Threshold, newId: () => string): StoredAlert {
  const { device, position, parameter, at } = message;
  const alert = newest ?? { ...NO_ALERT, alertId: newId(), device, position, parameter, clearedAt: at };
  return heardOf(alert, message);
}

/** For a message that says none itself. */
function textOf({ parameter, value, limit }: Threshold): string {
  if (value === null) return `${parameter} is out of its limits`;
  return limit === null ? `${parameter} is ${value}` : `${parameter} is ${value}, limit ${limit}`;
}
