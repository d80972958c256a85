import assert from 'node:assert/strict';
import { type Sent, sentView } from '../../client/solar-command.js';
import { solarFirstSteps } from '../../client/solar-first-steps.js';
import { applyMessage, emptyFleet, type Fleet } from '../../client/solar-fleet.js';
import { fill, formOf, initialEntries, OTHER } from '../../client/solar-form.js';
import { attentionOf, countsOf, filtered, machineView, sorted } from '../../client/solar-list.js';
import {
  curveOf,
  forgetBefore,
  keptCurves,
  type Measurement,
  measurementsOf,
  merged,
  type Sample,
  sampleOfPoint,
  sampleOfRow,
} from '../../client/solar-series.js';
import type { MachineWire, TelemetryWire } from '../../client/solar-wire.js';
import { lookOf } from '../../client/solar-words.js';

const NOW = Date.parse('2026-06-01T12:00:00Z');
const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const iso = (at: number) => new Date(at).toISOString();

const telemetryOf = (at: number, values: Partial<TelemetryWire> = {}): TelemetryWire => ({
  ...{ at: iso(at), received_at: iso(at), battery: 13.5, solar_v: 21.2, solar_a: 4.5, water: 80 },
  extra: { temp: 32.5, vibration: 0.01 },
  ...values,
});
const machineWire = (machine_id: string, values: Partial<MachineWire> = {}): MachineWire => ({
  ...{ company_id: 'c', machine_id, status: 'Running', last_status: 'Running', online: true },
  ...{ energy: 150.5, water: 25, area: 450, received_at: iso(NOW - MINUTE) },
  ...{
    since: iso(NOW - 5 * MINUTE),
    last_seen: iso(NOW - 10 * SECOND),
    telemetry: telemetryOf(NOW - 10 * SECOND),
  },
  ...values,
});
const away = (status: 'offline' | 'stale') => ({ status, online: false });
const fleetOf = (...machines: MachineWire[]): Fleet =>
  applyMessage(emptyFleet('c'), { type: 'snapshot', data: { machines } });
const told = { company_id: 'c', machine_id: 'A' };

describe('a fleet of solar machines', () => {
  it('is in the order in which people count', () => {
    const fleet = fleetOf(...['M10', 'M2', 'M1'].map((id) => machineWire(id)));
    assert.deepEqual(
      fleet.machines.map(({ machineId }) => machineId),
      ['M1', 'M2', 'M10'],
    );
  });

  it('takes the first word of a machine that was not there before', () => {
    const fleet = applyMessage(fleetOf(machineWire('B')), {
      type: 'telemetry',
      ...told,
      data: telemetryOf(NOW),
    });
    const [first] = fleet.machines;
    assert.deepEqual([first?.machineId, first?.status, first?.telemetry?.battery], ['A', 'online', 13.5]);
    assert.equal(fleet.places.get('B'), 1);
  });

  it('shows the newest row, also where an older one comes late, and when it was last heard', () => {
    let fleet = fleetOf(machineWire('A'));
    const late = telemetryOf(NOW - HOUR, { battery: 11, received_at: iso(NOW) });
    fleet = applyMessage(fleet, { type: 'telemetry', ...told, data: late });
    assert.equal(fleet.machines[0]?.telemetry?.battery, 13.5);
    assert.equal(fleet.machines[0]?.lastSeen, NOW);
  });

  it('keeps its telemetry through a change of status', () => {
    const { telemetry: _, ...status } = machineWire('A', { status: 'Idle', last_seen: null });
    const fleet = applyMessage(fleetOf(machineWire('A')), { type: 'status', ...told, data: status });
    const [machine] = fleet.machines;
    assert.deepEqual([machine?.status, machine?.telemetry?.battery], ['Idle', 13.5]);
    assert.equal(machine?.lastSeen, NOW - 10 * SECOND);
  });

  it('changes by no message that it does not know', () => {
    const fleet = fleetOf(machineWire('A'));
    assert.equal(applyMessage(fleet, { type: 'notice', data: 1 } as never), fleet);
  });
});

