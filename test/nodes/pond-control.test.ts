import assert from 'node:assert/strict';
import type { CommandRequest } from '../../lib/command/ports.js';
import { type Controlled, type Execution, type PondApi, pondApi } from '../support/pond-api.js';
import { cleanUp } from '../support/store.js';

const feedPath = '/automation/ponds/1/control/feed/';
const waterPath = '/automation/ponds/1/control/water/';

describe('control of a pond', () => {
  let api: PondApi;
  beforeEach(async () => {
    api = await pondApi();
  });
  afterEach(cleanUp);

  const feed = (body: unknown = { amount: 100 }, headers: Record<string, string> = {}, as = 'ann') =>
    api.ask('POST', feedPath, { as, body, headers });
  const execution = async (id: number) =>
    (await api.ask('GET', `/automation/executions/${id}/`, { as: 'ann' })).body as Execution;
  const submitted = () => api.dispatcher.submitted;

  describe('controls', () => {
    it('a feeder: the answer of the document, word for word', async () => {
      const answer = await feed();
      assert.equal(answer.status, 200);
      assert.deepEqual(answer.body, {
        success: true,
        data: {
          execution_id: 1,
          message: 'Feed command executed successfully for Test Pond',
          feed_amount: 100,
        },
      });
      const [request] = submitted();
      assert.equal(request?.device, 'AA:BB:CC:DD:EE:FF');
      assert.equal(request?.commandType, 'FEED');
      assert.deepEqual(request?.values, { pond_position: 1 });
      const { timestamp, ...parameters } = (request as CommandRequest).parameters;
      assert.deepEqual(parameters, { action: 'feed', amount: 100 });
      assert.match(String(timestamp), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/);
      const { execution: made } = request ?? {};
      assert.deepEqual(
        [made?.executionType, made?.action, made?.priority, made?.userId, made?.parameters],
        ['FEED', 'FEED', 'MANUAL_COMMAND', 1, { feed_amount: 100 }],
      );
    });

    it('a valve', async () => {
      const open = await api.ask('POST', waterPath, { as: 'ann', body: { action: 'open', duration_s: 60 } });
      assert.deepEqual(open.body, {
        success: true,
        data: {
          execution_id: 1,
          message: 'Water command executed successfully for Test Pond',
          action: 'open',
          duration_s: 60,
        },
      });
      assert.equal((await api.ask('POST', waterPath, { as: 'ann', body: { action: 'close' } })).status, 200);
      assert.deepEqual(
        submitted().map(({ commandType, parameters }) => [commandType, { ...parameters, timestamp: '' }]),
        [
          ['WATER_VALVE', { action: 'open', duration_s: 60, timestamp: '' }],
          ['WATER_VALVE', { action: 'close', timestamp: '' }],
        ],
      );
    });

    it('100 g where no amount is said, with and without a body', async () => {
      for (const body of [{}, undefined]) {
        const answer = await api.ask('POST', feedPath, { as: 'ann', body });
        assert.equal((answer.body as { data: { feed_amount: number } }).data.feed_amount, 100);
      }
    });

    it('on both ways to write the path', async () => {
      assert.equal((await api.ask('POST', '/automation/ponds/1/control/feed', { as: 'ann' })).status, 200);
    });

    it('for an administrator too', async () => {
      assert.equal((await feed({}, {}, 'root')).status, 200);
      assert.equal(submitted()[0]?.execution?.userId, 3);
    });
  });

  describe('refuses', () => {
    const bodies: [unknown, number, RegExp][] = [
      [{ amount: 0 }, 400, /^Amount must be positive$/],
      [{ amount: -5 }, 400, /^Amount must be positive$/],
      [{ amount: '-5' }, 400, /^Amount must be positive$/],
      [{ amount: 10_001 }, 400, /10001 g: at most 10000 g/],
      [{ amount: 'abc' }, 400, /^Amount is "abc": accepted is a finite number/],
      [{ amount: 'NaN' }, 400, /^Amount is "NaN"/],
      [{ amount: 'inf' }, 400, /^Amount is "inf"/],
      [{ amount: true }, 400, /^Amount is true/],
      [{ amount: null }, 400, /^Amount is null/],
      [{ amount: [5] }, 400, /^Amount is \[5\]/],
      [{ amount: { value: 5 } }, 400, /^Amount is \{/],
      ['{"amount":1e309}', 400, /^Amount is Infinity: accepted is a finite number/],
      ['{"amount":NaN}', 400, /not JSON/],
      ['{', 400, /not JSON/],
      [new Uint8Array([0x7b, 0xff, 0x7d]), 400, /UTF-8/],
      [`${'['.repeat(200)}${']'.repeat(200)}`, 400, /nested/],
      ['[]', 422, /^The body is \[\]: accepted is a JSON object$/],
      ['null', 422, /^The body is null/],
      ['"50"', 422, /^The body is "50"/],
      ['7', 422, /^The body is 7/],
      [`"${'x'.repeat(2 ** 20)}"`, 413, /too large/],
    ];
    for (const [body, status, message] of bodies) {
      const shown = typeof body === 'string' ? body.slice(0, 30) : JSON.stringify(body);
      it(`${shown}: ${status}, in the document's form`, async () => {
        const answer = await feed(body);
        assert.equal(answer.status, status);
        const { success, error, ...rest } = answer.body as { success: boolean; error: string };
        assert.equal(success, false);
        assert.match(error, message);
        assert.deepEqual(rest, {});
        assert.equal(submitted().length, 0);
      });
    }

    it('a valve that is told nothing it knows', async () => {
      for (const [body, message] of [
        [{}, /^Action is missing: accepted is "open" or "close"$/],
        [{ action: 'flood' }, /^Action is "flood"/],
        [{ action: 'open', duration_s: 0 }, /^Duration_s is 0/],
        [{ action: 'open', duration_s: 86_401 }, /at most 86400/],
        [{ action: 'open', duration_s: null }, /^Duration_s is null/],
        [{ action: 'open', duration_s: true }, /^Duration_s is true/],
      ] as [object, RegExp][]) {
        const answer = await api.ask('POST', waterPath, { as: 'ann', body });
        assert.equal(answer.status, 400);
        assert.match((answer.body as { error: string }).error, message);
      }
    });

    it('another type of content: 415', async () => {
      const answer = await api.ask('POST', feedPath, {
        as: 'ann',
        body: 'amount=5',
        headers: { 'content-type': 'application/x-www-form-urlencoded' },
      });
      assert.equal(answer.status, 415);
      assert.equal((answer.body as { success: boolean }).success, false);
    });
  });

  describe('with an Idempotency-Key', () => {
    const key = { 'idempotency-key': '6f9a2b' };

    it('gives the first answer again and sends no second command', async () => {
      const first = await feed({ amount: 50 }, key);
      const again = await feed('{ "amount" : 50 }', key);
      assert.deepEqual([again.status, again.body], [first.status, first.body]);
      assert.equal(first.headers.get('idempotent-replayed'), null);
      assert.equal(again.headers.get('idempotent-replayed'), 'true');
      assert.equal(submitted().length, 1);
    });

    it('gives one answer to two requests at once', async () => {
      const answers = await Promise.all(Array.from({ length: 8 }, () => feed({ amount: 50 }, key)));
      for (const { status, body } of answers) {
        assert.equal(status, 200);
        assert.deepEqual(body, answers[0]?.body);
      }
      assert.equal(submitted().length, 1);
      const next = (await feed()).body as Controlled;
      assert.equal(next.data.execution_id, 2, 'no id is spent on the others');
    });

    it('refuses another request under it: 409', async () => {
      await feed({ amount: 50 }, key);
      const others = [
        await feed({ amount: 51 }, key),
        await api.ask('POST', waterPath, { as: 'ann', body: { action: 'open' }, headers: key }),
      ];
      for (const { status, body } of others) {
        assert.equal(status, 409);
        assert.equal((body as { success: boolean }).success, false);
      }
      assert.equal(submitted().length, 1);
    });

    it('takes a key for its own user alone', async () => {
      await feed({ amount: 50 }, key);
      const other = await api.ask('POST', '/automation/ponds/2/control/feed/', {
        as: 'bob',
        body: { amount: 50 },
        headers: key,
      });
      assert.equal(other.status, 200);
      assert.equal(submitted().length, 2);
    });

    it('keeps nothing of a request that was refused', async () => {
      assert.equal((await feed({ amount: 0 }, key)).status, 400);
      assert.equal((await feed({ amount: 5 }, key)).status, 200);
    });

    it('refuses a key that is none: 422', async () => {
      for (const bad of ['', 'a b', 'x'.repeat(256), 'é']) {
        assert.equal((await feed({}, { 'idempotency-key': bad })).status, 422, bad);
      }
    });
  });

  describe('with the broker away', () => {
    it('answers 500 in the words of the document within 100 ms, and keeps the execution as failed', async () => {
      await feed();
      api.dispatcher.connected = false;
      const before = performance.now();
      const answer = await feed();
      const took = performance.now() - before;
      assert.equal(answer.status, 500);
      assert.deepEqual(answer.body, { success: false, error: 'MQTT client not connected' });
      assert.ok(took < 100, `${took} ms`);
      const { status, command } = await execution(2);
      assert.deepEqual([status, command.status, command.reason], ['FAILED', 'FAILED', 'not_connected']);
      assert.deepEqual(api.errors, [], 'an absent broker is no failure of the API');
    });

    it('gives that answer again to the same key, also when the broker is back', async () => {
      api.dispatcher.connected = false;
      const key = { 'idempotency-key': 'k' };
      const first = await feed({}, key);
      api.dispatcher.connected = true;
      const again = await feed({}, key);
      assert.deepEqual([again.status, again.body], [first.status, first.body]);
      assert.equal((await feed()).status, 200);
    });
  });

  describe('with Prefer: wait', () => {
    const wait = (seconds: number | string) => ({ prefer: `wait=${seconds}` });
    const whenSubmitted = async () => {
      while (submitted().length === 0) await new Promise((resolve) => setImmediate(resolve));
      const { items } = await api.store.executionsOf(1);
      return items[0]?.command.id as string;
    };

    it('answers with the outcome once it is there', async () => {
      const asked = feed({ amount: 50 }, wait(15));
      await api.dispatcher.end(await whenSubmitted(), 'COMPLETED', undefined, 'Fed');
      const answer = await asked;
      const { success, data } = answer.body as Controlled;
      assert.deepEqual(
        [answer.status, success, data.status, data.command?.status],
        [200, true, 'COMPLETED', 'COMPLETED'],
      );
      assert.equal(data.message, 'Feed command executed successfully for Test Pond');
      assert.equal(answer.headers.get('preference-applied'), 'wait=15');
    });

    it('says that and why the command has failed', async () => {
      const asked = feed({ amount: 50 }, wait(15));
      await api.dispatcher.end(await whenSubmitted(), 'FAILED', 'device', 'Motor jammed');
      const { success, error, data } = (await asked).body as Controlled;
      assert.equal(success, false);
      assert.equal(error, 'Feed command failed for Test Pond: Motor jammed');
      assert.deepEqual([data.status, data.command?.reason], ['FAILED', 'device']);
    });

    it('answers what is known when the time is over', async () => {
      const answer = await feed({}, wait(0));
      const { success, data } = answer.body as Controlled;
      assert.deepEqual([success, data.status, data.command?.status], [true, 'EXECUTING', 'PENDING']);
    });

    it('waits for 60 s at most, and ignores what it does not understand', async () => {
      const asked = feed({}, wait(9_000));
      await api.dispatcher.end(await whenSubmitted(), 'COMPLETED');
      assert.equal((await asked).headers.get('preference-applied'), 'wait=60');
      const odd = await feed({}, { prefer: 'handling=lenient, wait=soon' });
      assert.equal(odd.headers.get('preference-applied'), null);
      assert.equal((odd.body as Controlled).data.status, undefined);
    });
  });
});
