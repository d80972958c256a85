import { v7 } from 'uuid';
import { backoffDelay } from '../core/backoff.js';
import type { Clock, Timer } from '../core/clock.js';
import { asError } from '../core/errors.js';
import type { Link } from '../core/link.js';
import type { Log } from '../core/log.js';
import {
  checkMeasurement,
  formatStatus,
  formatTelemetry,
  type MachineTopics,
  OFFLINE_STATUS,
} from './machine-codec.js';
import {
  MACHINE_END,
  type MachineEndEffects,
  type MachineEndEvent,
  type MachineEndSettings,
  type MachineEndState,
  machineEnd,
  mergeValues,
  newMachineEnd,
  type Outgoing,
} from './machine-end.js';
import type { MachineStatus, Measurement, TelemetryQueue } from './machine-ports.js';

/** The part of a link that a machine leans on. */
export type MachineLink = Pick<Link, 'state' | 'onState' | 'publish'>;

export interface MachineEndOptions {
  topics: MachineTopics;
  link: MachineLink;
  queue: TelemetryQueue;
  clock: Clock;
  log: Log;
  /** Telemetry says when it was made, so that each message counts once however often it is sent. */
  timestamps: boolean;
  settings?: Partial<MachineEndSettings>;
  /** Called after each event. */
  onState?(state: MachineEndState): void;
}

export interface MachineEnd {
  readonly state: MachineEndState;
  /** Loads what waits on disk and begins to send. What is measured before waits for it. */
  start(): Promise<void>;
  /**
   * Fulfils when the values are taken for the interval's message, with `now` when that is on disk.
   * @throws FieldloomError invalid_input where the values of the interval do not fit into a message
   */
  measure(values: Measurement, now: boolean): Promise<void>;
  /** The machine's status from now on: sent at once, and again after each connection. */
  report(status: MachineStatus): Promise<void>;
  /**
   * Says goodbye, as the last will does, and puts what the interval has measured on disk; sends nothing after that.
   * The goodbye is handed to the link before this returns.
   */
  close(): Promise<void>;
}

const RETRY = { firstMs: 1_000, maxMs: 30_000, jitter: 0.2 };
/** For the goodbye: a broker that does not answer tells the last will. */
const GOODBYE_MS = 1_000;

/** Carries out what the rules in machine-end.ts say. */
export function createMachineEnd({
  topics,
  link,
  queue,
  clock,
  log,
  timestamps,
  settings: given = {},
  onState,
}: MachineEndOptions): MachineEnd {
  const settings = { ...MACHINE_END, ...given };
  let state = newMachineEnd(settings, clock.now());
  let started: Promise<void> | undefined;
  let closed = false;
  let attempts = 0;
  let timer: Timer | undefined;
  let rest: Timer | undefined;
  let stopListening: (() => void) | undefined;
  /** Writes go one behind the other: ids are drawn in the order of the messages. */
  let written: Promise<void> = Promise.resolve();

  /** @returns when what the event stores is on disk */
  function happen(event: MachineEndEvent): Promise<void> {
    if (closed) return Promise.resolve();
    const { state: next, effects } = machineEnd(state, event, clock.now(), settings);
    state = next;
    const stored = effects.store === undefined ? Promise.resolve() : write(effects.store);
    for (const id of effects.remove) {
      queue.remove(id).catch((error: unknown) => {
        log.warn(`solar: sent telemetry could not be taken from its queue: ${asError(error).message}`);
      });
    }
    timer?.cancel();
    timer = clock.setTimer(wake, Math.max(0, effects.wakeAt - clock.now()));
    if (effects.publish !== undefined) publish(effects.publish);
    onState?.(state);
    return stored;
  }

  function wake(): void {
    happen({ type: 'woken' }).catch((error: unknown) => {
      log.warn(
        `solar: telemetry could not be kept, its values go with the next message: ${asError(error).message}`,
      );
    });
  }

  function write({ values, at }: NonNullable<MachineEndEffects['store']>): Promise<void> {
    const payload = formatTelemetry(values, timestamps ? at : undefined);
    const queued = {
      id: v7(),
      topic: topics.telemetry,
      payload,
      qos: 1 as const,
      retain: false,
      createdAt: at,
    };
    const mine = written.then(async () => {
      try {
        await queue.add(queued);
      } catch (error) {
        void happen({ type: 'unstored', values });
        throw error;
      }
      void happen({ type: 'stored', queued });
    });
    written = mine.catch(() => {}); // whoever has caused it is told
    return mine;
  }

  function publish(outgoing: Outgoing): void {
    const sent =
      outgoing.type === 'status'
        ? link.publish(topics.status, formatStatus(outgoing.status), { qos: 1, retain: true, wait: false })
        : link.publish(topics.telemetry, outgoing.queued.payload, { qos: 1, wait: false });
    sent.then(
      () => {
        attempts = 0;
        void happen({ type: 'acknowledged' });
      },
      (error: unknown) => {
        if (closed) return;
        const retryMs = backoffDelay(attempts, RETRY);
        attempts += 1;
        log.debug(
          `solar: ${outgoing.type} was not taken, again in ${Math.round(retryMs)} ms: ${asError(error).message}`,
        );
        void happen({ type: 'failed' });
        rest?.cancel();
        rest = clock.setTimer(() => void happen({ type: 'rested' }), retryMs);
      },
    );
  }

  async function load(): Promise<void> {
    const waiting = await queue.all();
    if (closed) return;
    void happen({ type: 'restored', waiting });
    const follow = () => {
      const connected = link.state === 'connected';
      if (connected !== state.connected) void happen({ type: connected ? 'connected' : 'disconnected' });
    };
    stopListening = link.onState(follow);
    follow();
  }

  const start = () => {
    started ??= load();
    return started;
  };

  async function goodbye(): Promise<void> {
    let timeout: Timer | undefined;
    const late = new Promise<void>((resolve) => {
      timeout = clock.setTimer(resolve, GOODBYE_MS);
    });
    const said = link
      .publish(topics.status, formatStatus(OFFLINE_STATUS), { qos: 1, retain: true, wait: false })
      .catch((error: unknown) => log.debug(`solar: the goodbye was not taken: ${asError(error).message}`));
    await Promise.race([said, late]);
    timeout?.cancel();
  }

  return {
    get state() {
      return state;
    },
    start,
    async measure(values, now) {
      await start();
      checkMeasurement(mergeValues(state.values, values), clock.now());
      await happen({ type: 'measured', values, now });
    },
    async report(status) {
      await start();
      await happen({ type: 'reported', status });
    },
    async close() {
      if (closed) return;
      const said = state.connected ? goodbye() : undefined;
      const stored = happen({ type: 'closing' });
      closed = true;
      timer?.cancel();
      rest?.cancel();
      stopListening?.();
      await Promise.all([said, stored, written]);
    },
  };
}
