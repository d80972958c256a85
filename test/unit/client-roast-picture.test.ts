import assert from 'node:assert/strict';
import fc from 'fast-check';
import {
  alarmProblem,
  alarmsOfDrafts,
  alarmWords,
  draftOfAlarm,
  newAlarm,
} from '../../client/roast-alarm-draft.js';
import {
  extent,
  rateMarks,
  rateRange,
  temperatureMarks,
  temperatureRange,
  timeMarks,
  timeRange,
} from '../../client/roast-axes.js';
import { RoastColumns } from '../../client/roast-columns.js';
import { draftOfMachine, machineBody, machineProblem, newMachine } from '../../client/roast-machine-draft.js';
import { eventKey, eventMarks, eventOfKey, MARKED_EVENTS, placeLabels } from '../../client/roast-marks.js';
import { developmentRatio, phasesOf } from '../../client/roast-phases.js';
import { replayAt, shiftOf, temperatureRangeOf, timeRangeOf, zeroOf } from '../../client/roast-picture.js';
import { traceOfProfile } from '../../client/roast-profile-trace.js';
import { nearest, RoastTrace, type TraceEvent } from '../../client/roast-trace.js';
import {
  celsiusOf,
  celsiusRateOf,
  rateIn,
  rateWords,
  roastTime,
  temperatureIn,
  temperatureWords,
} from '../../client/roast-units.js';
import type { AlarmConfig, MachineWire } from '../../client/roast-wire.js';
import type { EventType } from '../../lib/roast/event.js';
import { parseMachine } from '../../lib/roast/machine-definition.js';
import { rateOfRise } from '../../lib/roast/rate-of-rise.js';

const MINUTE = 60_000;
const reading = (timestamp_ms: number, bt: number | null = 100, et: number | null = 200) => ({
  ...{ timestamp_ms, bt, et, bt_ror: 10, et_ror: 5 },
});
const event = (event_type: EventType, timestamp_ms: number, more: Partial<TraceEvent> = {}): TraceEvent => ({
  ...{ event_type, timestamp_ms, auto_detected: true, bt_at_event: 150, et_at_event: 200 },
  ...more,
});
const times = (events: Partial<Record<EventType, number>>) =>
  new Map(Object.entries(events).map(([type, timeMs]) => [type as EventType, { timeMs, bt: 150 }]));

describe('units of a roast', () => {
  it('convert temperatures with their offset and rates without', () => {
    assert.equal(temperatureWords(100, 'F'), '212.0');
    assert.equal(rateWords(10, 'F'), '18.0');
    assert.equal(rateWords(-2.46, 'C'), '−2.5');
    assert.equal(temperatureWords(null, 'C'), '–');
  });

  it('come back as they were', () => {
    fc.assert(
      fc.property(fc.double({ min: -40, max: 600, noNaN: true }), (celsius) => {
        assert.ok(Math.abs(celsiusOf(temperatureIn(celsius, 'F'), 'F') - celsius) < 1e-9);
        assert.ok(Math.abs(celsiusRateOf(rateIn(celsius, 'F'), 'F') - celsius) < 1e-9);
      }),
    );
  });

  it('say times as roasters do, whole seconds cut off', () => {
    assert.deepEqual([0, 999, 65_000, 600_000, -30_000, -400, 3_723_000, null].map(roastTime), [
      '0:00',
      '0:00',
      '1:05',
      '10:00',
      '−0:30',
      '0:00',
      '1:02:03',
      '–:––',
    ]);
  });
});

