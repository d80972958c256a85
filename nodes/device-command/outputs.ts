import type { NodeMessage } from 'node-red';
import type { CommandRecord, CommandTransition, DispatcherListener } from '../../lib/command/ports.js';

const instant = (ms: number | null) => (ms === null ? null : new Date(ms).toISOString());

/** A command as it leaves the node, under the names of the protocol. */
function formatCommand(command: CommandRecord) {
  return {
    command_id: command.id,
    device: command.device,
    command_type: command.commandType,
    parameters: command.parameters,
    status: command.status,
    reason: command.reason,
    message: command.message,
    attempts: command.attempts,
    late: command.late,
    execution_id: command.executionId,
    created_at: instant(command.createdAt),
    sent_at: instant(command.sentAt),
    acknowledged_at: instant(command.acknowledgedAt),
    completed_at: instant(command.completedAt),
  };
}

const formatTransition = ({ event, status, attempt, reason, message, at }: CommandTransition) => ({
  event,
  status,
  attempt,
  reason,
  message,
  at: instant(at),
});

export const OUTPUT = { completed: 0, failed: 1, late: 2, refused: 3, every: 4, publish: 5 } as const;

const ENDS: Readonly<Record<string, number>> = {
  completed: OUTPUT.completed,
  failed: OUTPUT.failed,
  expired: OUTPUT.failed,
  cancelled: OUTPUT.failed,
  late: OUTPUT.late,
};

export interface Outputs {
  /** Sends one message from one output. */
  send(output: number, message: NodeMessage): void;
  wired(output: number): boolean;
  /** A copy of the message that asked for this command in this run, or a new one. */
  messageFor(commandId: string): NodeMessage;
  /** The command has ended: nothing of it leaves any more but what comes late. */
  ended(commandId: string): void;
}

export function outputs({ send, wired, messageFor, ended }: Outputs): DispatcherListener {
  function tell(output: number, command: CommandRecord, line: CommandTransition): void {
    if (!wired(output)) return;
    const message = Object.assign(messageFor(command.id), {
      payload: formatCommand(command),
      transition: formatTransition(line),
    });
    send(output, message as NodeMessage);
  }
  return {
    changed(command, line) {
      tell(OUTPUT.every, command, line);
      const end = ENDS[line.event];
      if (end === undefined) return;
      tell(end, command, line);
      ended(command.id);
    },
    anomaly: (command, line) => tell(OUTPUT.refused, command, line),
    refused({ topic, payload, code, message, pointer }) {
      if (!wired(OUTPUT.refused)) return;
      send(OUTPUT.refused, { topic, payload, error: { code, message, pointer } } as unknown as NodeMessage);
    },
  };
}
