import { backoffDelay } from '../core/backoff.js';
import type { CommandPhase, CommandRecord, CommandTransition, FailureReason } from './ports.js';

/**
 * The life of one command (seed: pond-command-flow, 9; protocols.md "Commands"). `TABLE` says what each event does in
 * each phase, `AFTER_THE_END` what an acknowledgement does to a command that has ended. The phase is finer than the
 * status: PENDING is `queued`, `publishing` and `backoff` before the broker has confirmed any attempt, SENT is
 * `publishing`, `awaiting_ack` and `backoff` after that, ACKNOWLEDGED is `executing`.
 */

export type CommandEvent =
  /** Its device is free and the broker is there. */
  | { type: 'turn' }
  /** The broker has confirmed this attempt (PUBCOMP). */
  | { type: 'published'; attempt: number }
  /** The link says for certain that this attempt did not leave. */
  | { type: 'unsent'; attempt: number }
  /** The broker has refused this attempt. */
  | { type: 'refused'; attempt: number; message: string }
  /** `success` is null where the device does not say. */
  | { type: 'ack'; success: boolean | null; message: string | null }
  /**
   * `wakeAt` has come. It waits while the broker is away and that is why nothing happens: an attempt is in the link,
   * or the next one would be due. Expiry does not wait.
   */
  | { type: 'due' }
  /** The broker is back, and the attempt that waits in the link leaves now. */
  | { type: 'connected' }
  | { type: 'cancel' };

/** What is to be done once the command is stored. */
export type Effect =
  /** A line of its history, stored with it. */
  | { type: 'record'; transition: CommandTransition }
  /** The attempt is counted in the command: store it, then publish. */
  | { type: 'publish'; attempt: number }
  | { type: 'count'; what: 'retry' | 'duplicate' | 'late' | 'anomaly' };

export interface Step {
  /** The same object where nothing has changed. */
  command: CommandRecord;
  effects: readonly Effect[];
}

type EventOf<Type extends CommandEvent['type']> = Extract<CommandEvent, { type: Type }>;
type Rule<E> = (command: CommandRecord, event: E, now: number) => Step;
type Table = { readonly [Type in CommandEvent['type']]: Readonly<Record<CommandPhase, Rule<EventOf<Type>>>> };

// biome-ignore format: a table
const TABLE: Table = {
  //            PENDING            PENDING or SENT           SENT                      PENDING or SENT      ACKNOWLEDGED           terminal
  turn:      { queued: attempt, publishing: stay,         awaiting_ack: stay,       backoff: stay,      executing: stay,       ended: stay },
  published: { queued: stay,    publishing: confirmed,    awaiting_ack: stay,       backoff: confirmed, executing: stay,       ended: confirmedLate },
  unsent:    { queued: stay,    publishing: takenBack,    awaiting_ack: stay,       backoff: stay,      executing: stay,       ended: stay },
  refused:   { queued: stay,    publishing: refused,      awaiting_ack: stay,       backoff: stay,      executing: stay,       ended: stay },
  ack:       { queued: answer,  publishing: answer,       awaiting_ack: answer,     backoff: answer,    executing: outcome,    ended: answerAfterTheEnd },
  due:       { queued: expire,  publishing: unanswered,   awaiting_ack: unanswered, backoff: resend,    executing: unfinished, ended: stay },
  connected: { queued: stay,    publishing: leavesNow,    awaiting_ack: stay,       backoff: stay,      executing: stay,       ended: stay },
  cancel:    { queued: cancel,  publishing: cancel,       awaiting_ack: cancel,     backoff: cancel,    executing: cancel,     ended: stay },
};

type AfterTheEnd = (command: CommandRecord, event: { message: string | null }, now: number) => Step;

// biome-ignore format: a table
const AFTER_THE_END: Readonly<Record<'completed' | FailureReason, Readonly<Record<Answer, AfterTheEnd>>>> = {
  //                   success: true             success: false             without success
  completed:         { success: duplicate,       failure: anomaly,          open: duplicate },
  device:            { success: anomaly,         failure: duplicate,        open: duplicate },
  timeout:           { success: lateSuccess,     failure: lateFailure,      open: lateReceipt },
  execution_timeout: { success: lateSuccess,     failure: lateFailure,      open: duplicate },
  not_connected:     { success: actedAfterAll,   failure: lateWord,         open: duplicate },
  cancelled:         { success: actedAfterAll,   failure: lateWord,         open: duplicate },
  expired:           { success: actedAfterAll,   failure: lateWord,         open: duplicate },
};

