import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { FieldloomError } from '../../lib/core/errors.js';
import { formatArtisanCsv } from '../../lib/roast/csv.js';
import { EVENT_TYPES } from '../../lib/roast/event.js';
import {
  type ExtraChannel,
  eventAt,
  inOrder,
  NO_NOTES,
  type Profile,
  type PythonValue,
} from '../../lib/roast/profile.js';
import {
  formatProfile,
  PROFILE_FORMATS,
  type ProfileFormat,
  parseProfile,
} from '../../lib/roast/profile-codec.js';
import { parsePython } from '../../lib/roast/python-literal.js';
import type { Sample } from '../../lib/roast/reading.js';

const FIXTURES = join(__dirname, '../../../test/fixtures/roasts/alog');
const alog = (name: string) => readFileSync(join(FIXTURES, `${name}.alog`));
const MODERN = 'scottjames-roast_25-11-29_1440';
const FAHRENHEIT = 'jacciz-21-03-30_1611_DR_natural';

const parse = (text: string) => parseProfile(Buffer.from(text));
const again = (profile: Profile, format: ProfileFormat) => parse(formatProfile(profile, format));
const event = (profile: Profile, type: string) => profile.events.find((each) => each.type === type);

/** Numbers within a billionth, everything else the same. */
function assertNear(actual: unknown, expected: unknown, path = ''): void {
  if (typeof actual === 'number' && typeof expected === 'number') {
    assert.ok(
      Math.abs(actual - expected) <= 1e-9 * Math.max(1, Math.abs(expected)),
      `${path}: ${actual} ${expected}`,
    );
  } else if (
    typeof actual === 'object' &&
    actual !== null &&
    typeof expected === 'object' &&
    expected !== null
  ) {
    assert.deepEqual(Object.keys(actual).sort(), Object.keys(expected).sort(), path);
    for (const key of Object.keys(actual)) {
      assertNear((actual as never)[key], (expected as never)[key], `${path}/${key}`);
    }
  } else assert.equal(actual, expected, path);
}

const celsius = fc.option(
  fc.double({ min: -39, max: 599, noNaN: true }).filter((c) => c !== -1 && !Object.is(c, -0)),
);
const text = fc.string({ unit: 'binary', maxLength: 20 });

/** A profile of what every format that keeps all can hold: events and controls at samples. */
const anyProfile = fc
  .record({
    samples: fc.array(fc.record({ step: fc.integer({ min: 1, max: 9000 }), bt: celsius, et: celsius }), {
      minLength: 1,
      maxLength: 30,
    }),
    unit: fc.constantFrom('C' as const, 'F' as const),
    title: text,
    notes: fc.record(
      { beans: text, roasting: text, cupping: text, operator: text, roaster: text },
      { noNullPrototype: true },
    ),
    at: fc.uniqueArray(fc.constantFrom(...EVENT_TYPES)),
    controls: fc.array(
      fc.record({
        channel: fc.constantFrom('Air', 'Burner', 'gas ü', '--'),
        value: fc.option(fc.integer({ min: 0, max: 100 }).map((percent) => percent / 100)),
        label: text,
      }),
      { maxLength: 5 },
    ),
    weight: fc.option(
      fc.record({ green: fc.integer({ min: 1, max: 9999 }), roasted: fc.integer({ min: 1, max: 9999 }) }),
    ),
    startedAt: fc.option(fc.integer({ min: 0, max: 4e12 })),
  })
  .map(({ samples: steps, at, controls, weight, ...rest }): Profile => {
    let timeMs = 0;
    const samples = steps.map(({ step, bt, et }): Sample => {
      timeMs += step;
      return { timeMs, bt, et };
    });
    const pick = (index: number) => samples[index % samples.length] as Sample;
    const events = at
      // An .alog says with 0 that an event is not there: only CHARGE can be at the first sample.
      .map((type, index) => ({ type, timeMs: pick(index + 1).timeMs }))
      .filter(({ type, timeMs: time }) => type === 'CHARGE' || time !== samples[0]?.timeMs)
      .map(({ type, timeMs: time }) => eventAt(samples, type, time));
    return {
      ...rest,
      samples,
      events: inOrder(events),
      controls: controls.map((control, index) => ({ ...control, timeMs: pick(index).timeMs })),
      extraChannels: [{ name: 'inlet', samples: samples.map((s) => ({ timeMs: s.timeMs, value: s.et })) }],
      greenG: weight?.green ?? null,
      roastedG: weight?.roasted ?? null,
      artisan: null,
    };
  });

