import assert from 'node:assert/strict';
import {
  createDispatcher,
  type DispatcherOptions,
  type DispatcherSettings,
} from '../../lib/command/dispatcher.js';
import type { CommandRecord, CommandTransition } from '../../lib/command/ports.js';
import { createProfile } from '../../lib/command/profile.js';
import type { DeadLetter } from '../../lib/core/dead-letter.js';
import { FieldloomError } from '../../lib/core/errors.js';
import {
  ack,
  COMMAND_ID,
  execution,
  FEED,
  type ModelStore,
  modelStore,
  SEED_TIME,
  settle,
  type TestLink,
  testLink,
} from '../support/command.js';
import { type FakeClock, fakeClock } from '../support/fake-clock.js';
import { recordedLog } from '../support/mqtt.js';

interface Site {
  store?: ModelStore;
  link?: TestLink;
  clock?: FakeClock;
  settings?: Partial<DispatcherSettings>;
  profile?: DispatcherOptions['profile'];
  name?: string;
}

async function site(parts: Site = {}) {
  const { store = modelStore(), link = testLink({ confirms: true }), clock = fakeClock(SEED_TIME) } = parts;
  const log = recordedLog();
  const dispatcher = createDispatcher({
    name: parts.name ?? 'ponds',
    profile: parts.profile ?? createProfile({ profile: 'pond' }),
    store,
    link,
    clock,
    log,
    ...(parts.settings && { settings: parts.settings }),
  });
  const told: [CommandRecord, CommandTransition][] = [];
  const anomalies: CommandRecord[] = [];
  const refused: DeadLetter[] = [];
  const roundTrips: number[] = [];
  dispatcher.listen({
    changed: (command, line) => told.push([command, line]),
    anomaly: (command) => anomalies.push(command),
    refused: (letter) => refused.push(letter),
    roundTrip: (_, ms) => roundTrips.push(ms),
  });
  await dispatcher.start();
  return {
    store,
    link,
    clock,
    log,
    dispatcher,
    told,
    anomalies,
    refused,
    roundTrips,
    stored: (id = COMMAND_ID) => store.commands.get(id) as CommandRecord,
    async advance(ms: number) {
      // In small steps: what follows from a timer is stored before the next one.
      for (let left = ms; left > 0; left -= 500) {
        clock.advance(Math.min(left, 500));
        await settle();
      }
    },
  };
}

const id = (number: number) => `550e8400-e29b-41d4-a716-${String(number).padStart(12, '0')}`;
const feed = (number: number, parts: object = {}) => ({ ...FEED, id: id(number), ...parts });