describe('the trace of a roast', () => {
  it('takes readings in order, each once', () => {
    const trace = new RoastTrace();
    assert.deepEqual(
      [1000, 2000, 2000, 1500, 3000].map((at) => trace.append(reading(at))),
      [true, true, false, false, true],
    );
    assert.deepEqual(trace.times, [1000, 2000, 3000]);
    assert.equal(trace.lastMs, 3000);
  });

  it('breaks its lines where nobody measured', () => {
    const trace = new RoastTrace();
    for (const at of [1000, 2000, 9000]) trace.append(reading(at));
    assert.deepEqual(trace.times, [1000, 2000, 5500, 9000]);
    assert.deepEqual(trace.bt, [100, 100, null, 100]);
    const slow = new RoastTrace();
    for (const at of [3000, 9000]) slow.append(reading(at), 3000);
    assert.deepEqual(slow.times, [3000, 9000]);
  });

  it('takes the whole recording and keeps what came meanwhile, whatever the order', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 20 }), fc.integer({ min: 0, max: 20 }), (loaded, lived) => {
        const all = Array.from({ length: 20 }, (_, index) => reading(index * 1000));
        const trace = new RoastTrace();
        for (const each of all.slice(lived)) trace.append(each);
        trace.load(all.slice(0, Math.max(loaded, lived)), []);
        assert.deepEqual(
          trace.times,
          all.map(({ timestamp_ms }) => timestamp_ms),
        );
      }),
    );
  });

  it('lets a marked event stand for a detected one, in the order of the numbers', () => {
    const trace = new RoastTrace();
    trace.mark(event('CHARGE', 5000, { number: 3, auto_detected: false }));
    trace.mark(event('CHARGE', 4000, { number: 1 }));
    trace.mark(event('TP', 60_000, { number: 2 }));
    trace.mark(event('TP', 70_000, { number: 4, supersedes: 2 }));
    assert.equal(trace.chargeMs, 5000);
    assert.equal(trace.events.get('TP')?.timeMs, 70_000);
  });

  it('tells of each change, until nobody listens', () => {
    const trace = new RoastTrace();
    let told = 0;
    const stop = trace.listen(() => {
      told += 1;
    });
    trace.append(reading(1));
    trace.append(reading(1));
    trace.mark(event('CHARGE', 1));
    stop();
    trace.append(reading(2));
    assert.equal(told, 2);
  });

  it('finds the nearest moment', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.integer({ min: 0, max: 1000 }), { minLength: 1 }),
        fc.integer({ min: -100, max: 1100 }),
        (moments, wanted) => {
          const sorted = moments.toSorted((a, b) => a - b);
          const found = sorted[nearest(sorted, wanted)] ?? Number.NaN;
          const least = Math.min(...sorted.map((each) => Math.abs(each - wanted)));
          assert.equal(Math.abs(found - wanted), least);
        },
      ),
    );
    assert.equal(nearest([], 1), -1);
  });
});

describe('what of a trace is drawn', () => {
  it('is all of a short one, and never more than a screen shows of a long one', () => {
    const trace = new RoastTrace();
    const columns = new RoastColumns();
    for (let index = 0; index < 12_000; index += 1) {
      trace.append(reading(index * 100, 100 + index / 100));
      if (index % 7 === 0 || index > 11_990) columns.follow(trace);
      if (index === 3_990) assert.deepEqual(columns.times, trace.times);
      assert.ok(columns.times.length <= 4_097);
    }
    assert.ok(columns.times.length > 2_000);
    assert.equal(columns.times.at(-1), trace.lastMs);
    columns.places.forEach((place, index) => {
      assert.equal(columns.times[index], trace.times[place]);
      assert.equal(columns.bt[index], trace.bt[place]);
    });
    assert.deepEqual(
      columns.times,
      columns.times.toSorted((a, b) => a - b),
    );
  });

  it('begins anew with another trace, and with another recording in it', () => {
    const columns = new RoastColumns();
    const trace = new RoastTrace();
    trace.load([reading(1000), reading(2000)], []);
    columns.follow(trace);
    trace.load([reading(500), reading(1000), reading(2000)], []);
    columns.follow(trace);
    assert.deepEqual(columns.times, [500, 1000, 2000]);
    columns.follow(new RoastTrace());
    assert.deepEqual(columns.times, []);
  });

  it('keeps the breaks of the line', () => {
    const trace = new RoastTrace();
    const columns = new RoastColumns();
    for (let index = 0; index < 9_000; index += 1)
      trace.append(reading(index * 100 + (index > 5_001 ? 60_000 : 0)));
    columns.follow(trace);
    assert.equal(columns.bt.filter((value) => value === null).length, 1);
  });
});