type Answer = 'success' | 'failure' | 'open';

/** Between a missing acknowledgement and the next attempt: 1, 2, 4 s … (seed: "Exponential backoff"). */
const RESEND = { firstMs: 1_000, maxMs: 60_000, jitter: 0.2 };
/** Before an attempt that the link could not take is made again. */
const UNSENT_MS = 1_000;

/**
 * @param now epoch milliseconds UTC
 * @returns a new command; the old one is untouched
 */
export function transition(command: CommandRecord, event: CommandEvent, now: number): Step {
  const rule = TABLE[event.type][command.phase] as Rule<CommandEvent>;
  return rule(command, event, now);
}

/** A share of 1 that differs from command to command and attempt to attempt, and is the same after a restart. */
function spread(id: string, attempt: number): number {
  let hash = 2_166_136_261;
  for (const character of `${id}/${attempt}`) {
    hash = Math.imul(hash ^ character.charCodeAt(0), 16_777_619);
  }
  // The last characters alone would move the low bits only.
  hash ^= hash >>> 15;
  hash = Math.imul(hash, 2_246_822_519);
  return ((hash ^ (hash >>> 13)) >>> 0) / 2 ** 32;
}

const resendDelay = (command: CommandRecord) =>
  Math.round(backoffDelay(command.attempts - 1, RESEND, () => spread(command.id, command.attempts)));

const notAfterExpiry = (command: CommandRecord, at: number) =>
  command.expiresAt === null ? at : Math.min(at, command.expiresAt);

const isExpired = ({ expiresAt }: CommandRecord, now: number) => expiresAt !== null && expiresAt <= now;

const retriesLeft = ({ attempts, terms }: CommandRecord) => attempts <= terms.maxRetries;

function line(
  command: CommandRecord,
  event: string,
  now: number,
  { status = command.status, reason = command.reason, message = null as string | null } = {},
): Effect {
  return {
    type: 'record',
    transition: { commandId: command.id, status, attempt: command.attempts, reason, message, event, at: now },
  };
}

function stay(command: CommandRecord): Step {
  return { command, effects: [] };
}

// ——— sending ———

function attempt(command: CommandRecord, _: unknown, now: number): Step {
  const attempts = command.attempts + 1;
  const wakeAt = notAfterExpiry(command, now + command.terms.ackTimeoutMs);
  return {
    command: { ...command, phase: 'publishing', attempts, wakeAt },
    effects: [{ type: 'publish', attempt: attempts }],
  };
}

/** The acknowledgement clock starts; without acknowledgements the broker's word is the end. */
function confirmed(command: CommandRecord, event: EventOf<'published'>, now: number): Step {
  if (event.attempt !== command.attempts && command.sentAt !== null) return stay(command);
  const sent: CommandRecord = { ...command, status: 'SENT', sentAt: command.sentAt ?? now };
  const effects = [line(sent, command.attempts > 1 ? 'resent' : 'published', now)];
  if (!command.terms.acknowledged) return ended(sent, 'COMPLETED', null, null, now, 'completed', effects);
  // An earlier attempt that the broker confirms only now does not stop the clock of the present one.
  if (event.attempt !== command.attempts) return { command: sent, effects };
  const wakeAt = notAfterExpiry(command, now + command.terms.ackTimeoutMs);
  return { command: { ...sent, phase: 'awaiting_ack', wakeAt }, effects };
}

function confirmedLate(command: CommandRecord, _: unknown, now: number): Step {
  if (command.terms.acknowledged || command.reason !== 'timeout') return stay(command);
  return lateSuccess({ ...command, sentAt: now }, { message: null }, now);
}