describe('the dispatcher', () => {
  it('stores a command, then publishes it with QoS 2 as in the document, and waits for the acknowledgement', async () => {
    const { dispatcher, store, link, stored } = await site();
    store.away = true;
    const submitted = dispatcher.submit(FEED);
    await settle();
    assert.equal(link.publishes.length, 0);
    store.comeBack();
    assert.equal((await submitted).status, 'PENDING');
    await settle();
    const [publish] = link.publishes;
    assert.equal(publish?.topic, 'devices/AA:BB:CC:DD:EE:FF/commands');
    assert.deepEqual(publish?.options, { qos: 2, retain: false, wait: false });
    assert.equal(
      publish?.payload,
      JSON.stringify({
        command_id: COMMAND_ID,
        command_type: 'FEED',
        pond_position: 1,
        parameters: { action: 'feed', amount: 100, timestamp: '2025-08-30T01:00:00Z' },
        timestamp: '2025-08-30T01:00:00Z',
      }),
    );
    assert.equal(stored().status, 'SENT');
    assert.deepEqual(dispatcher.count(), { inFlight: 1, waiting: 0 });
  });

  it('completes a command and its execution with the acknowledgement, and logs as in the document', async () => {
    const { dispatcher, store, stored, log, told, roundTrips, clock } = await site();
    await dispatcher.submit({ ...FEED, execution: execution() });
    await settle();
    assert.equal(store.executions.get(4)?.status, 'EXECUTING');
    clock.advance(1_500);
    await dispatcher.handle(ack({ command_id: COMMAND_ID, success: true, message: 'fed' }));
    assert.equal(stored().status, 'COMPLETED');
    assert.equal(store.executions.get(4)?.status, 'COMPLETED');
    assert.equal(store.executions.get(4)?.completedAt, SEED_TIME + 1_500);
    assert.deepEqual(
      log.lines.filter((line) => !line.startsWith('debug')),
      [
        'info Created manual automation 4 for Pond 1: FEED',
        `info Command ${COMMAND_ID} sent to device AA:BB:CC:DD:EE:FF for pond 1`,
        `info Command ${COMMAND_ID} acknowledged successfully`,
        `info Automation 4 completed successfully via command ${COMMAND_ID}`,
      ],
    );
    assert.deepEqual(
      told.map(([command, line]) => [line.event, line.status, command.status]),
      [
        ['created', 'PENDING', 'PENDING'],
        ['published', 'SENT', 'SENT'],
        ['acknowledged', 'ACKNOWLEDGED', 'ACKNOWLEDGED'],
        ['completed', 'COMPLETED', 'COMPLETED'],
      ],
    );
    assert.deepEqual(
      store.messages.map(({ direction, messageType, success, correlationId }) => [
        direction,
        messageType,
        success,
        correlationId,
      ]),
      [
        ['out', 'command', true, COMMAND_ID],
        ['in', 'ack', true, COMMAND_ID],
      ],
    );
    assert.deepEqual(roundTrips, [1_500]);
    assert.deepEqual(dispatcher.count(), { inFlight: 0, waiting: 0 });
    assert.equal(dispatcher.counters.ends.completed, 1);
  });

  it('answers the acknowledgement’s handler only when its row is committed', async () => {
    const { dispatcher, store } = await site();
    await dispatcher.submit(FEED);
    await settle();
    store.away = true;
    let acknowledged = false;
    const handled = dispatcher.handle(ack({ command_id: COMMAND_ID, success: true })).then(() => {
      acknowledged = true;
    });
    await settle();
    assert.equal(acknowledged, false);
    store.comeBack();
    await handled;
    assert.equal(store.commands.get(COMMAND_ID)?.status, 'COMPLETED');
  });

  it('gives a silent device up after four publishes of one id, and says that the outcome is unknown', async () => {
    const { dispatcher, link, stored, store, advance, log } = await site();
    await dispatcher.submit({ ...FEED, execution: execution() });
    await advance(9_500);
    assert.equal(link.publishes.length, 1);
    await advance(60_000);
    assert.equal(link.publishes.length, 4);
    assert.equal(new Set(link.publishes.map(({ payload }) => payload)).size, 1);
    assert.deepEqual([stored().status, stored().reason], ['FAILED', 'timeout']);
    assert.match(stored().message ?? '', /unknown/);
    assert.equal(store.executions.get(4)?.status, 'FAILED');
    assert.equal(dispatcher.counters.retries, 3);
    assert.ok(log.lines.includes(`error Automation 4 failed via command ${COMMAND_ID} (timeout)`));
  });

  it('takes a late success from the store: terminal commands are not in memory', async () => {
    const { dispatcher, stored, store, advance } = await site();
    await dispatcher.submit({ ...FEED, execution: execution() });
    await advance(70_000);
    await dispatcher.handle(ack({ command_id: COMMAND_ID.toUpperCase(), success: true }));
    assert.deepEqual([stored().status, stored().late], ['COMPLETED', true]);
    assert.equal(store.executions.get(4)?.status, 'COMPLETED');
    assert.deepEqual([dispatcher.counters.late, dispatcher.counters.ends.completed], [1, 0]);
  });

  it('counts a second acknowledgement, and tells of one that contradicts', async () => {
    const { dispatcher, store, anomalies } = await site();
    await dispatcher.submit(FEED);
    await settle();
    await Promise.all([
      dispatcher.handle(ack({ command_id: COMMAND_ID, success: true })),
      dispatcher.handle(ack({ command_id: COMMAND_ID, success: true })),
      dispatcher.handle(ack({ command_id: COMMAND_ID, success: false })),
    ]);
    const { duplicates } = dispatcher.counters;
    assert.deepEqual([duplicates, dispatcher.counters.anomalies, anomalies.length], [1, 1, 1]);
    assert.equal(store.transitions.filter(({ event }) => event === 'anomaly').length, 1);
    assert.equal(store.messages.filter(({ direction }) => direction === 'in').length, 3);
  });

  it('makes a dead letter of what is no acknowledgement of this device, once', async () => {
    const { dispatcher, store, refused, stored } = await site();
    await dispatcher.submit(FEED);
    await settle();
    const unknown = ack({ command_id: id(99), success: true });
    for (const arrival of [
      ack('hello'),
      ack({ command_id: COMMAND_ID, success: 'true' }),
      unknown,
      ack({ command_id: COMMAND_ID, success: true }, '11:22:33:44:55:66'),
      ack(JSON.stringify({ command_id: COMMAND_ID, message: 'x'.repeat(256 * 1024) })),
      { ...ack({ command_id: COMMAND_ID, success: true }), topic: 'devices/ack' },
    ]) {
      await dispatcher.handle(arrival);
    }
    assert.deepEqual(
      store.letters.map(({ protocol, code, pointer }) => [protocol, code, pointer]),
      [
        ['command', 'invalid_json', undefined],
        ['command', 'schema_mismatch', '/success'],
        ['command', 'not_found', undefined],
        ['command', 'id_mismatch', undefined],
        ['command', 'payload_too_large', undefined],
        ['command', 'invalid_topic', undefined],
      ],
    );
    assert.equal(refused.length, 6);
    assert.equal(stored().status, 'SENT');
    const resumedAt = SEED_TIME + 1;
    await dispatcher.handle({ ...unknown, resumedAt });
    assert.equal(store.letters.length, 6, 'sent again after a lost connection');
    await dispatcher.handle({ ...unknown, resumedAt });
    assert.equal(store.letters.length, 7, 'said a second time on that connection');
  });

  it('asks the store for nothing that cannot be there, and cuts a device’s endless name', async () => {
    const { dispatcher, store } = await site();
    store.load = () => assert.fail('asked');
    await dispatcher.handle(ack({ command_id: 'a\0b', success: true }, 'x'.repeat(300)));
    assert.equal(store.letters[0]?.code, 'not_found');
    assert.equal(store.messages[0]?.device.length, 255);
  });

  it('takes a dead letter again, and makes no new one of it', async () => {
    const { dispatcher, store, stored } = await site();
    const early = ack({ command_id: COMMAND_ID, success: true });
    await dispatcher.handle(early);
    assert.equal((await dispatcher.replay(early))?.code, 'not_found');
    await dispatcher.submit(FEED);
    await settle();
    assert.equal(await dispatcher.replay(early), undefined);
    assert.deepEqual([stored().status, store.letters.length], ['COMPLETED', 1]);
  });

  it('leaves acknowledgements of another dispatcher’s commands to that one', async () => {
    const store = modelStore();
    const other = await site({ store, name: 'others' });
    await other.dispatcher.submit(FEED);
    await settle();
    const { dispatcher } = await site({ store });
    await dispatcher.handle(ack({ command_id: COMMAND_ID, success: true }));
    assert.deepEqual([store.letters.length, store.commands.get(COMMAND_ID)?.status], [0, 'SENT']);
  });

  describe('one device', () => {
    it('has one command in flight, the others wait in order, priority first', async () => {
      const { dispatcher, link, stored } = await site();
      for (const [number, priority] of [0, 0, 5, 0, 5].entries()) {
        await dispatcher.submit(feed(number, { priority }));
      }
      await settle();
      assert.deepEqual(dispatcher.count(), { inFlight: 1, waiting: 4 });
      const order: string[] = [];
      for (let count = 1; count <= 5; count += 1) {
        assert.equal(link.publishes.length, count);
        const { command_id } = JSON.parse(link.publishes[count - 1]?.payload ?? '');
        order.push(command_id);
        assert.equal(stored(command_id).status, 'SENT');
        await dispatcher.handle(ack({ command_id, success: true }));
        await settle();
      }
      assert.deepEqual(order, [id(0), id(2), id(4), id(1), id(3)]);
    });

    it('gets its commands in the order of asking, also where the store is slow', async () => {
      const { dispatcher, link, store } = await site();
      store.away = true;
      const submits = [0, 1, 2].map((number) => dispatcher.submit(feed(number)));
      await settle();
      store.comeBack();
      await Promise.all(submits);
      for (const number of [0, 1, 2]) {
        await settle();
        assert.equal(JSON.parse(link.publishes[number]?.payload ?? '').command_id, id(number));
        await dispatcher.handle(ack({ command_id: id(number), success: true }));
      }
    });

    it('does not wait for another, nor behind a command that could not be stored', async () => {
      const { dispatcher, link, store } = await site();
      store.refuseNext = new FieldloomError('store_rejected', 'no');
      await assert.rejects(dispatcher.submit(feed(1)), { code: 'store_rejected' });
      await dispatcher.submit(feed(2));
      await dispatcher.submit(feed(3, { device: '11:22:33:44:55:66' }));
      await settle();
      assert.equal(link.publishes.length, 2);
    });

    it('may have as many in flight as is set', async () => {
      const { dispatcher, link } = await site({ settings: { inFlight: 2 } });
      for (const number of [0, 1, 2]) await dispatcher.submit(feed(number));
      await settle();
      assert.equal(link.publishes.length, 2);
    });

    it('is free for the next one when one is cancelled or expires', async () => {
      const { dispatcher, link, stored, advance } = await site();
      await dispatcher.submit(feed(0));
      await dispatcher.submit(feed(1, { expiresAt: SEED_TIME + 3_000 }));
      await dispatcher.submit(feed(2, { expiresAt: SEED_TIME + 8_000 }));
      await dispatcher.submit(feed(3));
      await settle();
      await advance(3_000);
      assert.deepEqual([stored(id(1)).status, stored(id(1)).attempts], ['EXPIRED', 0]);
      assert.equal((await dispatcher.cancel(id(0))).status, 'CANCELLED');
      await settle();
      assert.equal(stored(id(2)).status, 'SENT');
      await advance(5_000);
      assert.equal(stored(id(2)).status, 'EXPIRED');
      assert.equal(stored(id(3)).status, 'SENT');
      assert.equal(link.publishes.length, 3);
    });
  });

  describe('without a broker', () => {
    it('stores FAILED(not_connected) at once for who does not wait, with the execution', async () => {
      const { dispatcher, store, link, log } = await site({ link: testLink({ connected: false }) });
      assert.equal(dispatcher.connected, false);
      const command = await dispatcher.submit({ ...FEED, waitForBroker: false, execution: execution() });
      assert.deepEqual(
        [command.status, command.reason, command.message],
        ['FAILED', 'not_connected', 'MQTT client not connected'],
      );
      assert.deepEqual(store.commands.get(COMMAND_ID), command);
      assert.equal(store.executions.get(4)?.status, 'FAILED');
      assert.deepEqual([link.publishes.length, dispatcher.counters.ends.not_connected], [0, 1]);
      assert.ok(log.lines.some((line) => line.includes('MQTT client not connected')));
    });

    it('keeps others PENDING, spends no attempt, and sends them in order when it is back', async () => {
      const { dispatcher, link, stored, advance } = await site({
        link: testLink({ connected: false, confirms: true }),
      });
      for (const number of [0, 1]) await dispatcher.submit(feed(number));
      await advance(100_000);
      assert.deepEqual(
        [stored(id(0)).status, stored(id(0)).attempts, link.publishes.length],
        ['PENDING', 0, 0],
      );
      link.connect();
      await settle();
      assert.deepEqual([stored(id(0)).status, stored(id(1)).status], ['SENT', 'PENDING']);
    });

    it('sends nothing again while it is away, and what is overdue when it is back', async () => {
      const { dispatcher, link, stored, advance } = await site();
      await dispatcher.submit(FEED);
      await settle();
      link.disconnect();
      await advance(120_000);
      assert.deepEqual([stored().status, stored().attempts], ['SENT', 1]);
      link.connect();
      await settle();
      assert.deepEqual([stored().attempts, link.publishes.length], [2, 2]);
    });

    it('lets a command expire', async () => {
      const { dispatcher, link, stored, advance } = await site();
      await dispatcher.submit({ ...FEED, expiresAt: SEED_TIME + 30_000 });
      await settle();
      link.disconnect();
      await advance(30_000);
      assert.equal(stored().status, 'EXPIRED');
      link.connect();
      await settle();
      assert.equal(link.publishes.length, 1);
    });

    it('gives a publish that waits in the link its full time once it is back', async () => {
      const { dispatcher, link, stored, advance } = await site({ link: testLink() });
      await dispatcher.submit(FEED);
      await settle();
      link.disconnect();
      await advance(60_000);
      assert.deepEqual([stored().status, stored().attempts], ['PENDING', 1]);
      link.connect();
      await advance(9_500);
      assert.equal(stored().phase, 'publishing');
      link.publishes[0]?.confirm();
      await settle();
      assert.deepEqual([stored().status, link.publishes.length], ['SENT', 1]);
    });

    it('takes an attempt back that the link refused because it was away', async () => {
      const { dispatcher, link, stored, advance } = await site({ link: testLink() });
      await dispatcher.submit(FEED);
      await settle();
      link.publishes[0]?.fail(new FieldloomError('not_connected', 'gone just now'));
      await settle();
      assert.equal(stored().attempts, 0);
      await advance(1_000);
      assert.deepEqual([stored().attempts, link.publishes.length], [1, 2]);
    });
  });

  describe('after a restart', () => {
    it('goes on with the clocks as they were stored', async () => {
      const store = modelStore();
      const first = await site({ store });
      await first.dispatcher.submit(FEED);
      await first.advance(4_000);
      await first.dispatcher.close();
      const clock = fakeClock(SEED_TIME + 7_000);
      const { link, stored, advance } = await site({ store, clock });
      await advance(2_500);
      assert.equal(stored().phase, 'awaiting_ack');
      await advance(500);
      assert.equal(stored().phase, 'backoff');
      await advance(1_500);
      assert.deepEqual([stored().attempts, link.publishes.length], [2, 1]);
    });

    it('sends again what was not acknowledged while it was away, and at most four times in all', async () => {
      const store = modelStore();
      const publishes: string[] = [];
      let at = SEED_TIME;
      for (let run = 0; run < 8; run += 1) {
        const { dispatcher, link, clock, advance } = await site({ store, clock: fakeClock(at) });
        if (run === 0) await dispatcher.submit(FEED);
        await advance(12_500);
        at = clock.now() + 3_000;
        await dispatcher.close();
        publishes.push(...link.publishes.map(({ payload }) => payload));
      }
      assert.equal(publishes.length, 4);
      assert.equal(store.commands.get(COMMAND_ID)?.reason, 'timeout');
    });

    it('takes up what waited, behind what is in flight, in its order', async () => {
      const store = modelStore();
      const first = await site({ store });
      for (const number of [3, 2, 1]) {
        await first.dispatcher.submit(feed(number));
        first.clock.advance(1);
      }
      await settle();
      await first.dispatcher.close();
      const { dispatcher, link } = await site({ store, clock: fakeClock(SEED_TIME + 1_000) });
      assert.deepEqual(dispatcher.count(), { inFlight: 1, waiting: 2 });
      await dispatcher.handle(ack({ command_id: id(3), success: true }));
      await settle();
      assert.equal(JSON.parse(link.publishes[0]?.payload ?? '').command_id, id(2));
    });

    it('takes acknowledgements that come while it still loads', async () => {
      const store = modelStore();
      const first = await site({ store });
      await first.dispatcher.submit(FEED);
      await settle();
      await first.dispatcher.close();
      const second = createDispatcher({
        name: 'ponds',
        profile: createProfile({ profile: 'pond' }),
        store,
        link: testLink(),
        clock: fakeClock(SEED_TIME + 1_000),
        log: recordedLog(),
      });
      await second.handle(ack({ command_id: COMMAND_ID, success: true }));
      assert.equal(store.commands.get(COMMAND_ID)?.status, 'COMPLETED');
    });
  });

  describe('and its store', () => {
    it('lose nothing where it is away for a while', async () => {
      const { dispatcher, store, stored, link, advance } = await site();
      await dispatcher.submit(FEED);
      await settle();
      store.away = true;
      await advance(15_000);
      const handled = dispatcher.handle(ack({ command_id: COMMAND_ID, success: true }));
      await settle();
      assert.equal(link.publishes.length, 1, 'nothing is sent that is not counted');
      store.comeBack();
      await handled;
      assert.equal(stored().status, 'COMPLETED');
      await advance(60_000);
      assert.equal(link.publishes.length, 1);
    });

    it('try again where it refuses a step', async () => {
      const { dispatcher, store, stored, advance } = await site();
      await dispatcher.submit(FEED);
      await settle();
      store.refuseNext = new FieldloomError('store_unavailable', 'disk full');
      const handled = dispatcher.handle(ack({ command_id: COMMAND_ID, success: true }));
      await advance(1_000);
      await handled;
      assert.equal(stored().status, 'COMPLETED');
    });

    it('know a write whose answer was lost', async () => {
      const { dispatcher, store, stored, told, link } = await site();
      store.loseNextAnswer = true;
      await dispatcher.submit(FEED);
      await settle();
      store.loseNextAnswer = true;
      await dispatcher.handle(ack({ command_id: COMMAND_ID, success: true }));
      assert.equal(stored().status, 'COMPLETED');
      assert.equal(link.publishes.length, 1);
      assert.equal(told.filter(([, { event }]) => event === 'completed').length, 1);
      assert.equal(store.transitions.filter(({ event }) => event === 'completed').length, 1);
    });

    it('give way to another gateway’s write', async () => {
      const store = modelStore();
      const one = await site({ store });
      await one.dispatcher.submit(FEED);
      await settle();
      const two = await site({ store, clock: fakeClock(SEED_TIME) });
      await two.dispatcher.handle(ack({ command_id: COMMAND_ID, success: true }));
      await one.advance(60_000);
      assert.deepEqual([one.link.publishes.length, store.commands.get(COMMAND_ID)?.status], [1, 'COMPLETED']);
      assert.deepEqual(one.dispatcher.count(), { inFlight: 0, waiting: 0 });
    });

    it('store no second command under an id, an idempotency key or an execution that is taken', async () => {
      const { dispatcher, store } = await site();
      const idempotency = { userId: 7, key: 'k', digest: 'd', executionId: 4, createdAt: SEED_TIME };
      await dispatcher.submit({ ...FEED, execution: execution(), idempotency });
      await assert.rejects(dispatcher.submit(FEED), { code: 'conflict' });
      await assert.rejects(dispatcher.submit(feed(2, { idempotency })), { code: 'conflict' });
      await assert.rejects(dispatcher.submit(feed(3, { execution: execution() })), { code: 'conflict' });
      await settle();
      await dispatcher.handle(ack({ command_id: COMMAND_ID, success: true }));
      await assert.rejects(dispatcher.submit(FEED), { code: 'conflict' });
      assert.equal(store.commands.size, 1);
    });
  });

  it('tells the outcome when it is there, or what is there in time', async () => {
    const { dispatcher, advance } = await site();
    await dispatcher.submit(FEED);
    const soon = dispatcher.outcome(COMMAND_ID, 2_000);
    const later = dispatcher.outcome(COMMAND_ID, 15_000);
    await settle();
    await advance(2_000);
    assert.equal((await soon).status, 'SENT');
    await dispatcher.handle(ack({ command_id: COMMAND_ID, success: false, message: 'stuck' }));
    assert.equal((await later).message, 'stuck');
    assert.equal((await dispatcher.outcome(COMMAND_ID, 15_000)).reason, 'device');
    await assert.rejects(dispatcher.outcome(id(9), 0), { code: 'not_found' });
  });

  it('cancels what has not ended, and says of the rest why not', async () => {
    const { dispatcher, store } = await site();
    await dispatcher.submit({ ...FEED, execution: execution() });
    assert.equal((await dispatcher.cancel(COMMAND_ID)).status, 'CANCELLED');
    assert.equal(store.executions.get(4)?.status, 'FAILED');
    await assert.rejects(dispatcher.cancel(COMMAND_ID), { code: 'conflict', message: /CANCELLED/ });
    await assert.rejects(dispatcher.cancel(id(9)), { code: 'not_found' });
  });

  it('closes when what is on its way is stored, and takes nothing after that', async () => {
    const { dispatcher, store, link, stored, clock } = await site({ link: testLink() });
    await dispatcher.submit(FEED);
    const outcome = dispatcher.outcome(COMMAND_ID, 60_000);
    await settle();
    const closed = dispatcher.close();
    link.publishes[0]?.confirm();
    await closed;
    assert.equal(stored().status, 'SENT');
    assert.equal((await outcome).status, 'SENT');
    await assert.rejects(dispatcher.submit(feed(2)), { code: 'link_closed' });
    await assert.rejects(dispatcher.handle(ack({ command_id: COMMAND_ID, success: true })), {
      code: 'link_closed',
    });
    assert.equal(clock.timers, 0);
    assert.equal(store.commands.size, 1);
  });

  it('completes a solar machine’s command when the broker has it', async () => {
    const profile = createProfile({ profile: 'solar' });
    const { dispatcher, link, stored } = await site({ profile });
    await dispatcher.submit({
      id: COMMAND_ID,
      device: 'acme/7',
      commandType: 'start_cleaning',
      parameters: { speed: 5, mode: 'auto' },
    });
    await settle();
    assert.deepEqual(
      [link.publishes[0]?.topic, link.publishes[0]?.payload],
      ['company/acme/machine/7/command', '{"command":"start_cleaning","params":{"speed":5,"mode":"auto"}}'],
    );
    assert.deepEqual([stored().status, stored().device], ['COMPLETED', 'acme/7']);
    assert.equal(dispatcher.filter, undefined);
  });

  it('holds ten thousand in flight on one timer, each with its own deadline', async () => {
    const { dispatcher, link, store, clock } = await site();
    for (let number = 0; number < 10_000; number += 1) {
      await dispatcher.submit(feed(number, { device: `device-${number}` }));
      if (number % 100 === 99) clock.advance(10);
    }
    await settle();
    assert.deepEqual([dispatcher.count().inFlight, link.publishes.length], [10_000, 10_000]);
    assert.equal(clock.timers, 1);
    for (let step = 0; step < 300; step += 1) {
      clock.advance(50);
      for (let turn = 0; turn < 3; turn += 1) await settle();
    }
    const unanswered = store.transitions.filter(({ event }) => event === 'unanswered');
    assert.equal(unanswered.length, 10_000);
    for (const { commandId, at } of unanswered) {
      const late = at - (store.commands.get(commandId)?.sentAt as number) - 10_000;
      assert.ok(late >= 0 && late <= 500, `${late} ms after its 10 s`);
    }
    assert.equal(dispatcher.counters.retries, 10_000);
  }).timeout(60_000);
});
