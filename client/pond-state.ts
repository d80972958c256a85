import type { Limits } from '../lib/command/limits.js';
import type {
  AlertWire,
  CommandStatus,
  CommandWire,
  DeviceWire,
  ExecutionWire,
  PondMessage,
  PondWire,
  ReadingWire,
} from './pond-wire.js';

/** Times are epoch milliseconds UTC. */
export interface Device {
  online: boolean;
  lastSeen: number;
  firmwareVersion: string | undefined;
}

export interface Alert {
  alertId: string;
  parameter: string;
  value: number | undefined;
  limit: number | undefined;
  severity: 'info' | 'warning' | 'critical';
  message: string;
  raisedAt: number;
  acknowledgedAt: number | undefined;
  acknowledgedBy: string | undefined;
  clearedAt: number | undefined;
}

export interface Transition {
  status: CommandStatus;
  event: string;
  at: number;
  attempt: number;
  message: string | undefined;
}

export interface Command {
  commandId: string;
  status: CommandStatus;
  attempts: number;
  reason: string | undefined;
  message: string | undefined;
  late: boolean;
  /** Oldest first. */
  history: readonly Transition[];
}

export interface Execution {
  executionId: number;
  pondId: number;
  action: string;
  status: string;
  parameters: Readonly<Record<string, unknown>>;
  createdAt: number;
  completedAt: number | undefined;
  command: Command | undefined;
}

export interface Reading {
  key: string;
  at: number;
  values: Readonly<Record<string, number>>;
}

export interface Latest {
  value: number;
  at: number;
}

/** One pond as the page knows it. Never changed in place: a new value is a new object. */
export interface Pond {
  pondId: number;
  name: string;
  deviceId: string;
  position: number;
  feedLimitG: number;
  thresholds: Readonly<Record<string, Limits>>;
  /** Undefined until it was heard for the first time. */
  device: Device | undefined;
  latest: Readonly<Record<string, Latest>>;
  /** Not cleared; newest first. */
  alerts: readonly Alert[];
  /** Newest first. */
  executions: readonly Execution[];
  /** Oldest first, each once. */
  readings: readonly Reading[];
}

const ENDED: readonly CommandStatus[] = ['COMPLETED', 'FAILED', 'EXPIRED', 'CANCELLED'];

/** True where nothing more is expected of it, but for an answer that comes late. */
export function hasEnded({ status, command }: Execution): boolean {
  return command === undefined
    ? status === 'COMPLETED' || status === 'FAILED'
    : ENDED.includes(command.status);
}

export function pondOf(wire: PondWire): Pond {
  return {
    ...factsOf(wire),
    executions: [],
    readings: [],
  };
}

/** The pond after one message of its live feed. Types that this page does not know change nothing. */
export function applyMessage(pond: Pond, message: PondMessage): Pond {
  switch (message.type) {
    case 'snapshot':
      return applyFacts(addExecutions(pond, message.data.executions ?? []), message.data);
    case 'execution':
      return addExecutions(pond, [message.data]);
    case 'reading':
      return applyReading(pond, message.data);
    case 'device':
      return { ...pond, device: newerDevice(pond.device, deviceOf(message.data)) };
    case 'alert':
      return applyAlert(pond, alertOf(message.data));
    default:
      return pond;
  }
}

/** What a list or a snapshot says of the pond itself; its curves and its history stay. */
export function applyFacts(pond: Pond, wire: PondWire): Pond {
  return { ...pond, ...factsOf(wire) };
}

/**
 * What the list says of a pond that a live feed follows: what a person set, and when the device was last heard.
 * Whether it is online, its values and its alerts are the feed's to say: the list may be older than its last message.
 */
export function refreshed(pond: Pond, wire: PondWire): Pond {
  const { name, feedLimitG, thresholds, device: listed } = factsOf(wire);
  const device =
    pond.device === undefined || listed === undefined
      ? (pond.device ?? listed)
      : { ...pond.device, lastSeen: Math.max(pond.device.lastSeen, listed.lastSeen) };
  return { ...pond, name, feedLimitG, thresholds, device };
}

/** Adds executions that came live, in a snapshot or from the history, in any order and any number of times. */
export function addExecutions(pond: Pond, wires: readonly ExecutionWire[]): Pond {
  if (wires.length === 0) return pond;
  const known = new Map(pond.executions.map((execution) => [execution.executionId, execution]));
  for (const wire of wires) {
    const execution = executionOf(wire);
    const old = known.get(execution.executionId);
    if (old === undefined || !isOlder(execution, old)) known.set(execution.executionId, execution);
  }
  const executions = [...known.values()].sort((a, b) => b.executionId - a.executionId);
  return { ...pond, executions };
}

/** Adds readings from the history, in any order and any number of times. */
export function addReadings(pond: Pond, wires: readonly ReadingWire[]): Pond {
  const fresh = wires.filter((wire) => isOf(pond, wire)).map(readingOf);
  return fresh.length === 0 ? pond : { ...pond, readings: merged(pond.readings, fresh) };
}

export function forgetReadingsBefore(pond: Pond, from: number): Pond {
  const first = pond.readings[0];
  if (first === undefined || first.at >= from) return pond;
  return { ...pond, readings: pond.readings.filter(({ at }) => at >= from) };
}

