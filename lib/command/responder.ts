import type { Answer, SeenCommand } from './responder-ports.js';

/**
 * One command at the device that shall carry it out (protocols.md "Device node device-responder").
 *
 * | event            | never seen                     | told                              | answered                |
 * | ---------------- | ------------------------------ | --------------------------------- | ----------------------- |
 * | command, right   | stored as told, then told      | repeated; told nobody; `received` | repeated; answer again  |
 * |                  | (`received` first, if set)     | once more, if set                 |                         |
 * | command, wrong   | stored and answered: no        | as above                          | as above                |
 * | answer of a flow | refused: unknown               | stored, then sent                 | refused: too late       |
 * | overdue          |                                | stored and answered: no           |                         |
 * | restarted        |                                | stored and answered: unknown      | sent, if it was not yet |
 * | published        |                                |                                   | stored as published     |
 *
 * An id is told at most once: `told` is stored before the flow is told, and nothing leads back from it.
 */
export type ResponderEvent =
  | { type: 'command'; commandId: string; problem: Problem | undefined }
  | { type: 'answer'; success: boolean; message: string }
  | { type: 'overdue'; afterMs: number }
  | { type: 'restarted' }
  | { type: 'published' };

/** Why a command is not carried out. */
export interface Problem {
  reason: 'refused' | 'expired';
  /** For the sender: names the field and what is accepted. */
  message: string;
}

/** What is to be done, in this order. */
export interface ResponderEffects {
  /** To be on disk before anything else is done. */
  store?: SeenCommand;
  /** Say that it was received, and no more. */
  progress?: true;
  /** Hand it to the flow. */
  tell?: true;
  /** Send this to the backend. */
  publish?: Answer;
  /** It was not carried out, now: why. */
  ignored?: 'repeated' | Problem['reason'];
  /** The flow's answer does not count: why. */
  rejected?: 'unknown' | 'answered';
}

/** What a device says that lost its power, or was restarted, after the flow was told and before it answered. */
export const OUTCOME_UNKNOWN = 'outcome unknown';

/**
 * @param seen what is known of the id; undefined where it was never seen
 * @param now epoch milliseconds UTC
 * @param progress whether a command that is carried out is acknowledged as received at once
 * @returns what is to be done; what is known of the id then is `store`, or as before where that is absent
 */
export function transition(
  seen: SeenCommand | undefined,
  event: ResponderEvent,
  now: number,
  progress: boolean,
): ResponderEffects {
  switch (event.type) {
    case 'command':
      return command(seen, event.commandId, event.problem, now, progress);
    case 'answer':
      if (seen?.state === 'told') return answer(seen, event.success, event.message, now);
      return { rejected: seen === undefined ? 'unknown' : 'answered' };
    case 'overdue':
      if (seen?.state !== 'told') return {};
      return answer(seen, false, `no answer from the flow in ${event.afterMs / 1000} s`, now);
    case 'restarted':
      if (seen?.state === 'told') return answer(seen, false, OUTCOME_UNKNOWN, now);
      return seen === undefined || seen.published ? {} : { publish: seen.answer };
    case 'published':
      return seen?.state === 'answered' && !seen.published ? { store: { ...seen, published: true } } : {};
  }
}

function command(
  seen: SeenCommand | undefined,
  commandId: string,
  problem: Problem | undefined,
  now: number,
  progress: boolean,
): ResponderEffects {
  if (seen?.state === 'answered') return { publish: seen.answer, ignored: 'repeated' };
  if (seen?.state === 'told') return { ...(progress && { progress }), ignored: 'repeated' };
  const received = { commandId, receivedAt: now };
  if (problem !== undefined) {
    const { reason, message } = problem;
    return { ...answer(received, false, message, now), ignored: reason };
  }
  return { store: { ...received, state: 'told' }, ...(progress && { progress }), tell: true };
}

function answer(
  { commandId, receivedAt }: Pick<SeenCommand, 'commandId' | 'receivedAt'>,
  success: boolean,
  message: string,
  now: number,
): ResponderEffects {
  const publish = { success, message, at: now };
  return { store: { commandId, receivedAt, state: 'answered', answer: publish, published: false }, publish };
}