describe('an Artisan profile', () => {
  it('is read with its events, controls, extra channels, notes and weights', () => {
    const profile = parseProfile(alog(MODERN));
    assert.equal(profile.unit, 'C');
    assert.equal(profile.samples.length, 441);
    assert.deepEqual(profile.samples[0], { timeMs: 1290.149251, bt: 164.17, et: 199 });
    assert.deepEqual(
      profile.events.map(({ type }) => type),
      ['CHARGE', 'TP', 'DRY_END', 'FCs', 'DROP', 'COOL'],
    );
    assert.ok(profile.controls.length > 10);
    assert.ok(profile.controls.some(({ channel, value }) => channel === 'Air' && value === 0.4));
    assert.match(profile.notes.roasting, /^GOAL:\n- NOT using/);
    assert.ok((profile.greenG as number) > (profile.roastedG as number));
  });

  it('in Fahrenheit comes in as Celsius and goes out as Fahrenheit', () => {
    const bytes = alog(FAHRENHEIT);
    const profile = parseProfile(bytes);
    assert.equal(profile.unit, 'F');
    assert.equal(event(profile, 'CHARGE')?.bt?.toFixed(1), '22.9');
    assert.equal(event(profile, 'DROP'), undefined);
    const written = parsePython(formatProfile(profile, 'alog')) as Record<string, PythonValue>;
    const original = parsePython(bytes.toString()) as Record<string, PythonValue>;
    assertNear(written['temp2'], original['temp2']);
  });

  for (const name of [MODERN, FAHRENHEIT]) {
    it(`loses nothing on its way through here: ${name}`, () => {
      const original = parsePython(alog(name).toString()) as Record<string, PythonValue>;
      const written = parsePython(formatProfile(parseProfile(alog(name)), 'alog')) as Record<
        string,
        PythonValue
      >;
      const sorted = (dict: Record<string, PythonValue>) =>
        Object.fromEntries(Object.entries(dict).sort(([a], [b]) => a.localeCompare(b)));
      assertNear(sorted(written), sorted(original));
    });

    it(`loses nothing on its way through JSON: ${name}`, () => {
      const profile = parseProfile(alog(name));
      assert.deepEqual(
        JSON.parse(JSON.stringify(again(profile, 'json'))),
        JSON.parse(JSON.stringify(profile)),
      );
    });
  }

  it('keeps two channels of a device together, and one that is alone alone', () => {
    const base = parseProfile(alog(MODERN));
    const times = [1000, 2000, 3000];
    const channel = (name: string, of = times): ExtraChannel => ({
      name,
      samples: of.map((timeMs) => ({ timeMs, value: timeMs / 100 })),
    });
    const extraChannels = [channel('a'), channel('b'), channel('c', [1500, 2500])];
    assert.deepEqual(again({ ...base, extraChannels }, 'alog').extraChannels, extraChannels);
  });

  it('is refused with the reason where parts of it do not fit', () => {
    for (const [source, message] of [
      [
        "{'timex': [1, 2], 'temp1': [1], 'temp2': [1, 2]}",
        /2 times, 1 temp1 and 2 temp2: accepted is as many/,
      ],
      ["{'mode': 'C'}", /no timex/],
      ["{'timex': 5}", /timex that is no list/],
      ["{'timex': ['a'], 'temp1': [1], 'temp2': [1]}", /"a" in timex\[0\]: accepted is a number/],
      ["{'timex': [], 'temp1': [], 'temp2': []}", /no samples/],
      ["{'timex': [2, 1], 'temp1': [1, 1], 'temp2': [1, 1]}", /sample 1 is at 1000 ms, before/],
    ] as const) {
      assert.throws(() => parse(source), { code: 'invalid_profile', message });
    }
  });
});

