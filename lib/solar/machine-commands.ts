import { type ErrorCode, FieldloomError } from '../core/errors.js';
import type { Message } from '../core/link.js';
import { createSequence } from '../core/sequence.js';
import { type MachineCommand, parseCommand } from './machine-codec.js';
import type { ToldCommands } from './machine-ports.js';

/** A message that is no command to act on, and why. */
export interface IgnoredCommand {
  reason: 'retained' | 'repeated' | 'unreadable' | 'foreign';
  /** For people. */
  message: string;
  code?: ErrorCode;
  commandId?: string;
}

export type CommandArrival = Pick<Message, 'topic' | 'payload' | 'retain' | 'receivedAt'>;

export interface CommandIntakeOptions {
  /** The machine's own topic. */
  topic: string;
  told: ToldCommands;
  /** To be carried out; the id, where there is one, is on disk. */
  tell(command: MachineCommand): void;
  ignore(ignored: IgnoredCommand, arrival: CommandArrival): void;
}

/**
 * Takes a machine's commands, one after another in the order in which they come. The protocol has no acknowledgement
 * and no id: a command that carries one is told once, one without as often as the broker brings it.
 * @returns fulfils when the command may be acknowledged to the broker; rejects with what the store rejects with
 */
export function createCommandIntake({ topic, told, tell, ignore }: CommandIntakeOptions) {
  const sequence = createSequence();

  async function take(arrival: CommandArrival): Promise<void> {
    if (arrival.topic !== topic) {
      ignore({ reason: 'foreign', message: `topic ${arrival.topic} is not ${topic}` }, arrival);
      return;
    }
    if (arrival.retain) {
      const message = 'a retained command may be of any age, and comes at each connection: it is not told';
      ignore({ reason: 'retained', message }, arrival);
      return;
    }
    let command: MachineCommand;
    try {
      command = parseCommand(arrival.payload);
    } catch (error) {
      if (!(error instanceof FieldloomError)) throw error;
      ignore({ reason: 'unreadable', message: error.message, code: error.code }, arrival);
      return;
    }
    const { commandId } = command;
    if (commandId !== undefined) {
      if (await told.has(commandId)) {
        ignore({ reason: 'repeated', message: 'it has been told before', commandId }, arrival);
        return;
      }
      await told.add(commandId, arrival.receivedAt);
    }
    tell(command);
  }

  return (arrival: CommandArrival): Promise<void> => sequence.run('commands', () => take(arrival));
}

/** As many ids as are remembered where nothing is kept on disk. */
const REMEMBERED = 1000;

/** Ids of commands in memory: for a machine without a store, until its next start. */
export function toldInMemory(): ToldCommands {
  const ids = new Set<string>();
  return {
    has: async (commandId) => ids.has(commandId),
    async add(commandId) {
      ids.add(commandId);
      if (ids.size > REMEMBERED) ids.delete(ids.values().next().value as string);
    },
  };
}