describe('the phases of a roast', () => {
  it('go from CHARGE over DRY_END and FCs to DROP', () => {
    const roast = times({ CHARGE: 0, DRY_END: 4 * MINUTE, FCs: 8 * MINUTE, DROP: 10 * MINUTE });
    assert.deepEqual(
      phasesOf(roast, 12 * MINUTE).map(({ kind, toMs, open, share }) => [kind, toMs / MINUTE, open, share]),
      [
        ['drying', 4, false, 0.4],
        ['maillard', 8, false, 0.4],
        ['development', 10, false, 0.2],
      ],
    );
  });

  it('go on until now, and their shares are of the time until now', () => {
    const roast = times({ CHARGE: MINUTE, DRY_END: 5 * MINUTE, FCs: 9 * MINUTE });
    const phases = phasesOf(roast, 11 * MINUTE);
    assert.deepEqual(
      phases.map(({ open }) => open),
      [false, false, true],
    );
    assert.equal(developmentRatio(roast, 11 * MINUTE), 0.2);
    assert.equal(developmentRatio(times({ CHARGE: 0 }), MINUTE), null);
    assert.deepEqual(phasesOf(times({ TP: 1 }), MINUTE), []);
  });

  it('always add up to the whole, whichever marks are left out', () => {
    const optional = fc.option(fc.integer({ min: 1, max: 599 }), { nil: undefined });
    fc.assert(
      fc.property(optional, optional, fc.boolean(), (dry, crack, dropped) => {
        const known: Partial<Record<EventType, number>> = { CHARGE: 0 };
        if (dry !== undefined) known.DRY_END = dry;
        if (crack !== undefined) known.FCs = Math.max(crack, dry ?? 0);
        if (dropped) known.DROP = 600;
        const sum = phasesOf(times(known), 600).reduce((all, { share }) => all + share, 0);
        assert.ok(Math.abs(sum - 1) < 1e-9);
      }),
    );
  });
});

describe('the axes of a roast', () => {
  const span = {
    firstMs: 0,
    lastMs: 0,
    chargeMs: null,
    backgroundEndMs: null,
    ended: false,
    recording: true,
  };

  it('begin a minute before CHARGE at most, and hold the usual roast', () => {
    assert.deepEqual(timeRange({ ...span, chargeMs: 30_000, lastMs: 60_000 }), [0, 30_000 + 12 * MINUTE]);
    assert.deepEqual(timeRange({ ...span, chargeMs: 5 * MINUTE, lastMs: 6 * MINUTE }), [
      4 * MINUTE,
      17 * MINUTE,
    ]);
  });

  it('grow by whole minutes with the roast and its background', () => {
    const [, to] = timeRange({ ...span, chargeMs: 0, lastMs: 13.8 * MINUTE });
    assert.equal(to, 15 * MINUTE);
    const [, wide] = timeRange({ ...span, chargeMs: 0, lastMs: MINUTE, backgroundEndMs: 15.5 * MINUTE });
    assert.equal(wide, 16 * MINUTE);
  });

  it('show the last minutes while nothing is recorded, and all of what is over', () => {
    const monitored = { ...span, recording: false, lastMs: 20 * MINUTE };
    assert.deepEqual(timeRange(monitored), [15 * MINUTE, 20 * MINUTE]);
    const over = { ...span, chargeMs: MINUTE, lastMs: 11 * MINUTE, ended: true };
    assert.deepEqual(timeRange(over), [0, 11 * MINUTE]);
  });

  it('make room for what is colder or hotter than usual', () => {
    assert.deepEqual(temperatureRange(null, null), [50, 250]);
    assert.deepEqual(temperatureRange(21, 262), [20, 270]);
    assert.deepEqual(rateRange(null), [-5, 25]);
    assert.deepEqual(rateRange(31), [-5, 35]);
    assert.deepEqual(rateRange(1000), [-5, 60]);
  });

  it('have marks at round figures of what is shown, counted from CHARGE', () => {
    assert.deepEqual(timeMarks([0, 3 * MINUTE], 30_000, 50_000), [30_000, 90_000, 150_000]);
    assert.deepEqual(temperatureMarks([50, 110], 'C'), [50, 75, 100]);
    const shown = temperatureMarks([50, 120], 'F').map((mark) => Math.round(temperatureIn(mark, 'F')));
    assert.deepEqual(shown, [150, 200]);
    assert.deepEqual(
      rateMarks([-5, 25], 'F').map((mark) => Math.round(rateIn(mark, 'F'))),
      [0, 10, 20, 30, 40],
    );
  });

  it('find the lowest and the highest, from a time on, without what is missing', () => {
    assert.deepEqual(extent([1, 2, 3, 4], [9, null, 2, 5]), [2, 9]);
    assert.deepEqual(extent([1, 2, 3, 4], [9, null, 2, 5], 2), [2, 5]);
    assert.deepEqual(extent([1], [null]), [null, null]);
  });
});

