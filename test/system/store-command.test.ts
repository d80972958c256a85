import assert from 'node:assert/strict';
import type { CommandTransition, MqttMessageRecord } from '../../lib/command/ports.js';
import { commandStore } from '../../lib/store/command.js';
import { commandQueries } from '../../lib/store/command-queries.js';
import { newId } from '../../lib/store/ids.js';
import { startRetention } from '../../lib/store/retention.js';
import { COMMAND_ID, command, DEVICE, execution, SEED_TIME, write } from '../support/command.js';
import { fakeClock } from '../support/fake-clock.js';
import { cleanUp, later, opened, temporaryUrl } from '../support/store.js';
import { startStoreProcess } from '../support/store-process.js';

const DAY = 86_400_000;

const transition = (parts: Partial<CommandTransition> = {}): CommandTransition => ({
  commandId: COMMAND_ID,
  status: 'PENDING',
  attempt: 0,
  reason: null,
  message: null,
  event: 'created',
  at: SEED_TIME,
  ...parts,
});

const message = (parts: Partial<MqttMessageRecord> = {}): MqttMessageRecord => ({
  device: DEVICE,
  topic: `devices/${DEVICE}/ack`,
  direction: 'in',
  messageType: 'ack',
  payload: '{"command_id":"…"}',
  success: true,
  correlationId: COMMAND_ID,
  at: SEED_TIME,
  ...parts,
});

