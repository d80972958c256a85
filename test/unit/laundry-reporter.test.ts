import assert from 'node:assert/strict';
import { setImmediate } from 'node:timers/promises';
import fc from 'fast-check';
import { FieldloomError } from '../../lib/core/errors.js';
import type { LinkState } from '../../lib/core/link.js';
import { silentLog } from '../../lib/core/log.js';
import { createBackend } from '../../lib/laundry/backend.js';
import { type Parsed, parse } from '../../lib/laundry/codec.js';
import { parseObservations } from '../../lib/laundry/observation.js';
import type { QueuedReport, ReportQueue } from '../../lib/laundry/ports.js';
import type { Observation, ReporterSettings } from '../../lib/laundry/reporter.js';
import { createReporter, type Reporter, type ReporterLink } from '../../lib/laundry/reporter-runner.js';
import { type FakeClock, fakeClock } from '../support/fake-clock.js';
import { modelStore, SEED_TIME as T } from '../support/laundry.js';
import { CONTROLLER_ID, METRICS_TOPIC, STORE_ID } from '../support/seed.js';

const SECOND = 1000;
const busy = (relayId: number): Observation => ({ relayId, status: 'busy', machineType: null });
const idle = (relayId: number): Observation => ({ relayId, status: 'idle', machineType: null });

/** Rows of one reporter as the port promises them. */
function modelQueue() {
  const rows = new Map<string, QueuedReport>();
  const queue: ReportQueue = {
    all: async () => [...rows.values()].sort((a, b) => (a.id < b.id ? -1 : 1)),
    add: async (reports) => {
      for (const report of reports) rows.set(report.id, report);
    },
    remove: async (ids) => {
      for (const id of ids) rows.delete(id);
    },
  };
  return { queue, rows };
}

interface Publish {
  topic: string;
  payload: Buffer;
  acknowledge(): Promise<void>;
  refuse(): Promise<void>;
}

