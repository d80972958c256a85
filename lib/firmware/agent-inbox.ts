import { isUuid } from '../core/envelope.js';
import { FieldloomError } from '../core/errors.js';
import type { Log } from '../core/log.js';
import type { TopicParameters } from '../core/topic.js';
import type { AgentEvent } from './agent.js';
import { parse } from './codec.js';

export type AgentRequest =
  | Omit<Extract<AgentEvent, { type: 'update' }>, 'freeBytes'>
  | Extract<AgentEvent, { type: 'malformed' | 'cancel' }>;

/**
 * What a message on the action topic asks of the agent. Its own messages, which it hears too, ask nothing. A
 * malformed update_firmware that names its deployment is answered; what names none is logged.
 * @returns undefined where there is nothing to do
 */
export function readRequest(
  parameters: TopicParameters,
  payload: Buffer,
  log: Log,
): AgentRequest | undefined {
  try {
    // The clock of a controller may be far behind until it has found the time: a command is not refused for that.
    const message = parse('action', parameters, payload, Number.MAX_SAFE_INTEGER);
    const { type, correlationId } = message;
    if (type === 'cancel_update_firmware') {
      return { type: 'cancel', deploymentId: message.deploymentId, correlationId };
    }
    if (type !== 'update_firmware') return undefined;
    const { deploymentId, firmwareVersion, fileUrl, fileSize, checksum, sha256, signature } = message;
    const file = {
      ...{ firmwareVersion, fileUrl, fileSize, checksum },
      ...(sha256 !== undefined && { sha256 }),
      ...(signature !== undefined && { signature }),
    };
    return { type: 'update', deploymentId, correlationId, file };
  } catch (error) {
    if (!(error instanceof FieldloomError)) throw error;
    const malformed = readMalformed(payload, error);
    if (malformed === undefined) log.warn(`firmware: a message was refused: ${error.message}`);
    return malformed;
  }
}

function readMalformed(payload: Buffer, { code, message }: FieldloomError): AgentRequest | undefined {
  // Whose message it is cannot be told, or it is another's: nothing is said to it.
  if (!['schema_mismatch', 'unsupported_version'].includes(code)) return undefined;
  const value = JSON.parse(payload.toString('utf8')) as Record<string, unknown> | null;
  if (value?.['event_type'] !== 'update_firmware') return undefined;
  const deploymentId = (value['payload'] as Record<string, unknown> | null | undefined)?.['deployment_id'];
  if (!isUuid(deploymentId)) return undefined;
  const correlationId = value['correlation_id'];
  return {
    type: 'malformed',
    deploymentId: deploymentId.toLowerCase(),
    correlationId: isUuid(correlationId) ? correlationId : null,
    errors: [message],
  };
}
