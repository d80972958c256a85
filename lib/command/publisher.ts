import type { Clock } from '../core/clock.js';
import { asError, hasCode } from '../core/errors.js';
import type { Link } from '../core/link.js';
import type { Driven, Driver } from './driver.js';
import type { MqttMessageRecord } from './ports.js';

export interface PublisherOptions {
  link: Pick<Link, 'state' | 'publish'>;
  clock: Clock;
  happen: Driver['happen'];
  failed(driven: Driven, error: unknown): void;
}

export interface Publisher {
  /** Hands an attempt, which is stored, to the link; what becomes of it happens to the command. */
  publish(driven: Driven, attempt: number): void;
  /** Fulfils when the link has answered for all that it has got, or after `ms`. */
  settled(ms: number): Promise<void>;
}

/** Errors that say for certain that nothing has left. */
const UNSENT = ['not_connected', 'queue_full'] as const;

/** seed: pond-command-flow, 5: QoS 2, not retained. */
const DELIVERY = { qos: 2, retain: false, wait: false } as const;

export function createPublisher({ link, clock, happen, failed }: PublisherOptions): Publisher {
  let underWay = 0;
  let quiet: (() => void) | undefined;

  async function perform(driven: Driven, attempt: number): Promise<void> {
    const { topic, payload, device, id } = driven.record;
    const message = (success: boolean): MqttMessageRecord => ({
      device,
      topic,
      direction: 'out',
      messageType: 'command',
      payload,
      success,
      correlationId: id,
      at: clock.now(),
    });
    let problem: unknown;
    try {
      await link.publish(topic, payload, DELIVERY);
    } catch (error) {
      problem = error;
    }
    driven.underWay -= 1;
    if (problem === undefined) return happen(driven, { type: 'published', attempt }, message(true));
    // It may have left: the clock that runs decides.
    if (hasCode(problem, 'link_closed')) return;
    if (UNSENT.some((code) => hasCode(problem, code))) return happen(driven, { type: 'unsent', attempt });
    const reason = asError(problem).message;
    return happen(driven, { type: 'refused', attempt, message: reason }, message(false));
  }

  return {
    publish(driven, attempt) {
      driven.begunAt ??= clock.now();
      driven.underWay += 1;
      underWay += 1;
      perform(driven, attempt)
        .catch((error: unknown) => failed(driven, error))
        .finally(() => {
          underWay -= 1;
          if (underWay === 0) quiet?.();
        });
    },
    async settled(ms) {
      if (underWay === 0) return;
      await new Promise<void>((resolve) => {
        const timer = clock.setTimer(resolve, ms);
        quiet = () => {
          timer.cancel();
          resolve();
        };
      });
    },
  };
}
