import { randomUUID } from 'node:crypto';
import type {
  CommandRecord,
  CommandRequest,
  CommandStatus,
  Dispatcher,
  DispatcherListener,
  FailureReason,
} from '../../lib/command/ports.js';
import { FieldloomError } from '../../lib/core/errors.js';
import type { commandStore } from '../../lib/store/command.js';

export interface FakeDispatcher extends Dispatcher {
  connected: boolean;
  readonly submitted: CommandRequest[];
  /** The device has answered, or will not. */
  end(id: string, status: 'COMPLETED' | 'FAILED', reason?: FailureReason, message?: string): Promise<void>;
}

/** Stores commands as the real one does, and ends them when the test says so. */
export function fakeDispatcher(store: ReturnType<typeof commandStore>): FakeDispatcher {
  const listeners = new Set<DispatcherListener>();
  const waiting = new Map<string, (() => void)[]>();
  let revision = 0;

  async function move(
    command: CommandRecord,
    status: CommandStatus,
    reason: FailureReason | null,
    message: string | null,
  ): Promise<CommandRecord> {
    const at = Date.now();
    revision += 1;
    const next = { ...command, status, reason, message, revision, completedAt: at, phase: 'ended' as const };
    const transition = { commandId: command.id, status, attempt: 1, reason, message, event: 'ended', at };
    await store.save({
      command: next,
      expectedRevision: command.revision,
      transitions: [transition],
      messages: [],
      ...(command.executionId !== null && {
        executionEnd: {
          executionId: command.executionId,
          status: status === 'COMPLETED' ? ('COMPLETED' as const) : ('FAILED' as const),
          completedAt: at,
        },
      }),
    });
    for (const listener of listeners) listener.changed?.(next, transition);
    for (const wake of waiting.get(command.id) ?? []) wake();
    return next;
  }
  const loaded = async (id: string) => {
    const command = await store.load(id);
    if (command === undefined) throw new FieldloomError('not_found', `there is no command ${id}`);
    return command;
  };

  const dispatcher: FakeDispatcher = {
    connected: true,
    submitted: [],
    async submit(request) {
      const away = !dispatcher.connected;
      const at = Date.now();
      revision += 1;
      const command: CommandRecord = {
        id: randomUUID(),
        dispatcher: 'fake',
        device: request.device,
        topic: `devices/${request.device}/commands`,
        payload: '{}',
        commandType: request.commandType,
        parameters: request.parameters,
        priority: request.priority ?? 0,
        terms: { acknowledged: true, ackTimeoutMs: 10_000, maxRetries: 3, executionTimeoutMs: 60_000 },
        status: away ? 'FAILED' : 'PENDING',
        phase: away ? 'ended' : 'queued',
        reason: away ? 'not_connected' : null,
        message: null,
        attempts: 0,
        late: false,
        revision,
        waitsForBroker: request.waitForBroker ?? true,
        expiresAt: null,
        wakeAt: null,
        createdAt: at,
        sentAt: null,
        acknowledgedAt: null,
        completedAt: away ? at : null,
        executionId: request.execution?.executionId ?? null,
      };
      const transition = {
        commandId: command.id,
        status: command.status,
        attempt: 0,
        reason: command.reason,
        message: null,
        event: 'created',
        at,
      };
      await store.save({
        command,
        expectedRevision: 0,
        transitions: [transition],
        messages: [],
        ...(request.execution && {
          execution: away ? { ...request.execution, status: 'FAILED', completedAt: at } : request.execution,
        }),
        ...(request.idempotency && { idempotency: request.idempotency }),
      });
      dispatcher.submitted.push(request);
      for (const listener of listeners) listener.changed?.(command, transition);
      return command;
    },
    async end(id, status, reason, message) {
      await move(await loaded(id), status, reason ?? null, message ?? null);
    },
    async cancel(id) {
      const command = await loaded(id);
      if (command.completedAt !== null) throw new FieldloomError('conflict', `command ${id} has ended`);
      return move(command, 'CANCELLED', 'cancelled', null);
    },
    async outcome(id, withinMs) {
      if ((await loaded(id)).completedAt === null) {
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, withinMs);
          const wake = () => {
            clearTimeout(timer);
            resolve();
          };
          waiting.set(id, [...(waiting.get(id) ?? []), wake]);
        });
      }
      return loaded(id);
    },
    listen(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    async close() {},
  };
  return dispatcher;
}
