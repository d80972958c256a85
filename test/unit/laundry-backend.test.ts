import assert from 'node:assert/strict';
import { setImmediate } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import type { DeadLetter } from '../../lib/core/dead-letter.js';
import { FieldloomError } from '../../lib/core/errors.js';
import { silentLog } from '../../lib/core/log.js';
import { type Backend, createBackend, type Snapshot } from '../../lib/laundry/backend.js';
import type { StateChange } from '../../lib/laundry/ports.js';
import type { ControllerState } from '../../lib/laundry/state.js';
import { type FakeClock, fakeClock } from '../support/fake-clock.js';
import { arrival, type ModelStore, modelStore, report, SEED_TIME as T } from '../support/laundry.js';
import { METRICS_TOPIC, SEED_MESSAGE } from '../support/seed.js';

const SECOND = 1000;

interface Gateway {
  backend: Backend;
  clock: FakeClock;
  changes: StateChange[];
  snapshots: Snapshot[];
  controllers: ControllerState[];
  refused: DeadLetter[];
  stop(): void;
}

async function gateway(store: ModelStore, clock = fakeClock(T)): Promise<Gateway> {
  const told = {
    changes: [] as StateChange[],
    snapshots: [] as Snapshot[],
    controllers: [] as ControllerState[],
    refused: [] as DeadLetter[],
  };
  const backend = createBackend({ store, clock, log: silentLog });
  const stop = backend.listen({
    change: (change) => told.changes.push(change),
    snapshot: (snapshot) => told.snapshots.push(snapshot),
    liveness: (controller) => told.controllers.push(controller),
    refused: (letter) => told.refused.push(letter),
  });
  await backend.start();
  return { backend, clock, ...told, stop };
}

/** Whether a promise is settled, and how. */
function watch(promise: Promise<void>) {
  const outcome = { state: 'pending' as 'pending' | 'fulfilled' | 'rejected', error: undefined as unknown };
  promise.then(
    () => {
      outcome.state = 'fulfilled';
    },
    (error: unknown) => {
      outcome.state = 'rejected';
      outcome.error = error;
    },
  );
  return outcome;
}

const raw = (text: string, receivedAt = T) => ({
  topic: METRICS_TOPIC,
  payload: Buffer.from(text),
  receivedAt,
});
const withStatus = (status: string) => SEED_MESSAGE.replace('"idle"', JSON.stringify(status));

