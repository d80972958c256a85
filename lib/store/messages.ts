import { newId } from './ids.js';
import { insertOnce, placeholders, prepare } from './prepared.js';
import type { Statement, Store } from './store.js';
import type { MessageTable } from './tables.js';

const COLUMNS = ['id', 'protocol', 'direction', 'topic', 'outcome', 'correlation_id', 'at'] as const;

/** Makes the statement that adds a line to the history of messages, for a unit that writes more beside it. */
export function messageStatement(
  store: Pick<Store, 'db' | 'dialect'>,
  protocol: string,
): (message: {
  direction: 'in' | 'out';
  topic: string;
  outcome: string;
  correlationId: string | null;
  at: number;
}) => Statement {
  const insert = prepare<MessageTable>(store.db, (value) =>
    insertOnce(store, 'message', placeholders<'message'>(value, COLUMNS), ['id']),
  );
  return ({ direction, topic, outcome, correlationId, at }) =>
    insert({ id: newId(), protocol, direction, topic, outcome, correlation_id: correlationId, at });
}