describe('commands in the store', () => {
  afterEach(cleanUp);

  it('are loaded as they were saved, after a restart too', async () => {
    const url = await temporaryUrl();
    const store = await opened(url);
    const saved = command({ expiresAt: SEED_TIME + 5, priority: 3, executionId: 4, waitsForBroker: false });
    await commandStore(store).save(write({ command: saved, execution: execution() }));
    await store.close();
    const commands = commandStore(await opened(url));
    assert.deepEqual(await commands.load(COMMAND_ID), saved);
    assert.deepEqual((await commands.execution(4))?.execution, execution());
    assert.equal(await commands.load(newId()), undefined);
    assert.equal(await commands.execution(5), undefined);
  });

  it('go on with each write that has seen the one before', async () => {
    const commands = commandStore(await opened());
    const sent = command({
      status: 'SENT',
      phase: 'awaiting_ack',
      attempts: 1,
      revision: 2,
      sentAt: SEED_TIME,
    });
    const ended = command({
      ...sent,
      status: 'FAILED',
      phase: 'ended',
      reason: 'device',
      message: 'motor is stuck',
      late: true,
      revision: 3,
      acknowledgedAt: SEED_TIME + 1,
      completedAt: SEED_TIME + 1,
    });
    await Promise.all([
      commands.save(write()),
      commands.save(write({ command: sent, expectedRevision: 1 })),
      commands.save(write({ command: ended, expectedRevision: 2 })),
    ]);
    assert.deepEqual(await commands.load(COMMAND_ID), ended);
  });

  it('take nothing of a write that has not', async () => {
    const commands = commandStore(await opened());
    await commands.save(write({ command: command({ executionId: 4 }), execution: execution() }));
    const stale = write({
      command: command({ status: 'SENT', revision: 9, executionId: 4 }),
      expectedRevision: 8,
      executionEnd: { executionId: 4, status: 'COMPLETED', completedAt: SEED_TIME },
      transitions: [transition()],
      messages: [message()],
    });
    await assert.rejects(commands.save(stale), { code: 'store_conflict' });
    await assert.rejects(commands.save({ ...stale, expectedRevision: 0 }), { code: 'store_conflict' });
    assert.equal((await commands.load(COMMAND_ID))?.revision, 1);
    const found = await commands.execution(4);
    assert.deepEqual([found?.execution.status, found?.history], ['EXECUTING', []]);
    assert.deepEqual((await commands.messagesOf(DEVICE)).items, []);
  });

  it('let one of two writers of the same revision through', async () => {
    const url = await temporaryUrl();
    const first = commandStore(await opened(url));
    const second = commandStore(await opened(url));
    await first.save(write());
    const both = await Promise.allSettled([
      first.save(write({ command: command({ revision: 2 }), expectedRevision: 1 })),
      second.save(write({ command: command({ revision: 3 }), expectedRevision: 1 })),
    ]);
    assert.deepEqual(both.map(({ status }) => status).sort(), ['fulfilled', 'rejected']);
    const won = both[0]?.status === 'fulfilled' ? 2 : 3;
    assert.equal((await first.load(COMMAND_ID))?.revision, won);
  });

  it('are all that have not ended where a dispatcher starts, and only its own', async () => {
    const commands = commandStore(await opened());
    const ids = [newId(), newId(), newId(), newId(), newId()];
    const statuses = ['PENDING', 'COMPLETED', 'ACKNOWLEDGED', 'SENT', 'PENDING'] as const;
    for (const [index, status] of statuses.entries()) {
      const dispatcher = index === 4 ? 'others' : 'ponds';
      await commands.save(write({ command: command({ id: ids[index] as string, status, dispatcher }) }));
    }
    const open = await commands.loadOpen('ponds');
    assert.deepEqual(
      open.map(({ id }) => id),
      [ids[0], ids[2], ids[3]],
    );
  });

  it('end together with their execution, which shows their history', async () => {
    const commands = commandStore(await opened());
    await commands.save(
      write({ command: command({ executionId: 4 }), execution: execution(), transitions: [transition()] }),
    );
    await commands.save(
      write({
        command: command({ executionId: 4, status: 'COMPLETED', phase: 'ended', revision: 2 }),
        expectedRevision: 1,
        executionEnd: { executionId: 4, status: 'COMPLETED', completedAt: SEED_TIME + 3 },
        transitions: [
          transition({ status: 'ACKNOWLEDGED', event: 'acknowledged' }),
          transition({ status: 'COMPLETED', event: 'completed', attempt: 1, message: 'fed' }),
        ],
      }),
    );
    const found = await commands.execution(4);
    assert.equal(found?.execution.status, 'COMPLETED');
    assert.equal(found?.execution.completedAt, SEED_TIME + 3);
    assert.equal(found?.command.status, 'COMPLETED');
    assert.deepEqual(
      found?.history.map(({ event }) => event),
      ['created', 'acknowledged', 'completed'],
    );
    assert.deepEqual(await commands.command(COMMAND_ID), {
      command: found?.command,
      history: found?.history,
    });
    assert.equal(await commands.command(newId()), undefined);
  });

  it('end together with their execution for a reader too whose reads the end comes in between', async () => {
    const store = await opened();
    const commands = commandStore(store);
    await commands.save(write({ command: command({ executionId: 4 }), execution: execution() }));
    const end = write({
      command: command({
        executionId: 4,
        status: 'COMPLETED',
        phase: 'ended',
        revision: 2,
        completedAt: SEED_TIME + 3,
      }),
      expectedRevision: 1,
      executionEnd: { executionId: 4, status: 'COMPLETED', completedAt: SEED_TIME + 3 },
    });
    let ended = false;
    const db = store.db.withPlugin({
      transformQuery: ({ node }) => node,
      async transformResult({ result }) {
        if (!ended) {
          ended = true;
          await commands.save(end);
        }
        return result;
      },
    });
    const found = await commandQueries({ db }).execution(4);
    assert.equal(found?.command.status, 'COMPLETED');
    assert.equal(found?.execution.status, 'COMPLETED');
    assert.equal(found?.execution.completedAt, SEED_TIME + 3);
  });

  it('may be asked for once under an idempotency key', async () => {
    const commands = commandStore(await opened());
    const idempotency = { userId: 7, key: 'k', digest: 'd', executionId: 4, createdAt: SEED_TIME };
    await commands.save(write({ execution: execution(), idempotency }));
    const again = write({
      command: command({ id: newId() }),
      execution: execution({ executionId: 5 }),
      idempotency: { ...idempotency, executionId: 5 },
    });
    await assert.rejects(commands.save(again), { code: 'store_conflict' });
    assert.equal(await commands.load(again.command.id), undefined);
    assert.equal(await commands.execution(5), undefined);
    assert.deepEqual(await commands.idempotency(7, 'k'), idempotency);
    assert.equal(await commands.idempotency(8, 'k'), undefined);
  });

  it('show a pond’s executions in pages, newest first', async () => {
    const commands = commandStore(await opened());
    for (let number = 1; number <= 7; number += 1) {
      const id = newId();
      await commands.save(
        write({
          command: command({ id, executionId: number }),
          execution: execution({
            executionId: number,
            pondId: number === 4 ? 2 : 1,
            // Two of one time each; the numbers of several processes are not in the order of time.
            createdAt: SEED_TIME + (number === 7 ? 0 : Math.floor(number / 2)),
          }),
          transitions: [transition({ commandId: id })],
        }),
      );
    }
    const seen: number[] = [];
    let cursor: string | null | undefined;
    while (cursor !== null) {
      const page = await commands.executionsOf(1, { limit: 2, ...(cursor !== undefined && { cursor }) });
      for (const { execution: found, command: own, history } of page.items) {
        seen.push(found.executionId);
        assert.deepEqual([own.executionId, history.length], [found.executionId, 1]);
      }
      cursor = page.next_cursor;
    }
    assert.deepEqual(seen, [6, 5, 3, 2, 7, 1]);
    await assert.rejects(commands.executionsOf(1, { cursor: 'x' }), { code: 'invalid_input' });
  });

  it('keep every message of a device, large ones too', async () => {
    const commands = commandStore(await opened());
    const large = message({ payload: 'ü'.repeat(100_000) });
    await commands.save(write({ messages: [message({ direction: 'out', messageType: 'command' })] }));
    await commands.note([transition()], [large, message({ device: 'other' })]);
    const letter = {
      protocol: 'command',
      topic: 't',
      code: 'invalid_json' as const,
      message: 'no',
      payload: Buffer.from('{'),
      receivedAt: SEED_TIME,
    };
    await commands.refuse([letter], message({ success: false, correlationId: null }));
    const { items } = await commands.messagesOf(DEVICE);
    assert.deepEqual(
      items.map(({ direction, success }) => [direction, success]),
      [
        ['in', false],
        ['in', true],
        ['out', true],
      ],
    );
    assert.equal(items[1]?.payload, large.payload);
    const first = await commands.messagesOf(DEVICE, { limit: 1 });
    const rest = await commands.messagesOf(DEVICE, { cursor: first.next_cursor as string });
    assert.equal(rest.items.length, 2);
  });

  it('are deleted with their history and execution 400 days after, keys after a day, messages after 30', async () => {
    const store = await opened();
    const commands = commandStore(store);
    const now = SEED_TIME + 1_000 * DAY;
    for (const [index, age] of [401, 401, 399, 31, 29, 2, 0].entries()) {
      const createdAt = now - age * DAY;
      const id = newId();
      await commands.save(
        write({
          command: command({ id, createdAt, executionId: index, phase: index === 1 ? 'executing' : 'ended' }),
          execution: execution({ executionId: index, createdAt }),
          idempotency: { userId: 7, key: `k${index}`, digest: '', executionId: index, createdAt },
          transitions: [transition({ commandId: id })],
          messages: [message({ at: createdAt })],
        }),
      );
    }
    const retention = startRetention(store, { clock: fakeClock(now) });
    later(() => retention.stop());
    await retention.run();
    const { items } = await commands.executionsOf(1);
    assert.deepEqual(
      items.map(({ execution: { executionId }, history }) => [executionId, history.length]),
      [6, 5, 4, 3, 2, 1].map((left) => [left, 1]),
    );
    const transitions = await store.db.selectFrom('device_command_transition').selectAll().execute();
    assert.equal(transitions.length, 6);
    assert.equal((await commands.messagesOf(DEVICE)).items.length, 3);
    assert.equal(await commands.idempotency(7, 'k5'), undefined);
    assert.notEqual(await commands.idempotency(7, 'k6'), undefined);
  });
});

