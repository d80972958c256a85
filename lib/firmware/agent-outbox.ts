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
  /** Newest known of each deployment that has replies under way. */
  const records = new Map<string, AgentRecord>();
  const underWay = new Set<string>();
  const timers = new Set<Timer>();
  let closed = false;

  function publish(
    record: AgentRecord,
    { number, reply, correlationId }: PendingReply,
    attempt: number,
  ): void {
    const { deploymentId } = record;
    const key = `${deploymentId} ${number}`;
    const type = EVENTS[reply];
    const message = {
      ...{ storeId, controllerId, correlationId, deploymentId, type },
      version: '1.0.0',
      timestamp: clock.now(),
      errors: [...record.errors],
    };
    underWay.add(key);
    link.publish(topics[channelOf(type)], format(message, offsetMinutes), { qos: 1 }).then(
      () => {
        underWay.delete(key);
        if (!closed) onTold({ deploymentId, number });
      },
      (error: unknown) => {
        if (closed) return;
        const delay = backoffDelay(attempt, RETRY);
        log.debug(`firmware: ${type} was not taken, again in ${delay} ms: ${asError(error).message}`);
        const timer = clock.setTimer(() => {
          timers.delete(timer);
          underWay.delete(key);
          const now = records.get(deploymentId);
          const pending = now?.replies.find((other) => other.number === number);
          // A newer one of its kind has taken its place.
          if (now !== undefined && pending !== undefined) publish(now, pending, attempt + 1);
        }, delay);
        timers.add(timer);
      },
    );
  }

  return {
    send(record) {
      if (record.replies.length === 0) records.delete(record.deploymentId);
      else records.set(record.deploymentId, record);
      for (const pending of record.replies) {
        if (!underWay.has(`${record.deploymentId} ${pending.number}`)) publish(record, pending, 0);
      }
    },
    close() {
      closed = true;
      for (const timer of timers) timer.cancel();
    },
  };
}