describe('a table of a roast', () => {
  it('is read in the layout that Artisan exports', () => {
    const profile = parse(
      [
        'Date:21.11.2026\tUnit:F\tCHARGE:00:01\tTP:01:30\tDRYe:\tFCs:\tFCe:\tSCs:\tSCe:\tDROP:00:03\tCOOL:\tTime:10:33',
        'Time1\tTime2\tET\tBT\tEvent\tInlet',
        '00:00\t\t410.0\t392.0\t\t500',
        '00:01\t00:00\t-1\t374.0\tCharge\t501',
        '00:01\t00:00\t400.0\t356.0\t\t502',
        '00:03\t00:02\t390.0\t338.0\tDrop\t503',
        '',
      ].join('\r\n'),
    );
    assert.equal(profile.unit, 'F');
    assert.deepEqual(profile.samples, [
      { timeMs: 0, bt: 200, et: 210 },
      { timeMs: 1000, bt: 190, et: null },
      { timeMs: 1500, bt: 180, et: toC(400) },
      { timeMs: 3000, bt: 170, et: toC(390) },
    ]);
    assert.deepEqual(
      profile.events.map(({ type, timeMs }) => [type, timeMs]),
      [
        ['CHARGE', 1000],
        ['DROP', 3000],
      ],
    );
    assert.deepEqual(
      profile.extraChannels.map(({ name, samples }) => [name, samples.map(({ value }) => value)]),
      [['Inlet', [500, 501, 502, 503]]],
    );
  });

  it('is written in that layout too, to whole seconds and in the unit of the recording', () => {
    for (const name of [MODERN, FAHRENHEIT]) {
      const profile = parseProfile(alog(name));
      const back = parse(formatArtisanCsv(profile));
      assert.equal(back.unit, profile.unit);
      assertNear(
        back.samples.map(({ bt, et }) => [bt, et]),
        profile.samples.map(({ bt, et }) => [bt, et]),
      );
      const begin = profile.samples[0]?.timeMs as number;
      back.samples.forEach(({ timeMs }, index) => {
        assert.ok(Math.abs(timeMs - (profile.samples[index] as Sample).timeMs + begin) <= 1000);
      });
      assert.deepEqual(
        back.events.map(({ type, bt }) => [type, bt?.toFixed(6)]),
        profile.events.map(({ type, bt }) => [type, bt?.toFixed(6)]),
      );
    }
  });

  it('is read with semicolons, decimal commas, quotes, units in the names and times of day', () => {
    const profile = parse('"Time";"BT (F)";Event;"Gas; %"\n0:00;392,5;"CHARGE";1,5\n0:02;374;;2\n');
    assert.deepEqual(profile.samples, [
      { timeMs: 0, bt: toC(392.5), et: null },
      { timeMs: 2000, bt: 190, et: null },
    ]);
    assert.equal(event(profile, 'CHARGE')?.timeMs, 0);
    assert.deepEqual(profile.extraChannels[0]?.samples[0], { timeMs: 0, value: 1.5 });
    assert.equal(profile.extraChannels[0]?.name, 'Gas; %');
  });

  it('is refused with its line and what is accepted', () => {
    for (const [source, message] of [
      ['a,b\n1,2\n', /line 1 has a, b: accepted is the columns time_s/],
      ['time_s,bt\nsoon,150\n', /line 2 has "soon": accepted is a time/],
      ['time_s,bt\n1e999,150\n', /line 2/],
      ['time_s,bt\n', /no samples/],
      ['time_s,bt\n2,150\n1,150\n', /sample 1/],
      ['time_s,bt\n"2,150\n', /quote/],
      ['', /line 1/],
      ['Date:x\tUnit:C\nTime1\tBT\nsoon\t1\n', /line 3 has "soon": accepted is a time mm:ss/],
    ] as const) {
      assert.throws(() => parse(source), { code: 'invalid_profile', message }, source);
    }
  });
});