describe('the laundry backend', () => {
  let store: ModelStore;
  beforeEach(() => {
    store = modelStore();
  });

  it('acknowledges a message when its row is committed, and tells of it then', async () => {
    const { backend, changes, snapshots, controllers } = await gateway(store);
    const handled = watch(backend.handle(raw(SEED_MESSAGE)));
    await setImmediate();
    assert.equal(handled.state, 'pending');
    assert.deepEqual([changes, snapshots, controllers], [[], [], []]);
    await store.step();
    assert.equal(handled.state, 'fulfilled');
    assert.deepEqual(
      changes.map(({ relayId, status }) => [relayId, status]),
      [
        [1, 'busy'],
        [2, 'idle'],
      ],
    );
    assert.equal(snapshots.length, 1);
    assert.deepEqual(
      controllers.map(({ online }) => online),
      [true],
    );
    assert.deepEqual(
      store.messages.map(({ outcome }) => outcome),
      ['accepted'],
    );
    assert.equal(store.messages[0]?.correlationId, '550e8400-e29b-41d4-a716-446655440004');
  });

  it('writes what a message changes together: controller, machines, changes and dead letters', async () => {
    const { backend } = await gateway(store);
    void backend.handle(raw(withStatus('on fire')));
    await setImmediate();
    assert.equal(store.pending, 1);
    await store.step();
    assert.equal(store.controller?.lastSeen, T);
    assert.deepEqual([...store.machines.keys()], [1]);
    assert.equal(store.changes.length, 1);
    assert.deepEqual(
      store.letters.map(({ code, pointer }) => [code, pointer]),
      [['schema_mismatch', '/payload/machines/1/status']],
    );
    assert.equal(store.letters[0]?.payload.toString(), withStatus('on fire'));
    assert.deepEqual(
      store.messages.map(({ outcome }) => outcome),
      ['partly_refused'],
    );
  });

  it('keeps a message of which nothing is good as a dead letter that names no controller', async () => {
    const { backend, refused, controllers } = await gateway(store);
    for (const text of ['hello', SEED_MESSAGE.replace('"busy"', '"on"').replace('"idle"', '"off"')]) {
      void backend.handle(raw(text));
      await store.settle();
    }
    assert.deepEqual(
      refused.map(({ code }) => code),
      ['invalid_json', 'schema_mismatch', 'schema_mismatch'],
    );
    assert.deepEqual(store.letters, refused);
    assert.deepEqual(
      store.messages.map(({ outcome }) => outcome),
      ['refused', 'refused'],
    );
    assert.equal(store.controller, undefined);
    assert.deepEqual(controllers, []);
    assert.deepEqual(backend.counters.refused, { invalid_json: 1, schema_mismatch: 2 });
  });

  it('makes a topic of another form, and ids that are no UUIDs, dead letters', async () => {
    const { backend, refused } = await gateway(store);
    for (const topic of ['/stores/1/metrics', '/stores/one/controllers/two/metrics']) {
      void backend.handle({ topic, payload: Buffer.from(SEED_MESSAGE), receivedAt: T });
      await store.settle();
    }
    assert.deepEqual(
      refused.map(({ code, topic }) => [code, topic]),
      [
        ['invalid_topic', '/stores/1/metrics'],
        ['invalid_topic', '/stores/one/controllers/two/metrics'],
      ],
    );
  });

  it('holds the dead letters of one message to 16, the last of which speaks for the rest', async () => {
    const { backend } = await gateway(store);
    const message = JSON.parse(SEED_MESSAGE);
    message.payload.machines = Array(900).fill({ relay_id: 1 });
    void backend.handle(raw(JSON.stringify(message)));
    await store.settle();
    assert.equal(store.letters.length, 16);
    assert.match(store.letters[15]?.message ?? '', /884 more machines/);
  });

  it('counts what becomes of machines, and says of messages what came of them', async () => {
    const { backend, snapshots } = await gateway(store);
    const busy = [report(1, 'busy', T)];
    for (const next of [
      arrival(busy),
      arrival(busy, T + 1),
      arrival([report(1, 'idle', T - 5)], T + 2),
      arrival([report(1, 'busy', T + 3)], T + 3),
      arrival([report(1, 'idle', T + 3600_000)], T + 4),
      arrival([], T + 5),
    ]) {
      void backend.handle(next);
      await store.settle();
    }
    const { changed, renewed, duplicate, stale, clockSkew, messages } = backend.counters;
    assert.deepEqual(
      { changed, renewed, duplicate, stale, clockSkew, messages },
      { changed: 2, renewed: 1, duplicate: 1, stale: 1, clockSkew: 1, messages: 6 },
    );
    assert.deepEqual(
      store.messages.map(({ outcome }) => outcome),
      ['accepted', 'duplicate', 'stale', 'accepted', 'accepted', 'accepted'],
    );
    assert.equal(snapshots.length, 5, 'a stale message is no accepted snapshot');
  });

  it('sends many messages of one controller to the store at once', async () => {
    const { backend, changes } = await gateway(store);
    const handled = [0, 1, 2, 3].map((index) =>
      watch(backend.handle(arrival([report(1, index % 2 ? 'idle' : 'busy', T + index)]))),
    );
    await setImmediate();
    assert.equal(store.pending, 4);
    await store.step();
    assert.deepEqual(
      handled.map(({ state }) => state),
      ['fulfilled', 'pending', 'pending', 'pending'],
    );
    await store.settle();
    assert.deepEqual(
      changes.map(({ status }) => status),
      ['busy', 'idle', 'busy', 'idle'],
    );
    assert.deepEqual(store.changes, changes);
  });

  it('keeps the order of messages where one of them has to be unpacked', async () => {
    const { backend, changes } = await gateway(store);
    const first = arrival([report(1, 'busy', T)]);
    const handled = [
      backend.handle({ ...first, payload: gzipSync(first.payload) }),
      backend.handle(arrival([report(1, 'idle', T + 1)])),
    ];
    while (store.pending < 2) await setImmediate();
    await store.settle();
    await Promise.all(handled);
    assert.deepEqual(
      changes.map(({ status }) => status),
      ['busy', 'idle'],
    );
  });

  it('takes a refused message that is sent again after a lost connection for the same one', async () => {
    const { backend, refused } = await gateway(store);
    void backend.handle(raw(withStatus('on fire')));
    await store.settle();
    const again = backend.handle({ ...raw(withStatus('on fire'), T + 100), resumedAt: T + 50 });
    const next = backend.handle({ ...arrival([report(1, 'idle', T + 100)]), resumedAt: T + 50 });
    await store.settle();
    await Promise.all([again, next]);
    assert.equal(refused.length, 1);
    assert.equal(store.letters.length, 1);
    assert.deepEqual(
      store.messages.map(({ outcome }) => outcome),
      ['partly_refused', 'partly_refused', 'accepted'],
    );
  });

  it('does not acknowledge what the store rejects, and goes on with the next', async () => {
    const { backend, changes } = await gateway(store);
    const first = watch(backend.handle(arrival([report(1, 'busy', T)])));
    const second = watch(backend.handle(arrival([report(1, 'idle', T + 1)])));
    await setImmediate();
    await store.fail(new FieldloomError('store_rejected', 'no'));
    assert.equal(first.state, 'rejected');
    await store.settle();
    assert.equal(second.state, 'fulfilled');
    // The first was not stored, so the second is the machine's first state.
    assert.deepEqual(
      changes.map(({ status, previousStatus }) => [status, previousStatus]),
      [['idle', null]],
    );
    assert.deepEqual(store.changes, changes);
  });

  it('judges again by the newer state where another gateway has written in between, and tells once', async () => {
    const one = await gateway(store);
    const other = await gateway(store);
    void one.backend.handle(arrival([report(1, 'busy', T)]));
    await store.settle();
    // The other one knows nothing of that yet.
    const handled = watch(other.backend.handle(arrival([report(1, 'idle', T + 60_000)], T + 60_000)));
    const behind = watch(other.backend.handle(arrival([report(1, 'busy', T + 90_000)], T + 90_000)));
    await store.settle();
    assert.deepEqual([handled.state, behind.state], ['fulfilled', 'fulfilled']);
    assert.deepEqual(
      other.changes.map(({ status, previousStatus, durationMs }) => [status, previousStatus, durationMs]),
      [
        ['idle', 'busy', 60_000],
        ['busy', 'idle', 30_000],
      ],
    );
    assert.deepEqual(store.changes, [...one.changes, ...other.changes]);
    assert.equal(store.machines.get(1)?.cycles, 1);
  });

  it('does not let a write count that was built on one that failed, even where another gateway wrote as often', async () => {
    const one = await gateway(store);
    const other = await gateway(store);
    void one.backend.handle(arrival([report(1, 'busy', T)]));
    void other.backend.handle(arrival([report(2, 'busy', T)]));
    void other.backend.handle(arrival([report(2, 'idle', T + 1)]));
    await store.settle();
    assert.deepEqual([...store.machines.keys()], [1, 2]);
    assert.deepEqual(
      other.changes.map(({ status }) => status),
      ['busy', 'idle'],
    );
    assert.equal(store.changes.length, 3);
  });

  it('knows its own commit whose answer was lost', async () => {
    const { backend, changes } = await gateway(store);
    const first = watch(backend.handle(arrival([report(1, 'busy', T)])));
    await setImmediate();
    await store.stepAnsweringConflict();
    await store.settle();
    assert.equal(first.state, 'fulfilled');
    assert.equal(changes.length, 1);
    assert.equal(store.changes.length, 1);
  });

  it('goes on after a restart where it was', async () => {
    const before = await gateway(store);
    void before.backend.handle(arrival([report(1, 'busy', T, 'washer')]));
    await store.settle();
    const after = await gateway(store);
    void after.backend.handle(arrival([report(1, 'busy', T)], T + 30_000));
    void after.backend.handle(arrival([report(1, 'idle', T + 60_000)], T + 60_000));
    await store.settle();
    assert.equal(after.backend.counters.duplicate, 1);
    assert.deepEqual(
      after.changes.map(({ durationMs, machineType }) => [durationMs, machineType]),
      [[60_000, 'washer']],
    );
    assert.deepEqual(after.controllers, [], 'it was online all the time');
  });

  it('lets messages that come before the store is read wait for it', async () => {
    const backend = createBackend({ store, clock: fakeClock(T), log: silentLog });
    const handled = watch(backend.handle(arrival([report(1, 'busy', T)])));
    await store.settle();
    assert.equal(handled.state, 'fulfilled');
  });

  it('waits for a store that cannot be read yet, and gives up where it is closed', async () => {
    const clock = fakeClock(T);
    let answer: () => Promise<[]> = () => Promise.reject(new FieldloomError('store_unavailable', 'locked'));
    const backend = createBackend({ store: { ...store, loadAll: () => answer() }, clock, log: silentLog });
    const started = watch(backend.start());
    await setImmediate();
    clock.advance(1_000);
    await setImmediate();
    assert.equal(started.state, 'pending');
    answer = async () => [];
    clock.advance(2_000);
    await setImmediate();
    assert.equal(started.state, 'fulfilled');
    answer = () => Promise.reject(new FieldloomError('store_closed', 'closed'));
    const other = createBackend({ store: { ...store, loadAll: () => answer() }, clock, log: silentLog });
    await assert.rejects(other.start(), { code: 'store_closed' });
  });

  it('tells the other listeners where one of them fails', async () => {
    const { backend, changes } = await gateway(store);
    backend.listen({
      change() {
        throw new Error('not mine');
      },
    });
    const handled = watch(backend.handle(raw(SEED_MESSAGE)));
    await store.settle();
    assert.equal(handled.state, 'fulfilled');
    assert.equal(changes.length, 2);
  });

  it('closes when nothing is on its way any more, and takes nothing after that', async () => {
    const { backend } = await gateway(store);
    void backend.handle(raw(SEED_MESSAGE));
    const closed = watch(backend.close());
    await setImmediate();
    assert.equal(closed.state, 'pending');
    await store.settle();
    assert.equal(closed.state, 'fulfilled');
    await assert.rejects(backend.handle(raw(SEED_MESSAGE)), { code: 'link_closed' });
  });
});

