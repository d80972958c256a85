import { backoffDelay } from '../core/backoff.js';
import type { Clock, Timer } from '../core/clock.js';
import { asError, type ErrorCode, FieldloomError } from '../core/errors.js';
import type { Link, Message } from '../core/link.js';
import type { Log } from '../core/log.js';
import { createRedelivery } from '../core/redelivery.js';
import { createSequence } from '../core/sequence.js';
import { watchSilence } from '../core/silence.js';
import { whenPossible } from '../core/when-possible.js';
import { type ResponderEffects, type ResponderEvent, transition } from './responder.js';
import {
  type Command,
  type CommandChecks,
  commandReader,
  formatAck,
  formatProgress,
  type ReadCommand,
  type ResponderTopics,
} from './responder-codec.js';
import type { Answer, ResponderStore, SeenCommand } from './responder-ports.js';

/** A message of which nobody was told, and why. */
export interface Ignored {
  reason: 'repeated' | 'refused' | 'expired' | 'retained' | 'unreadable' | 'foreign';
  /** For people. */
  message: string;
  code?: ErrorCode;
  commandId?: string;
  topic: string;
  payload: Buffer;
}

export interface ResponderListener {
  /** To be carried out, once; the id is on disk. */
  command?(command: Command): void;
  ignored?(ignored: Ignored): void;
  /** How many commands wait for their flow, and answers for the broker, has changed. */
  changed?(): void;
}

export type CommandArrival = Pick<Message, 'topic' | 'payload' | 'receivedAt' | 'retain' | 'resumedAt'>;

export interface ResponderOptions {
  topics: ResponderTopics;
  link: Pick<Link, 'publish'>;
  store: ResponderStore;
  clock: Clock;
  log: Log;
  checks: CommandChecks;
  /** Acknowledge each command that is carried out as received, at once. */
  progress: boolean;
  /** What is not answered by then is answered with a no, ms; undefined: it waits for ever. */
  answerTimeoutMs: number | undefined;
}

export interface Responder {
  /** Commands that the flow has been told and has not answered; answers that no broker has taken yet. */
  readonly waiting: number;
  readonly unsent: number;
  /**
   * Settles what an earlier run left: what was told and not answered is answered with `outcome unknown`, what was
   * answered and not sent is sent. What is handled before waits for it.
   */
  start(): Promise<void>;
  /**
   * Fulfils when the command's id, or what is wrong with it, is on disk: it is the MQTT acknowledgement.
   * @throws what the store rejects with; the message is then not acknowledged
   */
  handle(arrival: CommandArrival): Promise<void>;
  /**
   * The flow's answer; fulfils when it is on disk.
   * @throws FieldloomError not_found where no such command was received, conflict where it is answered already
   */
  answer(commandId: string, outcome: { success: boolean; message?: string }): Promise<void>;
  /** Calls back from now on; the answer removes the listener. */
  listen(listener: ResponderListener): () => void;
  /** Fulfils when nothing is on its way to the store any more; what comes later is rejected. */
  close(): Promise<void>;
}

const RETRY = { firstMs: 1_000, maxMs: 60_000, jitter: 0.2 };
/** One after another: commands are told in the order in which they came. */
const QUEUE = 'commands';

