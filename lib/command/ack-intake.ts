import type { Clock } from '../core/clock.js';
import type { DeadLetter } from '../core/dead-letter.js';
import { asError, type ErrorCode, FieldloomError } from '../core/errors.js';
import type { Message } from '../core/link.js';
import { createRedelivery } from '../core/redelivery.js';
import type { Acknowledgement } from './codec.js';
import type { Driven } from './driver.js';
import { isCommandId } from './new-command.js';
import type { CommandStore, MqttMessageRecord } from './ports.js';
import type { Profile } from './profile.js';
import { type CommandEvent, transition } from './transition.js';

/** A message as it came from a link or a wire. */
export type Arrival = Pick<Message, 'topic' | 'payload' | 'receivedAt' | 'resumedAt'>;

export interface AckIntakeOptions {
  /** Of the dispatcher: acknowledgements of another one's commands are that one's. */
  name: string;
  profile: Profile;
  store: CommandStore;
  clock: Pick<Clock, 'now'>;
  find(id: string): Promise<Driven | undefined>;
  happen(driven: Driven, event: CommandEvent, message: MqttMessageRecord): Promise<unknown>;
  refused(letter: DeadLetter): void;
  /** With several gateways; undefined: this one answers for all. */
  shared?: SharedIntake | undefined;
}

/** Every gateway hears every acknowledgement; one of them answers for it. */
export interface SharedIntake {
  /** Whether this gateway answers for what is this dispatcher's; undefined: for what is nobody's. */
  answersFor(dispatcher: string | undefined): boolean;
  /** Whether it is this node's, in whichever gateway. */
  isNodes(dispatcher: string): boolean;
  /** Another one does. */
  overheard(arrival: Arrival): void;
}

/** Of a refused message so many characters stand in the history; its dead letter has all of it. */
const SHOWN = 1_000;
/** A device's name is a key in the history. */
const LONGEST_DEVICE = 255;

/** What an acknowledgement is about, or why it is none; `another`: another dispatcher's. */
type Judgement =
  | { kind: 'about'; driven: Driven; ack: Acknowledgement }
  | {
      kind: 'refused';
      error: FieldloomError;
      device: string;
      commandId: string | null;
      /** Of the command; undefined: it is about none that there is. */
      dispatcher: string | undefined;
    }
  | { kind: 'another' };

export interface AckIntake {
  /**
   * Takes what a device says. Fulfils when it is one committed row or dead letter, or another gateway answers for it.
   * @throws what the store rejects with
   */
  take(arrival: Arrival): Promise<void>;
  /** Takes what was overheard, where it tells anything new. @throws what the store rejects with */
  takeUp(arrival: Arrival): Promise<void>;
  /** Takes a dead letter again, and makes no new one of it. @returns why it is refused still; undefined: it is not */
  replay(letter: Arrival): Promise<FieldloomError | undefined>;
}

/** Judges what comes on the acknowledgements' topics, and hands each on to its command. */
export function createAckIntake(options: AckIntakeOptions): AckIntake {
  const { name, profile, store, find, happen, refused, clock, shared } = options;
  const isRepeated = createRedelivery(store);

  async function judge({ topic, payload }: Arrival): Promise<Judgement> {
    const parameters = profile.matchAck(topic);
    if (parameters === undefined) {
      const error = problem(
        'invalid_topic',
        `topic ${JSON.stringify(topic.slice(0, 256))} is none of this node's`,
      );
      return { kind: 'refused', error, device: '', commandId: null, dispatcher: undefined };
    }
    const device = profile.deviceOf(parameters).slice(0, LONGEST_DEVICE);
    let ack: Acknowledgement;
    try {
      ack = profile.readAck(payload);
    } catch (thrown) {
      const error = asError(thrown);
      if (!(error instanceof FieldloomError)) throw error;
      return { kind: 'refused', error, device, commandId: null, dispatcher: undefined };
    }
    const { commandId } = ack;
    // Ours are UUIDs: nothing else is worth asking the store for.
    const driven = isCommandId(commandId) ? await find(commandId) : undefined;
    if (driven === undefined) {
      const error = problem('not_found', `there is no command ${JSON.stringify(commandId)}`);
      return { kind: 'refused', error, device, commandId: null, dispatcher: undefined };
    }
    const { record } = driven;
    if (record.dispatcher !== name && shared?.isNodes(record.dispatcher) !== true) return { kind: 'another' };
    if (profile.isFrom(record.topic, parameters)) return { kind: 'about', driven, ack };
    const error = problem(
      'id_mismatch',
      `command ${commandId} was for device ${record.device}, not for this one`,
    );
    return { kind: 'refused', error, device, commandId, dispatcher: record.dispatcher };
  }

  async function refuse(arrival: Arrival, { error, device, commandId }: Judgement & { kind: 'refused' }) {
    const { topic, payload, receivedAt, resumedAt } = arrival;
    const letter: DeadLetter = {
      protocol: 'command',
      topic,
      code: error.code,
      message: error.message,
      ...(error.pointer !== undefined && { pointer: error.pointer }),
      payload,
      receivedAt,
    };
    if (resumedAt !== undefined && (await isRepeated(letter, resumedAt))) return;
    const text = payload.subarray(0, SHOWN).toString('utf8');
    await store.refuse([letter], messageOf(arrival, device, text, false, commandId));
    refused(letter);
  }

  async function accept(arrival: Arrival, { driven, ack }: Judgement & { kind: 'about' }) {
    const { commandId, success, message } = ack;
    const text = arrival.payload.toString('utf8');
    const line = messageOf(arrival, driven.record.device, text, true, commandId);
    await happen(driven, { type: 'ack', success, message }, line);
  }

  /** @returns undefined where another gateway answers for it */
  async function judgeOurs(arrival: Arrival): Promise<Exclude<Judgement, { kind: 'another' }> | undefined> {
    const judgement = await judge(arrival);
    if (judgement.kind === 'another') return undefined;
    const { dispatcher } = judgement.kind === 'about' ? judgement.driven.record : judgement;
    if (shared?.answersFor(dispatcher) !== false) return judgement;
    shared?.overheard(arrival);
    return undefined;
  }

  return {
    async take(arrival) {
      const judgement = await judgeOurs(arrival);
      if (judgement?.kind === 'about') await accept(arrival, judgement);
      else if (judgement?.kind === 'refused') await refuse(arrival, judgement);
    },
    async takeUp(arrival) {
      const judgement = await judgeOurs(arrival);
      if (judgement?.kind === 'refused') await refuse({ ...arrival, resumedAt: clock.now() }, judgement);
      if (judgement?.kind !== 'about') return;
      const { driven, ack } = judgement;
      const step = transition(driven.record, { ...ack, type: 'ack' }, clock.now());
      if (step.command !== driven.record) await accept(arrival, judgement);
    },
    async replay(letter) {
      const judgement = await judge(letter);
      if (judgement.kind === 'refused') return judgement.error;
      if (judgement.kind === 'another') return problem('not_found', 'the command is another node’s');
      await accept(letter, judgement);
      return undefined;
    },
  };
}

const problem = (code: ErrorCode, message: string) => new FieldloomError(code, message);

const messageOf = (
  { topic, receivedAt }: Arrival,
  device: string,
  payload: string,
  success: boolean,
  correlationId: string | null,
): MqttMessageRecord => ({
  device,
  topic,
  direction: 'in',
  messageType: 'ack',
  payload,
  success,
  correlationId,
  at: receivedAt,
});
