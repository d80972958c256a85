import type { ErrorCode } from './errors.js';

/** A message, or a part of one, that was refused: kept whole, so that nothing is lost and it can be replayed. */
export interface DeadLetter {
  protocol: string;
  topic: string;
  code: ErrorCode;
  message: string;
  /** JSON pointer into the payload. */
  pointer?: string;
  /** The raw bytes as they came. */
  payload: Buffer;
  /** Epoch milliseconds UTC. */
  receivedAt: number;
}