describe('the laundry backend and silent controllers', () => {
  it('tells after 90 s without a message that a controller is offline, stored first, and that it is back', async () => {
    const store = modelStore();
    const { backend, clock, controllers } = await gateway(store);
    void backend.handle(arrival([report(1, 'busy', T)]));
    await store.settle();
    assert.deepEqual(backend.count(), { known: 1, online: 1 });
    clock.advance(90 * SECOND - 1);
    assert.equal(store.pending, 0);
    clock.advance(1);
    assert.equal(store.pending, 1);
    assert.equal(controllers.length, 1, 'not told before it is stored');
    await store.settle();
    assert.equal(store.controller?.online, false);
    assert.deepEqual(
      controllers.map(({ online }) => online),
      [true, false],
    );
    assert.deepEqual(backend.count(), { known: 1, online: 0 });
    void backend.handle(arrival([], T + 100 * SECOND));
    await store.settle();
    assert.deepEqual(
      controllers.map(({ online }) => online),
      [true, false, true],
    );
    assert.deepEqual(
      store.liveness,
      [
        { online: true, at: T },
        { online: false, at: T },
        { online: true, at: T + 100 * SECOND },
      ],
      'it went away when it was last heard',
    );
    assert.deepEqual([backend.counters.cameOnline, backend.counters.wentOffline], [2, 1]);
  });

  it('does so with one timer for all controllers, and none where nobody is online', async () => {
    const store = modelStore();
    const { backend, clock } = await gateway(store);
    assert.equal(clock.timers, 0);
    for (let second = 0; second < 10; second += 1) {
      void backend.handle(arrival([], T + second * SECOND));
      await store.settle();
      assert.equal(clock.timers, 1);
    }
    clock.advance(200 * SECOND);
    await store.settle();
    assert.equal(clock.timers, 0);
  });

  it('moves the deadline with each message', async () => {
    const store = modelStore();
    const { backend, clock, controllers } = await gateway(store);
    for (let message = 0; message < 20; message += 1) {
      void backend.handle(arrival([], clock.now()));
      await store.settle();
      clock.advance(30 * SECOND);
    }
    assert.deepEqual(
      controllers.map(({ online }) => online),
      [true],
    );
    clock.advance(60 * SECOND);
    await store.settle();
    assert.deepEqual(
      controllers.map(({ online }) => online),
      [true, false],
    );
  });

  it('counts missed intervals from its own start: the gateway was away, not the controllers', async () => {
    const store = modelStore();
    const before = await gateway(store);
    void before.backend.handle(arrival([], T));
    await store.settle();
    const clock = fakeClock(T + 3600 * SECOND);
    const { controllers } = await gateway(store, clock);
    clock.advance(90 * SECOND - 1);
    assert.equal(store.pending, 0);
    clock.advance(1);
    await store.settle();
    assert.deepEqual(
      controllers.map(({ online }) => online),
      [false],
    );
  });

  it('does not call a controller offline that another gateway has heard of', async () => {
    const store = modelStore();
    const clock = fakeClock(T);
    const one = await gateway(store, clock);
    const other = await gateway(store, clock);
    void one.backend.handle(arrival([], T));
    await store.settle();
    clock.advance(60 * SECOND);
    void other.backend.handle(arrival([report(1, 'busy', clock.now())], clock.now()));
    await store.settle();
    clock.advance(30 * SECOND);
    await store.settle();
    assert.equal(store.controller?.online, true);
    assert.deepEqual(
      one.controllers.map(({ online }) => online),
      [true],
    );
    clock.advance(90 * SECOND);
    await store.settle();
    assert.equal(store.controller?.online, false);
    const told = [...one.controllers, ...other.controllers].filter(({ online }) => !online);
    assert.equal(told.length, 1);
  });
});