/** Carries out what the rules in responder.ts say: first the store, then the flow and the broker. */
export function createResponder(options: ResponderOptions): Responder {
  const { topics, link, store, clock, log, checks, progress, answerTimeoutMs } = options;
  const read = commandReader(checks);
  const isRepeated = createRedelivery(store);
  const sequence = createSequence();
  const listeners = new Set<ResponderListener>();
  /** Told in this run and not answered. */
  const told = new Map<string, { seen: SeenCommand; command: Command; deadline: number }>();
  /** Answered and not taken by the broker. */
  const unsent = new Map<string, SeenCommand>();
  const retries = new Map<string, Timer>();
  const overdue = watchSilence(clock, lookForOverdue);
  let ready: Promise<void> | undefined;
  let closed = false;

  function tell(call: (listener: ResponderListener) => void): void {
    for (const listener of listeners) {
      try {
        call(listener);
      } catch (error) {
        log.error(`responder: a listener failed: ${asError(error).message}`);
      }
    }
  }
  const changed = () => tell((listener) => listener.changed?.());

  const known = async (commandId: string) =>
    told.get(commandId)?.seen ?? unsent.get(commandId) ?? (await store.load(commandId));

  /** One event of one command: stored, then done. */
  async function happen(
    commandId: string,
    seen: SeenCommand | undefined,
    event: ResponderEvent,
    command?: Command,
  ): Promise<ResponderEffects> {
    const effects = transition(seen, event, clock.now(), progress);
    if (effects.store !== undefined) {
      await store.save(effects.store);
      remember(effects.store, command);
    }
    if (effects.progress) sendProgress(commandId);
    if (effects.tell && command !== undefined && !closed) tell((listener) => listener.command?.(command));
    if (effects.publish !== undefined) send(commandId, effects.publish, 0);
    return effects;
  }

  function remember(seen: SeenCommand, command: Command | undefined): void {
    const { commandId } = seen;
    if (seen.state === 'told' && command !== undefined) {
      const deadline = answerTimeoutMs === undefined ? Infinity : clock.now() + answerTimeoutMs;
      told.set(commandId, { seen, command, deadline });
      overdue.expect(deadline);
    } else told.delete(commandId);
    if (seen.state === 'answered' && !seen.published) unsent.set(commandId, seen);
    else unsent.delete(commandId);
    changed();
  }

  function lookForOverdue(now: number): number {
    let earliest = Infinity;
    for (const [commandId, { deadline }] of told) {
      if (deadline > now) earliest = Math.min(earliest, deadline);
      else {
        const event = { type: 'overdue' as const, afterMs: answerTimeoutMs ?? 0 };
        inTurn(async () => {
          await happen(commandId, await known(commandId), event);
        }).catch((error: unknown) => {
          log.warn(`responder: an overdue answer could not be stored: ${asError(error).message}`);
        });
      }
    }
    return earliest;
  }

  /** Under way to the broker; true where it was asked for once more meanwhile. */
  const sending = new Map<string, boolean>();

  /** The row of an answer is its outbox: until the broker has taken it, it is sent again after a restart. */
  function send(commandId: string, answer: Answer, attempt: number): void {
    if (closed) return;
    if (sending.has(commandId)) {
      // Whoever asks again may have lost the one that is under way.
      sending.set(commandId, true);
      return;
    }
    sending.set(commandId, false);
    retries.get(commandId)?.cancel();
    link
      .publish(topics.ack, formatAck(commandId, answer), { qos: 2 })
      .finally(() => {
        const again = sending.get(commandId) === true;
        sending.delete(commandId);
        if (again) send(commandId, answer, 0);
      })
      .then(
        () =>
          inTurn(async () => void (await happen(commandId, await known(commandId), { type: 'published' }))),
        (error: unknown) => {
          if (closed || sending.has(commandId)) return;
          const waitMs = backoffDelay(attempt, RETRY);
          log.warn(
            `responder: an answer was not taken, again in ${Math.round(waitMs)} ms: ${asError(error).message}`,
          );
          const timer = clock.setTimer(() => {
            retries.delete(commandId);
            send(commandId, answer, attempt + 1);
          }, waitMs);
          retries.set(commandId, timer);
        },
      )
      .catch((error: unknown) => {
        // It is sent once more after the next start, which harms nobody.
        if (!closed) log.warn(`responder: a sent answer could not be noted: ${asError(error).message}`);
      });
  }

  function sendProgress(commandId: string): void {
    if (closed) return;
    link.publish(topics.ack, formatProgress(commandId, clock.now()), { qos: 2 }).catch((error: unknown) => {
      if (!closed) log.warn(`responder: a command's receipt was not taken: ${asError(error).message}`);
    });
  }

  async function take(arrival: CommandArrival): Promise<void> {
    const { topic, payload } = arrival;
    const ignore = (ignored: Omit<Ignored, 'topic' | 'payload'>) =>
      tell((listener) => listener.ignored?.({ ...ignored, topic, payload }));
    if (topic !== topics.commands) {
      ignore({ reason: 'foreign', message: `topic ${topic} is not ${topics.commands}` });
      return;
    }
    if (arrival.retain) {
      ignore({ reason: 'retained', message: 'a retained command may be of any age: it is not carried out' });
      return;
    }
    const result = read(payload, clock.now());
    if (result.kind === 'unreadable') {
      await refuse(arrival, result);
      ignore({ reason: 'unreadable', message: result.message, code: result.code });
      return;
    }
    const commandId = result.kind === 'command' ? result.command.commandId : result.commandId;
    const command = result.kind === 'command' ? result.command : undefined;
    const problem = result.kind === 'wrong' ? result.problem : undefined;
    const event = { type: 'command' as const, commandId, problem };
    const seen = await known(commandId);
    // Told, as the store says, and yet not by this run: its write was answered as failed.
    const lost = seen?.state === 'told' && !told.has(commandId);
    const effects = lost
      ? { ...(await happen(commandId, seen, { type: 'restarted' })), ignored: 'repeated' as const }
      : await happen(commandId, seen, event, command);
    if (effects.ignored === 'repeated') {
      const waits = effects.publish === undefined;
      const message = waits ? 'seen before: its answer will come' : 'seen before: its answer is sent again';
      ignore({ reason: 'repeated', message, commandId });
    } else if (effects.ignored !== undefined) {
      ignore({ reason: effects.ignored, message: problem?.message ?? '', commandId });
    }
  }

  async function refuse(
    { topic, payload, receivedAt, resumedAt }: CommandArrival,
    { code, message, pointer }: Extract<ReadCommand, { kind: 'unreadable' }>,
  ): Promise<void> {
    const base = { protocol: 'device', topic, code, message, payload, receivedAt };
    const letter = pointer === undefined ? base : { ...base, pointer };
    if (resumedAt !== undefined && (await isRepeated(letter, resumedAt))) return;
    await store.refuse(letter);
  }

  async function settle(): Promise<void> {
    const open = await whenPossible(() => store.loadOpen(), {
      what: 'responder: the commands of an earlier run',
      clock,
      log,
      closed: () => closed,
    });
    for (const seen of open) {
      if (seen.state === 'answered') unsent.set(seen.commandId, seen);
      await happen(seen.commandId, seen, { type: 'restarted' });
    }
    changed();
  }

  function start(): Promise<void> {
    ready ??= sequence.run(QUEUE, settle);
    return ready;
  }

  async function inTurn<T>(task: () => Promise<T>): Promise<T> {
    await start();
    return sequence.run(QUEUE, async () => {
      // What is told now would be told nobody, and counted as told for ever.
      if (closed) throw new FieldloomError('link_closed', 'the responder is closed');
      return task();
    });
  }

  return {
    get waiting() {
      return told.size;
    },
    get unsent() {
      return unsent.size;
    },
    start,
    handle: (arrival) => inTurn(() => take(arrival)),
    answer: (commandId, { success, message }) =>
      inTurn(async () => {
        const commandType = told.get(commandId)?.command.commandType ?? 'the';
        const standard = `${commandType} command ${success ? 'executed successfully' : 'failed'}`;
        const event = { type: 'answer' as const, success, message: message || standard };
        const { rejected } = await happen(commandId, await known(commandId), event);
        if (rejected === 'unknown') {
          throw new FieldloomError('not_found', `no command ${commandId} was received here`);
        }
        if (rejected === 'answered') {
          throw new FieldloomError('conflict', `command ${commandId} is answered already; this was not sent`);
        }
      }),
    listen(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    async close() {
      closed = true;
      overdue.stop();
      for (const timer of retries.values()) timer.cancel();
      await sequence.idle();
    },
  };
}