/** It spends no attempt. Who did not want to wait for the broker is told that it is away. */
function takenBack(command: CommandRecord, event: EventOf<'unsent'>, now: number): Step {
  if (event.attempt !== command.attempts) return stay(command);
  const attempts = command.attempts - 1;
  const before: CommandRecord = { ...command, attempts };
  if (attempts === 0 && !command.waitsForBroker) return notConnected(before, now);
  const wakeAt = notAfterExpiry(command, now + UNSENT_MS);
  return { command: { ...before, phase: 'backoff', wakeAt }, effects: [] };
}

function refused(command: CommandRecord, event: EventOf<'refused'>, now: number): Step {
  if (event.attempt !== command.attempts) return stay(command);
  const { message } = event;
  if (!retriesLeft(command)) {
    return command.sentAt === null
      ? ended(command, 'FAILED', 'not_connected', `the broker refused it: ${message}`, now, 'failed')
      : timedOut(command, now);
  }
  const wakeAt = notAfterExpiry(command, now + resendDelay(command));
  return {
    command: { ...command, phase: 'backoff', wakeAt },
    effects: [line(command, 'refused', now, { message })],
  };
}

function leavesNow(command: CommandRecord, _: unknown, now: number): Step {
  const wakeAt = notAfterExpiry(command, now + command.terms.ackTimeoutMs);
  return wakeAt === command.wakeAt ? stay(command) : { command: { ...command, wakeAt }, effects: [] };
}

// ——— clocks ———

/** The next attempt is counted from the stored deadline, not from now: a late look delays nothing. */
function unanswered(command: CommandRecord, _: unknown, now: number): Step {
  if (command.wakeAt === null || command.wakeAt > now) return stay(command);
  if (isExpired(command, now)) return expire(command, _, now);
  // Without acknowledgements the device cannot tell a second message from a second command.
  if (!command.terms.acknowledged || !retriesLeft(command)) return timedOut(command, now);
  const wakeAt = notAfterExpiry(command, command.wakeAt + resendDelay(command));
  return { command: { ...command, phase: 'backoff', wakeAt }, effects: [line(command, 'unanswered', now)] };
}

function resend(command: CommandRecord, event: EventOf<'due'>, now: number): Step {
  if (command.wakeAt === null || command.wakeAt > now) return stay(command);
  if (isExpired(command, now)) return expire(command, event, now);
  const step = attempt(command, event, now);
  if (command.attempts === 0) return step;
  return { ...step, effects: [...step.effects, { type: 'count', what: 'retry' }] };
}

function unfinished(command: CommandRecord, _: unknown, now: number): Step {
  if (command.wakeAt === null || command.wakeAt > now) return stay(command);
  const seconds = command.terms.executionTimeoutMs / 1000;
  const message = `acknowledged, but no outcome within ${seconds} s: whether the device acted is unknown`;
  return ended(command, 'FAILED', 'execution_timeout', message, now, 'failed');
}

function expire(command: CommandRecord, _: unknown, now: number): Step {
  if (!isExpired(command, now)) return stay(command);
  const message =
    command.attempts === 0
      ? 'expired before it was sent'
      : 'expired without an acknowledgement: whether the device acted is unknown';
  return ended(command, 'EXPIRED', 'expired', message, now, 'expired');
}

function timedOut(command: CommandRecord, now: number): Step {
  const { attempts } = command;
  const message = command.terms.acknowledged
    ? `no acknowledgement after ${attempts} ${attempts === 1 ? 'attempt' : 'attempts'}: the outcome is unknown, ` +
      'the device may have acted'
    : 'the broker did not confirm it: the outcome is unknown, the device may have acted';
  return ended(command, 'FAILED', 'timeout', message, now, 'failed');
}

/** A command whose asker does not wait ends where the broker is away. seed: "MQTT client not connected" */
export function notConnected(command: CommandRecord, now: number): Step {
  return ended(command, 'FAILED', 'not_connected', 'MQTT client not connected', now, 'failed');
}

function cancel(command: CommandRecord, _: unknown, now: number): Step {
  const message =
    command.attempts === 0
      ? 'cancelled before it was sent'
      : 'cancelled after it was sent: the device may have acted';
  return ended(command, 'CANCELLED', 'cancelled', message, now, 'cancelled');
}