describe('a dead letter that is read again', () => {
  const future = SEED_MESSAGE.replace('2024-01-15T16:00:00', '2024-01-17T16:00:00');

  it('counts as its message would have, makes no new dead letter, and does not bring the controller back', async () => {
    const store = modelStore();
    const { backend, clock, changes, controllers } = await gateway(store);
    void backend.handle(raw(future));
    await store.settle();
    const [letter] = store.letters;
    assert.equal(letter?.code, 'timestamp_in_future');
    clock.advance(2 * 24 * 3600 * SECOND);
    const replayed = backend.replay(letter ?? assert.fail());
    await store.settle();
    assert.deepEqual(await replayed, { accepted: 2, refusals: [] });
    assert.equal(changes.length, 2);
    assert.equal(store.letters.length, 1);
    assert.deepEqual(controllers, []);
    assert.equal(store.messages.at(-1)?.outcome, 'replayed');
  });

  it('says what is still wrong with it', async () => {
    const store = modelStore();
    const { backend } = await gateway(store);
    void backend.handle(raw(withStatus('on fire')));
    await store.settle();
    const replayed = backend.replay(store.letters[0] ?? assert.fail());
    await store.settle();
    const { accepted, refusals } = await replayed;
    assert.equal(accepted, 0);
    assert.deepEqual(
      refusals.map(({ pointer }) => pointer),
      ['/payload/machines/1/status'],
    );
    assert.equal(store.letters.length, 1);
  });
});
