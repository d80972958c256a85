import assert from 'node:assert/strict';
import { setImmediate } from 'node:timers/promises';
import { FieldloomError } from '../../lib/core/errors.js';
import { gateway, modelDevices } from '../support/devices.js';
import { fakeClock } from '../support/fake-clock.js';
import { DEVICE, SENT_AT as T } from '../support/responder.js';

const SECOND = 1_000;
const MINUTE = 60_000;
const DAY = 86_400_000;
const iso = (ms: number) => new Date(ms).toISOString();

describe('the devices’ own messages', () => {
  let rows: ReturnType<typeof modelDevices>;
  beforeEach(() => {
    rows = modelDevices();
  });
  /** Hands over and commits. */
  const done = async (...handled: Promise<void>[]) => {
    await rows.settle();
    await Promise.all(handled);
  };

  describe('readings', () => {
    it('are acknowledged when the row is committed, and told then', async () => {
      const { sensors, readings, liveness } = await gateway(rows);
      let acknowledged = false;
      const handled = sensors({ temperature: 25.5, pond_position: 2, timestamp: iso(T - SECOND), note: 'x' });
      void handled.then(() => {
        acknowledged = true;
      });
      await setImmediate();
      assert.deepEqual([acknowledged, readings.length, liveness.length], [false, 0, 0]);
      await rows.step();
      await handled;
      const [reading] = rows.readings;
      assert.deepEqual(
        { ...reading, digest: '' },
        {
          device: DEVICE,
          position: 2,
          at: T - SECOND,
          receivedAt: T,
          values: { temperature: 25.5 },
          extra: { note: 'x' },
          digest: '',
        },
      );
      assert.equal(readings.length, 1);
      assert.deepEqual(
        liveness.map(({ online }) => online),
        [true],
      );
      assert.deepEqual(rows.messages, [
        { topic: `devices/${DEVICE}/data/sensors`, outcome: 'accepted', at: T },
      ]);
    });

    it('are not acknowledged where the store refuses them, and judged by what is stored after that', async () => {
      const { sensors, readings } = await gateway(rows);
      const handled = sensors({ temperature: 25 });
      const rejected = assert.rejects(handled, { code: 'store_rejected' });
      await setImmediate();
      await rows.fail(new FieldloomError('store_rejected', 'no'));
      await rejected;
      assert.equal(readings.length, 0);
      await done(sensors({ temperature: 25 }));
      assert.equal(rows.readings.length, 1);
    });

    it('of one device come one after another, those of several together', async () => {
      const { sensors } = await gateway(rows);
      const handled = [1, 2].flatMap((temperature) =>
        ['a', 'b'].map((device) => sensors({ temperature }, { device })),
      );
      await setImmediate();
      assert.equal(rows.pending, 2);
      await done(...handled);
      assert.deepEqual(
        rows.readings.filter(({ device }) => device === 'a').map(({ values }) => values['temperature']),
        [1, 2],
      );
    });

    it('move the newest values, each parameter by itself, and never back', async () => {
      const { sensors } = await gateway(rows);
      await done(
        sensors({ temperature: 25, ph: 7, timestamp: iso(T - 2 * SECOND) }),
        sensors({ temperature: 26, timestamp: iso(T) }),
        sensors({ temperature: 24, ph: 8, timestamp: iso(T - SECOND) }),
        sensors({ temperature: 30, pond_position: 1, timestamp: iso(T - SECOND) }),
      );
      const newest = [...rows.latest.values()].map(({ position, parameter, value }) => [
        position,
        parameter,
        value,
      ]);
      assert.deepEqual(newest, [
        [null, 'temperature', 26],
        [null, 'ph', 8],
        [1, 'temperature', 30],
      ]);
      assert.equal(rows.readings.length, 4);
    });

    it('without a time, or with one that was never set, count at the time of receipt', async () => {
      const { sensors } = await gateway(rows);
      await done(
        sensors({ temperature: 1 }),
        sensors({ temperature: 2, timestamp: 84_213 }),
        sensors({ temperature: 3, timestamp: '1970-01-01T00:01:00Z' }),
        sensors({ temperature: 4, timestamp: null }),
        sensors({ temperature: 5, timestamp: (T - SECOND) / 1000 }),
        sensors({ temperature: 6, timestamp: T - 2 * SECOND }),
      );
      assert.deepEqual(
        rows.readings.map(({ at }) => at - T),
        [0, 0, 0, 0, -SECOND, -2 * SECOND],
      );
    });

    it('more than five minutes ahead count at the time of receipt, more than a day ahead are refused', async () => {
      const { sensors, refused, backend } = await gateway(rows);
      await done(
        sensors({ temperature: 1, timestamp: iso(T + 5 * MINUTE) }),
        sensors({ temperature: 2, timestamp: iso(T + 5 * MINUTE + 1) }),
        sensors({ temperature: 3, timestamp: iso(T + DAY) }),
        sensors({ temperature: 4, timestamp: iso(T + DAY + 1) }),
      );
      assert.deepEqual(
        rows.readings.map(({ at }) => at - T),
        [5 * MINUTE, 0, 0],
      );
      assert.deepEqual(
        refused.map(({ code, pointer }) => [code, pointer]),
        [['timestamp_in_future', '/timestamp']],
      );
      assert.equal(backend.counters.clockSkew, 2);
    });

    it('that cannot be read are dead letters, whole, once over a lost connection', async () => {
      const { sensors, handle, refused, clock, backend } = await gateway(rows);
      await done(sensors('temperature=25'));
      clock.advance(SECOND);
      await done(sensors('temperature=25', { resumedAt: clock.now() }));
      await done(handle('data/else', '{}'));
      assert.deepEqual(
        rows.letters.map(({ protocol, code, payload }) => [protocol, code, String(payload)]),
        [
          ['device', 'invalid_json', 'temperature=25'],
          ['device', 'invalid_topic', '{}'],
        ],
      );
      assert.equal(refused.length, 2);
      assert.deepEqual(backend.counters.refused, { invalid_json: 1, invalid_topic: 1 });
      assert.deepEqual(
        rows.messages.map(({ outcome }) => outcome),
        ['refused', 'duplicate', 'refused'],
      );
    });

    it('of a topic whose device id no store could keep are dead letters', async () => {
      const { sensors, refused } = await gateway(rows);
      await done(sensors({ temperature: 1 }, { device: 'x'.repeat(256) }));
      assert.deepEqual(
        refused.map(({ code }) => code),
        ['invalid_topic'],
      );
    });

    it('can be read again from a dead letter, without a word on whether the device is there', async () => {
      const { backend, readings, liveness } = await gateway(rows);
      const letter = {
        protocol: 'device',
        topic: `devices/${DEVICE}/data/sensors`,
        code: 'schema_mismatch' as const,
        message: '',
        receivedAt: T - DAY,
      };
      const good = backend.replay({ ...letter, payload: Buffer.from('{"temperature":25}') });
      await rows.settle();
      assert.deepEqual(await good, { refusals: [] });
      assert.deepEqual([readings.length, liveness.length, rows.readings[0]?.at], [1, 0, T - DAY]);
      const bad = await backend.replay({ ...letter, payload: Buffer.from('{"temperature":"hot"}') });
      assert.deepEqual(
        bad.refusals.map(({ code }) => code),
        ['schema_mismatch'],
      );
      assert.equal(rows.letters.length, 0);
    });
  });

  describe('the same message twice', () => {
    it('is one row where it says its own time or number, whenever it comes again', async () => {
      const { sensors, readings, clock, backend } = await gateway(rows);
      const timed = { temperature: 25, timestamp: iso(T) };
      const numbered = { temperature: 25, message_id: 'a1' };
      const ahead = { temperature: 26, timestamp: iso(T + 10 * MINUTE) };
      await done(sensors(timed), sensors(numbered), sensors(ahead));
      clock.advance(MINUTE);
      await done(sensors(timed), sensors(numbered), sensors(ahead));
      const { sensors: again } = await gateway(rows, { clock });
      await done(again(timed), again(numbered), again(ahead));
      assert.equal(rows.readings.length, 3);
      assert.equal(readings.length, 3);
      assert.equal(backend.counters.duplicates, 3);
    });

    it('is one row where its clock was ahead by too much at first, and the second time no more', async () => {
      const { sensors, clock } = await gateway(rows);
      const ahead = { temperature: 26, timestamp: iso(T + 6 * MINUTE) };
      await done(sensors(ahead));
      clock.advance(2 * MINUTE);
      await done(sensors(ahead));
      assert.equal(rows.readings.length, 1);
    });

    it('is told from another one of the same time or number: nothing is lost', async () => {
      const { sensors } = await gateway(rows);
      await done(
        sensors({ temperature: 25, pond_position: 1, timestamp: iso(T) }),
        sensors({ temperature: 25, pond_position: 2, timestamp: iso(T) }),
        sensors({ ph: 7, pond_position: 1, timestamp: iso(T) }),
        sensors({ temperature: 25, message_id: 1 }),
        sensors({ temperature: 26, message_id: 1 }),
      );
      assert.equal(rows.readings.length, 5);
    });

    it('is two rows where it says neither, unless the connection was lost in between', async () => {
      const { sensors, clock, backend } = await gateway(rows);
      await done(sensors({ temperature: 25 }), sensors({ temperature: 25 }));
      assert.equal(rows.readings.length, 2);
      clock.advance(30 * SECOND);
      const resumedAt = clock.now();
      clock.advance(SECOND);
      for (let count = 0; count < 3; count += 1) await done(sensors({ temperature: 25 }, { resumedAt }));
      // Two of them may be repetitions; the third is one more than was ever sent.
      assert.equal(rows.readings.length, 3);
      assert.equal(backend.counters.duplicates, 2);
    });

    it('is no repetition where what is equal was received well before the connection was lost', async () => {
      const { sensors, heartbeat, clock } = await gateway(rows);
      await done(sensors({ temperature: 25 }));
      clock.advance(11 * SECOND);
      await done(heartbeat());
      clock.advance(30 * SECOND);
      await done(sensors({ temperature: 25 }, { resumedAt: clock.now() }));
      assert.equal(rows.readings.length, 2);
    });

    it('is known over a restart of the gateway', async () => {
      const first = await gateway(rows);
      void first.sensors({ temperature: 25 }).catch(() => {});
      await setImmediate();
      rows.kill({ committing: true });
      first.clock.advance(5 * SECOND);
      const second = await gateway(rows, { clock: first.clock });
      const resumedAt = first.clock.now();
      await done(second.sensors({ temperature: 25 }, { resumedAt }));
      assert.equal(rows.readings.length, 1);
      assert.equal(second.readings.length, 0);
    });

    it('that the broker retains is one row, at every start', async () => {
      const first = await gateway(rows);
      await done(first.sensors({ temperature: 25 }));
      first.clock.advance(DAY);
      const second = await gateway(rows, { clock: first.clock });
      await done(second.sensors({ temperature: 25 }, { retain: true }));
      assert.equal(rows.readings.length, 1);
      for (let start = 0; start < 2; start += 1) {
        second.clock.advance(DAY);
        await done(second.sensors('temperature=25', { retain: true }));
      }
      assert.equal(rows.letters.length, 1);
      await done(second.sensors({ temperature: 26 }, { retain: true }));
      assert.equal(rows.readings.length, 2);
    });

    it('is one row where the answer to its write was lost', async () => {
      const { sensors, readings } = await gateway(rows);
      const handled = sensors({ temperature: 25 });
      await setImmediate();
      await rows.stepAnsweringConflict();
      await done(handled);
      assert.deepEqual([rows.readings.length, readings.length], [1, 1]);
    });

    it('is one row where two gateways on one store have it both', async () => {
      const clock = fakeClock(T);
      const gateways = [await gateway(rows, { clock }), await gateway(rows, { clock })];
      const timed = { temperature: 25, timestamp: iso(T) };
      await done(...gateways.map(({ sensors }) => sensors(timed)));
      assert.equal(rows.readings.length, 1);
      assert.equal(gateways.flatMap(({ readings }) => readings).length, 1);
    });
  });

  describe('liveness', () => {
    const online = (records: { online: boolean }[]) => records.map((each) => each.online);

    it('a device is offline after three missed heartbeats of 30 s, and online with its next message', async () => {
      const { heartbeat, sensors, liveness, clock, backend } = await gateway(rows);
      await done(heartbeat());
      clock.advance(89 * SECOND);
      await rows.settle();
      assert.deepEqual(online(liveness), [true]);
      assert.deepEqual(backend.count(), { known: 1, online: 1 });
      clock.advance(SECOND);
      await rows.settle();
      assert.deepEqual(online(liveness), [true, false]);
      assert.equal(rows.devices.get(DEVICE)?.online, false);
      await done(sensors({ temperature: 25 }));
      assert.deepEqual(online(liveness), [true, false, true]);
    });

    it('its interval is learnt from its heartbeats, however often it sends readings', async () => {
      const { heartbeat, sensors, liveness, clock } = await gateway(rows);
      for (let beat = 0; beat < 6; beat += 1) {
        await done(heartbeat(), sensors({ temperature: 20 + beat }));
        clock.advance(SECOND);
        await done(sensors({ temperature: 30 + beat }));
        clock.advance(9 * SECOND);
      }
      assert.equal(rows.devices.get(DEVICE)?.intervalMs, 10 * SECOND);
      clock.advance(20 * SECOND);
      await rows.settle();
      clock.advance(SECOND);
      await rows.settle();
      assert.deepEqual(online(liveness), [true, false]);
    });

    it('a device without heartbeats is known by its readings, of two ponds too', async () => {
      const { sensors, liveness, clock } = await gateway(rows);
      for (let round = 0; round < 6; round += 1) {
        await done(sensors({ pond_position: 1, ph: 7 }), sensors({ pond_position: 2, ph: 7 }));
        clock.advance(60 * SECOND);
      }
      assert.equal(rows.devices.get(DEVICE)?.intervalMs, 60 * SECOND);
      assert.deepEqual(online(liveness), [true]);
    });

    it('what a device has kept while it was away does not shorten its interval', async () => {
      const { sensors, clock } = await gateway(rows);
      for (let round = 0; round < 4; round += 1) {
        await done(sensors({ ph: 7, timestamp: iso(clock.now()) }));
        clock.advance(60 * SECOND);
      }
      const kept = Array.from({ length: 10 }, (_, index) => clock.now() + index * 60 * SECOND);
      clock.advance(600 * SECOND);
      await done(...kept.map((at) => sensors({ ph: 7, timestamp: iso(at) })));
      assert.equal(rows.devices.get(DEVICE)?.intervalMs, 60 * SECOND);
    });

    it('the interval and the missed heartbeats can be set', async () => {
      const { heartbeat, liveness, clock } = await gateway(rows, {
        settings: { intervalMs: 5 * SECOND, missed: 2 },
      });
      await done(heartbeat());
      clock.advance(10 * SECOND);
      await rows.settle();
      assert.deepEqual(online(liveness), [true, false]);
    });

    it('the silence of a gateway that was off is not the device’s', async () => {
      const first = await gateway(rows);
      await done(first.heartbeat());
      first.clock.shift(DAY);
      const second = await gateway(rows, { clock: first.clock });
      first.clock.advance(89 * SECOND);
      await rows.settle();
      assert.deepEqual(second.liveness, []);
      await first.backend.close();
      first.clock.advance(SECOND);
      await rows.settle();
      assert.deepEqual(online(second.liveness), [false]);
    });

    it('what the broker has retained says nothing of now', async () => {
      const { heartbeat, startup, liveness, heartbeats, startups } = await gateway(rows);
      await done(heartbeat({}, { retain: true }), startup({}, { retain: true }));
      assert.deepEqual([liveness.length, heartbeats.length, startups.length], [0, 0, 1]);
    });

    it('one timer serves all devices', async () => {
      const { heartbeat, clock, backend } = await gateway(rows);
      await done(...Array.from({ length: 50 }, (_, index) => heartbeat({}, { device: `d${index}` })));
      assert.equal(clock.timers, 1);
      await backend.close();
      assert.equal(clock.timers, 0);
    });
  });

  describe('startups', () => {
    it('are told, and kept with the firmware version', async () => {
      const { startup, heartbeat, startups } = await gateway(rows);
      await done(startup({ firmware_version: '1.4.2', reason: 'power', timestamp: iso(T - SECOND) }));
      assert.deepEqual(
        startups.map((each) => each.kind === 'startup' && [each.at, each.firmwareVersion, each.reason]),
        [[T - SECOND, '1.4.2', 'power']],
      );
      await done(heartbeat({ firmware_version: '1.5.0' }));
      const { startedAt, firmwareVersion } = rows.devices.get(DEVICE) ?? {};
      assert.deepEqual([startedAt, firmwareVersion], [T - SECOND, '1.5.0']);
    });

    it('count once where they come again, and again where the device has started again', async () => {
      const { startup, startups, heartbeat, clock } = await gateway(rows);
      const untimed = { firmware_version: '1' };
      await done(startup(untimed));
      clock.advance(SECOND);
      await done(startup(untimed, { resumedAt: clock.now() }));
      assert.equal(startups.length, 1);
      clock.advance(60 * SECOND);
      await done(heartbeat());
      clock.advance(SECOND);
      await done(startup(untimed, { resumedAt: clock.now() }));
      assert.equal(startups.length, 2);
      const timed = { timestamp: iso(clock.now()) };
      await done(startup(timed), startup(timed));
      assert.equal(startups.length, 3);
      await done(startup({ timestamp: iso(T - MINUTE) }));
      assert.equal(startups.length, 3);
      assert.equal(rows.messages.at(-1)?.outcome, 'stale');
    });
  });

  describe('alerts', () => {
    const warm = { parameter: 'temperature', value: 33.5, threshold: 32 };
    const changes = (alerts: [string, unknown][]) => alerts.map(([change]) => change);

    it('are raised by a threshold message, updated while open, and cleared', async () => {
      const { threshold, alerts, clock } = await gateway(rows);
      await done(threshold({ ...warm, severity: 'WARNING', message: 'too warm' }));
      clock.advance(SECOND);
      await done(threshold({ ...warm, value: 35, severity: 'critical' }));
      clock.advance(SECOND);
      await done(threshold({ parameter: 'temperature', value: 30, cleared: true }));
      assert.deepEqual(changes(alerts), ['raised', 'updated', 'cleared']);
      assert.equal(rows.alerts.size, 1);
      assert.deepEqual(alerts[0]?.[1], {
        alertId: 'alert-1',
        device: DEVICE,
        position: null,
        parameter: 'temperature',
        value: 33.5,
        limit: 32,
        severity: 'warning',
        message: 'too warm',
        raisedAt: T,
        acknowledgedAt: null,
        acknowledgedBy: null,
        clearedAt: null,
      });
      const [, updated] = alerts[1] ?? [];
      assert.deepEqual(
        [updated?.value, updated?.severity, updated?.raisedAt, updated?.message],
        [35, 'critical', T, 'temperature is 35, limit 32'],
      );
      const [, cleared] = alerts[2] ?? [];
      assert.deepEqual([cleared?.value, cleared?.clearedAt], [30, T + 2 * SECOND]);
    });

    it('of another parameter or position are others; one that has cleared is raised anew', async () => {
      const { threshold, alerts, clock } = await gateway(rows);
      await done(
        threshold(warm),
        threshold({ ...warm, pond_position: 1 }),
        threshold({ ...warm, parameter: 'ph' }),
      );
      clock.advance(SECOND);
      await done(threshold({ parameter: 'ph', active: false }));
      clock.advance(SECOND);
      await done(threshold({ ...warm, parameter: 'ph' }));
      assert.deepEqual(changes(alerts), ['raised', 'raised', 'raised', 'cleared', 'raised']);
      assert.equal(rows.alerts.size, 4);
    });

    it('that are not open cannot be cleared; one that was raised before that and comes later is stale', async () => {
      const { threshold, alerts, backend } = await gateway(rows);
      await done(threshold({ parameter: 'ph', cleared: true, timestamp: iso(T) }));
      assert.deepEqual([alerts.length, rows.messages[0]?.outcome], [0, 'unmatched']);
      const [row] = rows.alerts.values();
      await assert.rejects(backend.acknowledge(row?.alertId ?? '', 'Mai'), { code: 'not_found' });
      await done(threshold({ parameter: 'ph', value: 9, timestamp: iso(T - SECOND) }));
      assert.deepEqual([alerts.length, rows.messages[1]?.outcome], [0, 'stale']);
      await done(threshold({ parameter: 'ph', value: 9, timestamp: iso(T + SECOND) }));
      assert.deepEqual(changes(alerts), ['raised']);
    });

    it('do not come back where their messages are sent again', async () => {
      for (const identified of [true, false]) {
        rows = modelDevices();
        const { threshold, alerts, clock } = await gateway(rows);
        const at = (offset: number) => (identified ? { timestamp: iso(T + offset) } : {});
        const sent = [
          { ...warm, ...at(0) },
          { ...warm, value: 34, ...at(SECOND) },
          { parameter: 'temperature', cleared: true, ...at(2 * SECOND) },
        ];
        for (const message of sent) {
          await done(threshold(message));
          clock.advance(SECOND);
        }
        const again = await gateway(rows, { clock, prefix: 'again' });
        const resumedAt = clock.now();
        for (const message of sent) {
          clock.advance(SECOND);
          await done(again.threshold(message, { resumedAt }));
        }
        assert.deepEqual(changes(alerts), ['raised', 'updated', 'cleared']);
        assert.deepEqual([again.alerts.length, rows.alerts.size], [0, 1]);
      }
    });

    it('are not touched by what comes too late, and not held up by a clock that was ahead', async () => {
      const { threshold, alerts } = await gateway(rows);
      await done(
        threshold({ ...warm, timestamp: iso(T + 4 * MINUTE) }),
        threshold({ ...warm, value: 40, timestamp: iso(T - MINUTE) }),
        threshold({ parameter: 'temperature', cleared: true, timestamp: iso(T) }),
      );
      assert.deepEqual(changes(alerts), ['raised', 'cleared']);
    });

    it('are acknowledged by a person once, open or cleared, and stay what they are', async () => {
      const { threshold, backend, alerts, clock } = await gateway(rows);
      await done(threshold(warm));
      clock.advance(SECOND);
      const first = backend.acknowledge('alert-1', ' Mai ');
      await rows.settle();
      const { acknowledgedAt, acknowledgedBy, clearedAt } = await first;
      assert.deepEqual([acknowledgedAt, acknowledgedBy, clearedAt], [T + SECOND, 'Mai', null]);
      const second = await backend.acknowledge('alert-1', 'Ben');
      assert.equal(second.acknowledgedBy, 'Mai');
      await done(threshold({ ...warm, value: 34 }), threshold({ parameter: 'temperature', cleared: true }));
      assert.deepEqual(changes(alerts), ['raised', 'acknowledged', 'updated', 'cleared']);
      assert.equal(rows.alerts.get('alert-1')?.acknowledgedBy, 'Mai');

      clock.advance(SECOND);
      await done(threshold(warm), threshold({ parameter: 'temperature', cleared: true }), threshold(warm));
      const old = backend.acknowledge('alert-2', 'Ben');
      await rows.settle();
      assert.equal((await old).acknowledgedBy, 'Ben');
      assert.equal(rows.alerts.get('alert-3')?.acknowledgedBy, null);
    });

    it('that are not there, or by nobody, cannot be acknowledged', async () => {
      const { threshold, backend } = await gateway(rows);
      await done(threshold(warm));
      await assert.rejects(backend.acknowledge('unknown', 'Mai'), { code: 'not_found' });
      for (const nobody of ['', ' ', 'x'.repeat(256)]) {
        await assert.rejects(backend.acknowledge('alert-1', nobody), { code: 'invalid_input' });
      }
    });

    it('are raised once where two gateways on one store have the message both', async () => {
      const clock = fakeClock(T);
      const gateways = [
        await gateway(rows, { clock, prefix: 'first' }),
        await gateway(rows, { clock, prefix: 'second' }),
      ];
      const timed = { ...warm, timestamp: iso(T) };
      await done(...gateways.map(({ threshold }) => threshold(timed)));
      assert.equal(rows.alerts.size, 1);
    });
  });

  it('are taken with a prefix before their topics', async () => {
    const { backend } = await gateway(rows, { settings: { prefix: 'farm/' } });
    assert.deepEqual(backend.filters, [
      'farm/devices/+/data/sensors',
      'farm/devices/+/data/heartbeat',
      'farm/devices/+/data/startup',
      'farm/devices/+/threshold',
    ]);
    const payload = Buffer.from('{}');
    await done(backend.handle({ topic: 'farm/devices/d/data/heartbeat', payload, receivedAt: T }));
    assert.equal(rows.devices.get('d')?.lastSeen, T);
  });

  it('are refused once the gateway is closed, which waits for what is under way', async () => {
    const { backend, heartbeat } = await gateway(rows);
    const under = heartbeat();
    await setImmediate();
    let closed = false;
    const closing = backend.close().then(() => {
      closed = true;
    });
    await setImmediate();
    assert.equal(closed, false);
    await done(under);
    await closing;
    await assert.rejects(heartbeat(), { code: 'link_closed' });
  });

  it('go on where one listener fails', async () => {
    const { backend, heartbeat } = await gateway(rows);
    const heard: string[] = [];
    backend.listen({
      heartbeat() {
        throw new Error('no');
      },
    });
    backend.listen({ heartbeat: ({ device }) => heard.push(device) });
    await done(heartbeat());
    assert.deepEqual(heard, [DEVICE]);
  });
});
