import assert from 'node:assert/strict';
import { alertsInOrder, alertView, unnoticed } from '../../client/pond-alerts.js';
import { attentionOf, cautionsOf } from '../../client/pond-attention.js';
import { cardCommand, deviceView, readingViews } from '../../client/pond-card.js';
import { gramsWords, progressView, waterTitle } from '../../client/pond-command.js';
import { curveOf, keptCurves } from '../../client/pond-curve.js';
import { pondFirstSteps } from '../../client/pond-first-steps.js';
import { amountOf, presetsOf } from '../../client/pond-order.js';
import { inOrder, judge, limitsWords, parameterOf, scaleOf } from '../../client/pond-parameters.js';
import {
  addExecutions,
  addReadings,
  alertOf,
  applyMessage,
  forgetReadingsBefore,
  hasEnded,
  type Pond,
  pondOf,
  refreshed,
} from '../../client/pond-state.js';
import type { ExecutionWire } from '../../client/pond-wire.js';
import {
  alertWire,
  DONE,
  type ExecutionPart,
  executionWire,
  pondWire,
  readingWire,
} from '../support/ponds.js';

const NOW = Date.UTC(2024, 0, 15, 9, 0, 0);
const MINUTE = 60_000;

const pond = (part = {}) => pondOf(pondWire(NOW, part));
const withExecutions = (...wires: ExecutionWire[]) => addExecutions(pond(), wires);
const only = (of: Pond) => {
  const [first] = of.executions;
  assert.ok(first);
  return first;
};
const progress = (part: ExecutionPart, after = 0) =>
  progressView(only(withExecutions(executionWire(NOW, part))), NOW + after);

describe('a parameter of a pond', () => {
  it('has its unit and its usual figures where it is known, under any of its names', () => {
    const { label, unit, decimals } = parameterOf('DO');
    assert.deepEqual({ label, unit, decimals }, { label: 'Oxygen', unit: 'mg/L', decimals: 1 });
  });

  it('is shown by its own name where it is not known', () => {
    assert.equal(parameterOf('chlorophyll_a').label, 'Chlorophyll a');
    assert.equal(parameterOf('waterFlow').label, 'Water Flow');
    assert.equal(parameterOf('chlorophyll_a').unit, '');
  });

  it('comes in the order of its weight for fish, unknown ones last and by name', () => {
    assert.deepEqual(
      inOrder(['chlorophyll', 'ph', 'battery', 'alkalinity', 'temperature', 'dissolved_oxygen']),
      ['dissolved_oxygen', 'temperature', 'ph', 'battery', 'alkalinity', 'chlorophyll'],
    );
  });

  it('is in range at its limits, and judged by nothing without any', () => {
    const limits = { min: 5, max: 12 };
    assert.deepEqual(
      [4.99, 5, 8, 12, 12.01].map((value) => judge(value, limits)),
      ['low', 'ok', 'ok', 'ok', 'high'],
    );
    assert.equal(judge(1, { min: undefined, max: 2 }), 'ok');
    assert.equal(judge(1, undefined), 'unjudged');
    assert.equal(judge(1, { min: undefined, max: undefined }), 'unjudged');
  });

  it('says its limits in words', () => {
    const oxygen = parameterOf('dissolved_oxygen');
    assert.equal(limitsWords(oxygen, { min: 5, max: 12 }), '5 to 12 mg/L');
    assert.equal(limitsWords(oxygen, { min: 5, max: undefined }), 'at least 5 mg/L');
    assert.equal(limitsWords(parameterOf('ph'), { min: undefined, max: 8.5 }), 'at most 8.5');
    assert.equal(limitsWords(oxygen, undefined), '');
  });

  it('has a scale that holds its limits, the value and some room beyond', () => {
    const [from, to] = scaleOf(parameterOf('dissolved_oxygen'), { min: 5, max: 12 }, [1]);
    assert.ok(from <= 1 && to > 12);
    const [low, high] = scaleOf(parameterOf('unknown'), undefined, [7]);
    assert.ok(low < 7 && high > 7);
  });
});

