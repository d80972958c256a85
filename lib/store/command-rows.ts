import type {
  CommandPhase,
  CommandRecord,
  CommandStatus,
  CommandTransition,
  ExecutionRecord,
  FailureReason,
  MqttMessageRecord,
} from '../command/ports.js';
import type {
  AutomationExecutionTable,
  DeviceCommandTable,
  DeviceCommandTransitionTable,
  MqttMessageTable,
} from './command-tables.js';

const instant = (value: number | null): number | null => (value === null ? null : Number(value));
const object = (json: string) => JSON.parse(json) as Readonly<Record<string, unknown>>;

export function rowOfCommand(command: CommandRecord): DeviceCommandTable {
  return {
    id: command.id,
    dispatcher: command.dispatcher,
    device: command.device,
    topic: command.topic,
    payload: command.payload,
    command_type: command.commandType,
    parameters: JSON.stringify(command.parameters),
    priority: command.priority,
    acknowledged: command.terms.acknowledged ? 1 : 0,
    ack_timeout_ms: command.terms.ackTimeoutMs,
    max_retries: command.terms.maxRetries,
    execution_timeout_ms: command.terms.executionTimeoutMs,
    status: command.status,
    phase: command.phase,
    reason: command.reason,
    message: command.message,
    attempts: command.attempts,
    late: command.late ? 1 : 0,
    revision: command.revision,
    waits_for_broker: command.waitsForBroker ? 1 : 0,
    expires_at: command.expiresAt,
    wake_at: command.wakeAt,
    created_at: command.createdAt,
    sent_at: command.sentAt,
    acknowledged_at: command.acknowledgedAt,
    completed_at: command.completedAt,
    execution_id: command.executionId,
  };
}

export function commandOf(row: DeviceCommandTable): CommandRecord {
  return {
    id: row.id,
    dispatcher: row.dispatcher,
    device: row.device,
    topic: row.topic,
    payload: row.payload,
    commandType: row.command_type,
    parameters: object(row.parameters),
    priority: Number(row.priority),
    terms: {
      acknowledged: row.acknowledged === 1,
      ackTimeoutMs: Number(row.ack_timeout_ms),
      maxRetries: Number(row.max_retries),
      executionTimeoutMs: Number(row.execution_timeout_ms),
    },
    status: row.status as CommandStatus,
    phase: row.phase as CommandPhase,
    reason: row.reason as FailureReason | null,
    message: row.message,
    attempts: Number(row.attempts),
    late: row.late === 1,
    revision: Number(row.revision),
    waitsForBroker: row.waits_for_broker === 1,
    expiresAt: instant(row.expires_at),
    wakeAt: instant(row.wake_at),
    createdAt: Number(row.created_at),
    sentAt: instant(row.sent_at),
    acknowledgedAt: instant(row.acknowledged_at),
    completedAt: instant(row.completed_at),
    executionId: instant(row.execution_id),
  };
}

export function transitionOf(row: DeviceCommandTransitionTable): CommandTransition {
  return {
    commandId: row.command_id,
    status: row.status as CommandStatus,
    attempt: Number(row.attempt),
    reason: row.reason as FailureReason | null,
    message: row.message,
    event: row.event,
    at: Number(row.at),
  };
}

export function executionOf(row: Omit<AutomationExecutionTable, 'command_id'>): ExecutionRecord {
  return {
    executionId: Number(row.execution_id),
    pondId: Number(row.pond_id),
    executionType: row.execution_type,
    action: row.action,
    priority: row.priority,
    status: row.status as ExecutionRecord['status'],
    userId: instant(row.user_id),
    parameters: object(row.parameters),
    createdAt: Number(row.created_at),
    completedAt: instant(row.completed_at),
  };
}

export function mqttMessageOf(row: MqttMessageTable): MqttMessageRecord {
  return {
    device: row.device,
    topic: row.topic,
    direction: row.direction as MqttMessageRecord['direction'],
    messageType: row.message_type,
    payload: Buffer.from(row.payload).toString('utf8'),
    success: row.success === 1,
    correlationId: row.correlation_id,
    at: Number(row.at),
  };
}
