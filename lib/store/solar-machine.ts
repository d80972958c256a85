import type { ToldCommands } from '../solar/machine-ports.js';
import { responderStore } from './responder.js';
import type { Store } from './store.js';

/**
 * The commands that a solar machine has been told, beside those of pond devices: what is told needs no answer here, and
 * is forgotten when their answers are.
 * @param machine its name, unique in the database
 */
export function toldCommands(store: Store, machine: string): ToldCommands {
  const seen = responderStore(store, machine);
  return {
    has: async (commandId) => (await seen.load(commandId)) !== undefined,
    add: (commandId, now) =>
      seen.save({
        commandId,
        receivedAt: now,
        state: 'answered',
        published: true,
        answer: { success: true, message: 'told', at: now },
      }),
  };
}
