import type { Log } from '../core/log.js';
import type { CommandRecord, CommandTransition, ExecutionRecord } from './ports.js';

/** The lines of the seed (pond-command-flow, 10), and their likes for what it does not show. */
export function logExecution(log: Log, { executionId, pondId, action, priority }: ExecutionRecord): void {
  const manual = priority.startsWith('MANUAL') ? 'manual ' : '';
  log.info(`Created ${manual}automation ${executionId} for Pond ${pondId}: ${action}`);
}

export function logTransition(
  log: Log,
  command: CommandRecord,
  transition: CommandTransition,
  pondId: number | null,
): void {
  const { id, device, executionId } = command;
  const name = `Command ${id}`;
  const message = transition.message === null ? '' : `: ${transition.message}`;
  switch (transition.event) {
    case 'published':
    case 'resent': {
      const pond = pondId === null ? '' : ` for pond ${pondId}`;
      const again = transition.event === 'resent' ? ` again (attempt ${transition.attempt})` : '';
      log.info(`${name} sent${again} to device ${device}${pond}`);
      log.debug(`${name} on ${command.topic}: ${command.payload}`);
      break;
    }
    case 'unanswered':
      log.warn(`${name} was not acknowledged by device ${device} in time (attempt ${transition.attempt})`);
      break;
    case 'refused':
      log.warn(`${name} was not taken by the broker${message}`);
      break;
    case 'acknowledged':
      // Where the outcome came with it, that is the line.
      if (command.phase === 'executing') log.info(`${name} acknowledged, its outcome is open`);
      break;
    case 'completed':
      log.info(command.terms.acknowledged ? `${name} acknowledged successfully` : `${name} completed`);
      break;
    case 'failed':
      log.error(`${name} failed (${transition.reason})${message}`);
      break;
    case 'late':
      log.warn(`${name} acknowledged late, it is ${transition.status} now${message}`);
      break;
    case 'anomaly':
      log.warn(`${name} is ${transition.status}, and device ${device} says otherwise${message}`);
      break;
    case 'expired':
    case 'cancelled':
      log.info(`${name} ${transition.event}${message}`);
      break;
  }
  if (executionId !== null && ENDS.has(transition.event) && command.phase === 'ended') {
    if (transition.status === 'COMPLETED') {
      log.info(`Automation ${executionId} completed successfully via command ${id}`);
    } else if (transition.event !== 'late') {
      log.error(`Automation ${executionId} failed via command ${id} (${transition.reason})`);
    }
  }
}

const ENDS = new Set(['completed', 'failed', 'expired', 'cancelled', 'late']);