describe('solar machines in a list', () => {
  const fleet = fleetOf(
    machineWire('A', { ...away('offline'), since: iso(NOW - 3 * MINUTE) }),
    machineWire('B', { ...away('stale'), last_seen: iso(NOW - 2 * HOUR) }),
    machineWire('C', { status: 'Cleaning rows' }),
    machineWire('D', { status: 'Docked', telemetry: null, area: null }),
    machineWire('E', { status: 'stale', last_status: 'stale' }),
  );
  const { machines } = fleet;
  const ids = (of: readonly { machineId: string }[]) => of.map(({ machineId }) => machineId).join('');

  it('tell last will, silence, work and rest apart', () => {
    assert.deepEqual(machines.map(lookOf), ['offline', 'stale', 'running', 'idle', 'idle']);
    const views = machines.map((machine) => machineView(machine, false, NOW));
    assert.deepEqual(
      views.map(({ word }) => word),
      ['Offline', 'Stale', 'Cleaning rows', 'Docked', 'Stale'],
    );
    assert.deepEqual([views[0]?.age, views[0]?.was, views[1]?.age], ['for 3 min', 'was Running', 'for 2 h']);
    assert.match(views[0]?.exact ?? '', /last will/);
    assert.match(views[1]?.exact ?? '', /three of its intervals/);
    assert.equal(new Set(views.slice(0, 4).map(({ icon }) => icon)).size, 4);
  });

  it('say their figures with units, and a dash for what is not measured', () => {
    const [a, , , d] = machines.map((machine) => machineView(machine, true, NOW));
    assert.deepEqual(
      [a?.battery, a?.power, a?.water, a?.area, a?.energy, a?.company],
      ['13.5 V', '95 W', '80 %', '450 m²', '151 Wh', 'c'],
    );
    assert.deepEqual([d?.battery, d?.power, d?.water, d?.tank, d?.area], ['–', '–', '–', undefined, '–']);
  });

  it('are drawn again only when something of them is another', () => {
    const [machine] = machines;
    assert.ok(machine);
    const memo = (now: number) => machineView(machine, false, now).memo;
    assert.equal(memo(NOW), memo(NOW + 20 * SECOND));
    assert.notEqual(memo(NOW), memo(NOW + MINUTE));
  });

  it('are counted, filtered by state and found by a part of their id', () => {
    const counts = countsOf(machines, 'idle').map(({ filter, count, pressed }) => [filter, count, pressed]);
    assert.deepEqual(counts, [
      ['all', 5, false],
      ['offline', 1, false],
      ['stale', 1, false],
      ['running', 1, false],
      ['idle', 2, true],
    ]);
    assert.equal(ids(filtered(machines, 'idle', '')), 'DE');
    assert.equal(ids(filtered(machines, 'all', ' b')), 'B');
    assert.equal(ids(filtered(machines, 'running', 'b')), '');
    assert.equal(filtered(machines, 'all', ''), machines);
  });

  it('are sorted by any column both ways, those without a value last', () => {
    const by = (column: 'area' | 'machine' | 'state' | 'seen', descending = false) =>
      ids(sorted(machines, { column, descending }));
    assert.equal(by('machine', true), 'EDCBA');
    assert.equal(by('area'), 'ABCED');
    assert.equal(by('area', true), 'ABCED');
    assert.equal(by('state'), 'ABCDE');
    assert.equal(by('state', true), 'DECBA');
    assert.equal(by('seen')[0], 'B');
  });

  it('call for attention where they are away, many of one kind as one', () => {
    assert.deepEqual(
      attentionOf(machines, NOW).map(({ title, text, machine }) => [title, text, machine]),
      [
        ['A is offline', 'for 3 min, was Running', 'c/A'],
        ['B says nothing', 'for 2 h, was Running', 'c/B'],
      ],
    );
    const many = fleetOf(
      ...Array.from({ length: 30 }, (_, index) => machineWire(`M${index}`, away('offline'))),
    );
    const [all, ...none] = attentionOf(many.machines, NOW);
    assert.deepEqual(
      [all?.title, all?.filter, all?.machine],
      ['30 machines are offline', 'offline', undefined],
    );
    assert.equal(all?.text, 'M0, M1, M2, M3 and 26 more');
    assert.deepEqual(none, []);
  });
});