describe('a pond as its live feed tells of it', () => {
  const reading = (at: number, values: Record<string, number>, position: number | null = 1) =>
    ({ type: 'reading', data: readingWire(at, values, { pond_position: position }) }) as const;

  it('has the newest value of each parameter, also where an older one comes late', () => {
    let state = applyMessage(pond(), reading(NOW + MINUTE, { temperature: 27 }));
    state = applyMessage(state, reading(NOW + 1000, { temperature: 20, ph: 7.1 }));
    assert.equal(state.latest['temperature']?.value, 27);
    assert.equal(state.latest['ph']?.value, 7.1);
    assert.equal(state.latest['dissolved_oxygen']?.value, 6.8);
  });

  it('keeps readings oldest first and each once, however they come', () => {
    const wires = [5, 1, 3, 1, 4].map((minute) => readingWire(NOW + minute * MINUTE, { ph: minute }));
    let state = addReadings(pond(), wires);
    state = applyMessage(state, reading(NOW + 2 * MINUTE, { ph: 2 }));
    state = applyMessage(state, reading(NOW + 2 * MINUTE, { ph: 2 }));
    assert.deepEqual(
      state.readings.map(({ values }) => values['ph']),
      [1, 2, 3, 4, 5],
    );
    assert.equal(forgetReadingsBefore(state, NOW + 3 * MINUTE).readings.length, 3);
  });

  it('takes what is of the device as a whole, and nothing of the other pond', () => {
    const state = applyMessage(pond(), reading(NOW + 1, { battery: 3.9 }, null));
    assert.equal(state.latest['battery']?.value, 3.9);
    assert.equal(applyMessage(state, reading(NOW + 2, { battery: 1 }, 2)), state);
  });

  it('is heard with each reading', () => {
    const state = applyMessage(pond(), reading(NOW + 5000, { ph: 7 }));
    assert.equal(state.device?.lastSeen, NOW + 5000);
  });

  it('has alerts from when they are raised until they are cleared', () => {
    const alert = (part = {}) => ({ type: 'alert', data: alertWire(NOW, part) }) as const;
    let state = applyMessage(pond(), alert());
    assert.equal(unnoticed(state).length, 1);
    state = applyMessage(
      state,
      alert({ acknowledged_at: new Date(NOW).toISOString(), acknowledged_by: 'ann' }),
    );
    assert.equal(state.alerts.length, 1);
    assert.equal(unnoticed(state).length, 0);
    state = applyMessage(state, alert({ cleared_at: new Date(NOW).toISOString() }));
    assert.deepEqual(state.alerts, []);
  });

  it('has never been heard where the gateway says so', () => {
    const device = { online: false, last_seen: null, firmware_version: null };
    assert.equal(pond({ device }).device, undefined);
    assert.equal(pond({ device: null }).device, undefined);
    const message = {
      type: 'device',
      data: { online: true, last_seen: new Date(NOW).toISOString() },
    } as const;
    assert.equal(applyMessage(pond({ device }), message).device?.online, true);
  });

  it('keeps the state of an execution that has come further, whatever the history says later', () => {
    const done = withExecutions(executionWire(NOW, { steps: DONE }));
    const old = executionWire(NOW, { steps: DONE.slice(0, 2) });
    assert.equal(only(addExecutions(done, [old])).command?.status, 'COMPLETED');
    assert.equal(addExecutions(done, [executionWire(NOW, { steps: DONE })]).executions.length, 1);
  });

  it('has its newest execution first', () => {
    const state = withExecutions(...[3, 11, 7].map((execution_id) => executionWire(NOW, { execution_id })));
    assert.deepEqual(
      state.executions.map(({ executionId }) => executionId),
      [11, 7, 3],
    );
  });

  it('is told by the list only what the feed does not say', () => {
    const live = applyMessage(pond(), {
      type: 'device',
      data: { online: false, last_seen: new Date(NOW).toISOString() },
    });
    const state = refreshed(
      live,
      pondWire(NOW + 9000, { name: 'Renamed', feed_limit_g: 5, alerts: [alertWire(NOW)] }),
    );
    assert.equal(state.name, 'Renamed');
    assert.equal(state.feedLimitG, 5);
    assert.deepEqual(state.device, { online: false, lastSeen: NOW + 9000, firmwareVersion: undefined });
    assert.deepEqual(state.alerts, []);
  });

  it('is not changed by a message that this page does not know', () => {
    const state = pond();
    assert.equal(applyMessage(state, { type: 'weather', data: {} } as never), state);
  });
});

