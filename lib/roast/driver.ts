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
  /** Why a part of it is missing, where the driver knows. */
  readonly problem?: string;
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
  /** @throws FieldloomError link_closed where the connection is gone; anything else is one reading that failed */
  read(): Promise<DriverReading>;
  /** @returns the value that was applied */
  write(channel: string, value: number): Promise<number>;
  /** Names of its controls. */
  channels(): readonly string[];
  /** Where its controls stand, 0 to 1, where it knows that without having set them. */
  values?(): Readonly<Record<string, number>>;
}
