import type { Answer, ResponderStore, SeenCommand } from '../command/responder-ports.js';
import { deadLetters } from './dead-letters.js';
import type { ResponderCommandTable } from './device-tables.js';
import { placeholders, prepare, upsert } from './prepared.js';
import type { Store } from './store.js';

/** What is answered may be forgotten after so long, ms: no backend repeats a command that late. */
export const REMEMBERED_MS = 30 * 86_400_000;

const COLUMNS = ['device', 'command_id', 'state', 'answer', 'received_at', 'expires_at'] as const;

/** What one device has seen of commands (lib/command/responder-ports.ts). */
export function responderStore(store: Store, device: string): ResponderStore {
  const { db } = store;
  const letters = deadLetters(store);
  const save = prepare<ResponderCommandTable>(db, (value) =>
    upsert(store, 'responder_command', placeholders<'responder_command'>(value, COLUMNS), [
      'device',
      'command_id',
    ]),
  );
  return {
    countEarlier: letters.countEarlier,
    refuse: (letter) => letters.add(letter),

    async loadOpen() {
      const rows = await db
        .selectFrom('responder_command')
        .selectAll()
        .where('device', '=', device)
        .where('state', 'in', ['told', 'answered'])
        .orderBy('received_at')
        .execute();
      return rows.map(seenOf);
    },

    async load(commandId) {
      const row = await db
        .selectFrom('responder_command')
        .selectAll()
        .where('device', '=', device)
        .where('command_id', '=', commandId)
        .executeTakeFirst();
      return row === undefined ? undefined : seenOf(row);
    },

    save: (seen) =>
      store.commit([
        save({
          device,
          command_id: seen.commandId,
          state: seen.state === 'answered' && seen.published ? 'published' : seen.state,
          answer: seen.state === 'answered' ? JSON.stringify(seen.answer) : null,
          received_at: seen.receivedAt,
          expires_at: seen.state === 'answered' ? seen.answer.at + REMEMBERED_MS : null,
        }),
      ]),
  };
}

function seenOf({ command_id, received_at, state, answer }: ResponderCommandTable): SeenCommand {
  const seen = { commandId: command_id, receivedAt: Number(received_at) };
  if (answer === null) return { ...seen, state: 'told' };
  return {
    ...seen,
    state: 'answered',
    answer: JSON.parse(answer) as Answer,
    published: state === 'published',
  };
}