describe('the way of a command', () => {
  const states = (part: ExecutionPart) =>
    progress(part).steps.map(({ status, state }) => `${status} ${state}`);

  it('goes from PENDING over SENT and ACKNOWLEDGED to COMPLETED', () => {
    const ways = [1, 2, 4].map((count) => states({ steps: DONE.slice(0, count) }));
    assert.deepEqual(ways, [
      ['PENDING now', 'SENT ahead', 'ACKNOWLEDGED ahead', 'COMPLETED ahead'],
      ['PENDING done', 'SENT now', 'ACKNOWLEDGED ahead', 'COMPLETED ahead'],
      ['PENDING done', 'SENT done', 'ACKNOWLEDGED done', 'COMPLETED done'],
    ]);
  });

  it('shows when each step was reached, and how long after the one before', () => {
    const { steps } = progress({ steps: DONE });
    assert.deepEqual(
      steps.map(({ after }) => after),
      ['', '+0.05 s', '+1.8 s', '+0.00 s'],
    );
    assert.ok(steps.every(({ time }) => /^\d\d:\d\d:\d\d$/.test(time)));
  });

  it('ends in FAILED after as many attempts as there were, with what it means', () => {
    const part: ExecutionPart = {
      reason: 'timeout',
      steps: [
        ['PENDING', 'created', 0, 0],
        ['SENT', 'published', 50, 1],
        ['SENT', 'resent', 11_000, 2],
        ['SENT', 'resent', 23_000, 3],
        ['FAILED', 'timeout', 45_000, 3],
      ],
    };
    assert.deepEqual(states(part), ['PENDING done', 'SENT done', 'ACKNOWLEDGED skipped', 'FAILED failed']);
    const { text, steps, look } = progress(part);
    assert.equal(look, 'failed');
    assert.equal(steps[1]?.note, 'sent 3 times');
    assert.equal(
      text,
      'No answer from the device in time. It may have fed all the same: look before you feed again.',
    );
  });

  for (const [reason, attempts, text] of [
    ['device', 1, 'The device could not do it. It says: feeder blocked'],
    [
      'execution_timeout',
      1,
      'The device took the command but never said that it was done. It may have fed all the same: look before you feed again.',
    ],
    ['not_connected', 0, 'The gateway had no connection to the broker. Nothing was fed.'],
    ['something_new', 1, 'It failed: feeder blocked'],
  ] as const) {
    it(`says in plain words what ${reason} after ${attempts} attempts means`, () => {
      const steps: ExecutionPart['steps'] = [
        ['PENDING', 'created', 0, 0],
        ['FAILED', reason, 100, attempts],
      ];
      assert.equal(progress({ steps, reason, message: 'feeder blocked' }).text, text);
    });
  }

  it('tells of EXPIRED and CANCELLED whether it may have happened all the same', () => {
    for (const status of ['EXPIRED', 'CANCELLED'] as const) {
      const end = (attempt: number) =>
        progress({
          steps: [
            ['PENDING', 'created', 0, 0],
            [status, 'x', 9, attempt],
          ],
        });
      assert.match(end(0).text, /Nothing was fed\.$/);
      assert.match(end(1).text, /It may have fed all the same/);
      assert.equal(end(0).steps.at(-1)?.status, status);
      assert.equal(end(0).look, 'ended');
    }
  });

  it('is COMPLETED where the success came late, and says so', () => {
    const late = progress({
      late: true,
      steps: [
        ['PENDING', 'created', 0, 0],
        ['SENT', 'published', 50, 1],
        ['FAILED', 'timeout', 45_000, 4],
        ['COMPLETED', 'late', 60_000, 4],
      ],
    });
    assert.equal(late.look, 'completed');
    assert.match(late.text, /came late/);
    assert.deepEqual(
      late.steps.map(({ state }) => state),
      ['done', 'done', 'done', 'done'],
    );
  });

  it('was sent where the device has answered, also where its answer overtook the broker’s word', () => {
    const part: ExecutionPart = {
      steps: [
        ['PENDING', 'created', 0, 0],
        ['ACKNOWLEDGED', 'acknowledged', 20, 1],
      ],
    };
    assert.deepEqual(states(part), ['PENDING done', 'SENT done', 'ACKNOWLEDGED now', 'COMPLETED ahead']);
  });

  for (const [name, part, text] of [
    [
      'done, then failed',
      { steps: [...DONE, ['COMPLETED', 'anomaly', 9000, 1]] },
      /A later one says that it failed/,
    ],
    [
      'failed, then done',
      {
        reason: 'device',
        steps: [
          ['FAILED', 'failed', 1, 1],
          ['FAILED', 'anomaly', 9, 1],
        ],
      },
      /and later that it has done it/,
    ],
    [
      'cancelled, then done',
      {
        steps: [
          ['CANCELLED', 'cancelled', 1, 1],
          ['CANCELLED', 'anomaly', 9, 1],
        ],
      },
      /has done it all the same/,
    ],
    [
      'not connected, then done',
      {
        reason: 'not_connected',
        steps: [
          ['FAILED', 'failed', 1, 1],
          ['FAILED', 'anomaly', 9, 1],
        ],
      },
      /has done it all the same/,
    ],
  ] as [string, ExecutionPart, RegExp][]) {
    it(`does not hide that a device contradicts: ${name}`, () => assert.match(progress(part).text, text));
  }

  it('counts the seconds that it waits, but not aloud', () => {
    const sent = (after: number) => progress({ steps: DONE.slice(0, 2) }, after);
    assert.equal(sent(8050).text, 'Sent, waiting for the device’s answer, 8 s.');
    assert.equal(sent(8050).spoken, 'Feed 100 g: Sent, waiting for the device’s answer.');
    assert.equal(sent(8050).spoken, sent(9050).spoken);
  });

  it('can be cancelled until it has ended', () => {
    assert.deepEqual(
      [1, 2, 4].map((count) => progress({ steps: DONE.slice(0, count) }).mayCancel),
      [true, true, false],
    );
    assert.equal(progress({ steps: [['ACKNOWLEDGED', 'acknowledged', 1, 1]] }).mayCancel, true);
  });

  it('has a line for each entry of its history, with the device’s words', () => {
    const wire = executionWire(NOW, {
      steps: [
        ['SENT', 'resent', 0, 2],
        ['FAILED', 'acknowledged', 9, 2],
      ],
    });
    const last = wire.command?.history.at(-1);
    assert.ok(last);
    last.message = 'feeder blocked';
    const { lines } = progressView(only(withExecutions(wire)), NOW);
    assert.deepEqual(
      lines.map(({ text }) => text),
      ['SENT: sent again, attempt 2', 'FAILED: answered by the device, attempt 2: feeder blocked'],
    );
  });

  it('names what it does', () => {
    const title = (action: string, parameters: Record<string, unknown>) =>
      progress({ action, parameters }).title;
    assert.equal(title('FEED', { feed_amount: 1500 }), 'Feed 1.5 kg');
    assert.equal(title('WATER', { action: 'open', duration_s: 900 }), 'Open the water valve for 15 min');
    assert.equal(title('WATER', { action: 'close' }), 'Close the water valve');
    assert.equal(title('LIGHT_ON', {}), 'light on');
    assert.equal(waterTitle({ action: 'open' }), 'Open the water valve');
    assert.equal(gramsWords(1550), '1550 g');
  });

  it('has ended where nothing more is to come', () => {
    const ended = (count: number) =>
      hasEnded(only(withExecutions(executionWire(NOW, { steps: DONE.slice(0, count) }))));
    assert.deepEqual([1, 2, 4].map(ended), [false, false, true]);
    const without = { ...executionWire(NOW), command: null, status: 'FAILED' };
    assert.equal(hasEnded(only(withExecutions(without))), true);
    assert.match(progressView(only(withExecutions(without)), NOW).text, /no connection to the broker/);
  });
});

