import type {
  CommandStore,
  CommandTransition,
  CommandWrite,
  ExecutionRecord,
  IdempotencyRecord,
  MqttMessageRecord,
} from '../command/ports.js';
import type { DeadLetter } from '../core/dead-letter.js';
import { type CommandQueries, commandQueries } from './command-queries.js';
import { commandOf, rowOfCommand } from './command-rows.js';
import type {
  AutomationExecutionTable,
  CommandIdempotencyTable,
  DeviceCommandTable,
  DeviceCommandTransitionTable,
  MqttMessageTable,
} from './command-tables.js';
import { deadLetterStatement, deadLetters } from './dead-letters.js';
import { newId } from './ids.js';
import { numberSequence } from './number-sequence.js';
import { insertOnce, placeholders, prepare } from './prepared.js';
import type { Statement, Store } from './store.js';

/** The statuses of a command that goes on. */
const OPEN = ['PENDING', 'SENT', 'ACKNOWLEDGED'] as const;

export interface CommandRepository extends CommandStore, CommandQueries {
  /** execution_id of the seed: whole numbers from 1 on, given out once over all processes on this database. */
  nextExecutionId(): Promise<number>;
}

/** The command protocol's rows: what its rules write and load (lib/command/ports.ts), and what REST and pages ask. */
export function commandStore(store: Store): CommandRepository {
  const { db } = store;
  const statements = commandStatements(store);
  const { countEarlier } = deadLetters(store);
  return {
    ...commandQueries(store),
    countEarlier,
    nextExecutionId: numberSequence(store, 'execution'),
    async loadOpen(dispatcher) {
      const rows = await db
        .selectFrom('device_command')
        .selectAll()
        .where('dispatcher', '=', dispatcher)
        .where('status', 'in', OPEN)
        .orderBy('id')
        .execute();
      return rows.map(commandOf);
    },
    async load(id) {
      const row = await db.selectFrom('device_command').selectAll().where('id', '=', id).executeTakeFirst();
      return row === undefined ? undefined : commandOf(row);
    },
    async openDispatchers(node) {
      const rows = await db
        .selectFrom('device_command')
        .select('dispatcher')
        .distinct()
        .where('dispatcher', '>=', node)
        // What begins with `<node>@` comes before this: the character after it.
        .where('dispatcher', '<', `${node}A`)
        .where('status', 'in', OPEN)
        .execute();
      return rows
        .map(({ dispatcher }) => dispatcher)
        .filter((name) => name === node || name.startsWith(`${node}@`));
    },
    async takeOver(from, dispatcher) {
      if (from.length === 0) return;
      await db
        .updateTable('device_command')
        .set((is) => ({ dispatcher, revision: is('revision', '+', 1) }))
        .where('dispatcher', 'in', from)
        .where('status', 'in', OPEN)
        .execute();
    },
    save: (write) => store.commit(statements.save(write)),
    note: (transitions, messages) => store.commit(statements.note(transitions, messages)),
    refuse: (letters, message) => store.commit(statements.refuse(letters, message)),
  };
}

