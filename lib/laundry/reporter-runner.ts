import { randomUUID } from 'node:crypto';
import { v7 } from 'uuid';
import { backoffDelay } from '../core/backoff.js';
import type { Clock, Timer } from '../core/clock.js';
import { asError } from '../core/errors.js';
import type { Link } from '../core/link.js';
import type { Log } from '../core/log.js';
import { format, metricsTopic } from './codec.js';
import type { QueuedReport, ReportQueue } from './ports.js';
import {
  newReporter,
  type Observation,
  REPORTER,
  type ReporterEvent,
  type ReporterSettings,
  type ReporterState,
  report,
} from './reporter.js';

/** The part of a link that a reporter leans on. */
export type ReporterLink = Pick<Link, 'state' | 'onState' | 'publish'>;

export interface ReporterOptions {
  storeId: string;
  controllerId: string;
  link: ReporterLink;
  queue: ReportQueue;
  clock: Clock;
  log: Log;
  settings?: Partial<ReporterSettings> & {
    /** Before the topic, for example `lms`. */
    prefix?: string;
    /** Of the message format. */
    version?: string;
    /** Of the times in messages, east of Greenwich. */
    offsetMinutes?: number;
  };
  /** Called after each event. */
  onState?(state: ReporterState): void;
}

export interface Reporter {
  readonly state: ReporterState;
  /** Loads what waits on disk and begins to send. What is observed before waits for it. */
  start(): Promise<void>;
  /** Fulfils when the changes among them are on disk. */
  observe(observations: readonly Observation[]): Promise<void>;
  /** The firmware that runs now: travels beside the machines, and is sent at once where it is another. */
  runs(version: string): Promise<void>;
  /** Sends nothing any more. What waits is on disk. */
  close(): void;
}

const RETRY = { firstMs: 1_000, maxMs: 30_000, jitter: 0.2 };

/** Carries out what the rules in reporter.ts say. @throws FieldloomError invalid_topic_parameter */
export function createReporter({
  storeId,
  controllerId,
  link,
  queue,
  clock,
  log,
  settings: given = {},
  onState,
}: ReporterOptions): Reporter {
  const settings = { ...REPORTER, version: '1.0.0', offsetMinutes: 0, ...given };
  const topic = metricsTopic(settings.prefix).format({ store_id: storeId, controller_id: controllerId });
  let state = newReporter(settings, clock.now());
  let started: Promise<void> | undefined;
  let closed = false;
  let attempts = 0;
  let timer: Timer | undefined;
  let stopListening: (() => void) | undefined;

  /** @returns when what the event stores is on disk */
  function happen(event: ReporterEvent): Promise<void> {
    if (closed) return Promise.resolve();
    const { state: next, effects } = report(state, event, clock.now(), settings);
    state = next;
    const stored = effects.store.length > 0 ? write(effects.store) : Promise.resolve();
    if (effects.remove.length > 0) {
      queue.remove(effects.remove).catch((error: unknown) => {
        log.warn(`laundry: the reports' queue could not be cleared: ${asError(error).message}`);
      });
    }
    timer?.cancel();
    timer = undefined;
    if (effects.wakeAt !== undefined) {
      timer = clock.setTimer(() => happen({ type: 'woken' }), effects.wakeAt - clock.now());
    }
    if (effects.publish !== undefined) publish(effects.publish);
    onState?.(state);
    return stored;
  }

  async function write(reports: readonly QueuedReport[]): Promise<void> {
    await queue.add(reports);
    happen({ type: 'stored', reports });
  }

  function publish(reports: readonly QueuedReport[]): void {
    const text = format(
      {
        storeId,
        controllerId,
        version: settings.version,
        correlationId: randomUUID(),
        timestamp: clock.now(),
        machines: [...reports],
        firmwareVersion: state.firmwareVersion,
      },
      settings.offsetMinutes,
    );
    link.publish(topic, text, { qos: 1, wait: false }).then(
      () => {
        attempts = 0;
        happen({ type: 'acknowledged' });
      },
      (error: unknown) => {
        const retryMs = backoffDelay(attempts, RETRY);
        attempts += 1;
        log.debug(`laundry: a report was not taken, again in ${retryMs} ms: ${asError(error).message}`);
        happen({ type: 'failed', retryMs });
      },
    );
  }

  async function load(): Promise<void> {
    const reports = await queue.all();
    if (closed) return;
    happen({ type: 'restored', reports });
    const follow = () => {
      const connected = link.state === 'connected';
      if (connected !== state.connected) happen({ type: connected ? 'connected' : 'disconnected' });
    };
    stopListening = link.onState(follow);
    follow();
  }

  const start = () => {
    started ??= load();
    return started;
  };

  return {
    get state() {
      return state;
    },
    start,
    async observe(observations) {
      await start();
      await happen({ type: 'observed', observations, newId: () => v7() });
    },
    async runs(version) {
      await start();
      await happen({ type: 'firmware', version });
    },
    close() {
      closed = true;
      timer?.cancel();
      stopListening?.();
    },
  };
}