describe('the events on the curve', () => {
  it('have a key each, but TP', () => {
    assert.deepEqual(
      MARKED_EVENTS.map((type) => [eventKey(type), type]),
      [
        ['1', 'CHARGE'],
        ['2', 'DRY_END'],
        ['3', 'FCs'],
        ['4', 'FCe'],
        ['5', 'SCs'],
        ['6', 'SCe'],
        ['7', 'DROP'],
        ['8', 'COOL'],
      ],
    );
    for (const type of MARKED_EVENTS) assert.equal(eventOfKey(eventKey(type)), type);
    for (const key of ['0', '9', 'a', '10', '']) assert.equal(eventOfKey(key), undefined);
  });

  it('say when and how warm, in the unit that is shown', () => {
    const marks = eventMarks(times({ FCs: 10 * MINUTE, CHARGE: MINUTE }), 'F');
    assert.deepEqual(
      marks.map(({ title, text }) => [title, text]),
      [
        ['CHARGE', '302.0 °F'],
        ['FCs 9:00', '302.0 °F'],
      ],
    );
  });

  it('never cover one another while there is room, and never leave the area', () => {
    const area = { left: 0, top: 0, right: 800, bottom: 400 };
    const wish = fc.record({
      x: fc.integer({ min: 0, max: 800 }),
      y: fc.integer({ min: 0, max: 400 }),
      width: fc.constant(80),
      height: fc.constant(30),
    });
    fc.assert(
      fc.property(fc.array(wish, { maxLength: 4 }), (wishes) => {
        const places = placeLabels(wishes, area);
        places.forEach(({ left, top }, index) => {
          assert.ok(left >= 0 && left + 80 <= 800 && top >= 0 && top + 30 <= 400);
          for (const other of places.slice(0, index)) {
            const apart = Math.abs(other.left - left) >= 80 || Math.abs(other.top - top) >= 30;
            assert.ok(apart, JSON.stringify({ wishes, places }));
          }
        });
      }),
    );
  });
});

describe('the picture of a roast', () => {
  const charged = (chargeMs: number, lastMs: number) => {
    const trace = new RoastTrace();
    for (let at = 0; at <= lastMs; at += 1000) trace.append(reading(at, 150, 220));
    trace.mark(event('CHARGE', chargeMs));
    return trace;
  };
  const shown = { unit: 'C', recording: true, ended: false } as const;

  it('lays the background so that both begin with CHARGE', () => {
    const trace = charged(45_000, MINUTE);
    const background = { trace: charged(20_000, 11 * MINUTE), name: 'other', replayMs: 30_000 };
    const picture = { ...shown, trace, background };
    assert.equal(shiftOf(picture), 25_000);
    assert.equal(replayAt(picture), 55_000);
    assert.equal(zeroOf(picture), 45_000);
    assert.deepEqual(timeRangeOf(picture), [0, 45_000 + 12 * MINUTE]);
    assert.deepEqual(temperatureRangeOf(picture), [50, 250]);
  });

  it('shows the background alone, counted from its own CHARGE, while there is nothing else', () => {
    const background = { trace: charged(20_000, 11 * MINUTE), name: 'other' };
    const picture = { ...shown, trace: new RoastTrace(), background };
    assert.equal(zeroOf(picture), 20_000);
    assert.deepEqual(timeRangeOf(picture), [0, 11 * MINUTE]);
  });

  it('gives a saved roast the rates that the gateway told', () => {
    const samples = Array.from({ length: 60 }, (_, index) => ({
      timestamp_ms: index * 1000,
      bt: 100 + index * 0.2,
      et: 200,
    }));
    const trace = traceOfProfile({ samples, events: [event('CHARGE', 3000) as never] });
    const rate = rateOfRise();
    const wanted = samples.map(({ timestamp_ms, bt }) => rate.add(timestamp_ms, bt)?.ror ?? null);
    assert.deepEqual(trace.btRor, wanted);
    assert.ok(Math.abs((trace.btRor.at(-1) ?? 0) - 12) < 1e-6);
    assert.equal(trace.chargeMs, 3000);
  });
});