describe('curves of a solar machine', () => {
  const battery = measurementsOf([]).shown[0] as Measurement;
  const sample = (at: number, mean: number, min = mean, max = mean): Sample => ({
    at,
    values: new Map([['battery', { mean, min, max }]]),
  });

  it('have the numbers of extra under the names that minutes and hours give them', () => {
    const extra = { temp: 32.5, motor: { rpm: 10 }, cells: [1, 2], note: 'x', on: true };
    const row = sampleOfRow({ at: NOW, battery: null, solarV: 1, solarA: 2, water: 3, extra });
    assert.deepEqual(
      [...row.values.keys()],
      ['solar_v', 'solar_a', 'water', 'temp', 'motor.rpm', 'cells.0', 'cells.1'],
    );
    const figures = { min: 1, max: 3, mean: 2, count: 2 };
    const point = sampleOfPoint({
      ...{ at: iso(NOW), battery: figures, solar_v: null, solar_a: null, water: null },
      extra: { 'motor.rpm': figures },
    });
    assert.deepEqual([...point.values.keys()].sort(), ['battery', 'motor.rpm']);
    const names = measurementsOf([[row], [point]]).shown.map(({ label }) => label);
    assert.deepEqual(names, [
      ...['Battery', 'Panel voltage', 'Panel current', 'Water tank', 'Temperature'],
      ...['cells.0', 'cells.1', 'motor.rpm'],
    ]);
  });

  it('are those of the protocol, and eight more: of others it says how many there are', () => {
    const values = new Map(Array.from({ length: 12 }, (_, n) => [`x${n}`, { mean: n, min: n, max: n }]));
    const { shown, more } = measurementsOf([[{ at: NOW, values }]]);
    assert.deepEqual([shown.length, more], [12, 4]);
  });

  it('take points in any order and more than once', () => {
    const series = merged([sample(2, 2)], [sample(3, 3), sample(1, 1), sample(2, 5)]);
    assert.deepEqual(
      series.map(({ at, values }) => [at, values.get('battery')?.mean]),
      [
        [1, 1],
        [2, 5],
        [3, 3],
      ],
    );
    assert.equal(merged(series, []), series);
    assert.equal(merged(series, [sample(4, 4)]).length, 4);
    assert.deepEqual(
      forgetBefore(series, 2).map(({ at }) => at),
      [2, 3],
    );
    assert.deepEqual(forgetBefore(series, 9), []);
  });

  it('break where nothing was heard for long, by the rhythm of the points around', () => {
    const at = (second: number) => NOW - HOUR + second * SECOND;
    const series = [0, 10, 20, 200, 210].map((second) => sample(at(second), 13));
    const { values, times } = curveOf(series, undefined, battery, '1h', NOW);
    assert.deepEqual(values, [13, 13, 13, null, 13, 13]);
    assert.equal(times[3], at(200) - 1);
    const rare = [0, 600, 1200, 1800].map((second) => sample(at(second), 13));
    assert.ok(!curveOf(rare, undefined, battery, '1h', NOW).values.includes(null));
  });

  it('draw minutes and hours in their middle with their least and greatest, and the last row at once', () => {
    const series = [sample(NOW - 3 * HOUR, 13, 12, 14), sample(NOW - 2 * HOUR, 12, 11, 13)];
    const curve = curveOf(series, sample(NOW, 10), battery, '30d', NOW);
    assert.deepEqual(curve.times, [NOW - 2.5 * HOUR, NOW - 1.5 * HOUR, NOW]);
    assert.deepEqual(
      [curve.values, curve.low, curve.high],
      [
        [13, 12, 10],
        [12, 11, 10],
        [14, 13, 10],
      ],
    );
    assert.equal(curve.label, 'Battery, last 30 days: 10.00 to 14.00 V');
    const running = curveOf([...series, sample(NOW - MINUTE, 11)], sample(NOW, 10), battery, '30d', NOW);
    assert.equal(running.values.at(-1), 10, 'also while the hour’s middle is still to come');
    assert.equal(running.times.at(-1), NOW);
    const rows = curveOf([sample(NOW - HOUR - 1, 1), sample(NOW - 1, 2)], undefined, battery, '1h', NOW);
    assert.deepEqual([rows.values, rows.low], [[2], undefined], 'what is older than the span is not drawn');
    assert.match(curveOf([], undefined, battery, '1h', NOW).label, /nothing was measured/);
  });

  it('are made again only for new points, or when the time axis has moved', () => {
    const curves = keptCurves();
    const series = [sample(NOW - MINUTE, 13)];
    const now = NOW - 4 * SECOND;
    const first = curves('c/A', series, undefined, battery, '1h', now);
    assert.equal(curves('c/A', series, undefined, battery, '1h', now + SECOND), first);
    assert.notEqual(curves('c/A', [...series], undefined, battery, '1h', now), first);
    assert.equal(curves('c/A', series, undefined, battery, '1h', NOW + SECOND).to, NOW + 5 * SECOND);
  });
});