/** Compiled once; a step of a command then costs no more than filling in its values. */
function commandStatements(store: Store) {
  const { db } = store;
  const insertCommand = prepare<DeviceCommandTable>(
    db,
    (value) => insertOnce(store, 'device_command', placeholders<'device_command'>(value, COMMAND), ['id']),
    { affects: 1 },
  );
  const updateCommand = prepare<DeviceCommandTable & { expected_revision: number }>(
    db,
    (value) =>
      db
        .updateTable('device_command')
        .set(placeholders<'device_command'>(value as never, CHANGING))
        .where('id', '=', value('id'))
        .where('revision', '=', value('expected_revision')),
    { affects: 1 },
  );
  const insertExecution = prepare<AutomationExecutionTable>(
    db,
    (value) =>
      insertOnce(store, 'automation_execution', placeholders<'automation_execution'>(value, EXECUTION), [
        'execution_id',
      ]),
    { affects: 1 },
  );
  const endExecution = prepare<Pick<AutomationExecutionTable, 'execution_id' | 'status' | 'completed_at'>>(
    db,
    (value) =>
      db
        .updateTable('automation_execution')
        .set({ status: value('status'), completed_at: value('completed_at') })
        .where('execution_id', '=', value('execution_id')),
  );
  const insertIdempotency = prepare<CommandIdempotencyTable>(
    db,
    (value) =>
      insertOnce(store, 'command_idempotency', placeholders<'command_idempotency'>(value, IDEMPOTENCY), [
        'user_id',
        'idempotency_key',
      ]),
    { affects: 1 },
  );
  const insertTransition = prepare<DeviceCommandTransitionTable>(db, (value) =>
    insertOnce(
      store,
      'device_command_transition',
      placeholders<'device_command_transition'>(value, TRANSITION),
      ['command_id', 'id'],
    ),
  );
  const insertMessage = prepare<MqttMessageTable>(db, (value) =>
    insertOnce(store, 'mqtt_message', placeholders<'mqtt_message'>(value, MESSAGE), ['id']),
  );
  const deadLetter = deadLetterStatement(store);

  const executionOf = (execution: ExecutionRecord, commandId: string) =>
    insertExecution({
      execution_id: execution.executionId,
      pond_id: execution.pondId,
      execution_type: execution.executionType,
      action: execution.action,
      priority: execution.priority,
      status: execution.status,
      user_id: execution.userId,
      parameters: JSON.stringify(execution.parameters),
      created_at: execution.createdAt,
      completed_at: execution.completedAt,
      command_id: commandId,
    });
  const idempotencyOf = (record: IdempotencyRecord) =>
    insertIdempotency({
      user_id: record.userId,
      idempotency_key: record.key,
      digest: record.digest,
      execution_id: record.executionId,
      created_at: record.createdAt,
    });
  const transitionOf = (transition: CommandTransition) =>
    insertTransition({
      command_id: transition.commandId,
      id: newId(),
      status: transition.status,
      attempt: transition.attempt,
      reason: transition.reason,
      message: transition.message,
      event: transition.event,
      at: transition.at,
    });
  const messageOf = (message: MqttMessageRecord) =>
    insertMessage({
      id: newId(),
      device: message.device,
      topic: message.topic,
      direction: message.direction,
      message_type: message.messageType,
      success: message.success ? 1 : 0,
      correlation_id: message.correlationId,
      at: message.at,
      payload: Buffer.from(message.payload),
    });

  return {
    save(write: CommandWrite): Statement[] {
      const { command, expectedRevision, execution, executionEnd, idempotency } = write;
      const row = rowOfCommand(command);
      // The guard comes first: a unit that is void by it has written nothing that would have to be undone.
      const unit =
        expectedRevision === 0
          ? [insertCommand(row)]
          : [updateCommand({ ...row, expected_revision: expectedRevision })];
      if (idempotency !== undefined) unit.push(idempotencyOf(idempotency));
      if (execution !== undefined) unit.push(executionOf(execution, command.id));
      if (executionEnd !== undefined) {
        const { executionId, status, completedAt } = executionEnd;
        unit.push(endExecution({ execution_id: executionId, status, completed_at: completedAt }));
      }
      for (const transition of write.transitions) unit.push(transitionOf(transition));
      for (const message of write.messages) unit.push(messageOf(message));
      return unit;
    },
    note: (
      transitions: readonly CommandTransition[],
      messages: readonly MqttMessageRecord[],
    ): Statement[] => [...transitions.map(transitionOf), ...messages.map(messageOf)],
    refuse(letters: readonly DeadLetter[], message: MqttMessageRecord | undefined): Statement[] {
      const unit = letters.map(deadLetter);
      if (message !== undefined) unit.push(messageOf(message));
      return unit;
    },
  };
}

/** What changes in the life of a command; the rest is what was asked. */
const CHANGING = [
  'status',
  'phase',
  'reason',
  'message',
  'attempts',
  'late',
  'revision',
  'wake_at',
  'sent_at',
  'acknowledged_at',
  'completed_at',
] as const;
const COMMAND = [
  'id',
  'dispatcher',
  'device',
  'topic',
  'payload',
  'command_type',
  'parameters',
  'priority',
  'acknowledged',
  'ack_timeout_ms',
  'max_retries',
  'execution_timeout_ms',
  'waits_for_broker',
  'expires_at',
  'created_at',
  'execution_id',
  ...CHANGING,
] as const;
const EXECUTION = [
  'execution_id',
  'pond_id',
  'execution_type',
  'action',
  'priority',
  'status',
  'user_id',
  'parameters',
  'created_at',
  'completed_at',
  'command_id',
] as const;
const IDEMPOTENCY = ['user_id', 'idempotency_key', 'digest', 'execution_id', 'created_at'] as const;
const TRANSITION = ['command_id', 'id', 'status', 'attempt', 'reason', 'message', 'event', 'at'] as const;
const MESSAGE = [
  'id',
  'device',
  'topic',
  'direction',
  'message_type',
  'success',
  'correlation_id',
  'at',
  'payload',
] as const;
