import { v7 } from 'uuid';
import { FieldloomError } from '../core/errors.js';
import type {
  CommandRecord,
  CommandRequest,
  CommandTerms,
  CommandTransition,
  ExecutionRecord,
} from './ports.js';
import type { Profile } from './profile.js';

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** True for a UUID in lower case. */
export const isCommandId = (text: string) => UUID.test(text);

/**
 * A command as it is before anything has happened to it. Its revision is 0: it is not stored.
 * @param now epoch milliseconds UTC
 * @throws FieldloomError invalid_input, invalid_topic_parameter
 */
export function newCommand(
  request: CommandRequest,
  profile: Profile,
  { dispatcher, terms, now }: { dispatcher: string; terms: Omit<CommandTerms, 'acknowledged'>; now: number },
): CommandRecord {
  const { id: given, priority = 0, expiresAt = null, waitForBroker = true } = request;
  const id = typeof given === 'string' ? given.toLowerCase() : (given ?? v7());
  if (typeof id !== 'string' || !isCommandId(id)) throw invalid('command_id', given, 'a UUID');
  if (!Number.isSafeInteger(priority)) throw invalid('priority', priority, 'a whole number');
  if (expiresAt !== null && !Number.isSafeInteger(expiresAt))
    throw invalid('expires_at', expiresAt, 'an instant');
  return {
    id,
    dispatcher,
    ...profile.prepare(request, id, now),
    priority,
    terms: { ...terms, ...request.terms, acknowledged: profile.acknowledged },
    status: 'PENDING',
    phase: 'queued',
    reason: null,
    message: null,
    attempts: 0,
    late: false,
    revision: 0,
    waitsForBroker: waitForBroker,
    expiresAt,
    wakeAt: expiresAt,
    createdAt: now,
    sentAt: null,
    acknowledgedAt: null,
    completedAt: null,
    executionId: request.execution?.executionId ?? null,
  };
}

/** The first line of a command's history. */
export const createdLine = (command: CommandRecord): CommandTransition => ({
  commandId: command.id,
  status: command.status,
  attempt: 0,
  reason: null,
  message: null,
  event: 'created',
  at: command.createdAt,
});

/** The execution as it is stored with its command, which may have ended at once. */
export function executionOf(execution: ExecutionRecord, command: CommandRecord): ExecutionRecord {
  if (command.phase !== 'ended') return execution;
  return { ...execution, status: 'FAILED', completedAt: command.completedAt };
}

function invalid(field: string, found: unknown, accepted: string): FieldloomError {
  return new FieldloomError(
    'invalid_input',
    `${field} is ${JSON.stringify(found)}: accepted is ${accepted}`,
    {
      pointer: `/${field}`,
    },
  );
}
