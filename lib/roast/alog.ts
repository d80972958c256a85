import { FieldloomError } from '../core/errors.js';
import type { EventType } from './event.js';
import {
  type ControlChange,
  type ExtraChannel,
  eventAt,
  inOrder,
  nearestIndex,
  type Profile,
  type ProfileEvent,
  type PythonDict,
  type PythonValue,
} from './profile.js';
import { formatPython, parsePython } from './python-literal.js';
import { fromCelsius, type Sample, type TemperatureUnit, toCelsius } from './reading.js';

/** Artisan's .alog: one Python dict. The only place that knows its field names. */

/** The events of `timeindex`, in its order. */
const TIME_INDEX: readonly EventType[] = ['CHARGE', 'DRY_END', 'FCs', 'FCe', 'SCs', 'SCe', 'DROP', 'COOL'];
/** CHARGE at the first sample is 0, so without CHARGE it has -1; the others are 0 where they are not set. */
const NO_CHARGE = -1;
const MISSING = -1;
/** Names of the four kinds of control; the fifth kind is a text without a control. */
const KINDS: readonly string[] = ['Air', 'Drum', 'Damper', 'Burner', '--'];
const TEXT_KIND = 4;
const GRAMS: Readonly<Record<string, number>> = { g: 1, kg: 1000, lb: 453.59237, oz: 28.349523125 };

/** Kept to this many digits, so that seconds and Fahrenheit come out as they went in. */
const rounded = (value: number) => Number(value.toPrecision(14));

/** @throws FieldloomError invalid_profile, nesting_too_deep */
export function parseAlog(text: string): Profile {
  const value = parsePython(text);
  if (!isDict(value)) throw invalid('is not a dict', 'an Artisan profile');
  return new AlogReader(value).profile();
}

const isDict = (value: PythonValue | undefined): value is PythonDict =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function invalid(found: string, accepted: string): FieldloomError {
  return new FieldloomError('invalid_profile', `profile ${found}: accepted is ${accepted}`);
}

class AlogReader {
  private readonly rest: Record<string, PythonValue>;

  constructor(dict: PythonDict) {
    this.rest = Object.assign(Object.create(null), dict);
  }

  profile(): Profile {
    const unit: TemperatureUnit = this.take('mode') === 'F' ? 'F' : 'C';
    const samples = this.samples(unit);
    const [greenG, roastedG] = this.weights();
    return {
      title: this.text('title'),
      startedAt: this.startedAt(),
      unit,
      samples,
      events: this.events(samples),
      controls: this.controls(samples),
      extraChannels: this.extraChannels(),
      notes: {
        beans: this.text('beans'),
        roasting: this.text('roastingnotes'),
        cupping: this.text('cuppingnotes'),
        operator: this.text('operator'),
        roaster: this.text('roastertype'),
      },
      greenG,
      roastedG,
      artisan: this.rest,
    };
  }

  /** A field that is known here, and so is not among the rest. */
  private take(key: string): PythonValue | undefined {
    const value = this.rest[key];
    delete this.rest[key];
    return value;
  }

  private text(key: string): string {
    const value = this.take(key);
    return typeof value === 'string' ? decode(value) : '';
  }

  private list(key: string): readonly PythonValue[] {
    const value = this.take(key) ?? [];
    if (!Array.isArray(value)) throw invalid(`has ${key} that is no list`, 'a list');
    return value;
  }

  private numbers(key: string): number[] {
    return numbersOf(key, this.list(key));
  }

  private samples(unit: TemperatureUnit): Sample[] {
    if (this.rest['timex'] === undefined) throw invalid('has no timex', 'an Artisan profile');
    const times = this.numbers('timex');
    const et = this.list('temp1');
    const bt = this.list('temp2');
    if (et.length !== times.length || bt.length !== times.length) {
      throw invalid(
        `has ${times.length} times, ${et.length} temp1 and ${bt.length} temp2`,
        'as many of each',
      );
    }
    return times.map((seconds, index) => ({
      timeMs: seconds * 1000,
      bt: toCelsius(bt[index], unit),
      et: toCelsius(et[index], unit),
    }));
  }

  private startedAt(): number | null {
    const epoch = this.rest['roastepoch'];
    return typeof epoch === 'number' ? Math.round(epoch * 1000) : null;
  }

  private weights(): [number | null, number | null] {
    const weight = this.rest['weight'];
    if (!Array.isArray(weight)) return [null, null];
    const [green, roasted, unit] = weight as PythonValue[];
    const grams = GRAMS[String(unit).toLowerCase()];
    if (grams === undefined) return [null, null];
    const inGrams = (value: PythonValue | undefined) =>
      typeof value === 'number' && value > 0 ? rounded(value * grams) : null;
    return [inGrams(green), inGrams(roasted)];
  }

