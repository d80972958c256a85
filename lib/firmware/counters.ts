import type { ErrorCode } from '../core/errors.js';

/** What has come and gone since the start, for `/metrics`. */
export interface FirmwareCounters {
  /** What deployments did, by the name that their history gives it. */
  events: Record<string, number>;
  /** Our own messages that the broker brought back. */
  own: number;
  /** Refused messages by error code. */
  refused: Partial<Record<ErrorCode, number>>;
}

export const newFirmwareCounters = (): FirmwareCounters => ({ events: {}, own: 0, refused: {} });
