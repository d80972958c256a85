import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { compileUserSchema } from '../../lib/core/schema.js';
import type { RoastDriver } from '../../lib/roast/driver.js';
import { NO_NOTES, type Profile } from '../../lib/roast/profile.js';
import type { ServerMessage } from '../../lib/roast/protocol.js';
import {
  command,
  type FakeWatcher,
  type MachineBench,
  machineBench,
  settled,
} from '../support/roast-machine.js';

const folder = join(__dirname, '../../../schemas/roast');
const SCHEMAS = new Map(
  ['temperature', 'event', 'state', 'alarm', 'replay', 'control-ack', 'error', 'connection', 'gap'].map(
    (name) => [
      name.replace('-', '_'),
      compileUserSchema(JSON.parse(readFileSync(join(folder, `${name}.schema.json`), 'utf8')) as object),
    ],
  ),
);

/** Every message to clients is one that its schema describes. */
function described(messages: readonly ServerMessage[]): void {
  for (const message of messages) {
    const checked = SCHEMAS.get(message.type)?.(message);
    assert.ok(
      checked?.valid,
      `${JSON.stringify(message)}: ${checked?.valid === false ? checked.message : 'unknown'}`,
    );
  }
}

const profile: Profile = {
  title: 'Background',
  startedAt: null,
  unit: 'C',
  samples: Array.from({ length: 11 }, (_, index) => ({
    timeMs: index * 1000,
    bt: 100 + index * 10,
    et: 220,
  })),
  events: [],
  controls: [
    { timeMs: 2_000, channel: 'burner', value: 0.9, label: '' },
    { timeMs: 5_000, channel: 'burner', value: 0.4, label: '' },
  ],
  extraChannels: [],
  notes: NO_NOTES,
  greenG: null,
  roastedG: null,
  artisan: null,
};

async function start(bench: MachineBench, watcher: FakeWatcher): Promise<void> {
  await bench.say(watcher, command('start_monitoring'));
  await bench.say(watcher, command('start_recording'));
}