/** A link whose acknowledgements a test gives. */
function modelLink(clock: FakeClock) {
  let state: LinkState = 'connected';
  const listeners = new Set<(state: LinkState) => void>();
  const publishes: Publish[] = [];
  const link: ReporterLink = {
    get state() {
      return state;
    },
    onState(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    publish(topic, payload, { qos, wait }) {
      assert.deepEqual({ qos, wait }, { qos: 1, wait: false });
      if (state !== 'connected') return Promise.reject(new FieldloomError('not_connected', 'away'));
      return new Promise((resolve, reject) => {
        publishes.push({
          topic,
          payload: Buffer.from(payload as string),
          async acknowledge() {
            resolve();
            await setImmediate();
          },
          async refuse() {
            reject(new FieldloomError('not_connected', 'gone'));
            await setImmediate();
          },
        });
      });
    },
  };
  return {
    link,
    publishes,
    async become(next: LinkState) {
      state = next;
      for (const listener of [...listeners]) listener(next);
      await setImmediate();
    },
    /** Acknowledges everything until nothing is sent any more. */
    async acknowledgeAll() {
      await setImmediate();
      for (let sent = publishes.shift(); sent !== undefined; sent = publishes.shift())
        await sent.acknowledge();
    },
    /** Machines of the oldest message under way, as `1 busy`. */
    shown: () => machinesOf(publishes[0], clock).map(({ relayId, status }) => `${relayId} ${status}`),
  };
}

function machinesOf(publish: Publish | undefined, clock: FakeClock) {
  assert.ok(publish, 'nothing is sent');
  const parameters = { store_id: STORE_ID, controller_id: CONTROLLER_ID };
  const { message, refusals } = parse(parameters, publish.payload, clock.now()) as Parsed;
  assert.deepEqual(refusals, []);
  return message?.machines ?? [];
}

async function site(settings: Partial<ReporterSettings> = {}) {
  const clock = fakeClock(T);
  const disk = modelQueue();
  const network = modelLink(clock);
  const make = () =>
    createReporter({
      storeId: STORE_ID,
      controllerId: CONTROLLER_ID,
      link: network.link,
      queue: disk.queue,
      clock,
      log: silentLog,
      settings,
    });
  let reporter: Reporter = make();
  await reporter.start();
  await network.acknowledgeAll();
  return {
    clock,
    ...disk,
    ...network,
    get reporter() {
      return reporter;
    },
    async restart() {
      reporter.close();
      network.publishes.length = 0;
      reporter = make();
      await reporter.start();
      await setImmediate();
    },
    async pass(ms: number) {
      clock.advance(ms);
      await setImmediate();
    },
  };
}

describe('the machine reporter', () => {
  it('says at its start that the controller is there, on the document’s topic', async () => {
    const clock = fakeClock(T);
    const { link, publishes } = modelLink(clock);
    const options = { link, queue: modelQueue().queue, clock, log: silentLog };
    const reporter = createReporter({ storeId: STORE_ID, controllerId: CONTROLLER_ID, ...options });
    await reporter.start();
    assert.equal(publishes.length, 1);
    assert.equal(publishes[0]?.topic, METRICS_TOPIC);
    const message = JSON.parse(publishes[0]?.payload.toString() ?? '');
    assert.deepEqual(Object.keys(message), [
      'version',
      'event_type',
      'timestamp',
      'correlation_id',
      'controller_id',
      'store_id',
      'payload',
    ]);
    assert.equal(message.version, '1.0.0');
    assert.match(message.correlation_id, /^[0-9a-f-]{36}$/);
    reporter.close();
  });

  it('sends a change at once; changes within 250 ms travel together', async () => {
    const { reporter, publishes, shown, pass } = await site();
    await reporter.observe([busy(1)]);
    await pass(200);
    await reporter.observe([busy(2)]);
    assert.equal(publishes.length, 0);
    await pass(50);
    assert.equal(publishes.length, 1);
    assert.deepEqual(shown(), ['1 busy', '2 busy']);
  });

  it('sends nothing where a state is said again, but does where the type becomes known', async () => {
    const { reporter, rows, pass, acknowledgeAll, publishes } = await site();
    await reporter.observe([busy(1)]);
    await pass(250);
    await acknowledgeAll();
    await reporter.observe([busy(1)]);
    await pass(250);
    assert.equal(publishes.length, 0);
    assert.equal(rows.size, 1);
    await reporter.observe([{ ...busy(1), machineType: 'dryer' }]);
    await pass(250);
    assert.equal(publishes.length, 1);
    await acknowledgeAll();
    await reporter.observe([busy(1)]);
    assert.equal(reporter.state.known.get(1)?.machineType, 'dryer');
  });

  it('sends the full state every interval, each machine with the time of its change', async () => {
    const { reporter, clock, pass, acknowledgeAll, publishes, shown } = await site();
    await reporter.observe([busy(1)]);
    await pass(250);
    await acknowledgeAll();
    await pass(9_750);
    await reporter.observe([idle(2)]);
    await pass(250);
    await acknowledgeAll();
    await pass(20 * SECOND);
    assert.deepEqual(shown(), ['1 busy', '2 idle']);
    assert.deepEqual(
      machinesOf(publishes[0], clock).map(({ lastUpdated }) => lastUpdated),
      [T, T + 10 * SECOND],
    );
    await acknowledgeAll();
    await pass(30 * SECOND);
    assert.deepEqual(shown(), ['1 busy', '2 idle']);
  });

  it('tells the firmware beside the machines, at once where it is another, and in every message from then on', async () => {
    const { reporter, publishes, pass, acknowledgeAll } = await site();
    await reporter.observe([busy(1)]);
    await pass(250);
    await acknowledgeAll();
    const told = () => JSON.parse(publishes[0]?.payload.toString() ?? '{}').payload;
    await reporter.runs('1.0.0');
    assert.equal(told().firmware_version, '1.0.0');
    assert.equal(told().machines.length, 1);
    await acknowledgeAll();
    await reporter.runs('1.0.0');
    assert.equal(publishes.length, 0);
    await pass(30 * SECOND);
    assert.equal(told().firmware_version, '1.0.0');
    // While a message is under way the next one has it.
    await reporter.runs('1.1.0');
    assert.equal(told().firmware_version, '1.0.0');
    await publishes.shift()?.acknowledge();
    assert.equal(told().firmware_version, '1.1.0');
    reporter.close();
  });

  it('has a change on disk before it is sent, and keeps the newest state of each relay there', async () => {
    const { reporter, rows, pass, acknowledgeAll, publishes } = await site();
    await reporter.observe([busy(1)]);
    assert.equal(rows.size, 1);
    assert.equal(publishes.length, 0);
    await pass(250);
    await acknowledgeAll();
    assert.deepEqual(
      [...rows.values()].map(({ status }) => status),
      ['busy'],
    );
    await reporter.observe([idle(1)]);
    assert.deepEqual(
      [...rows.values()].map(({ status }) => status),
      ['idle'],
    );
    await reporter.observe([busy(1)]);
    await pass(250);
    await acknowledgeAll();
    assert.deepEqual(
      [...rows.values()].map(({ status }) => status),
      ['busy'],
    );
  });

  it('lets changes wait while there is no connection, and sends them in order with their own times', async () => {
    const { reporter, clock, pass, become, publishes, shown } = await site();
    await become('disconnected');
    await reporter.observe([busy(1)]);
    await pass(60 * SECOND);
    await reporter.observe([idle(1), busy(2)]);
    await pass(60 * SECOND);
    assert.equal(publishes.length, 0);
    assert.equal(reporter.state.waiting.length, 3);
    await become('connected');
    assert.deepEqual(shown(), ['1 busy', '1 idle', '2 busy']);
    assert.deepEqual(
      machinesOf(publishes[0], clock).map(({ lastUpdated }) => lastUpdated),
      [T, T + 60 * SECOND, T + 60 * SECOND],
    );
  });

  it('sends what waits in portions, one message under way at a time', async () => {
    const { reporter, become, publishes, shown } = await site({ batch: 2 });
    await become('disconnected');
    for (const relay of [1, 2, 3]) await reporter.observe([busy(relay)]);
    await become('connected');
    assert.equal(publishes.length, 1);
    assert.deepEqual(shown(), ['1 busy', '2 busy']);
    await publishes.shift()?.acknowledge();
    assert.deepEqual(shown(), ['3 busy']);
    await publishes.shift()?.acknowledge();
    assert.equal(publishes.length, 0);
    assert.equal(reporter.state.waiting.length, 0);
  });

  it('knows after a restart in the middle what waits, and every relay’s state', async () => {
    const { reporter, pass, become, acknowledgeAll, restart, shown } = await site();
    await reporter.observe([busy(1), busy(2)]);
    await pass(250);
    await acknowledgeAll();
    await become('disconnected');
    await reporter.observe([idle(1)]);
    await reporter.observe([busy(1)]);
    await restart();
    await become('connected');
    assert.deepEqual(shown(), ['2 busy', '1 idle', '1 busy']);
  });

  it('sends again what was not acknowledged, as it was', async () => {
    const { reporter, clock, pass, publishes } = await site();
    await reporter.observe([busy(1)]);
    await pass(250);
    const first = machinesOf(publishes[0], clock);
    await publishes.shift()?.refuse();
    assert.equal(publishes.length, 0);
    await pass(1_200);
    assert.deepEqual(machinesOf(publishes[0], clock), first);
  });

  it('bounds what waits by dropping the oldest that is not the newest of its relay', async () => {
    const { reporter, rows, become, shown } = await site({ queueLimit: 3 });
    await become('disconnected');
    await reporter.observe([busy(1)]);
    for (let time = 0; time < 5; time += 1) await reporter.observe([time % 2 ? idle(2) : busy(2)]);
    assert.equal(reporter.state.dropped, 3);
    assert.equal(rows.size, 3);
    await become('connected');
    assert.deepEqual(shown(), ['1 busy', '2 idle', '2 busy']);
  });

  it('never drops the newest state of a relay, even where there are more relays than the bound', async () => {
    const { reporter, become, rows } = await site({ queueLimit: 2 });
    await become('disconnected');
    await reporter.observe([1, 2, 3, 4].map(busy));
    assert.equal(reporter.state.dropped, 0);
    assert.equal(rows.size, 4);
  });

  it('doubles its interval, up to four times, while acknowledgements take longer than a tenth of it, and returns', async () => {
    const { reporter, clock, pass, publishes } = await site();
    const intervals: number[] = [];
    for (const delay of [3_001, 3_001, 3_001, 3_000, 3_000, 3_000]) {
      await pass(reporter.state.fullAt - clock.now());
      await pass(delay);
      await publishes.shift()?.acknowledge();
      intervals.push(reporter.state.intervalMs / SECOND);
    }
    assert.deepEqual(intervals, [60, 120, 120, 60, 30, 30]);
  });

  it('gives a change a later time than the one before, even where the clock was put back', async () => {
    const { reporter, clock } = await site();
    await reporter.observe([busy(1)]);
    const before = reporter.state.known.get(1)?.lastUpdated ?? 0;
    clock.shift(-3600 * SECOND);
    await reporter.observe([idle(1)]);
    assert.equal(reporter.state.known.get(1)?.lastUpdated, before + 1);
  });

  it('leaves no timer behind when it is closed', async () => {
    const { reporter, clock, pass, publishes } = await site();
    await reporter.observe([busy(1)]);
    reporter.close();
    assert.equal(clock.timers, 0);
    await pass(60 * SECOND);
    assert.equal(publishes.length, 0);
  });
});

describe('what a flow says to a reporter', () => {
  it('is one machine or a list of them', () => {
    assert.deepEqual(parseObservations({ relay_id: 1, status: 'busy' }), [busy(1)]);
    assert.deepEqual(
      parseObservations([{ relay_id: 2, status: 'idle', machine_type: 'washer', colour: 'red' }]),
      [{ relayId: 2, status: 'idle', machineType: 'washer' }],
    );
  });

  it('is refused whole with the field named where something is wrong', () => {
    const cases: [unknown, string | undefined, RegExp][] = [
      [undefined, '', /msg\.payload/],
      ['busy', '', /must be object/],
      [{ relay_id: 1 }, '/status', /\/status is missing/],
      [{ relay_id: 1, status: 'on' }, '/status', /must be one of \["idle","busy"\]/],
      [{ relay_id: '1', status: 'idle' }, '/relay_id', /\/relay_id must be integer/],
      [
        [
          { relay_id: 1, status: 'idle' },
          { relay_id: 2, status: 'idle', machine_type: 'iron' },
        ],
        '/1/machine_type',
        /payload\[1\]/,
      ],
    ];
    for (const [payload, pointer, message] of cases) {
      assert.throws(() => parseObservations(payload), { code: 'invalid_input', pointer, message });
    }
  });
});

describe('a reporter and a backend with a network that drops, repeats and breaks, and restarts of both', () => {
  const observation = fc.record({ relayId: fc.integer({ min: 1, max: 3 }), busy: fc.boolean() });
  const step = fc.oneof(
    { weight: 6, arbitrary: fc.record({ do: fc.constant('observe' as const), ...{ what: observation } }) },
    {
      weight: 4,
      arbitrary: fc.record({ do: fc.constant('pass' as const), ms: fc.integer({ min: 1, max: 40_000 }) }),
    },
    {
      weight: 6,
      arbitrary: fc.record({
        do: fc.constantFrom(
          ...([
            'deliver',
            'deliver twice',
            'deliver, lose the answer',
            'lose',
            'break',
            'mend',
            'restart the site',
            'restart the gateway',
          ] as const),
        ),
      }),
    },
  );

  it('ends with the newest state of each relay at the backend, no change told twice, none made up', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 50 }), async (steps) => {
        const place = await site({ batch: 3 });
        const { clock } = place;
        const store = modelStore();
        const gateway = () => createBackend({ store, clock, log: silentLog });
        let backend = gateway();
        const seen: { relayId: number; status: string }[] = [];
        const truth = new Map<number, string>();
        const deliver = async (publish: Publish) => {
          const handled = backend.handle({
            topic: publish.topic,
            payload: publish.payload,
            receivedAt: clock.now(),
          });
          await store.settle();
          await handled;
        };
        for (const next of steps) {
          const sent =
            next.do.startsWith('deliver') || next.do === 'lose' ? place.publishes.shift() : undefined;
          if (next.do === 'observe') {
            const { relayId } = next.what;
            const status = next.what.busy ? 'busy' : 'idle';
            await place.reporter.observe([{ relayId, status, machineType: null }]);
            if (truth.get(relayId) !== status) seen.push({ relayId, status });
            truth.set(relayId, status);
          } else if (next.do === 'pass') {
            await place.pass(next.ms);
            await store.settle();
          } else if (next.do === 'break') await place.become('disconnected');
          else if (next.do === 'mend') await place.become('connected');
          else if (next.do === 'restart the site') await place.restart();
          else if (next.do === 'restart the gateway') backend = gateway();
          else if (sent !== undefined) {
            if (next.do !== 'lose') await deliver(sent);
            if (next.do === 'deliver twice') await deliver(sent);
            if (next.do === 'lose' || next.do === 'deliver, lose the answer') await sent.refuse();
            else await sent.acknowledge();
          }
        }
        await place.become('connected');
        await place.pass(60_000);
        for (let round = 0; round < 3; round += 1) {
          for (let sent = place.publishes.shift(); sent !== undefined; sent = place.publishes.shift()) {
            await deliver(sent);
            await sent.acknowledge();
          }
          await place.pass(30_000);
        }

        assert.equal(place.reporter.state.waiting.length, 0);
        assert.equal(place.rows.size, truth.size, 'on disk is the newest state of each relay alone');
        for (const [relayId, status] of truth) assert.equal(store.machines.get(relayId)?.status, status);
        for (const relayId of truth.keys()) {
          // Nothing was dropped, so the backend has seen every change in its order.
          assert.deepEqual(
            store.changes.filter((change) => change.relayId === relayId).map(({ status }) => status),
            seen.filter((change) => change.relayId === relayId).map(({ status }) => status),
          );
        }
      }),
      { numRuns: 500 },
    );
  });
});
