import type {
  CommandRecord,
  CommandTransition,
  ExecutionRecord,
  IdempotencyRecord,
  MqttMessageRecord,
} from '../command/ports.js';
import { commandOf, executionOf, mqttMessageOf, transitionOf } from './command-rows.js';
import type { AutomationExecutionTable } from './command-tables.js';
import { type Page, type PageRequest, pageLimit, pageOf, readCursor } from './page.js';
import type { Store } from './store.js';

export interface CommandHistory {
  command: CommandRecord;
  /** In the order in which it happened. */
  history: CommandTransition[];
}

/** An execution with the command that carries it out. */
export interface ExecutionHistory extends CommandHistory {
  execution: ExecutionRecord;
}

export interface CommandQueries {
  /** Newest first. @throws FieldloomError invalid_input */
  executionsOf(pondId: number, page?: PageRequest): Promise<Page<ExecutionHistory>>;
  execution(executionId: number): Promise<ExecutionHistory | undefined>;
  command(id: string): Promise<CommandHistory | undefined>;
  /** What was asked under this key; it is kept for 24 hours. */
  idempotency(userId: number, key: string): Promise<IdempotencyRecord | undefined>;
  /** Messages to and from a device, newest first. @throws FieldloomError invalid_input */
  messagesOf(device: string, page?: PageRequest): Promise<Page<MqttMessageRecord & { id: string }>>;
}

export function commandQueries(store: Pick<Store, 'db'>): CommandQueries {
  const { db } = store;

  async function withCommands(rows: readonly AutomationExecutionTable[]): Promise<ExecutionHistory[]> {
    const commands = await commandsOf(
      store,
      rows.map(({ command_id }) => command_id),
    );
    // Read again behind the commands: an execution must not look open beside a command that has ended in between.
    const overtaken = rows.filter((row) => {
      const command = commands.get(row.command_id)?.command;
      if (command === undefined || command.completedAt === null) return false;
      return row.status !== (command.status === 'COMPLETED' ? 'COMPLETED' : 'FAILED');
    });
    const now = new Map<number, AutomationExecutionTable>();
    for (const { execution_id } of overtaken) {
      const row = await db
        .selectFrom('automation_execution')
        .selectAll()
        .where('execution_id', '=', execution_id)
        .executeTakeFirst();
      if (row !== undefined) now.set(Number(execution_id), row);
    }
    return rows.flatMap((read) => {
      const row = now.get(Number(read.execution_id)) ?? read;
      const found = commands.get(row.command_id);
      // Both rows are written and deleted together; one that goes between the two reads is left out.
      return found === undefined ? [] : [{ execution: executionOf(row), ...found }];
    });
  }

  return {
    async executionsOf(pondId, page = {}) {
      const limit = pageLimit(page);
      let query = db
        .selectFrom('automation_execution')
        .selectAll()
        .where('pond_id', '=', pondId)
        .orderBy('created_at', 'desc')
        .orderBy('execution_id', 'desc')
        .limit(limit + 1);
      if (page.cursor !== undefined) {
        const [at, id] = readCursor(page.cursor, 'number', 'number');
        // The first condition is what the index can use; the second cuts the rows of that very millisecond.
        query = query
          .where('created_at', '<=', at)
          .where((is) => is.or([is('created_at', '<', at), is('execution_id', '<', id)]));
      }
      const { items, next_cursor } = pageOf(
        await query.execute(),
        limit,
        (row) => row,
        (row) => [Number(row.created_at), Number(row.execution_id)],
      );
      return { items: await withCommands(items), next_cursor };
    },

    async execution(executionId) {
      const rows = await db
        .selectFrom('automation_execution')
        .selectAll()
        .where('execution_id', '=', executionId)
        .execute();
      return (await withCommands(rows))[0];
    },

    command: async (id) => (await commandsOf(store, [id])).get(id),

    async idempotency(userId, key) {
      const row = await db
        .selectFrom('command_idempotency')
        .selectAll()
        .where('user_id', '=', userId)
        .where('idempotency_key', '=', key)
        .executeTakeFirst();
      if (row === undefined) return undefined;
      return {
        userId: Number(row.user_id),
        key: row.idempotency_key,
        digest: row.digest,
        executionId: Number(row.execution_id),
        createdAt: Number(row.created_at),
      };
    },

    async messagesOf(device, page = {}) {
      const limit = pageLimit(page);
      let query = db
        .selectFrom('mqtt_message')
        .selectAll()
        .where('device', '=', device)
        .orderBy('id', 'desc')
        .limit(limit + 1);
      if (page.cursor !== undefined) query = query.where('id', '<', readCursor(page.cursor, 'string')[0]);
      return pageOf(
        await query.execute(),
        limit,
        (row) => ({ id: row.id, ...mqttMessageOf(row) }),
        ({ id }) => [id],
      );
    },
  };
}

/** Databases bound how many values one query may have. */
const AT_ONCE = 500;

async function commandsOf({ db }: Pick<Store, 'db'>, ids: string[]): Promise<Map<string, CommandHistory>> {
  const found = new Map<string, CommandHistory>();
  for (let from = 0; from < ids.length; from += AT_ONCE) {
    const some = ids.slice(from, from + AT_ONCE);
    const commands = await db.selectFrom('device_command').selectAll().where('id', 'in', some).execute();
    for (const row of commands) found.set(row.id, { command: commandOf(row), history: [] });
    const transitions = await db
      .selectFrom('device_command_transition')
      .selectAll()
      .where('command_id', 'in', some)
      .orderBy('command_id')
      .orderBy('id')
      .execute();
    for (const row of transitions) found.get(row.command_id)?.history.push(transitionOf(row));
  }
  return found;
}