  private events(samples: readonly Sample[]): ProfileEvent[] {
    const events: ProfileEvent[] = [];
    const add = (type: EventType, index: number) => {
      const sample = samples[index];
      if (sample !== undefined) events.push(eventAt(samples, type, sample.timeMs));
    };
    const indices = this.numbers('timeindex');
    TIME_INDEX.forEach((type, position) => {
      const index = indices[position] ?? 0;
      if (index > 0 || (type === 'CHARGE' && index === 0 && indices.length > 0)) add(type, index);
    });
    const computed = this.rest['computed'];
    const turned = isDict(computed) ? computed['TP_idx'] : undefined;
    if (typeof turned === 'number' && turned > 0) add('TP', turned);
    return inOrder(events);
  }

  private controls(samples: readonly Sample[]): ControlChange[] {
    const kinds = this.numbers('specialeventstype');
    const values = this.numbers('specialeventsvalue');
    const labels = this.list('specialeventsStrings');
    const names = kindNames(this.rest);
    return this.numbers('specialevents').flatMap((index, position) => {
      const sample = samples[index];
      if (sample === undefined) return [];
      const kind = kinds[position] ?? TEXT_KIND;
      const label = labels[position];
      return {
        timeMs: sample.timeMs,
        channel: names[kind] ?? (names[TEXT_KIND] as string),
        value: shareOf(values[position] ?? 0),
        label: typeof label === 'string' ? decode(label) : '',
      };
    });
  }

  /** Two a device, which share its times; what has neither a name nor a value is not there. */
  private extraChannels(): ExtraChannel[] {
    const probes = [1, 2].map((probe) => ({
      names: this.list(`extraname${probe}`),
      values: this.list(`extratemp${probe}`),
    }));
    return this.list('extratimex').flatMap((each, device) => {
      const seconds = numbersOf('extratimex', each);
      return probes.flatMap(({ names, values }) => {
        const series = values[device];
        const name = names[device];
        const samples = seconds.map((time, index) => {
          const value = Array.isArray(series) ? series[index] : undefined;
          return {
            timeMs: time * 1000,
            value: typeof value === 'number' && value !== MISSING ? value : null,
          };
        });
        const channel = { name: typeof name === 'string' ? decode(name) : '', samples };
        return channel.name === '' && samples.every(({ value }) => value === null) ? [] : [channel];
      });
    });
  }
}

/** What the recording calls its kinds of control. */
function kindNames(dict: PythonDict): string[] {
  const names = dict['etypes'];
  return KINDS.map((kind, index) => {
    const name = Array.isArray(names) ? names[index] : undefined;
    return typeof name === 'string' ? decode(name) : kind;
  });
}

function numbersOf(key: string, value: PythonValue | undefined): number[] {
  if (!Array.isArray(value)) throw invalid(`has ${key} that is no list`, 'a list of numbers');
  return value.map((each, index) => {
    if (typeof each === 'number') return each;
    throw invalid(`has ${JSON.stringify(each)} in ${key}[${index}]`, 'a number');
  });
}

/** Recorded values are 1 for nothing to 11 for all; 0 is none. */
const shareOf = (value: number) => (value === 0 ? null : rounded((value - 1) / 10));
const recordedOf = (share: number | null) => (share === null ? 0 : rounded(share * 10 + 1));

