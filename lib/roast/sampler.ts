import { backoffDelay } from '../core/backoff.js';
import type { Clock, Timer } from '../core/clock.js';
import { asError, FieldloomError, hasCode } from '../core/errors.js';
import type { DriverReading, RoastDriver } from './driver.js';
import type { DriverState } from './protocol.js';

/** Between two attempts to connect (roast.md "Signal": sampling never stops by itself). */
const RETRY = { firstMs: 1_000, maxMs: 30_000, jitter: 0.3 };
const CONNECT_WITHIN_MS = 10_000;
/** One that is closed is waited for no longer: the gateway wants to end. */
const DISCONNECT_WITHIN_MS = 2_000;
/** A read that takes longer hangs. */
const READ_WITHIN_MS = 3_000;
/** Reads that fail for so long: the connection is made anew. */
const FAILING_MS = 5_000;

export interface SamplerListener {
  state(state: DriverState, message: string): void;
  reading(reading: DriverReading): void;
  /** A read failed; the next one comes at its time. */
  failed(error: Error): void;
}

/** Keeps one driver connected and reads it at its interval: whatever it does, other machines do not wait for it. */
export interface Sampler {
  readonly state: DriverState;
  readonly message: string;
  /** Connects, and stays connected. Rejects where the first attempt fails; it goes on trying all the same. */
  connect(): Promise<void>;
  disconnect(): Promise<void>;
  /** Whether readings are wanted now. */
  sample(wanted: boolean): void;
  /** @throws FieldloomError not_connected; what the driver throws */
  write(channel: string, value: number): Promise<number>;
}

export interface SamplerOptions {
  driver: RoastDriver;
  intervalMs: number;
  clock: Clock;
  steadyNow(): number;
  listener: SamplerListener;
  random?: () => number;
}

export function createSampler(options: SamplerOptions): Sampler {
  const { driver, intervalMs, clock, steadyNow, listener, random } = options;
  let state: DriverState = 'disconnected';
  let message = '';
  let wanted = false;
  /** Counts connections: what an abandoned one still answers is nobody's. */
  let generation = 0;
  let attempt = 0;
  let timer: Timer | undefined;
  let reading = false;
  let failingSinceMs: number | undefined;
  let nextMs = 0;

  function set(next: DriverState, text = ''): void {
    if (next === state && text === message) return;
    state = next;
    message = text;
    listener.state(next, text);
  }

  function within<T>(promise: Promise<T>, limitMs: number, what: string): Promise<T> {
    return new Promise((resolve, reject) => {
      const late = clock.setTimer(
        () => reject(new FieldloomError('not_connected', `${what} took longer than ${limitMs / 1000} s`)),
        limitMs,
      );
      promise.then(resolve, reject).finally(() => late.cancel());
    });
  }

  /** The driver may throw at once: then it rejects. */
  const call = <T>(work: () => Promise<T>): Promise<T> => Promise.resolve().then(work);

  async function open(): Promise<void> {
    const mine = generation;
    set(attempt === 0 ? 'connecting' : 'reconnecting', message);
    try {
      await within(
        call(() => driver.connect()),
        CONNECT_WITHIN_MS,
        'connecting',
      );
    } catch (error) {
      if (mine === generation) lose(asError(error));
      throw asError(error);
    }
    if (mine !== generation) return;
    attempt = 0;
    failingSinceMs = undefined;
    set('connected');
    nextMs = steadyNow();
    schedule();
  }

  /** Tries again after a while. */
  function lose(error: Error): void {
    generation += 1;
    reading = false;
    timer?.cancel();
    call(() => driver.disconnect()).catch(() => {});
    set('reconnecting', error.message);
    const delayMs = backoffDelay(attempt, RETRY, random);
    attempt += 1;
    timer = clock.setTimer(() => {
      open().catch(() => {}); // the listener has been told
    }, delayMs);
  }

  function schedule(): void {
    if (state !== 'connected' || !wanted || reading) return;
    if (driver.pace === 'itself') {
      void read();
      return;
    }
    timer?.cancel();
    // Kept to a grid, so that slow reads do not stretch the interval; what was missed is not made up for.
    const now = steadyNow();
    if (nextMs < now) nextMs += Math.ceil((now - nextMs) / intervalMs) * intervalMs;
    timer = clock.setTimer(() => void read(), nextMs - now);
  }

  async function read(): Promise<void> {
    const mine = generation;
    reading = true;
    if (driver.pace === 'asked') nextMs += intervalMs;
    try {
      const asked = call(() => driver.read());
      const taken = await (driver.pace === 'itself' ? asked : within(asked, READ_WITHIN_MS, 'reading'));
      if (mine !== generation) return;
      failingSinceMs = undefined;
      reading = false;
      if (wanted) listener.reading(taken);
    } catch (error) {
      if (mine !== generation) return;
      reading = false;
      const now = steadyNow();
      failingSinceMs ??= now;
      listener.failed(asError(error));
      if (mine !== generation) return;
      // A connection that is known to be gone is not tried out first.
      const gone = hasCode(error, 'link_closed');
      if (gone || now - failingSinceMs >= FAILING_MS) return lose(asError(error));
      // A driver of its own pace that fails at once must not fail in a circle.
      if (driver.pace === 'itself') {
        timer = clock.setTimer(schedule, intervalMs);
        return;
      }
    }
    schedule();
  }

  return {
    get state() {
      return state;
    },
    get message() {
      return message;
    },
    async connect() {
      if (state === 'connected') return;
      generation += 1;
      timer?.cancel();
      attempt = 0;
      await open();
    },
    async disconnect() {
      generation += 1;
      reading = false;
      timer?.cancel();
      set('disconnected');
      await within(
        call(() => driver.disconnect()),
        DISCONNECT_WITHIN_MS,
        'disconnecting',
      ).catch(() => {}); // it is given up either way
    },
    sample(on) {
      wanted = on;
      if (!on) {
        if (state === 'connected') timer?.cancel();
        return;
      }
      nextMs = steadyNow();
      schedule();
    },
    write(channel, value) {
      if (state !== 'connected') {
        return Promise.reject(new FieldloomError('not_connected', `the driver is ${state}`));
      }
      return call(() => driver.write(channel, value));
    },
  };
}