describe('a roasting machine', () => {
  it('tells a client its connection and its state first, then readings as they come', async () => {
    const bench = await machineBench();
    const one = bench.watch('one');
    assert.deepEqual(
      one.got.map(({ type }) => type),
      ['connection', 'state'],
    );
    await start(bench, one);
    await bench.read(150);
    await bench.read(151);
    const two = bench.watch('two');
    assert.equal(two.of('state')[0]?.state, 'recording');
    assert.equal(two.of('state')[0]?.lock, 'other');
    assert.deepEqual(
      one.of('temperature').map(({ bt }) => bt),
      [150, 151],
    );
    described([...one.got, ...two.got]);
  });

  it('lets one client control; the others stay readers until it has been gone for 10 s', async () => {
    const bench = await machineBench();
    const [one, two] = [bench.watch('one'), bench.watch('two')];
    await bench.say(one, command('start_monitoring'));
    for (const message of [
      command('start_recording'),
      command('mark_event', { event_type: 'FCs' }),
      command('reset'),
      { type: 'control', channel: 'burner', value: 0.5 },
    ]) {
      await bench.say(two, message);
    }
    assert.deepEqual(
      two.of('error').map(({ code }) => code),
      new Array(4).fill('SESSION_LOCKED'),
    );
    assert.equal(bench.machine.phase, 'monitoring');
    assert.deepEqual(bench.written, []);
    await bench.say(two, command('sync'));
    assert.equal(two.of('error').length, 4, 'to read needs no lock');

    bench.machine.leave(one.client as never);
    bench.clock.advance(9_999);
    await bench.say(two, command('reset'));
    assert.equal(bench.machine.phase, 'monitoring');
    bench.clock.advance(1);
    await bench.say(two, command('reset'));
    assert.equal(bench.machine.phase, 'idle');
  });

  it('keeps the lock for a client that is back within 10 s, and for one that has another window open', async () => {
    const bench = await machineBench();
    const [window, second, other] = [bench.watch('one'), bench.watch('one'), bench.watch('two')];
    await bench.say(window, command('start_monitoring'));
    bench.machine.leave(window.client as never);
    bench.clock.advance(60_000);
    await bench.say(other, command('reset'));
    assert.equal(bench.machine.phase, 'monitoring', 'its second window is still there');
    bench.machine.leave(second.client as never);
    bench.clock.advance(5_000);
    bench.watch('one');
    bench.clock.advance(60_000);
    await bench.say(other, command('reset'));
    assert.equal(bench.machine.phase, 'monitoring');
  });

  it('says of each control what became of it', async () => {
    const bench = await machineBench();
    const one = bench.watch('one');
    await start(bench, one);
    await bench.say(one, { type: 'control', channel: 'burner', value: 0.7 });
    await bench.say(one, { type: 'control', channel: 'burner', value: 1.01 });
    await bench.say(one, { type: 'control', channel: 'burner', value: -0.1 });
    await bench.say(one, { type: 'control', channel: 'lid', value: 0.5 });
    assert.deepEqual(bench.written, [['burner', 0.7]]);
    assert.deepEqual(
      one.of('control_ack').map(({ channel, value, applied }) => [channel, value, applied]),
      [
        ['burner', 0.7, true],
        ['burner', 1.01, false],
        ['burner', -0.1, false],
        ['lid', 0.5, false],
      ],
    );
    assert.match(one.of('control_ack')[1]?.message ?? '', /accepted is 0 to 1/);
    assert.match(one.of('control_ack')[3]?.message ?? '', /accepted is burner, airflow, fan/);
    assert.deepEqual(bench.machine.recording?.controls, [{ timeMs: 0, channel: 'burner', value: 0.7 }]);
    described(one.got);
  });

  it('writes only the newest value while the driver is slow, and answers each with what was applied', async () => {
    const writes: { value: number; finish(): void }[] = [];
    const bench = await machineBench({
      driver: (flow) => ({
        ...flow,
        write: (_channel, value) =>
          new Promise((resolve) => writes.push({ value, finish: () => resolve(value) })),
      }),
    });
    const one = bench.watch('one');
    for (const value of [0.1, 0.2, 0.3, 0.4])
      await bench.say(one, { type: 'control', channel: 'burner', value });
    assert.deepEqual(
      writes.map(({ value }) => value),
      [0.1],
    );
    writes[0]?.finish();
    await settled();
    assert.deepEqual(
      writes.map(({ value }) => value),
      [0.1, 0.4],
    );
    writes[1]?.finish();
    await settled();
    assert.deepEqual(
      one.of('control_ack').map(({ value, applied }) => [value, applied]),
      [
        [0.1, true],
        [0.4, true],
        [0.4, true],
        [0.4, true],
      ],
    );
  });

  it('says DRIVER_WRITE_FAILED where the driver throws or hangs, and goes on', async () => {
    let behaviour: 'throw' | 'hang' | 'work' = 'throw';
    const bench = await machineBench({
      driver: (flow) => ({
        ...flow,
        write(_channel, value) {
          if (behaviour === 'throw') throw new Error('no such register');
          return behaviour === 'hang' ? new Promise(() => {}) : Promise.resolve(value);
        },
      }),
    });
    const one = bench.watch('one');
    const set = { type: 'control', channel: 'burner', value: 0.5 };
    await bench.say(one, set);
    behaviour = 'hang';
    await bench.say(one, set);
    bench.clock.advance(2_000);
    await settled();
    behaviour = 'work';
    await bench.say(one, set);
    assert.deepEqual(
      one.of('control_ack').map(({ applied }) => applied),
      [false, false, true],
    );
    assert.deepEqual(
      one.of('error').map(({ code }) => code),
      ['DRIVER_WRITE_FAILED', 'DRIVER_WRITE_FAILED'],
    );
    described(one.got);
  });

  it('says DRIVER_READ_FAILED once in a run of more than 5 s without a reading, and again in the next', async () => {
    const bench = await machineBench();
    const one = bench.watch('one');
    await start(bench, one);
    for (let second = 0; second < 5; second += 1) await bench.read(null, null);
    assert.deepEqual(one.of('error'), []);
    for (let second = 0; second < 60; second += 1) await bench.read(null, null);
    assert.deepEqual(
      one.of('error').map(({ code, recoverable }) => [code, recoverable]),
      [['DRIVER_READ_FAILED', true]],
    );
    await bench.read(150);
    for (let second = 0; second < 10; second += 1) await bench.read(null, null);
    assert.equal(one.of('error').length, 2);
    assert.equal(one.of('temperature').length, 1, 'what is missing is not shown');
  });

  it('says once that one probe of two gives nothing, and shows what the other gives', async () => {
    const bench = await machineBench();
    const one = bench.watch('one');
    await start(bench, one);
    await bench.read(150, 200);
    for (let second = 0; second < 30; second += 1) await bench.read(150 + second, null);
    const told = () => one.of('error').map(({ code, message }) => [code, message]);
    const et = ['DRIVER_READ_FAILED', 'et: no reading for 5 s'];
    assert.deepEqual(told(), [et]);
    assert.equal(one.of('temperature').length, 31);
    for (let second = 0; second < 30; second += 1) await bench.read(null, null);
    assert.deepEqual(told().slice(1), [['DRIVER_READ_FAILED', 'no reading for 5 s']]);
    await bench.read(180, 200);
    for (let second = 0; second < 30; second += 1) await bench.read(null, 200);
    assert.deepEqual(told().slice(2), [['DRIVER_READ_FAILED', 'bt: no reading for 5 s']]);
    described(one.got);
  });

  it('misses no probe that is not there', async () => {
    const bench = await machineBench();
    const one = bench.watch('one');
    await start(bench, one);
    for (let second = 0; second < 60; second += 1) await bench.read(150 + second, null);
    assert.deepEqual(one.of('error'), []);
  });

  it('reads on after a driver that hangs, fails or will not connect, with backoff', async () => {
    let attempts = 0;
    let mode: 'refuse' | 'hang' | 'fail' | 'work' = 'refuse';
    let bt = 100;
    const bench: MachineBench = await machineBench({
      driver: (flow): RoastDriver => ({
        ...flow,
        pace: 'asked',
        async connect() {
          attempts += 1;
          if (mode === 'refuse') throw new Error('no such port');
        },
        read() {
          if (mode === 'hang') return new Promise(() => {});
          if (mode === 'fail') throw new Error('timeout reading BT register');
          bt += 1;
          return Promise.resolve({ takenMs: bench.clock.now() - begun, bt, et: 200, extra: {} });
        },
      }),
    });
    const begun = bench.clock.now() - 5_000;
    const one = bench.watch('one');
    const wait = async (seconds: number) => {
      for (let step = 0; step < seconds * 10; step += 1) {
        one.client?.alive();
        bench.clock.advance(100);
        await settled();
      }
    };
    await wait(60);
    assert.ok(attempts >= 4 && attempts <= 8, `${attempts} attempts in a minute`);
    mode = 'work';
    await wait(45);
    assert.equal(bench.machine.driverState.state, 'connected');
    await start(bench, one);
    await wait(10);
    const before = one.of('temperature').length;
    assert.ok(before >= 9, `${before} readings`);
    for (const trouble of ['hang', 'fail'] as const) {
      const told = one.of('error').length;
      mode = trouble;
      await wait(20);
      assert.equal(one.of('error').length, told + 1, `one error for the whole of ${trouble}`);
      const stopped = one.of('temperature').length;
      mode = 'work';
      await wait(45);
      assert.ok(one.of('temperature').length > stopped, `it reads on after ${trouble}`);
    }
    assert.equal(bench.machine.phase, 'recording');
    described(one.got);
  });

  it('is not held up by the driver of another machine', async () => {
    const hanging = await machineBench({
      driver: (flow) => ({
        ...flow,
        pace: 'asked',
        connect: () => new Promise(() => {}),
        disconnect: () => new Promise(() => {}),
      }),
    });
    const other = await machineBench({ clock: hanging.clock });
    const one = other.watch('one');
    await start(other, one);
    hanging.machine.act('start_monitoring');
    for (let reading = 0; reading < 30; reading += 1) await other.read(150 + reading);
    assert.equal(one.of('temperature').length, 30);
  });

  it('refuses bad messages to their sender alone, and nothing changes', async () => {
    const bench = await machineBench();
    const [one, two] = [bench.watch('one'), bench.watch('two')];
    await start(bench, one);
    const before = two.got.length;
    for (const bad of ['', '{', '[]', '{"type":"command"}', '{"type":"control","channel":"burner"}']) {
      await bench.say(one, bad);
    }
    assert.deepEqual(
      one.of('error').map(({ code }) => code),
      new Array(5).fill('INVALID_MESSAGE'),
    );
    assert.equal(two.got.length, before);
    await bench.say(one, command('start_monitoring'));
    assert.equal(one.of('error').at(-1)?.code, 'INVALID_STATE_TRANSITION');
    assert.equal(bench.machine.phase, 'recording');
  });

  it('never throws and never ends its session by what a client sends', async () => {
    const bench = await machineBench();
    const one = bench.watch('one');
    await start(bench, one);
    fc.assert(
      fc.property(
        fc.oneof(
          fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
          fc.json().map((text) => Buffer.from(text)),
          fc
            .record({
              type: fc.constantFrom('control', 'command', 'replay_control', 'x'),
              action: fc.constantFrom(
                'mark_event',
                'sync',
                'start',
                'seek',
                'pause',
                'start_recording',
                1,
                null,
              ),
              event_type: fc.constantFrom('FCs', 'DROP', 'x', {}),
              channel: fc.oneof(fc.string(), fc.integer()),
              value: fc.oneof(fc.double(), fc.string()),
              last_timestamp_ms: fc.oneof(fc.double(), fc.string(), fc.constant(null)),
              profile_id: fc.string(),
              position_ms: fc.double(),
            })
            .map((message) => Buffer.from(JSON.stringify(message))),
        ),
        (bytes) => {
          bench.machine.hear(one.client as never, bytes);
          assert.equal(bench.machine.phase, 'recording');
        },
      ),
      { numRuns: 2_000 },
    );
    await settled();
    await bench.read(150);
    assert.equal(one.of('temperature').at(-1)?.bt, 150);
    described(one.got);
  });

  it('goes on recording after a restart, with the gap shown and no reading missing', async () => {
    const first = await machineBench();
    const one = first.watch('one');
    await start(first, one);
    for (let reading = 0; reading < 30; reading += 1) await first.read(150 + reading / 10);
    await first.say(one, command('mark_event', { event_type: 'FCs' }));
    await first.say(one, { type: 'control', channel: 'burner', value: 0.3 });
    const second = await first.restart(20_000);
    assert.equal(second.machine.phase, 'recording');
    assert.equal(second.machine.sessionId, first.machine.sessionId);
    assert.deepEqual(second.machine.controlValues, { burner: 0.3 });
    const back = second.watch('one');
    await second.say(
      back,
      command('sync', { last_timestamp_ms: 28_000, session_id: second.machine.sessionId }),
    );
    await second.read(160);
    assert.deepEqual(
      back.got
        .map((message) => [message.type, 'timestamp_ms' in message ? message.timestamp_ms : undefined])
        .slice(2),
      [
        ['temperature', 29_000],
        ['temperature', 30_000],
        ['event', 30_000],
        ['gap', undefined],
        ['temperature', 51_000],
      ],
    );
    assert.deepEqual(back.of('gap')[0], {
      ...{ type: 'gap', from_timestamp_ms: 30_000, to_timestamp_ms: 50_000, reason: 'restart' },
    });
    assert.equal(second.machine.recording?.points.length, 31);
    await second.say(back, command('stop_recording'));
    const third = await second.restart(5_000);
    assert.deepEqual([third.machine.phase, third.machine.timeMs], ['finished', 51_000]);
    assert.equal(third.machine.recording?.points.length, 31);
    described(back.got);
  });

  it('goes on monitoring after a restart', async () => {
    const first = await machineBench();
    await first.say(first.watch('one'), command('start_monitoring'));
    await first.read(150);
    const second = await first.restart(5_000);
    const one = second.watch('one');
    await second.read(151);
    second.clock.advance(300);
    assert.deepEqual(
      one.of('temperature').map(({ timestamp_ms }) => timestamp_ms),
      [7_000],
    );
  });

  it('replays a profile: shows it, and writes nothing unless it is asked to and holds the lock', async () => {
    const bench = await machineBench({ profiles: { p: profile } });
    const [holder, reader] = [bench.watch('one'), bench.watch('two')];
    await start(bench, holder);
    const replay = (more: object) => ({ type: 'replay_control', action: 'start', profile_id: 'p', ...more });
    const through = async (ms: number) => {
      for (let step = 0; step < ms / 100; step += 1) {
        bench.clock.advance(100);
        await settled();
      }
    };
    await bench.say(reader, replay({ speed: 2 }));
    await bench.say(holder, replay({}));
    await through(11_000);
    assert.deepEqual(bench.written, []);
    assert.deepEqual(
      reader.of('replay').map(({ timestamp_ms }) => timestamp_ms),
      profile.samples.map(({ timeMs }) => timeMs),
    );
    assert.deepEqual(holder.of('replay').length, 11);
    assert.deepEqual(holder.of('replay')[6]?.controls, { burner: 0.4 });
    assert.equal(holder.of('replay').at(-1)?.progress_pct, 100);

    await bench.say(reader, replay({ actuate: true }));
    assert.ok(reader.of('error').some(({ code }) => code === 'SESSION_LOCKED'));
    await through(11_000);
    assert.deepEqual(bench.written, []);

    await bench.say(holder, replay({ actuate: true, speed: 10 }));
    await through(1_500);
    assert.deepEqual(bench.written, [
      ['burner', 0.9],
      ['burner', 0.4],
    ]);
    described([...holder.got, ...reader.got]);
  });

  it('pauses, resumes, seeks and stops a replay, and refuses what does not fit', async () => {
    const bench = await machineBench({ profiles: { p: profile } });
    const one = bench.watch('one');
    const say = (action: string, more: object = {}) =>
      bench.say(one, { type: 'replay_control', action, ...more });
    const through = async (ms: number) => {
      for (let step = 0; step < ms / 100; step += 1) {
        bench.clock.advance(100);
        await settled();
      }
    };
    const seen = () => one.of('replay').map(({ timestamp_ms }) => timestamp_ms);
    await say('pause');
    await say('start', { profile_id: 'none' });
    assert.deepEqual(
      one.of('error').map(({ code }) => code),
      ['INVALID_STATE_TRANSITION', 'INVALID_MESSAGE'],
    );
    await say('start', { profile_id: 'p' });
    await through(2_500);
    await say('pause');
    await through(5_000);
    assert.deepEqual(seen(), [0, 1_000, 2_000]);
    await say('pause');
    assert.equal(one.of('error').at(-1)?.code, 'INVALID_STATE_TRANSITION');
    await say('resume', { speed: 2 });
    await through(500);
    assert.deepEqual(seen().slice(3), [3_000]);
    await say('seek', { position_ms: 8_000 });
    await through(600);
    assert.deepEqual(seen().slice(4), [8_000, 9_000]);
    await say('stop');
    await through(5_000);
    assert.equal(seen().length, 6);
  });

  it('moves controls by the bean temperature after TP, each crossing once', async () => {
    const bench = await machineBench({ profiles: { p: profile } });
    const one = bench.watch('one');
    await start(bench, one);
    await bench.say(one, {
      type: 'replay_control',
      action: 'start',
      profile_id: 'p',
      by: 'bt',
      actuate: true,
    });
    for (const bt of [140, 160, 130]) await bench.read(bt);
    assert.deepEqual(bench.written, [], 'not before TP');
    await bench.say(one, command('mark_event', { event_type: 'TP' }));
    for (const bt of [110, 118, 121, 119, 122, 149, 148, 151, 149, 152]) await bench.read(bt);
    assert.deepEqual(bench.written, [
      ['burner', 0.9],
      ['burner', 0.4],
    ]);
    assert.deepEqual(
      one.of('replay').map(({ bt }) => bt),
      [110, 120, 140, 150],
    );
  });

  it('fires alarms, and does what they ask for explicitly', async () => {
    const bench = await machineBench({
      config: {
        alarms: [
          {
            id: 'high_bt',
            when: { source: 'bt', above: 200 },
            severity: 'critical',
            hysteresis: 5,
            set_control: { channel: 'burner', value: 0 },
          },
          { id: 'crack', when: { source: 'bt', above: 195 }, mark_event: 'FCs' },
          { id: 'late', when: { source: 'time', event: 'FCs', above: 3 }, message: 'time to drop' },
        ],
      },
    });
    const one = bench.watch('one');
    await start(bench, one);
    for (const bt of [190, 196, 199, 201, 202, 203, 194, 201]) await bench.read(bt);
    assert.deepEqual(
      one.of('alarm').map(({ alarm_id, bt }) => [alarm_id, bt]),
      [
        ['crack', 196],
        ['high_bt', 201],
        ['late', 202],
        ['high_bt', 201],
      ],
    );
    assert.deepEqual(bench.written, [
      ['burner', 0],
      ['burner', 0],
    ]);
    const [event] = one.of('event');
    assert.deepEqual([event?.event_type, event?.timestamp_ms], ['FCs', 2_000]);
    described(one.got);
  });

  it('gives a client that reads slowly what it missed once it has caught up', async () => {
    const bench = await machineBench();
    const one = bench.watch('one');
    await start(bench, one);
    one.bufferedAmount = 300 * 1024;
    for (let reading = 0; reading < 20; reading += 1) await bench.read(150 + reading);
    assert.equal(one.of('temperature').length, 0);
    one.bufferedAmount = 0;
    await bench.read(180);
    assert.equal(one.of('temperature').length, 21);
    one.bufferedAmount = 300 * 1024;
    for (let reading = 0; reading < 100; reading += 1) {
      one.client?.alive();
      await bench.read(150);
    }
    one.bufferedAmount = 0;
    await bench.read(181);
    assert.deepEqual(
      one.of('gap').map(({ from_timestamp_ms, to_timestamp_ms }) => [from_timestamp_ms, to_timestamp_ms]),
      [[21_000, 62_000]],
    );
    assert.equal(one.of('temperature').length, 82);
  });

  it('closes a client that answers no ping', async () => {
    const bench = await machineBench();
    const [silent, lively] = [bench.watch('one'), bench.watch('two')];
    for (let minute = 0; minute < 4; minute += 1) {
      bench.clock.advance(30_000);
      lively.client?.alive();
    }
    assert.equal(silent.closed, 1006);
    assert.equal(lively.closed, undefined);
  });

  it('goes on while the database does not answer', async () => {
    const bench = await machineBench();
    const one = bench.watch('one');
    await bench.say(one, command('start_monitoring'));
    const { store } = bench.memory;
    for (const name of ['beginSession', 'addPoint', 'addEvent'] as const) {
      store[name] = () => new Promise(() => {});
    }
    await bench.say(one, command('start_recording'));
    await bench.read(150);
    await bench.read(151);
    assert.equal(one.of('state').at(-1)?.state, 'recording');
    assert.deepEqual(
      one.of('temperature').map(({ bt }) => bt),
      [150, 151],
    );
  });
});
