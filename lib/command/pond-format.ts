import type { Pond } from './pond.js';
import type {
  Alert,
  CommandRecord,
  CommandTransition,
  DeviceRecord,
  ExecutionRecord,
  Reading,
} from './ports.js';

/**
 * How REST and live feeds name what is known of a pond (contract.md "REST"). The only place that knows these names.
 * Times leave as ISO 8601 UTC.
 */

const instant = (ms: number) => new Date(ms).toISOString();
const instantOrNull = (ms: number | null) => (ms === null ? null : instant(ms));

export interface ExecutionWithCommand {
  execution: ExecutionRecord;
  command: CommandRecord;
  /** Oldest first. */
  history: readonly CommandTransition[];
}

export interface PondState {
  /** Undefined: nothing was ever heard of it. */
  device: DeviceRecord | undefined;
  /** The newest value of each parameter. */
  readings: Readonly<Record<string, { value: number; at: number }>>;
  /** Those that are open. */
  alerts: readonly Alert[];
}

export function formatDevice(device: DeviceRecord | undefined) {
  return {
    online: device?.online ?? false,
    last_seen: instantOrNull(device?.lastSeen ?? null),
    firmware_version: device?.firmwareVersion ?? null,
  };
}

export function formatAlert(alert: Alert) {
  return {
    alert_id: alert.alertId,
    parameter: alert.parameter,
    value: alert.value,
    limit: alert.limit,
    severity: alert.severity,
    message: alert.message,
    raised_at: instant(alert.raisedAt),
    acknowledged_at: instantOrNull(alert.acknowledgedAt),
    acknowledged_by: alert.acknowledgedBy,
    cleared_at: instantOrNull(alert.clearedAt),
  };
}

export function formatReading(reading: Reading) {
  return {
    received_at: instant(reading.receivedAt),
    at: instant(reading.at),
    pond_position: reading.position,
    values: reading.values,
  };
}

export function formatPond(pond: Pond, { device, readings, alerts }: PondState) {
  return {
    pond_id: pond.pondId,
    name: pond.name,
    device_id: pond.device,
    position: pond.position,
    feed_limit_g: pond.feedLimitG,
    thresholds: pond.thresholds,
    device: formatDevice(device),
    readings: Object.fromEntries(
      Object.entries(readings).map(([parameter, { value, at }]) => [parameter, { value, at: instant(at) }]),
    ),
    alerts: alerts.map(formatAlert),
  };
}

function formatTransition(transition: CommandTransition) {
  return {
    status: transition.status,
    event: transition.event,
    attempt: transition.attempt,
    ...(transition.reason !== null && { reason: transition.reason }),
    ...(transition.message !== null && { message: transition.message }),
    at: instant(transition.at),
  };
}

function formatCommand(command: CommandRecord, history: readonly CommandTransition[]) {
  return {
    command_id: command.id,
    command_type: command.commandType,
    status: command.status,
    attempts: command.attempts,
    ...(command.reason !== null && { reason: command.reason }),
    ...(command.message !== null && { message: command.message }),
    ...(command.late && { late: true }),
    history: history.map(formatTransition),
  };
}

/** contract.md "REST": "An execution". */
export function formatExecution({ execution, command, history }: ExecutionWithCommand) {
  return {
    execution_id: execution.executionId,
    pond_id: execution.pondId,
    action: execution.action,
    status: execution.status,
    parameters: execution.parameters,
    created_at: instant(execution.createdAt),
    completed_at: instantOrNull(execution.completedAt),
    command: formatCommand(command, history),
  };
}

const WORD: Readonly<Record<string, string>> = { FEED: 'Feed', WATER: 'Water' };

/** Ended, and not well: the answer to somebody who has waited for it says so. */
const failed = ({ status }: CommandRecord) =>
  status === 'FAILED' || status === 'EXPIRED' || status === 'CANCELLED';

/**
 * The answer to a command for a pond, as the seed gives it word for word. To who has waited for the outcome
 * (`outcome` given) it says what became of it: `status` and `command`, and where the command has failed `success` is
 * false and `error` says why.
 * (seed: pond-command-flow, "Success Response Flow")
 */
export function formatControlled(pond: Pond, execution: ExecutionRecord, outcome?: ExecutionWithCommand) {
  const word = WORD[execution.action] ?? execution.action;
  const data = {
    execution_id: execution.executionId,
    message: `${word} command executed successfully for ${pond.name}`,
    ...execution.parameters,
  };
  if (outcome === undefined) return { success: true, data };
  const { command, history } = outcome;
  const followed = { status: outcome.execution.status, command: formatCommand(command, history) };
  if (!failed(command)) return { success: true, data: { ...data, ...followed } };
  const reason = command.message ?? command.reason ?? command.status;
  const message = `${word} command failed for ${pond.name}: ${reason}`;
  return { success: false, error: message, data: { ...data, message, ...followed } };
}