describe('the form of an alarm', () => {
  const hot: AlarmConfig = {
    id: 'hot',
    message: 'Too hot',
    severity: 'critical',
    when: { source: 'bt', above: 216 },
    after_event: 'TP',
    hysteresis: 5,
    set_control: { channel: 'burner', value: 0 },
  };

  it('gives back an alarm as it was, what it does not show included, in either unit', () => {
    for (const unit of ['C', 'F'] as const) {
      const draft = draftOfAlarm(hot, unit);
      assert.equal(draft.threshold, unit === 'C' ? '216' : '420.8');
      assert.deepEqual(alarmsOfDrafts([draft], unit), [hot]);
    }
  });

  it('takes rates without an offset, and times as they are said', () => {
    const crash = { ...newAlarm(), kind: 'bt_ror', direction: 'below', threshold: '9', after: '' } as const;
    const late = { ...newAlarm(), kind: 'time', event: 'FCs', threshold: '1:30', after: '' } as const;
    const [first, second] = alarmsOfDrafts([crash, late], 'F');
    assert.deepEqual(first, { id: 'alarm-1', severity: 'warning', when: { source: 'bt_ror', below: 5 } });
    assert.deepEqual(second?.when, { source: 'time', event: 'FCs', above: 90 });
    assert.equal(alarmWords(second as AlarmConfig, 'F'), '1:30 after FCs');
    assert.equal(alarmWords(hot, 'C'), 'BT above 216 °C, after TP');
  });

  it('gives a new one an id of its own', () => {
    const known = { ...hot, id: 'alarm-1' };
    const ids = alarmsOfDrafts([draftOfAlarm(known, 'C'), newAlarm()], 'C').map(({ id }) => id);
    assert.deepEqual(ids, ['alarm-1', 'alarm-2']);
  });

  it('says what is missing', () => {
    assert.equal(alarmProblem({ ...newAlarm(), threshold: '' }), 'A number is wanted.');
    assert.equal(alarmProblem({ ...newAlarm(), threshold: '200,5' }), '');
    assert.equal(
      alarmProblem({ ...newAlarm(), kind: 'time', threshold: '1:75' }),
      'A time such as 1:30 is wanted.',
    );
    assert.equal(alarmProblem({ ...newAlarm(), kind: 'event' }), '');
  });
});

describe('the form of a roaster', () => {
  it('says what is missing, and gives the body that REST takes', () => {
    const draft = { ...newMachine(), name: ' Drum ', interval: '0,5', speed: '10' };
    assert.equal(machineProblem(draft), '');
    assert.deepEqual(machineBody(draft), {
      ...{ name: 'Drum', driver: 'simulator', sampling_interval_ms: 500, config: { speed: 10 } },
    });
    assert.match(machineProblem({ ...draft, name: ' ' }), /name/);
    assert.match(machineProblem({ ...draft, interval: '90' }), /0\.1 to 60/);
    assert.match(machineProblem({ ...draft, speed: '0' }), /1 to 60/);
    assert.equal(machineProblem({ ...draft, driver: 'flow', speed: '' }), '');
  });

  it('takes the registers of Modbus as they are, where they are JSON', () => {
    const draft = { ...newMachine(), name: 'Drum', driver: 'modbus' } as const;
    assert.equal(machineProblem(draft), '');
    assert.deepEqual(machineBody(draft).config, { modbus: JSON.parse(draft.modbus) });
    const body = { id: 'm1', ...machineBody(draft) };
    assert.equal(parseMachine(body, 'm1').driver, 'modbus');
    assert.match(machineProblem({ ...draft, modbus: '{' }), /no JSON/);
  });

  it('leaves alone what it does not show', () => {
    const config = { dry_end_c: 155, alarms: [], speed: 6 };
    const wire = {
      name: 'Drum',
      driver: 'simulator',
      sampling_interval_ms: 1000,
      config,
    } as unknown as MachineWire;
    assert.deepEqual(machineBody(draftOfMachine(wire)).config, config);
  });
});