describe('the form of a command', () => {
  const schema = {
    type: 'object',
    required: ['speed'],
    properties: {
      speed: {
        type: 'integer',
        title: 'Speed',
        description: 'slow to fast',
        minimum: 1,
        maximum: 10,
        default: 5,
      },
      mode: { enum: ['auto', 'spot', 3] },
      dry: { type: 'boolean', default: false },
      note: { type: 'string', maxLength: 5 },
      share: { type: 'number', exclusiveMinimum: 0, exclusiveMaximum: 1 },
      area: { type: 'object' },
    },
  };
  const form = formOf(schema);

  it('has a field for each param, as its schema says', () => {
    assert.deepEqual(
      form.fields.map(({ name, kind, required, initial, hint }) => [name, kind, required, initial, hint]),
      [
        ['speed', 'number', true, '5', 'slow to fast; 1 to 10'],
        ['mode', 'choice', false, '', ''],
        ['dry', 'yes-no', false, 'false', ''],
        ['note', 'text', false, '', 'at most 5 characters'],
        ['share', 'number', false, '', 'above 0, below 1'],
        ['area', 'json', false, '', ''],
      ],
    );
    assert.equal(form.open, false);
    assert.deepEqual(initialEntries(form)['speed'], '5');
  });

  it('reads what was entered as JSON has it, and leaves out what is empty', () => {
    const entered = { speed: ' 7 ', mode: '3', dry: 'true', note: 'abc', share: '0,5', area: '{"x":1}' };
    assert.deepEqual(fill(form, entered), {
      params: { speed: 7, mode: 3, dry: true, note: 'abc', share: 0.5, area: { x: 1 } },
      problems: {},
    });
    assert.deepEqual(fill(form, { speed: '1' }).params, { speed: 1 });
  });

  it('says what is wrong with a field, and what is accepted', () => {
    const problem = (name: string, value: string) => fill(form, { speed: '5', [name]: value }).problems[name];
    assert.match(problem('speed', '') ?? '', /needed/);
    assert.match(problem('speed', 'fast') ?? '', /no number/);
    assert.match(problem('speed', '2.5') ?? '', /whole/);
    assert.match(problem('speed', '11') ?? '', /At most 10/);
    assert.match(problem('speed', '0') ?? '', /At least 1/);
    assert.match(problem('share', '1') ?? '', /Below 1/);
    assert.match(problem('note', '123456') ?? '', /5 characters/);
    assert.match(problem('area', '{') ?? '', /no JSON/);
  });

  it('takes one JSON object where any params are taken, or none are named', () => {
    const open = formOf({}, true);
    assert.equal(open.open, true);
    assert.deepEqual(fill(open, { [OTHER]: '{"speed":5}' }).params, { speed: 5 });
    assert.deepEqual(fill(open, {}).params, {});
    assert.match(fill(open, { [OTHER]: '[1]' }).problems[OTHER] ?? '', /no JSON object/);
    assert.equal(formOf({ required: ['x'] }).open, true);
    assert.deepEqual(formOf({ type: 'object', additionalProperties: false }), { fields: [], open: false });
  });

  it('stands a schema that is written badly', () => {
    const form = formOf({ properties: { a: 7, b: { type: 'wrong', minimum: '1' } }, required: 'a' });
    assert.deepEqual(
      form.fields.map(({ kind }) => kind),
      ['json', 'json'],
    );
  });
});

