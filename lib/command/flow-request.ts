import { FieldloomError } from '../core/errors.js';
import { parseInstant } from '../core/instant.js';
import type { CommandRequest } from './ports.js';

/**
 * What a flow asks: `device`, `command_type`, `parameters`, `priority`, `expires_at`, `command_id`; everything else
 * is a value for the topic or the message.
 * @throws FieldloomError invalid_input, which names the field
 */
export function parseRequest(payload: unknown): CommandRequest {
  if (payload === null || typeof payload !== 'object' || Array.isArray(payload) || Buffer.isBuffer(payload)) {
    throw invalid('msg.payload', payload, 'an object with command_type, parameters and the device');
  }
  const { device, command_type, parameters, priority, expires_at, command_id, ...values } = payload as Record<
    string,
    unknown
  >;
  if (typeof command_type !== 'string' || command_type === '') {
    throw invalid('command_type', command_type, 'text, for example "FEED"');
  }
  const given = parameters ?? {};
  if (typeof given !== 'object' || Array.isArray(given)) throw invalid('parameters', given, 'an object');
  if (device !== undefined && typeof device !== 'string' && typeof device !== 'number') {
    throw invalid('device', device, 'text');
  }
  if (priority !== undefined && !Number.isSafeInteger(priority)) {
    throw invalid('priority', priority, 'a whole number');
  }
  if (command_id !== undefined && typeof command_id !== 'string') {
    throw invalid('command_id', command_id, 'a UUID');
  }
  return {
    device: String(device ?? ''),
    commandType: command_type,
    parameters: given as Record<string, unknown>,
    values,
    ...(priority !== undefined && { priority: priority as number }),
    ...(expires_at != null && { expiresAt: instantOf(expires_at) }),
    ...(command_id !== undefined && { id: command_id }),
  };
}

function instantOf(found: unknown): number {
  if (typeof found === 'number' && Number.isSafeInteger(found)) return found;
  const instant = typeof found === 'string' ? parseInstant(found) : undefined;
  if (instant !== undefined) return instant;
  throw invalid('expires_at', found, 'an ISO 8601 date and time with offset, or milliseconds since 1970');
}

function invalid(field: string, found: unknown, accepted: string): FieldloomError {
  const shown = JSON.stringify(found)?.slice(0, 100);
  return new FieldloomError('invalid_input', `${field} is ${shown}: accepted is ${accepted}`, {
    pointer: field === 'msg.payload' ? '' : `/${field}`,
  });
}