describe('a curve of a pond', () => {
  const oxygen = parameterOf('dissolved_oxygen');
  const readings = (...minutes: number[]) =>
    addReadings(
      pond(),
      minutes.map((minute) => readingWire(NOW - minute * MINUTE, { dissolved_oxygen: 6 + minute / 10 })),
    ).readings;

  it('holds what was measured in its span, oldest first, and says its range', () => {
    const curve = curveOf(readings(90, 3, 2, 1), oxygen, { min: 5, max: 12 }, '1h', NOW);
    assert.deepEqual(curve.values, [6.3, 6.2, 6.1]);
    assert.equal(curve.label, 'Oxygen, last hour: 6.1 to 6.3 mg/L');
    assert.equal(curve.to - curve.from, 60 * MINUTE);
  });

  it('is broken where nothing was heard for longer than the device’s rhythm explains', () => {
    const curve = curveOf(readings(30, 29, 28, 27, 10, 9, 8), oxygen, undefined, '1h', NOW);
    assert.equal(curve.values.filter((value) => value === null).length, 1);
    assert.equal(curve.values[4], null);
    assert.deepEqual(
      curve.times,
      curve.times.toSorted((a, b) => a - b),
    );
  });

  it('is whole where a device measures more often than it did before', () => {
    const minutes = [50, 45, 40, 35, 30, 25, 20, 19.9, 19.8, 19.7, 19.6];
    const curve = curveOf(readings(...minutes), oxygen, undefined, '1h', NOW);
    assert.ok(!curve.values.includes(null));
  });

  it('is thinned to what a screen shows, and keeps every extreme and every hole', () => {
    const day = Array.from({ length: 17_000 }, (_, index) => index).filter((at) => at < 8000 || at > 8200);
    const wires = day.map((at) =>
      readingWire(NOW - at * 5000, {
        dissolved_oxygen: at === 4321 ? 1.5 : at === 9876 ? 11.5 : 7 + (at % 7) / 10,
      }),
    );
    const curve = curveOf(addReadings(pond(), wires).readings, oxygen, undefined, '24h', NOW);
    assert.ok(curve.times.length < 2100, `${curve.times.length} points`);
    assert.ok(curve.values.includes(1.5) && curve.values.includes(11.5));
    assert.equal(curve.values.filter((value) => value === null).length, 1);
    assert.deepEqual(
      curve.times,
      curve.times.toSorted((a, b) => a - b),
    );
    assert.equal(curve.label, 'Oxygen, last 24 hours: 1.5 to 11.5 mg/L');
  });

  it('says so where nothing was measured', () => {
    assert.equal(
      curveOf([], oxygen, undefined, '24h', NOW).label,
      'Oxygen, last 24 hours: nothing was measured',
    );
  });

  it('is the same object until there is something new to draw', () => {
    const curves = keptCurves();
    const of = readings(2, 1);
    const first = curves('1', of, oxygen, { min: 5, max: 12 }, '1h', NOW + 1);
    assert.equal(curves('1', of, oxygen, { min: 5, max: 12 }, '1h', NOW + 4000), first);
    assert.notEqual(curves('1', of, oxygen, { min: 5, max: 12 }, '1h', NOW + 6000), first);
    assert.notEqual(curves('1', readings(2, 1), oxygen, { min: 5, max: 12 }, '1h', NOW + 1), first);
    assert.notEqual(curves('1', of, oxygen, { min: 6, max: 12 }, '1h', NOW + 1), first);
  });
});