export function alertOf(wire: AlertWire): Alert {
  return {
    alertId: wire.alert_id,
    parameter: wire.parameter,
    value: wire.value ?? undefined,
    limit: wire.limit ?? undefined,
    severity: wire.severity,
    message: wire.message,
    raisedAt: Date.parse(wire.raised_at),
    acknowledgedAt: instant(wire.acknowledged_at),
    acknowledgedBy: wire.acknowledged_by ?? undefined,
    clearedAt: instant(wire.cleared_at),
  };
}

/** Raised, changed or cleared. */
export function applyAlert(pond: Pond, alert: Alert): Pond {
  const others = pond.alerts.filter(({ alertId }) => alertId !== alert.alertId);
  return { ...pond, alerts: newestFirst(alert.clearedAt === undefined ? [...others, alert] : others) };
}

function factsOf(wire: PondWire): Omit<Pond, 'executions' | 'readings'> {
  return {
    pondId: wire.pond_id,
    name: wire.name,
    deviceId: wire.device_id,
    position: wire.position,
    feedLimitG: wire.feed_limit_g,
    thresholds: Object.fromEntries(
      Object.entries(wire.thresholds ?? {}).map(([name, { min, max }]) => [
        name,
        { min: min ?? undefined, max: max ?? undefined },
      ]),
    ),
    device: deviceOf(wire.device),
    latest: Object.fromEntries(
      Object.entries(wire.readings).map(([name, { value, at }]) => [name, { value, at: Date.parse(at) }]),
    ),
    alerts: newestFirst(wire.alerts.map(alertOf).filter(({ clearedAt }) => clearedAt === undefined)),
  };
}

function deviceOf(wire: DeviceWire | null): Device | undefined {
  const lastSeen = instant(wire?.last_seen);
  if (wire === null || lastSeen === undefined) return undefined;
  return { online: wire.online, lastSeen, firmwareVersion: wire.firmware_version ?? undefined };
}

function newerDevice(old: Device | undefined, device: Device | undefined): Device | undefined {
  if (device === undefined) return old;
  return { ...device, lastSeen: Math.max(device.lastSeen, old?.lastSeen ?? 0) };
}

function executionOf(wire: ExecutionWire): Execution {
  return {
    executionId: wire.execution_id,
    pondId: wire.pond_id,
    action: wire.action,
    status: wire.status,
    parameters: wire.parameters,
    createdAt: Date.parse(wire.created_at),
    completedAt: instant(wire.completed_at),
    command: wire.command ? commandOf(wire.command) : undefined,
  };
}

function commandOf(wire: CommandWire): Command {
  return {
    commandId: wire.command_id,
    status: wire.status,
    attempts: wire.attempts,
    reason: wire.reason ?? undefined,
    message: wire.message ?? wire.history.findLast(({ message }) => message)?.message ?? undefined,
    late: wire.late === true,
    history: wire.history
      .map(({ status, event, at, attempt, message }) => ({
        status,
        event,
        at: Date.parse(at),
        attempt,
        message: message ?? undefined,
      }))
      .sort((a, b) => a.at - b.at),
  };
}

/** A list that was asked for before the last live message may arrive after it. */
function isOlder(one: Execution, other: Execution): boolean {
  return (one.command?.history.length ?? 0) < (other.command?.history.length ?? 0);
}

function readingOf(wire: ReadingWire): Reading {
  return {
    key: `${wire.at}/${wire.received_at}/${wire.pond_position}`,
    at: Date.parse(wire.at),
    values: wire.values,
  };
}

function isOf({ position }: Pond, wire: ReadingWire): boolean {
  return wire.pond_position === null || wire.pond_position === position;
}

function applyReading(pond: Pond, wire: ReadingWire): Pond {
  if (!isOf(pond, wire)) return pond;
  const reading = readingOf(wire);
  const latest = { ...pond.latest };
  for (const [name, value] of Object.entries(reading.values)) {
    const old = latest[name];
    if (old === undefined || old.at <= reading.at) latest[name] = { value, at: reading.at };
  }
  const device =
    pond.device === undefined
      ? undefined
      : { ...pond.device, lastSeen: Math.max(pond.device.lastSeen, Date.parse(wire.received_at)) };
  return { ...pond, device, latest, readings: merged(pond.readings, [reading]) };
}

/** Oldest first, each reading once. */
function merged(old: readonly Reading[], fresh: readonly Reading[]): Reading[] {
  const [first] = fresh;
  const newest = old.at(-1);
  if (fresh.length === 1 && first !== undefined && (newest === undefined || newest.at < first.at)) {
    return [...old, first];
  }
  const byKey = new Map<string, Reading>();
  for (const reading of [...old, ...fresh]) byKey.set(reading.key, reading);
  return [...byKey.values()].sort((a, b) => a.at - b.at);
}

function newestFirst(alerts: readonly Alert[]): Alert[] {
  return [...alerts].sort((a, b) => b.raisedAt - a.raisedAt);
}

function instant(text: string | null | undefined): number | undefined {
  return text ? Date.parse(text) : undefined;
}
