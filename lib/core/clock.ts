export interface Timer {
  cancel(): void;
}

/** The only source of time for protocol code, so that a test can hold it still. */
export interface Clock {
  /** Epoch milliseconds UTC. */
  now(): number;
  /** Calls back once after `delayMs`; does not keep the process alive. */
  setTimer(callback: () => void, delayMs: number): Timer;
}

const LONGEST_TIMEOUT_MS = 2 ** 31 - 1;

export const systemClock: Clock = {
  now: () => Date.now(),
  setTimer(callback, delayMs) {
    const timeout = setTimeout(callback, Math.min(Math.max(delayMs, 0), LONGEST_TIMEOUT_MS));
    timeout.unref();
    return { cancel: () => clearTimeout(timeout) };
  },
};

/** Milliseconds since some moment: it runs on while the system's clock is set. */
export const steadyClock: Clock = { ...systemClock, now: () => performance.now() };
