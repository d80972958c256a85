import assert from 'node:assert/strict';
import type { RoastConnectionState, RoastMessage } from '../../client/roast-connection.js';
import { RoastPage } from '../../client/roast-page.js';
import type { RoastView } from '../../client/roast-view.js';
import type { AlarmWire, MachineWire, SessionWire } from '../../client/roast-wire.js';
import { fakeClock } from '../support/fake-clock.js';
import { type Answer, type Asked, apiOf, settled } from '../support/fake-gateway.js';

const machine = (part: Partial<MachineWire> = {}): MachineWire => ({
  ...{ id: 'm1', name: 'Drum', driver: 'flow', sampling_interval_ms: 1000, config: {} },
  ...{ driver_state: 'connected', driver_name: 'Flow', driver_message: '' },
  ...{ channels: ['burner', 'drop'], state: 'idle', session_id: null },
  ...part,
});
const NO_SESSION: SessionWire = {
  ...{ state: 'idle', session_id: null, started_at: null, timestamp_ms: 0 },
  ...{ events: [], temperatures: [], control_values: {}, alarms: [] },
};
const reading = (timestamp_ms: number, bt: number | null = 100) => ({
  ...{ type: 'temperature', timestamp_ms, bt, et: 200, bt_ror: 8, et_ror: 4, extra_channels: {} },
});
const marked = (event_type: string, timestamp_ms: number, number = 1) => ({
  ...{ type: 'event', event_type, timestamp_ms, auto_detected: true, bt_at_event: 200, et_at_event: 210 },
  ...{ detected_at_ms: timestamp_ms, number, supersedes: null },
});
const stated = (state: string, session_id: string | null, lock = 'free') => ({
  ...{ type: 'state', state, previous_state: 'idle', session_id, lock },
});

/** The page before a gateway that answers as the test says. */
async function openPage(
  options: { machines?: MachineWire[]; answer?: (asked: Asked) => Answer | undefined } = {},
) {
  const { machines = [machine()] } = options;
  const clock = fakeClock();
  const asked: Asked[] = [];
  const sent: RoastMessage[] = [];
  const heard: string[] = [];
  const files: { name: string; content: string }[] = [];
  const kept = new Map<string, string>();
  const feed: { machineId: string; tell(message: object): void; link(state: RoastConnectionState): void }[] =
    [];
  const state = { live: true, session: NO_SESSION };
  let view: RoastView | undefined;
  const page = new RoastPage({
    api: apiOf((one) => {
      asked.push(one);
      const own = options.answer?.(one);
      if (own !== undefined) return own;
      if (one.path.endsWith('/session')) return { body: state.session };
      if (one.path === 'api/machines') return { body: { items: machines, next_cursor: null } };
      if (one.path.startsWith('api/profiles?')) return { body: { items: [], next_cursor: null } };
      return { body: {} };
    }),
    clock,
    openFeed: (machineId, { onMessage, onState }) => {
      onState({ kind: 'connecting' });
      feed.push({
        machineId,
        tell: (message) => onMessage(message as RoastMessage),
        link: onState,
      });
      return {
        send(message) {
          if (state.live) sent.push(message);
          return state.live;
        },
        resume() {},
        close() {},
      };
    },
    preferences: {
      getItem: (key) => kept.get(key) ?? null,
      setItem: (key, value) => void kept.set(key, value),
    },
    show: (shown) => {
      view = shown;
    },
    visible: () => true,
    sound: (severity) => heard.push(severity),
    keepFile: (name, content) => files.push({ name, content }),
  });
  await settled();
  const now = () => {
    clock.advance(100);
    if (view === undefined) throw new Error('nothing is shown');
    return view;
  };
  const last = () => feed.at(-1) as (typeof feed)[number];
  const roaster = () => {
    const shown = now().roaster;
    if (shown === undefined) throw new Error('no roaster is shown');
    return shown;
  };
  /** The feed is there and says these. */
  const live = async (...messages: object[]) => {
    last().link({ kind: 'live' });
    for (const message of messages) last().tell(message);
    await settled();
  };
  return { page, clock, asked, sent, heard, files, kept, feed, state, now, roaster, live, last };
}
type Opened = Awaited<ReturnType<typeof openPage>>;
const figure = ({ roaster }: Opened, key: string) =>
  roaster().figures.find((each) => each.key === key)?.value;
