import { isUuid } from '../core/envelope.js';
import { FieldloomError } from '../core/errors.js';
import type { InstallAnswer } from './agent.js';

const ACCEPTED =
  'accepted is msg.firmware as it was sent, with msg.payload true, false, {"success":true}, ' +
  '{"success":false,"errors":["…"]} or {"cancelled":true}, or with msg.error';

const refuse = (found: string): never => {
  throw new FieldloomError('invalid_input', `${found}: ${ACCEPTED}`);
};

function textOf(error: unknown): string {
  if (typeof error === 'string' && error !== '') return error;
  const message = (error as { message?: unknown } | null)?.message;
  return typeof message === 'string' && message !== '' ? message : 'the installation failed';
}

/**
 * What the flow that installs has answered, in the message that it was given.
 * @throws FieldloomError invalid_input
 */
export function readAnswer(message: Record<string, unknown>): {
  deploymentId: string;
  answer: InstallAnswer;
} {
  const firmware = message['firmware'] as { deployment_id?: unknown } | null | undefined;
  const deploymentId = firmware?.deployment_id;
  if (!isUuid(deploymentId)) return refuse('msg.firmware.deployment_id is missing');
  return { deploymentId: deploymentId.toLowerCase(), answer: answerOf(message) };
}

function answerOf({ payload, error }: Record<string, unknown>): InstallAnswer {
  if (error !== undefined && error !== null) return { result: 'failed', errors: [textOf(error)] };
  if (payload === true) return { result: 'installed' };
  if (payload === false) return { result: 'failed', errors: [textOf(undefined)] };
  if (payload === null || typeof payload !== 'object') return refuse('msg.payload is no answer');
  const { success, cancelled, errors } = payload as Record<string, unknown>;
  if (cancelled === true) return { result: 'cancelled' };
  if (success === true) return { result: 'installed' };
  if (success !== false) return refuse('msg.payload.success is missing');
  const list = errors === undefined ? [] : Array.isArray(errors) ? errors : [errors];
  return { result: 'failed', errors: list.length === 0 ? [textOf(undefined)] : list.map(textOf) };
}
