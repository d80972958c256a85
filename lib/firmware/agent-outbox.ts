import { backoffDelay } from '../core/backoff.js';
import type { Clock, Timer } from '../core/clock.js';
import type { ControllerIds } from '../core/envelope.js';
import { asError } from '../core/errors.js';
import type { Link } from '../core/link.js';
import type { Log } from '../core/log.js';
import type { AgentRecord, PendingReply } from './agent-ports.js';
import { channelOf, type FirmwareEventType, firmwareTopic, format } from './codec.js';

export interface OutboxOptions extends ControllerIds {
  link: Pick<Link, 'publish'>;
  clock: Clock;
  log: Log;
  prefix?: string;
  offsetMinutes?: number;
  /** The broker has taken the reply. */
  onTold(told: { deploymentId: string; number: number }): void;
}

export interface Outbox {
  /** Publishes the replies of a record that are not under way yet. */
  send(record: AgentRecord): void;
  close(): void;
}

const EVENTS = {
  ack: 'update_firmware_ack',
  completed: 'update_firmware_completed',
  failed: 'update_firmware_failed',
  cancel_ack: 'cancel_update_firmware_ack',
} as const satisfies Record<PendingReply['reply'], FirmwareEventType>;

const RETRY = { firstMs: 1_000, maxMs: 60_000, jitter: 0.2 };

/**
 * Brings replies to the broker, in the order of their making where it takes them, until it has acknowledged each. They lie in the agent's own rows
 * until then, which is why a link needs to keep none of them over a restart.
 */
export function createOutbox(options: OutboxOptions): Outbox {
  const { link, clock, log, storeId, controllerId, prefix = '', offsetMinutes = 0, onTold } = options;
  const parameters = { store_id: storeId, controller_id: controllerId };
  const topics = {
    action: firmwareTopic('action', prefix).format(parameters),
    ack: firmwareTopic('ack', prefix).format(parameters),
  };
  /**
   * Of each deployment with replies, the newest record, and the numbers of those that are under way or that the
   * broker has taken while the record does not say so yet.
   */
  const sending = new Map<string, { record: AgentRecord; numbers: Set<number> }>();
  const timers = new Set<Timer>();
  let closed = false;

  function publish(
    record: AgentRecord,
    { number, reply, correlationId }: PendingReply,
    attempt: number,
  ): void {
    const { deploymentId } = record;
    const type = EVENTS[reply];
    const message = {
      ...{ storeId, controllerId, correlationId, deploymentId, type },
      version: '1.0.0',
      timestamp: clock.now(),
      errors: [...record.errors],
    };
    link.publish(topics[channelOf(type)], format(message, offsetMinutes), { qos: 1 }).then(
      () => {
        if (!closed) onTold({ deploymentId, number });
      },
      (error: unknown) => {
        if (closed) return;
        const delay = backoffDelay(attempt, RETRY);
        log.debug(`firmware: ${type} was not taken, again in ${delay} ms: ${asError(error).message}`);
        const timer = clock.setTimer(() => {
          timers.delete(timer);
          const now = sending.get(deploymentId)?.record;
          const pending = now?.replies.find((other) => other.number === number);
          // Else a newer one of its kind has taken its place.
          if (now !== undefined && pending !== undefined) publish(now, pending, attempt + 1);
        }, delay);
        timers.add(timer);
      },
    );
  }

  return {
    send(record) {
      const { deploymentId, replies } = record;
      const known = sending.get(deploymentId)?.numbers;
      if (replies.length === 0) sending.delete(deploymentId);
      else sending.set(deploymentId, { record, numbers: new Set(replies.map(({ number }) => number)) });
      for (const pending of replies) {
        if (known?.has(pending.number) !== true) publish(record, pending, 0);
      }
    },
    close() {
      closed = true;
      for (const timer of timers) timer.cancel();
    },
  };
}