const control = ({ roaster }: Opened, channel: string) =>
  roaster().controls.find((each) => each.channel === channel);

describe('the logic of the page Roast', () => {
  it('asks for a login where reading wants one, and goes on after it', async () => {
    let refused = true;
    const opened = await openPage({
      answer: ({ path }) => {
        if (path === 'api/token/') return { body: { access: 'a', refresh: 'r' } };
        return refused && path.startsWith('api/machines') ? { status: 401, body: {} } : undefined;
      },
    });
    assert.equal(opened.now().phase, 'login');
    refused = false;
    await opened.page.login('ann', 'secret');
    await settled();
    assert.deepEqual([opened.now().phase, opened.now().username], ['ready', 'ann']);
    opened.page.close();
  });

  it('keeps nothing for somebody else who logs in', async () => {
    let reader = '';
    const opened = await openPage({
      answer: ({ path, body }) => {
        if (path === 'api/token/') {
          reader = (body as { username: string }).username;
          return { body: { access: 'a', refresh: 'r' } };
        }
        if (path === 'api/token/refresh/') return { status: 401, body: {} };
        if (!path.startsWith('api/machines')) return undefined;
        return reader === 'ann' ? undefined : { status: 401, body: {} };
      },
    });
    await opened.page.login('ann', 'secret');
    await settled();
    assert.equal(opened.now().machines.length, 1);
    reader = '';
    opened.clock.advance(10_000);
    await settled();
    await opened.page.login('bob', 'secret');
    assert.deepEqual([opened.now().username, opened.now().machines], ['bob', []]);
    opened.page.close();
  });

  it('says that there is no roaster, and follows the first one as soon as there is one', async () => {
    const machines: MachineWire[] = [];
    const opened = await openPage({ machines });
    assert.equal(opened.now().phase, 'empty');
    machines.push(machine());
    opened.clock.advance(1000);
    await settled();
    assert.equal(opened.now().phase, 'ready');
    assert.deepEqual(
      opened.feed.map(({ machineId }) => machineId),
      ['m1'],
    );
    opened.page.close();
  });

  it('leads from step to step', async () => {
    const opened = await openPage();
    const primary = () => opened.roaster().primary?.action;
    await opened.live({ type: 'connection', driver_state: 'disconnected', driver_name: 'Flow', message: '' });
    assert.equal(primary(), 'connect');
    opened.last().tell({ type: 'connection', driver_state: 'connected', driver_name: 'Flow', message: '' });
    assert.equal(primary(), 'start_monitoring');
    opened.page.act('start_monitoring');
    assert.equal(opened.roaster().primary?.pending, true);
    opened.last().tell(stated('monitoring', 's1', 'yours'));
    assert.deepEqual([primary(), opened.roaster().primary?.pending], ['start_recording', false]);
    opened.last().tell(stated('recording', 's2', 'yours'));
    assert.equal(primary(), 'stop_recording');
    opened.last().tell(stated('finished', 's2', 'yours'));
    assert.deepEqual([primary(), opened.roaster().unsaved], ['save', true]);
    assert.deepEqual(opened.sent, [{ type: 'command', action: 'start_monitoring' }]);
    opened.page.close();
  });

  it('shows the figures of a roast, the time from CHARGE on until DROP', async () => {
    const opened = await openPage();
    await opened.live(stated('recording', 's1'), reading(1000));
    assert.equal(opened.roaster().figures[3]?.label, 'Waiting for CHARGE');
    opened.last().tell(marked('CHARGE', 30_000));
    opened.last().tell(reading(95_000, 120.44));
    assert.deepEqual(
      ['bt', 'et', 'ror', 'time', 'development'].map((key) => figure(opened, key)),
      ['120.4', '200.0', '8.0', '1:05', '–'],
    );
    opened.clock.advance(3000);
    // It is drawn anew each second.
    assert.match(figure(opened, 'time') ?? '', /^1:0[78]$/);
    opened.last().tell(marked('FCs', 530_000, 2));
    opened.last().tell(reading(630_000, 210));
    assert.equal(figure(opened, 'development'), '16.7 %');
    opened.last().tell(marked('DROP', 630_000, 3));
    opened.last().tell(reading(700_000, 120));
    assert.equal(figure(opened, 'time'), '10:00');
    opened.page.showIn('F');
    assert.deepEqual([figure(opened, 'bt'), figure(opened, 'ror')], ['248.0', '14.4']);
    assert.match([...opened.kept.values()][0] ?? '', /"unit":"F"/);
    opened.page.close();
  });

  it('takes the whole recording from REST, and what came live meanwhile after it', async () => {
    const opened = await openPage();
    opened.state.session = {
      ...NO_SESSION,
      ...{ state: 'recording', session_id: 's1', timestamp_ms: 3000 },
      events: [marked('CHARGE', 1000) as never],
      temperatures: [1000, 2000, 3000].map((at) => reading(at)),
      control_values: { burner: 0.7 },
      alarms: [{ alarm_id: 'a', message: 'before', severity: 'warning', timestamp_ms: 500 }],
    };
    await opened.live(stated('recording', 's1'), reading(3000), reading(4000));
    assert.deepEqual(opened.roaster().chart.trace.times, [1000, 2000, 3000, 4000]);
    assert.equal(opened.roaster().events.find(({ type }) => type === 'CHARGE')?.time, '0:00');
    assert.equal(control(opened, 'burner')?.applied, '70 %');
    // It is not heard again, but shown until it is dismissed.
    assert.deepEqual([opened.heard, opened.roaster().alarms.length], [[], 1]);
    const [alarm] = opened.roaster().alarms;
    if (alarm !== undefined) opened.page.dismiss(alarm.alarm);
    assert.deepEqual([opened.roaster().alarms.length, opened.roaster().alarmLog.length], [0, 1]);
    opened.last().tell({ type: 'gap', from_timestamp_ms: 0, to_timestamp_ms: 1, reason: 'buffer' });
    await settled();
    assert.deepEqual([opened.roaster().alarms.length, opened.roaster().alarmLog.length], [0, 1]);
    opened.page.close();
  });

  it('asks for the recording again where it could not be had, and after a gap of the live feed', async () => {
    let down = true;
    const opened = await openPage({
      answer: ({ path }) => (down && path.endsWith('/session') ? { status: 503, body: {} } : undefined),
    });
    await opened.live(stated('recording', 's1'));
    assert.equal(opened.roaster().loading, true);
    down = false;
    opened.state.session = { ...NO_SESSION, session_id: 's1', temperatures: [reading(1000)] };
    opened.clock.advance(2000);
    await settled();
    assert.deepEqual([opened.roaster().loading, opened.roaster().chart.trace.times.length], [false, 1]);
    opened.state.session = { ...opened.state.session, temperatures: [reading(1000), reading(2000)] };
    opened.last().tell({ type: 'gap', from_timestamp_ms: 1000, to_timestamp_ms: 2000, reason: 'buffer' });
    await settled();
    assert.equal(opened.roaster().chart.trace.times.length, 2);
    opened.page.close();
  });

  it('begins a new curve with a new session', async () => {
    const opened = await openPage();
    await opened.live(stated('monitoring', 's1'), reading(5000));
    const before = opened.roaster().chart.trace;
    opened.last().tell(stated('recording', 's2'));
    await settled();
    assert.notEqual(opened.roaster().chart.trace, before);
    assert.deepEqual(opened.roaster().chart.trace.times, []);
    opened.page.close();
  });

  it('shows what a control was really set to, and why not', async () => {
    const opened = await openPage();
    await opened.live(stated('recording', 's1', 'yours'));
    opened.page.setControl('burner', 0.8);
    assert.deepEqual([control(opened, 'burner')?.wanted, control(opened, 'burner')?.position], ['80 %', 80]);
    opened.last().tell({ type: 'control_ack', channel: 'burner', value: 0.78, applied: true, message: '' });
    assert.deepEqual([control(opened, 'burner')?.applied, control(opened, 'burner')?.wanted], ['78 %', '']);
    opened.page.setControl('burner', 0.9);
    opened.last().tell({
      ...{ type: 'control_ack', channel: 'burner', value: 0.9, applied: false, message: 'no flame' },
    });
    assert.deepEqual(
      [control(opened, 'burner')?.applied, control(opened, 'burner')?.problem],
      ['78 %', 'no flame'],
    );
    opened.page.close();
  });

  it('sends what a slider passes over at a pace, the last value surely', async () => {
    const opened = await openPage();
    await opened.live(stated('recording', 's1', 'yours'));
    for (let value = 1; value <= 50; value += 1) {
      opened.page.setControl('burner', value / 100);
      opened.clock.advance(10);
    }
    opened.clock.advance(1000);
    const values = opened.sent.map(({ value }) => value);
    assert.ok(values.length < 10, `${values.length} messages`);
    assert.equal(values.at(-1), 0.5);
    opened.page.close();
  });

  it('says that nothing was sent while it is not connected, and gives up what was not answered', async () => {
    const opened = await openPage();
    await opened.live(stated('recording', 's1', 'yours'));
    opened.page.setControl('burner', 0.5);
    opened.clock.advance(5000);
    assert.match(control(opened, 'burner')?.problem ?? '', /has not answered/);
    opened.state.live = false;
    opened.page.mark('FCs');
    assert.match(opened.roaster().notice?.message ?? '', /nothing was sent/);
    opened.page.setControl('burner', 0.6);
    assert.match(control(opened, 'burner')?.problem ?? '', /nothing was sent/);
    opened.page.close();
  });

  it('looks on while somebody else controls, and may control when they are gone', async () => {
    const opened = await openPage();
    await opened.live(stated('recording', 's1', 'free'));
    opened.page.setControl('burner', 0.5);
    opened
      .last()
      .tell({ type: 'error', code: 'SESSION_LOCKED', message: 'another client', recoverable: true });
    assert.deepEqual(
      [opened.roaster().lock.look, opened.roaster().controllable, opened.roaster().notice?.code],
      ['other', false, 'SESSION_LOCKED'],
    );
    const before = opened.sent.length;
    opened.page.markByKey('FCs');
    assert.equal(opened.sent.length, before);
    opened.last().tell(stated('recording', 's1', 'free'));
    assert.equal(opened.roaster().controllable, true);
    opened.page.markByKey('FCs');
    assert.deepEqual(opened.sent.at(-1), { type: 'command', action: 'mark_event', event_type: 'FCs' });
    opened.page.close();
  });

  it('takes no key for a mark outside of a recording', async () => {
    const opened = await openPage();
    await opened.live(stated('monitoring', 's1'));
    opened.page.markByKey('FCs');
    assert.deepEqual(opened.sent, []);
    opened.page.close();
  });

  it('speaks up for an alarm, aloud where that is wanted, once', async () => {
    const opened = await openPage();
    const alarm = (severity: AlarmWire['severity'], timestamp_ms: number) => ({
      ...{ type: 'alarm', alarm_id: 'hot', message: 'Too hot', severity, timestamp_ms, bt: 220, et: 240 },
    });
    await opened.live(stated('recording', 's1'), alarm('warning', 1000));
    assert.deepEqual(opened.heard, []);
    opened.page.hear(true);
    opened.last().tell(alarm('critical', 2000));
    opened.last().tell(alarm('critical', 2000));
    assert.deepEqual(opened.heard, ['info', 'critical']);
    assert.equal(opened.roaster().alarms.length, 2);
    const [newest] = opened.roaster().alarms;
    if (newest !== undefined) opened.page.dismiss(newest.alarm);
    assert.deepEqual([opened.roaster().alarms.length, opened.roaster().alarmLog.length], [1, 2]);
    opened.page.close();
  });

  it('shows a lost connection as old, then as no connection, and goes on', async () => {
    const opened = await openPage();
    await opened.live(stated('recording', 's1'), reading(1000));
    assert.equal(opened.now().connection.look, 'live');
    opened.last().link({ kind: 'lost', retryAt: opened.clock.now() + 1000 });
    assert.equal(opened.now().connection.look, 'stale');
    opened.clock.advance(40_000);
    assert.equal(opened.now().connection.look, 'disconnected');
    await opened.live();
    assert.equal(opened.now().connection.look, 'live');
    opened.page.close();
  });

  it('saves a roast with its weights, and says why where it cannot', async () => {
    let refuse = true;
    const created = { started_at: null, duration_ms: 1000, created_at: '2026-01-01T00:00:00Z' };
    const head = { id: 'p1', name: 'Sidamo', machine_id: 'm1', ...created };
    const statistics = { total_ms: null, drying: null, maillard: null, development: null };
    const whole = {
      ...head,
      samples: [],
      statistics: { ...statistics, development_ratio: null, weight_loss: 0.15 },
    };
    const opened = await openPage({
      answer: ({ method, path }) => {
        if (path === 'api/profiles/p1') return { body: whole };
        if (method !== 'POST' || path !== 'api/profiles') return undefined;
        if (refuse) return { status: 409, body: { error: { code: 'conflict', message: 'not finished' } } };
        return { status: 201, body: head };
      },
    });
    await opened.live(stated('finished', 's1', 'yours'));
    const draft = { name: ' Sidamo ', beans: '', notes: 'quick', greenG: '1000', roastedG: '' };
    assert.equal(await opened.page.saveRoast(draft), 'not finished');
    refuse = false;
    assert.equal(await opened.page.saveRoast(draft), '');
    const { body } = opened.asked.findLast(
      ({ method, path }) => method === 'POST' && path === 'api/profiles',
    ) as Asked;
    assert.deepEqual(body, {
      ...{ machine_id: 'm1', name: 'Sidamo', notes: { roasting: 'quick' } },
      weight: { green_g: 1000, roasted_g: null },
    });
    assert.deepEqual([opened.roaster().unsaved, opened.roaster().primary?.action], [false, 'reset']);
    const { rows = [], name } = opened.now().library.opened ?? {};
    assert.deepEqual([name, rows[0]?.label, rows[0]?.value], ['Sidamo', 'Weight loss', '15.0 %']);
    opened.page.close();
  });

  it('replays the background: shows where it is, and begins anew after its end', async () => {
    const opened = await openPage();
    await opened.live(stated('idle', null));
    const options = { speed: 2, by: 'time', actuate: false, positionMs: 0 } as const;
    opened.page.roaster?.startReplay('p1', options);
    const point = (timestamp_ms: number, progress_pct: number) => ({
      ...{ type: 'replay', timestamp_ms, progress_pct, total_duration_ms: 10_000, bt: 1, et: 1 },
      ...{ bt_ror: 1, et_ror: 1, controls: {} },
    });
    opened.last().tell(point(5000, 50));
    assert.equal(opened.roaster().replay?.positionMs, 5000);
    opened.page.roaster?.pauseReplay();
    assert.equal(opened.roaster().replay?.playing, false);
    opened.page.roaster?.seekReplay(2000.4);
    opened.page.roaster?.resumeReplay();
    opened.last().tell(point(10_000, 100));
    assert.deepEqual([opened.roaster().replay?.ended, opened.roaster().replay?.playing], [true, false]);
    opened.page.roaster?.resumeReplay();
    opened.page.roaster?.stopReplay();
    assert.deepEqual(
      opened.sent.map(({ action, position_ms }) => [action, position_ms]),
      [
        ['start', 0],
        ['pause', undefined],
        ['seek', 2000],
        ['resume', undefined],
        ['start', 0],
        ['stop', undefined],
      ],
    );
    opened.page.close();
  });
});
