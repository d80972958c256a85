import type { EventType } from './event.js';

/** What a driver has read. Temperatures °C; null where a probe gave nothing. */
export interface DriverReading {
  /** When it was taken, ms of the steady clock. */
  readonly takenMs: number;
  readonly bt: number | null;
  readonly et: number | null;
  /** Further channels by their names. */
  readonly extra: Readonly<Record<string, number | null>>;
  /** What a sensor has noticed since the last reading, such as the crack. */
  readonly events?: readonly EventType[];
}

/**
 * A way to the hardware of one machine (roast.md "Drivers"). Each call may fail, hang or answer late: who calls sees to
 * that.
 */
export interface RoastDriver {
  /** As people read it. */
  readonly name: string;
  /** `asked`: it is read at an interval. `itself`: `read` answers when the next reading comes. */
  readonly pace: 'asked' | 'itself';
  connect(): Promise<void>;
  disconnect(): Promise<void>;
  read(): Promise<DriverReading>;
  /** @returns the value that was applied */
  write(channel: string, value: number): Promise<number>;
  /** Names of its controls. */
  channels(): readonly string[];
}