function ended(
  command: CommandRecord,
  status: CommandRecord['status'],
  reason: FailureReason | null,
  message: string | null,
  now: number,
  event: string,
  before: readonly Effect[] = [],
): Step {
  const last: CommandRecord = {
    ...command,
    status,
    phase: 'ended',
    reason,
    message,
    wakeAt: null,
    completedAt: now,
  };
  return { command: last, effects: [...before, line(last, event, now, { message })] };
}

// ——— acknowledgements ———

/** The first one. It may overtake the broker's confirmation, and stops the resend. */
function answer(command: CommandRecord, event: EventOf<'ack'>, now: number): Step {
  const { success, message } = event;
  const acknowledged: CommandRecord = {
    ...command,
    status: 'ACKNOWLEDGED',
    phase: 'executing',
    sentAt: command.sentAt ?? now,
    acknowledgedAt: now,
    message,
    wakeAt: now + command.terms.executionTimeoutMs,
  };
  const effects = [line(acknowledged, 'acknowledged', now, { message })];
  return success === null ? { command: acknowledged, effects } : decided(acknowledged, event, now, effects);
}

/** A second one, after one that left the outcome open. */
function outcome(command: CommandRecord, event: EventOf<'ack'>, now: number): Step {
  return event.success === null ? duplicate(command) : decided(command, event, now, []);
}

function decided(
  command: CommandRecord,
  { success, message }: EventOf<'ack'>,
  now: number,
  before: readonly Effect[],
): Step {
  return success === true
    ? ended(command, 'COMPLETED', null, message, now, 'completed', before)
    : ended(command, 'FAILED', 'device', message, now, 'failed', before);
}

function answerAfterTheEnd(command: CommandRecord, event: EventOf<'ack'>, now: number): Step {
  const end = command.status === 'COMPLETED' ? 'completed' : (command.reason ?? 'completed');
  const kind = event.success === null ? 'open' : event.success ? 'success' : 'failure';
  return AFTER_THE_END[end][kind](command, event, now);
}

function duplicate(command: CommandRecord): Step {
  return { command, effects: [{ type: 'count', what: 'duplicate' }] };
}

/** The first outcome stands. */
function anomaly(command: CommandRecord, event: { message: string | null }, now: number): Step {
  return {
    command,
    effects: [line(command, 'anomaly', now, { message: event.message }), { type: 'count', what: 'anomaly' }],
  };
}

function lateSuccess(command: CommandRecord, event: { message: string | null }, now: number): Step {
  const late = { ...command, late: true, acknowledgedAt: command.acknowledgedAt ?? now };
  return ended(late, 'COMPLETED', null, event.message, now, 'late', [{ type: 'count', what: 'late' }]);
}

function lateFailure(command: CommandRecord, event: { message: string | null }, now: number): Step {
  const late: CommandRecord = {
    ...command,
    late: true,
    reason: 'device',
    message: event.message,
    acknowledgedAt: command.acknowledgedAt ?? now,
  };
  return {
    command: late,
    effects: [{ type: 'count', what: 'late' }, line(late, 'late', now, { message: event.message })],
  };
}

/** It has arrived, and whether it worked is still unknown. */
function lateReceipt(command: CommandRecord, event: { message: string | null }, now: number): Step {
  if (command.acknowledgedAt !== null) return duplicate(command);
  return {
    command: { ...command, acknowledgedAt: now },
    effects: [{ type: 'count', what: 'late' }, line(command, 'late', now, { message: event.message })],
  };
}

/** The device did not act on what was given up: as it should be. */
function lateWord(command: CommandRecord, event: { message: string | null }, now: number): Step {
  if (command.late) return duplicate(command);
  return {
    command: { ...command, late: true, acknowledgedAt: command.acknowledgedAt ?? now },
    effects: [{ type: 'count', what: 'late' }, line(command, 'late', now, { message: event.message })],
  };
}

/** The device acted on what was given up. The end stands, and a person is told. */
function actedAfterAll(command: CommandRecord, event: { message: string | null }, now: number): Step {
  if (command.late) return duplicate(command);
  const step = anomaly(command, event, now);
  return { ...step, command: { ...command, late: true, acknowledgedAt: command.acknowledgedAt ?? now } };
}