describe('the card of a pond', () => {
  it('shows values with unit, judgement, limits and their place on a scale', () => {
    const [first, second, third] = readingViews(pond(), NOW + 12_000);
    assert.deepEqual(
      [first?.label, first?.value, first?.unit, first?.judgementWord, first?.limits, first?.age],
      ['Oxygen', '6.8', 'mg/L', 'in range', '5 to 12 mg/L', '12 s ago'],
    );
    const { value = 0, from = 0, to = 0 } = first?.gauge ?? {};
    assert.ok(from > 0 && from < value && value < to && to < 100);
    assert.equal(second?.value, '26.4');
    assert.equal(third?.gauge, undefined);
  });

  it('tells how long a device is offline, and when it was last heard', () => {
    const device = (online: boolean) =>
      deviceView({ online, lastSeen: NOW, firmwareVersion: undefined }, NOW + 7 * MINUTE);
    assert.equal(device(true).word, 'Online, last heard 7 min ago');
    assert.equal(device(false).word, 'Offline for 7 min');
    assert.equal(deviceView(undefined, NOW).look, 'unheard');
    const briefly = deviceView({ online: true, lastSeen: NOW, firmwareVersion: undefined }, NOW + 1000, true);
    assert.equal(briefly.word, 'Online');
  });

  it('tells of what is on its way, else of what was done last', () => {
    const text = (...wires: ExecutionWire[]) =>
      cardCommand(withExecutions(...wires).executions, undefined, NOW + 12 * MINUTE)?.text;
    const done = executionWire(NOW, { execution_id: 2, steps: DONE });
    assert.equal(text(done), 'Fed 100 g 11 min ago');
    assert.equal(
      text(done, executionWire(NOW, { execution_id: 1, steps: DONE.slice(0, 2) })),
      'Feed 100 g: sent …',
    );
    const failed = executionWire(NOW, { execution_id: 3, steps: [['FAILED', 'timeout', MINUTE, 4]] });
    assert.equal(text(done, failed), 'Feed 100 g: failed 11 min ago');
    assert.equal(text(), undefined);
  });
});