describe('execution numbers', () => {
  afterEach(cleanUp);

  it('begin with 1 and grow, over a restart too', async () => {
    const url = await temporaryUrl();
    const store = await opened(url);
    const { nextExecutionId } = commandStore(store);
    const given = await Promise.all(Array.from({ length: 100 }, () => nextExecutionId()));
    assert.deepEqual(
      given,
      Array.from({ length: 100 }, (_, index) => index + 1),
    );
    await store.close();
    const after = await commandStore(await opened(url)).nextExecutionId();
    assert.ok(after > 100 && after < 200, String(after));
  });

  it('are given once over two processes and two users of one database, and grow for each', async () => {
    const url = await temporaryUrl();
    const { ask } = startStoreProcess(url);
    await ask('open');
    const theirs = ask('executionIds', 2_000) as Promise<number[]>;
    const [one, two] = [commandStore(await opened(url)), commandStore(await opened(url))];
    const ask2000 = async (next: () => Promise<number>) => {
      const given: number[] = [];
      while (given.length < 2_000) given.push(...(await Promise.all([next(), next(), next()])));
      return given;
    };
    const all = await Promise.all([theirs, ask2000(one.nextExecutionId), ask2000(two.nextExecutionId)]);
    for (const given of all) {
      assert.deepEqual(
        given,
        [...given].sort((a, b) => a - b),
      );
    }
    const together = all.flat();
    assert.equal(new Set(together).size, together.length);
  });

  it('cannot be had from a store that is closed', async () => {
    const store = await opened();
    const { nextExecutionId } = commandStore(store);
    await store.close();
    await assert.rejects(nextExecutionId());
  });
});
