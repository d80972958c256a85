import type { DeadLetter } from '../core/dead-letter.js';
import type { EarlierLetters } from '../core/redelivery.js';

/** What a device answers to a command (seed: pond-command-flow, 8). */
export interface Answer {
  success: boolean;
  message: string;
  /** When it was known, epoch ms. */
  at: number;
}

/** What a device knows of a command_id: it is on disk before the flow is told. */
export type SeenCommand = {
  commandId: string;
  /** Epoch ms. */
  receivedAt: number;
} & (
  | { state: 'told' }
  | {
      state: 'answered';
      answer: Answer;
      /** The broker has taken the answer once. */
      published: boolean;
    }
);

export interface ResponderStore extends EarlierLetters {
  /** What was told and not answered, or answered and not taken by the broker; oldest first. */
  loadOpen(): Promise<SeenCommand[]>;
  load(commandId: string): Promise<SeenCommand | undefined>;
  /** Inserts or replaces it. Fulfils when it is on disk. */
  save(seen: SeenCommand): Promise<void>;
  /** A message that names no command at all. */
  refuse(letter: DeadLetter): Promise<void>;
}