describe('a profile', () => {
  it('loses nothing on its way through JSON', () => {
    fc.assert(fc.property(anyProfile, (profile) => assertNear(again(profile, 'json'), profile)));
  });

  it('loses nothing that an .alog can hold on its way through one', () => {
    fc.assert(
      fc.property(anyProfile, (profile) => {
        const { artisan: _, startedAt, ...back } = again(profile, 'alog');
        const { artisan: __, startedAt: before, ...all } = profile;
        assertNear(back, all, 'profile');
        assert.equal(startedAt, before);
      }),
    );
  });

  it('loses no sample, event or extra channel on its way through a table', () => {
    fc.assert(
      fc.property(anyProfile, (profile) => {
        const back = again(profile, 'csv');
        assertNear(back.samples, profile.samples);
        const order = (events: Profile['events']) =>
          events.map(({ type, timeMs }) => `${timeMs} ${type}`).toSorted();
        assert.deepEqual(order(back.events), order(profile.events));
        const some = profile.samples.some(({ et }) => et !== null);
        assert.deepEqual(
          back.extraChannels.map(({ name }) => name),
          some ? ['inlet'] : [],
        );
      }),
    );
  });

  it('is refused with a code of ours, whatever the bytes are', () => {
    const pieces = fc.constantFrom(
      '{',
      '}',
      '[',
      ']',
      "'",
      '"',
      ':',
      ',',
      'timex',
      "{'timex':",
      '\\',
      '1',
      '\n',
      '\t',
      'bt',
      'time_s',
      '-',
      '{"timex":',
      '(',
    );
    const hostile = fc.oneof(
      fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
      fc.array(pieces, { maxLength: 60 }).map((parts) => Buffer.from(parts.join(''))),
      fc.json().map((json) => Buffer.from(json)),
      // A real one with a part torn out.
      fc.tuple(fc.nat(20_000), fc.nat(5000)).map(([from, length]) => {
        const bytes = alog(FAHRENHEIT);
        return Buffer.concat([bytes.subarray(0, from), bytes.subarray(from + length)]);
      }),
    );
    fc.assert(
      fc.property(hostile, (bytes) => {
        try {
          parseProfile(bytes);
        } catch (error) {
          assert.ok(error instanceof FieldloomError, String(error));
        }
      }),
      { numRuns: 500 },
    );
  });

  it('is refused where it is too large or no UTF-8, before it is read', () => {
    assert.throws(() => parseProfile(Buffer.alloc(100 * 1024 * 1024, '[')), { code: 'payload_too_large' });
    assert.throws(() => parseProfile(Buffer.from([0x7b, 0xff])), { code: 'invalid_utf8' });
  });

  it('of 15 MB is read in a time that grows with its size', () => {
    const long = `{'timex': [${'1.5, '.repeat(1_500_000)}], 'temp1': [], 'temp2': []}`;
    assert.throws(() => parse(long), { code: 'invalid_profile', message: /1500000 times/ });
  });

  it('without notes, weights and controls is written in every format', () => {
    const samples = [{ timeMs: 0, bt: 100, et: null }];
    const bare: Profile = {
      title: '',
      startedAt: null,
      unit: 'C',
      samples,
      events: [],
      controls: [],
      extraChannels: [],
      notes: NO_NOTES,
      greenG: null,
      roastedG: null,
      artisan: null,
    };
    for (const format of PROFILE_FORMATS) assert.deepEqual(again(bare, format).samples, samples);
  });
});

function toC(fahrenheit: number): number {
  return (fahrenheit - 32) / 1.8;
}
