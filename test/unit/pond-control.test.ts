import assert from 'node:assert/strict';
import type { Pond, PondOrder } from '../../lib/command/pond.js';
import { createPondControl, requestDigest } from '../../lib/command/pond-control.js';
import type {
  CommandRecord,
  CommandRequest,
  Dispatcher,
  IdempotencyRecord,
} from '../../lib/command/ports.js';
import { FieldloomError, hasCode } from '../../lib/core/errors.js';
import { fakeClock } from '../support/fake-clock.js';

const pond = { pondId: 7, name: 'P', device: 'D', position: 2 } as Pond;
const order: PondOrder = {
  action: 'FEED',
  commandType: 'FEED',
  parameters: { feed_amount: 5 },
  commandParameters: { action: 'feed', amount: 5 },
};
const request = (body: unknown, key = 'k') => ({
  pond,
  userId: 1,
  order,
  idempotency: { key, request: { path: '/feed', body } },
});

/** A store and a dispatcher of a few lines. `beforeSave` runs where another process could be quicker. */
function bench({ beforeSave = () => {} }: { beforeSave?: () => void } = {}) {
  const keys = new Map<string, IdempotencyRecord>();
  const commanded = new Map<number, { execution: never; command: CommandRecord }>();
  const submitted: CommandRequest[] = [];
  let next = 0;
  const put = (made: CommandRequest, values: Partial<CommandRecord> = {}) => {
    const command = {
      id: `c${made.execution?.executionId}`,
      attempts: 0,
      reason: null,
      ...values,
    } as CommandRecord;
    if (made.idempotency) keys.set(made.idempotency.key, made.idempotency);
    commanded.set(made.execution?.executionId as number, { execution: made.execution as never, command });
    return command;
  };
  const dispatcher = {
    async submit(made: CommandRequest) {
      beforeSave();
      if (made.idempotency && keys.has(made.idempotency.key)) {
        throw new FieldloomError('store_conflict', 'the key is taken');
      }
      submitted.push(made);
      return put(made);
    },
  } as Partial<Dispatcher> as Dispatcher;
  const control = createPondControl({
    store: {
      nextExecutionId: async () => {
        next += 1;
        return next;
      },
      idempotency: async (_userId, key) => keys.get(key),
      execution: async (id) => commanded.get(id),
    },
    dispatcher: () => dispatcher,
    clock: fakeClock(),
  });
  return { control, submitted, put, commanded, keys };
}

describe('the control of a pond', () => {
  it('never waits for a broker that is away', async () => {
    const { control, submitted } = bench();
    await control.control({ pond, userId: 1, order });
    assert.equal(submitted[0]?.waitForBroker, false);
    assert.deepEqual(submitted[0]?.values, { pond_position: 2 });
    assert.equal(submitted[0]?.idempotency, undefined);
  });

  it('gives the answer of another process that stored the same key in between', async () => {
    const first = {
      key: 'k',
      userId: 1,
      digest: requestDigest(request({}).idempotency.request),
      createdAt: 0,
    };
    const tools = bench({
      beforeSave() {
        const execution = { executionId: 99 } as never;
        tools.put({ execution, idempotency: { ...first, executionId: 99 } } as unknown as CommandRequest);
      },
    });
    const { execution, repeated } = await tools.control.control(request({}));
    assert.deepEqual([execution.executionId, repeated], [99, true]);
    assert.equal(tools.submitted.length, 0);
  });

  it('refuses where that process asked for something else', async () => {
    const tools = bench({
      beforeSave() {
        tools.keys.set('k', { key: 'k', userId: 1, digest: 'other', executionId: 1, createdAt: 0 });
      },
    });
    await assert.rejects(tools.control.control(request({})), (error) => hasCode(error, 'conflict'));
  });

  it('passes on a conflict that has nothing to do with the key', async () => {
    const { control } = bench({
      beforeSave() {
        throw new FieldloomError('conflict', 'something else');
      },
    });
    await assert.rejects(control.control(request({})), /something else/);
  });

  it('answers as before where the command failed later, and not_connected only where it never left', async () => {
    const { control, commanded } = bench();
    const { execution, command } = await control.control(request({}));
    const stored = (values: Partial<CommandRecord>) =>
      commanded.set(execution.executionId, {
        execution: execution as never,
        command: { ...command, ...values },
      });
    stored({ status: 'FAILED', reason: 'timeout', attempts: 4 });
    assert.equal((await control.control(request({}))).repeated, true);
    stored({ status: 'FAILED', reason: 'not_connected', attempts: 1 });
    assert.equal((await control.control(request({}))).repeated, true);
    stored({ status: 'FAILED', reason: 'not_connected', attempts: 0 });
    await assert.rejects(control.control(request({})), (error) => hasCode(error, 'not_connected'));
  });

  it('refuses a key whose command is kept no more', async () => {
    const { control, commanded } = bench();
    await control.control(request({}));
    commanded.clear();
    await assert.rejects(control.control(request({})), (error) => hasCode(error, 'conflict'));
  });
});

describe('the digest of a request', () => {
  it('is the same for the same content, and another for any other', () => {
    const digest = requestDigest({ path: 'p', body: { a: 1, b: [1, { c: null }] } });
    assert.equal(requestDigest({ body: { b: [1, { c: null }], a: 1 }, path: 'p' }), digest);
    for (const other of [
      { path: 'p', body: { a: '1', b: [1, { c: null }] } },
      { path: 'p', body: { a: 1, b: [{ c: null }, 1] } },
      { path: 'q', body: { a: 1, b: [1, { c: null }] } },
      { path: 'p', body: { a: 1 } },
    ]) {
      assert.notEqual(requestDigest(other), digest);
    }
  });
});
