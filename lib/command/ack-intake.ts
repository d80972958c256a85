import type { DeadLetter } from '../core/dead-letter.js';
import { asError, type ErrorCode, FieldloomError } from '../core/errors.js';
import type { Message } from '../core/link.js';
import { createRedelivery } from '../core/redelivery.js';
import type { TopicParameters } from '../core/topic.js';
import type { Acknowledgement } from './codec.js';
import type { Driven } from './driver.js';
import type { CommandStore, MqttMessageRecord } from './ports.js';
import type { Profile } from './profile.js';
import type { CommandEvent } from './transition.js';

/** A message as it came from a link or a wire. */
export type Arrival = Pick<Message, 'topic' | 'payload' | 'receivedAt' | 'resumedAt'>;

export interface AckIntakeOptions {
  /** Of the dispatcher: acknowledgements of another one's commands are that one's. */
  name: string;
  profile: Profile;
  store: CommandStore;
  find(id: string): Promise<Driven | undefined>;
  happen(driven: Driven, event: CommandEvent, message: MqttMessageRecord): Promise<unknown>;
  refused(letter: DeadLetter): void;
}

/** Of a refused message so many characters stand in the history; its dead letter has all of it. */
const SHOWN = 1_000;

/**
 * Takes what devices say. The answer fulfils when it is one committed row or dead letter; it rejects with what the
 * store rejects with.
 */
export function createAckIntake(options: AckIntakeOptions): (arrival: Arrival) => Promise<void> {
  const { name, profile, store, find, happen, refused } = options;
  const isRepeated = createRedelivery(store);

  async function refuse(
    arrival: Arrival,
    parameters: TopicParameters,
    error: FieldloomError,
    commandId: string | null,
  ): Promise<void> {
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
    const device = profile.deviceOf(parameters);
    await store.refuse([letter], messageOf(arrival, device, text, false, commandId));
    refused(letter);
  }

  return async (arrival) => {
    const parameters = profile.matchAck(arrival.topic);
    if (parameters === undefined) {
      const topic = JSON.stringify(arrival.topic.slice(0, 256));
      return refuse(
        arrival,
        {},
        problem('invalid_topic', `topic ${topic} is none of acknowledgements`),
        null,
      );
    }
    let ack: Acknowledgement;
    try {
      ack = profile.readAck(arrival.payload);
    } catch (thrown) {
      const error = asError(thrown);
      if (!(error instanceof FieldloomError)) throw error;
      return refuse(arrival, parameters, error, null);
    }
    const { commandId, success, message } = ack;
    const driven = await find(commandId);
    if (driven === undefined) {
      const error = problem('not_found', `there is no command ${JSON.stringify(commandId)}`);
      return refuse(arrival, parameters, error, null);
    }
    const { record } = driven;
    if (record.dispatcher !== name) return;
    if (!profile.isFrom(record.topic, parameters)) {
      const error = problem(
        'id_mismatch',
        `command ${commandId} was for device ${record.device}, not for this one`,
      );
      return refuse(arrival, parameters, error, commandId);
    }
    const text = arrival.payload.toString('utf8');
    await happen(
      driven,
      { type: 'ack', success, message },
      messageOf(arrival, record.device, text, true, commandId),
    );
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