describe('what calls for somebody', () => {
  const titles = (of: Pond, now = NOW) => attentionOf(of, now).map(({ title }) => title);

  it('is an alert that nobody has acknowledged', () => {
    const alerts = [
      alertWire(NOW),
      alertWire(NOW, { alert_id: 'a-2', acknowledged_at: new Date(NOW).toISOString() }),
    ];
    assert.deepEqual(titles(pond({ alerts })), ['North pond: Oxygen 3.9 mg/L, at least 5 mg/L wanted']);
  });

  it('is a value of the last hour outside its limits, unless an alert tells of it', () => {
    const latest = (value: number, minutes: number) => ({
      readings: { dissolved_oxygen: { value, at: new Date(NOW - minutes * MINUTE).toISOString() } },
    });
    const low = ['North pond: Oxygen 4.9 mg/L, at least 5 mg/L wanted'];
    assert.deepEqual(titles(pond(latest(4.9, 1))), low);
    assert.deepEqual(titles(pond(latest(5, 1))), []);
    assert.deepEqual(titles(pond(latest(12.1, 59))).length, 1);
    assert.deepEqual(titles(pond(latest(4.9, 61))), []);
    const noticed = alertWire(NOW, { acknowledged_at: new Date(NOW).toISOString() });
    assert.deepEqual(titles(pond({ ...latest(4.9, 1), alerts: [noticed] })), []);
    const device = { online: false, last_seen: new Date(NOW - 7 * MINUTE).toISOString() };
    assert.deepEqual(titles(pond({ ...latest(4.9, 1), device })), ['North pond: device offline for 7 min']);
  });

  it('is a device that is offline', () => {
    const device = { online: false, last_seen: new Date(NOW - 7 * MINUTE).toISOString() };
    assert.deepEqual(titles(pond({ device })), ['North pond: device offline for 7 min']);
  });

  it('is a command that failed, until another follows it or a day has gone', () => {
    const failed = executionWire(NOW, { reason: 'timeout', steps: [['FAILED', 'timeout', 0, 4]] });
    assert.deepEqual(titles(withExecutions(failed)), ['North pond: Feed 100 g failed']);
    assert.deepEqual(titles(withExecutions(failed, executionWire(NOW, { execution_id: 2 }))), []);
    assert.deepEqual(titles(withExecutions(failed), NOW + 25 * 60 * MINUTE), []);
  });

  it('is said before somebody presses: what is on its way, what was fed, who cannot hear it', () => {
    const state = withExecutions(
      executionWire(NOW, { execution_id: 2 }),
      executionWire(NOW - 30 * MINUTE, { execution_id: 1, steps: DONE }),
    );
    assert.deepEqual(cautionsOf(state, NOW), [
      '1 command on the way already: Feed 100 g.',
      'Fed 100 g 30 min ago.',
    ]);
    assert.deepEqual(cautionsOf(withExecutions(executionWire(NOW - 150 * MINUTE, { steps: DONE })), NOW), []);
    assert.match(cautionsOf(pond({ device: null }), NOW).join(), /never heard/);
    const offline = { online: false, last_seen: new Date(NOW - MINUTE).toISOString() };
    assert.match(cautionsOf(pond({ device: offline }), NOW).join(), /offline for 1 min/);
  });

  it('comes first where nobody has noticed it, then by its weight', () => {
    const alert = (alert_id: string, part = {}) => alertOf(alertWire(NOW, { alert_id, ...part }));
    const noticed = { acknowledged_at: new Date(NOW).toISOString(), acknowledged_by: 'ann' };
    const ordered = alertsInOrder([
      alert('noticed', noticed),
      alert('notice', { severity: 'info' }),
      alert('warning', { severity: 'warning' }),
      alert('critical'),
    ]);
    assert.deepEqual(
      ordered.map(({ alertId }) => alertId),
      ['critical', 'warning', 'notice', 'noticed'],
    );
    assert.match(alertView(alert('x', noticed), undefined, NOW).acknowledged, /^Acknowledged by ann \d/);
    assert.match(alertView(alert('x'), undefined, NOW).text, /^Oxygen is low\. Since \d/);
  });
});