/** Artisan escapes texts once more before Python does. */
function decode(text: string): string {
  return text.replace(
    /\\(?:([nrt\\'"])|x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U(0010[0-9a-fA-F]{4}|000[0-9a-fA-F]{5}))/g,
    (_, plain: string | undefined, ...hex: (string | undefined)[]) => {
      if (plain !== undefined) return { n: '\n', r: '\r', t: '\t' }[plain] ?? plain;
      return String.fromCodePoint(Number.parseInt(hex.slice(0, 3).find(Boolean) as string, 16));
    },
  );
}

function encode(text: string): string {
  return text.replace(/[^\x20-\x5b\x5d-\x7e]/gu, (character) => {
    const plain = { '\\': '\\\\', '\n': '\\n', '\r': '\\r', '\t': '\\t' }[character];
    if (plain !== undefined) return plain;
    const code = character.codePointAt(0) as number;
    const hex = code.toString(16);
    if (code < 0x100) return `\\x${hex.padStart(2, '0')}`;
    return code < 0x10000 ? `\\u${hex.padStart(4, '0')}` : `\\U${hex.padStart(8, '0')}`;
  });
}

/** As Artisan reads it. Events and controls go to the sample nearest to them, for that is what the format can hold. */
export function formatAlog(profile: Profile): string {
  const { samples, unit, artisan, notes } = profile;
  const temperature = (celsius: number | null) =>
    celsius === null ? MISSING : rounded(fromCelsius(celsius, unit));
  const indexAt = (timeMs: number) => nearestIndex(samples, timeMs);
  const at = new Map(profile.events.map(({ type, timeMs }) => [type, indexAt(timeMs)]));
  const dict: Record<string, PythonValue> = Object.assign(Object.create(null), {
    version: '3.2.0',
    ...artisan,
    mode: unit,
    title: encode(profile.title),
    beans: encode(notes.beans),
    roastingnotes: encode(notes.roasting),
    cuppingnotes: encode(notes.cupping),
    operator: encode(notes.operator),
    roastertype: encode(notes.roaster),
    timeindex: TIME_INDEX.map((type) => at.get(type) ?? (type === 'CHARGE' ? NO_CHARGE : 0)),
    timex: samples.map(({ timeMs }) => rounded(timeMs / 1000)),
    temp1: samples.map(({ et }) => temperature(et)),
    temp2: samples.map(({ bt }) => temperature(bt)),
    weight: weightOf(profile),
    computed: computedOf(profile, at.get('TP')),
    ...controlsOf(profile, indexAt),
    ...extrasOf(profile),
  });
  if (profile.startedAt !== null) dict['roastepoch'] = rounded(profile.startedAt / 1000);
  return formatPython(dict);
}

/** In the unit in which it was weighed. */
function weightOf({ greenG, roastedG, artisan }: Profile): PythonValue {
  const before = artisan?.['weight'];
  const unit = Array.isArray(before) ? String(before[2]) : 'g';
  const grams = GRAMS[unit.toLowerCase()];
  if (grams === undefined) return before ?? [0, 0, 'g'];
  return [rounded((greenG ?? 0) / grams), rounded((roastedG ?? 0) / grams), unit];
}

function computedOf({ artisan }: Profile, turned: number | undefined): PythonValue {
  const before = artisan?.['computed'];
  const computed = Object.assign(Object.create(null), isDict(before) ? before : {});
  if (turned === undefined) delete computed['TP_idx'];
  else computed['TP_idx'] = turned;
  return computed;
}

function controlsOf({ controls, artisan }: Profile, indexAt: (timeMs: number) => number) {
  const used = new Set(controls.map(({ channel }) => channel));
  const etypes = kindNames(artisan ?? {});
  // A channel that has no kind yet takes the place of one that nothing was set by.
  for (const channel of used) {
    const free = etypes.findIndex((name, kind) => kind < TEXT_KIND && !used.has(name));
    if (!etypes.includes(channel) && free >= 0) etypes[free] = channel;
  }
  const kindOf = (channel: string) => (etypes.includes(channel) ? etypes.indexOf(channel) : TEXT_KIND);
  return {
    etypes: etypes.map(encode),
    specialevents: controls.map(({ timeMs }) => indexAt(timeMs)),
    specialeventstype: controls.map(({ channel }) => kindOf(channel)),
    specialeventsvalue: controls.map(({ value }) => recordedOf(value)),
    specialeventsStrings: controls.map(({ channel, label }) =>
      // There are four places; a fifth control is told by its text.
      encode(etypes.includes(channel) ? label : `${channel} ${label}`.trim()),
    ),
  };
}

/** Two channels a device that have the same times share it. */
function extrasOf({ extraChannels }: Profile) {
  const devices: [ExtraChannel, ExtraChannel][] = [];
  for (let index = 0; index < extraChannels.length; index += 1) {
    const first = extraChannels[index] as ExtraChannel;
    const second = extraChannels[index + 1];
    const paired =
      second !== undefined &&
      second.samples.length === first.samples.length &&
      second.samples.every(({ timeMs }, at) => timeMs === first.samples[at]?.timeMs);
    const alone = { name: '', samples: first.samples.map(({ timeMs }) => ({ timeMs, value: null })) };
    devices.push([first, paired ? second : alone]);
    if (paired) index += 1;
  }
  const series = ({ samples }: ExtraChannel) => samples.map(({ value }) => value ?? MISSING);
  return {
    extratimex: devices.map(([{ samples }]) => samples.map(({ timeMs }) => rounded(timeMs / 1000))),
    extraname1: devices.map(([first]) => encode(first.name)),
    extraname2: devices.map(([, second]) => encode(second.name)),
    extratemp1: devices.map(([first]) => series(first)),
    extratemp2: devices.map(([, second]) => series(second)),
  };
}