describe('a command that was sent to a solar machine', () => {
  const sent: Sent = {
    ...{ id: 1, machine: 'c/A', command: 'start_cleaning', params: { speed: 5, mode: 'auto' }, at: NOW },
    ...{ state: { kind: 'asking' }, reaction: undefined, before: 'Idle' },
  };
  const taken = (status: 'PENDING' | 'COMPLETED' | 'FAILED', message?: string): Sent => ({
    ...sent,
    state: {
      ...{ kind: 'taken', commandId: 'x', status, createdAt: NOW + 10, answeredAt: NOW + 80 },
      message,
    },
  });
  const steps = (of: Sent, now = NOW + SECOND) =>
    sentView(of, now).steps.map(({ name, state }) => `${name} ${state}`);

  it('is shown from the gateway over the broker to what the machine says', () => {
    assert.deepEqual(steps(sent), ['Gateway now', 'Broker ahead', 'Machine ahead']);
    assert.deepEqual(steps(taken('PENDING')), ['Gateway done', 'Broker now', 'Machine ahead']);
    assert.deepEqual(steps(taken('COMPLETED')), ['Gateway done', 'Broker done', 'Machine now']);
    const done = { ...taken('COMPLETED'), reaction: { status: 'Running', after: 1500 } };
    const view = sentView(done, NOW + MINUTE);
    assert.deepEqual(
      view.steps.map(({ text, after }) => [text, after]),
      [
        ['has it', ''],
        ['has it', '+0.08 s'],
        ['Running', '+1.5 s'],
      ],
    );
    assert.equal(view.text, 'Sent. The machine says Running; before it was Idle.');
    assert.deepEqual([view.look, view.params], ['completed', 'speed 5, mode auto']);
  });

  it('says that a machine has not changed, or says nothing', () => {
    const same = { ...taken('COMPLETED'), reaction: { status: 'Idle', after: 100 } };
    assert.match(sentView(same, NOW).text, /as before/);
    assert.match(sentView(taken('COMPLETED'), NOW + 3 * MINUTE).text, /not said anything/);
  });

  it('says why it was not sent, or that nobody knows', () => {
    assert.deepEqual(steps(taken('FAILED', 'no')), ['Gateway done', 'Broker failed']);
    assert.equal(sentView(taken('FAILED', 'no'), NOW).text, 'no');
    const refused: Sent = { ...sent, state: { kind: 'refused', text: 'Wrong.', pointer: '/params/speed' } };
    assert.deepEqual([sentView(refused, NOW).look, sentView(refused, NOW).text], ['failed', 'Wrong.']);
    const unknown: Sent = { ...sent, state: { kind: 'unknown', text: 'Look.' } };
    assert.equal(sentView(unknown, NOW).spoken, 'start_cleaning: Look.');
  });
});

describe('the first steps of a solar machine', () => {
  it('make a login and send what the protocol says', () => {
    const [login, telemetry, status] = solarFirstSteps({ host: 'h', port: 1 }).map(({ command }) => command);
    assert.equal(
      login,
      'npm run -s fieldloom -- access add --role machine --company mycompany --machine M-1',
    );
    assert.match(
      telemetry ?? '',
      /-h h -p 1 .* -t company\/mycompany\/machine\/M-1\/telemetry -m '\{"battery":13.5/,
    );
    assert.match(status ?? '', /\/status -m '\{"status":"Running"/);
  });
});
