import type { Clock } from '../core/clock.js';
import type { DeadLetter } from '../core/dead-letter.js';
import type { Refusal } from '../core/envelope.js';
import { FieldloomError } from '../core/errors.js';
import { type FirmwareChannel, type FirmwareMessage, firmwareTopic, parse } from './codec.js';
import type { FirmwareCounters } from './counters.js';
import type { Deployment } from './deployment-record.js';
import type { DeploymentEvent } from './deployment-step.js';
import type { Deployments } from './deployments.js';
import type { Fleet } from './fleet.js';
import type { FirmwareStore } from './ports.js';

/** A message as it came from a link or a wire. */
export interface Arrival {
  topic: string;
  payload: Buffer;
  /** Epoch milliseconds UTC. */
  receivedAt: number;
  /** As in Message: where it is set, the message may be a repetition. */
  resumedAt?: number;
  /** It was overheard, and may have been taken already: it counts only where it tells anything new. */
  again?: boolean;
}

export interface InboxOptions {
  store: FirmwareStore;
  clock: Clock;
  fleet: Fleet;
  deployments: Deployments;
  counters: FirmwareCounters;
  prefix: string;
  isRepeated(letter: DeadLetter, resumedAt: number): Promise<boolean>;
  refused(letter: DeadLetter): void;
}

/** Takes what controllers say to the deployment that they speak of. */
export interface Inbox {
  readonly filters: readonly string[];
  /** Fulfils when it is a committed event or dead letter. */
  take(arrival: Arrival): Promise<void>;
  /** Takes a dead letter again. @returns what is still wrong with it */
  replay(letter: DeadLetter): Promise<Refusal | undefined>;
}

const CHANNELS: readonly FirmwareChannel[] = ['action', 'ack'];

/** MQTT filters of what controllers say. @param prefix before the topics, for example `lms` */
export const firmwareFilters = (prefix = ''): string[] =>
  CHANNELS.map((channel) => firmwareTopic(channel, prefix).filter);

/** A failure may come with a whole log: of its errors so much is kept. */
const MOST_ERRORS = 50;
const LONGEST_ERROR = 1_000;

/** What a message means for its deployment; undefined: it is one of ours, heard back. */
function eventOf(message: FirmwareMessage): DeploymentEvent | undefined {
  switch (message.type) {
    case 'update_firmware_ack':
      return { type: 'ack' };
    case 'update_firmware_completed':
      return { type: 'completed' };
    case 'update_firmware_failed':
      return {
        type: 'failed',
        errors: message.errors.slice(0, MOST_ERRORS).map((error) => error.slice(0, LONGEST_ERROR)),
      };
    case 'cancel_update_firmware_ack':
      return { type: 'cancel_ack' };
    case 'update_firmware':
    case 'cancel_update_firmware':
      return undefined;
  }
}

function checkOwner(message: FirmwareMessage, deployment: Deployment | undefined): void {
  const pointer = '/payload/deployment_id';
  if (deployment === undefined) {
    const text = `${pointer} is ${message.deploymentId}: there is no such deployment`;
    throw new FieldloomError('not_found', text, { pointer });
  }
  if (deployment.storeId !== message.storeId || deployment.controllerId !== message.controllerId) {
    const text = `${pointer} is ${message.deploymentId}, a deployment of another controller`;
    throw new FieldloomError('id_mismatch', text, { pointer });
  }
}

export function createInbox(options: InboxOptions): Inbox {
  const { store, clock, fleet, deployments, counters } = options;
  const topics = CHANNELS.map((channel) => ({ channel, topic: firmwareTopic(channel, options.prefix) }));

  function read({ topic, payload }: { topic: string; payload: Buffer }): FirmwareMessage {
    for (const { channel, topic: template } of topics) {
      const parameters = template.match(topic);
      if (parameters !== undefined) return parse(channel, parameters, payload, clock.now());
    }
    const forms = topics.map(({ topic: { template } }) => template).join(' or ');
    throw new FieldloomError(
      'invalid_topic',
      `topic ${JSON.stringify(topic.slice(0, 256))} is not of the form ${forms}`,
    );
  }

  /** @throws FieldloomError what is wrong with the message, or what the store rejects with */
  async function deliver(arrival: Arrival): Promise<void> {
    const message = read(arrival);
    const event = eventOf(message);
    if (event === undefined) {
      counters.own += 1;
      return;
    }
    const { deploymentId, correlationId } = message;
    // Known ones at once, so that the messages of a controller keep their order.
    const known = fleet.deployment(deploymentId);
    checkOwner(message, known ?? (await store.deployment(deploymentId)));
    const { topic, receivedAt, again = false } = arrival;
    await deployments.submit(deploymentId, event, { topic, correlationId, receivedAt, again });
  }

  /** Undefined where it was none of the message's fault. */
  function refusalOf(error: unknown): Refusal | undefined {
    if (!(error instanceof FieldloomError) || error.code.startsWith('store_')) return undefined;
    const { code, message, pointer } = error;
    return { code, message, ...(pointer !== undefined && { pointer }) };
  }

  async function refuse(arrival: Arrival, refusal: Refusal): Promise<void> {
    const { topic, payload, receivedAt, resumedAt } = arrival;
    const letter: DeadLetter = { protocol: 'firmware', topic, payload, receivedAt, ...refusal };
    const repeated = resumedAt !== undefined && (await options.isRepeated(letter, resumedAt));
    const outcome = repeated ? 'duplicate' : 'refused';
    const line = { direction: 'in', topic, outcome, correlationId: null, at: receivedAt } as const;
    await store.refuse(repeated ? [] : [letter], line);
    if (repeated) return;
    counters.refused[letter.code] = (counters.refused[letter.code] ?? 0) + 1;
    options.refused(letter);
  }

  return {
    filters: firmwareFilters(options.prefix),
    async take(arrival) {
      try {
        await deliver(arrival);
      } catch (error) {
        const refusal = refusalOf(error);
        if (refusal === undefined) throw error;
        await refuse(arrival, refusal);
      }
    },
    async replay(letter) {
      try {
        await deliver(letter);
        return undefined;
      } catch (error) {
        const refusal = refusalOf(error);
        if (refusal === undefined) throw error;
        return refusal;
      }
    },
  };
}