describe('an amount of feed', () => {
  it('is a number of grams above 0, with a decimal point or comma', () => {
    assert.equal(amountOf(' 75 ', 2000).grams, 75);
    assert.equal(amountOf('0,5', 2000).grams, 0.5);
    for (const text of ['0', '-5', 'a lot', '1e3', '5 g', '٣']) {
      assert.equal(amountOf(text, 2000).grams, undefined, text);
      assert.notEqual(amountOf(text, 2000).problem, '', text);
    }
  });

  it('is at most what the pond allows', () => {
    assert.equal(amountOf('2000', 2000).grams, 2000);
    assert.equal(amountOf('2000.5', 2000).problem, 'At most 2000 g at once are allowed for this pond.');
  });

  it('is no mistake while nothing is entered', () => {
    assert.deepEqual(amountOf('', 2000), { grams: undefined, problem: '' });
  });

  it('has usual amounts that the pond allows', () => {
    assert.deepEqual(presetsOf(10_000), [50, 100, 250]);
    assert.deepEqual(presetsOf(100), [50, 100]);
    assert.deepEqual(presetsOf(20), [20]);
  });
});

describe('first steps to a pond', () => {
  it('are commands that work as they stand, for who is logged in', () => {
    const [add, access, publish] = pondFirstSteps('ann', { host: 'gateway.local', port: 1884 });
    assert.match(
      add?.command ?? '',
      /^npm run -s fieldloom -- pond add --owner ann --device (\S+) --position 1 --name "North pond"$/,
    );
    assert.match(access?.command ?? '', /^npm run -s fieldloom -- access add --role device --device \S+$/);
    const payload = /-h gateway\.local -p 1884 .* -t devices\/\S+\/data\/sensors -m '(.*)'$/.exec(
      publish?.command ?? '',
    )?.[1];
    assert.equal((JSON.parse(payload ?? '') as { pond_position: number }).pond_position, 1);
  });
});
