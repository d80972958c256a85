import { FieldloomError } from '../core/errors.js';

/** What a flow answers to a command. */
export interface FlowAnswer {
  commandId: string;
  success: boolean;
  /** Absent where the flow says none. */
  message?: string;
}

const fieldOf = (value: unknown, name: string): unknown =>
  typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[name] : undefined;

const textOf = (value: unknown): { message: string } | undefined =>
  typeof value === 'string' && value !== '' ? { message: value.slice(0, LONGEST_MESSAGE) } : undefined;

/** Characters of an answer's message. */
const LONGEST_MESSAGE = 4_000;

/**
 * Reads a flow's answer: the message that brought the command, with its outcome. An error that a Catch node has added
 * is a no, whatever else the message holds, since it may have been written before the error. An outcome that is
 * missing is never taken for a yes.
 * @throws FieldloomError invalid_input
 */
export function parseAnswer(message: Readonly<Record<string, unknown>>): FlowAnswer {
  const { command, payload, success, error } = message;
  const commandId = fieldOf(command, 'command_id');
  if (typeof commandId !== 'string' || commandId === '') {
    throw new FieldloomError(
      'invalid_input',
      'msg.command.command_id is missing: keep msg.command as it came',
    );
  }
  if (error !== undefined && error !== null && error !== false) {
    return { commandId, success: false, ...(textOf(error) ?? textOf(fieldOf(error, 'message'))) };
  }
  const said = [success, payload, fieldOf(payload, 'success')].find((each) => typeof each === 'boolean');
  if (typeof said !== 'boolean') {
    throw new FieldloomError(
      'invalid_input',
      `the answer to command ${commandId} says no outcome: accepted is msg.payload true or false, ` +
        'msg.payload {success, message}, msg.success, or msg.error',
    );
  }
  return { commandId, success: said, ...(textOf(payload) ?? textOf(fieldOf(payload, 'message'))) };
}
