import type { Clock } from '../core/clock.js';
import { asError } from '../core/errors.js';

/** What became of one wish to set a control (seed: roast-protocol, `control_ack`). */
export interface ControlOutcome {
  readonly channel: string;
  /** The value that was applied; where none was, the one that was asked for. */
  readonly value: number;
  readonly applied: boolean;
  readonly message: string;
  /** True where the driver was asked and failed. */
  readonly driverFailed: boolean;
}

export interface Controls {
  /** Never rejects: the outcome says what went wrong. */
  set(channel: string, value: number): Promise<ControlOutcome>;
}

export interface ControlsOptions {
  clock: Clock;
  channels(): readonly string[];
  /** @returns the value that was applied */
  write(channel: string, value: number): Promise<number>;
  /** A driver that takes longer is given up, ms. */
  timeoutMs?: number;
}

interface Waiting {
  value: number;
  settle: ((outcome: ControlOutcome) => void)[];
}

/**
 * Sets controls one after another. While the driver is busy only the newest value of each channel waits; whoever asked
 * for an older one is told the newer one, once it is applied.
 */
export function createControls({ clock, channels, write, timeoutMs = 2_000 }: ControlsOptions): Controls {
  const waiting = new Map<string, Waiting>();
  let busy = false;

  function within(promise: Promise<number>): Promise<number> {
    return new Promise((resolve, reject) => {
      const timer = clock.setTimer(
        () => reject(new Error(`the driver has not answered within ${timeoutMs / 1000} s`)),
        timeoutMs,
      );
      promise.then(resolve, reject).finally(() => timer.cancel());
    });
  }

  async function outcomeOf(channel: string, value: number): Promise<ControlOutcome> {
    try {
      const applied = await within(Promise.resolve().then(() => write(channel, value)));
      return { channel, value: applied, applied: true, message: '', driverFailed: false };
    } catch (error) {
      return { channel, value, applied: false, message: asError(error).message, driverFailed: true };
    }
  }

  async function work(): Promise<void> {
    busy = true;
    for (let next = first(); next !== undefined; next = first()) {
      const [channel, { value, settle }] = next;
      waiting.delete(channel);
      const outcome = await outcomeOf(channel, value);
      settle.forEach((told, index) => {
        const superseded = outcome.applied && index < settle.length - 1;
        told(superseded ? { ...outcome, message: 'a newer value was applied' } : outcome);
      });
    }
    busy = false;
  }
  const first = () => waiting.entries().next().value;

  return {
    set(channel, value) {
      const refuse = (message: string): ControlOutcome => ({
        channel,
        value,
        applied: false,
        message,
        driverFailed: false,
      });
      if (!channels().includes(channel)) {
        const accepted = channels().join(', ') || 'none';
        return Promise.resolve(refuse(`channel ${channel}: accepted is ${accepted}`));
      }
      if (!(value >= 0 && value <= 1)) {
        return Promise.resolve(refuse(`value is ${value}: accepted is 0 to 1`));
      }
      return new Promise((resolve) => {
        const known = waiting.get(channel);
        if (known === undefined) waiting.set(channel, { value, settle: [resolve] });
        else {
          known.value = value;
          known.settle.push(resolve);
        }
        if (!busy) void work();
      });
    },
  };
}
