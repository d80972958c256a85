import { FieldloomError } from '../core/errors.js';
import type { EventType } from './event.js';
import { EVENT_TYPES } from './event.js';
import {
  type ExtraChannel,
  eventAt,
  inOrder,
  NO_NOTES,
  nearestIndex,
  type Profile,
  type ProfileEvent,
} from './profile.js';
import { fromCelsius, type Sample, type TemperatureUnit, toCelsius } from './reading.js';

/**
 * Tables of a roast. Two layouts are read: Artisan's CSV export (a line `Date:… Unit:… CHARGE:mm:ss …`, then `Time1
 * Time2 ET BT Event …`), and a plain one whose first line names its columns. Both are written; the plain one keeps
 * fractions of a second.
 */
const SEPARATORS = ['\t', ';', ','];

/** What columns of the plain layout may be called, without the unit. */
const COLUMNS: Readonly<Record<'seconds' | 'milliseconds' | 'bt' | 'et' | 'event', readonly string[]>> = {
  seconds: ['time', 'time_s', 'timex', 'seconds', 'elapsed', 'elapsed_s', 't'],
  milliseconds: ['timestamp_ms', 'time_ms', 'ms'],
  bt: ['bt', 'bean', 'bean_temp', 'bean_temperature', 'temp2'],
  et: ['et', 'env', 'env_temp', 'environment_temperature', 'temp1'],
  event: ['event', 'event_type'],
};

/** `bt_f`, `BT (F)`: the table is in Fahrenheit. */
const UNIT_SUFFIX = /_?(_[cf]|\([cf]\))$/;

const ARTISAN_EVENTS: Readonly<Record<string, EventType>> = {
  charge: 'CHARGE',
  tp: 'TP',
  dryend: 'DRY_END',
  drye: 'DRY_END',
  dry_end: 'DRY_END',
  fcs: 'FCs',
  fce: 'FCe',
  scs: 'SCs',
  sce: 'SCe',
  drop: 'DROP',
  cool: 'COOL',
};

function invalid(line: number, found: string, accepted: string): FieldloomError {
  return new FieldloomError('invalid_profile', `line ${line} has ${found}: accepted is ${accepted}`, {
    details: { line },
  });
}

/** Lines and cells of a table with quotes (RFC 4180), by the separator that its first line has. */
function cellsOf(text: string): string[][] {
  const head = text.split('\n', 1)[0] ?? '';
  const separator = SEPARATORS.find((each) => head.includes(each)) ?? ',';
  const rows: string[][] = [];
  let row: string[] = [];
  let at = 0;
  while (at < text.length) {
    let cell = '';
    if (text[at] === '"') {
      const opened = at;
      at += 1;
      for (;;) {
        const end = text.indexOf('"', at);
        if (end < 0)
          throw invalid(rows.length + 1, text.slice(opened, opened + 20), 'text that ends with its quote');
        cell += text.slice(at, end);
        at = end + 1;
        if (text[at] !== '"') break;
        cell += '"';
        at += 1;
      }
    } else {
      let end = at;
      while (end < text.length && text[end] !== separator && text[end] !== '\n') end += 1;
      cell = text.slice(at, end).replace(/\r$/, '');
      at = end;
    }
    row.push(cell.trim());
    if (text[at] === '\r') at += 1;
    const ended = at >= text.length || text[at] === '\n';
    at += 1;
    if (ended) {
      if (row.some((each) => each !== '')) rows.push(row);
      row = [];
    }
  }
  return rows;
}

/** @throws FieldloomError invalid_profile */
export function parseCsv(text: string): Profile {
  const rows = cellsOf(text);
  const head = rows[0] ?? [];
  return head.some((cell) => /^Unit:[CF]$/i.test(cell)) ? artisanTable(rows) : plainTable(rows);
}

const emptyProfile = {
  title: '',
  startedAt: null,
  controls: [],
  notes: NO_NOTES,
  greenG: null,
  roastedG: null,
  artisan: null,
} as const;

/** `mm:ss` or `h:mm:ss` in ms. */
function clockTime(cell: string): number | null {
  const parts = /^(?:(\d+):)?(\d+):(\d\d(?:\.\d+)?)$/.exec(cell);
  if (parts === null) return null;
  return (Number(parts[1] ?? 0) * 3600 + Number(parts[2]) * 60 + Number(parts[3])) * 1000;
}

/** A number with a point or a comma; null for anything else. */
function decimal(cell: string | undefined): number | null {
  if (cell === undefined || !/^[+-]?(\d+([.,]\d*)?|[.,]\d+)([eE][+-]?\d+)?$/.test(cell)) return null;
  const value = Number(cell.replace(',', '.'));
  return Number.isFinite(value) ? value : null;
}

function artisanTable(rows: string[][]): Profile {
  const about = new Map(
    (rows[0] as string[]).map((cell) => [cell.split(':', 1)[0] ?? '', cell.slice(cell.indexOf(':') + 1)]),
  );
  const unit: TemperatureUnit = about.get('Unit')?.toUpperCase() === 'F' ? 'F' : 'C';
  const names = rows[1] ?? [];
  const column = (name: string) => names.findIndex((each) => each.toLowerCase() === name);
  const [time1, et, bt] = [column('time1'), column('et'), column('bt')];
  if (time1 < 0 || bt < 0) throw invalid(2, names.join(' '), 'Time1, Time2, ET, BT, Event and more');
  const body = rows.slice(2);
  const seconds = body.map((row, index) => {
    const time = clockTime(row[time1] ?? '');
    if (time === null) throw invalid(index + 3, JSON.stringify(row[time1] ?? ''), 'a time mm:ss');
    return time;
  });
  const times = spread(seconds);
  const samples = body.map((row, index) => ({
    timeMs: times[index] as number,
    bt: toCelsius(decimal(row[bt]), unit),
    et: toCelsius(decimal(row[et]), unit),
  }));
  const events = eventColumn(samples, body, column('event'));
  const kept = [time1, column('time2'), et, bt, column('event')];
  return { ...emptyProfile, unit, samples, events, extraChannels: extras(names, body, times, kept) };
}

/** Whole seconds, of which several samples have the same one: these are spread over it. */
function spread(times: readonly number[]): number[] {
  const spreadOut: number[] = [];
  for (let from = 0; from < times.length; ) {
    let to = from;
    while (to < times.length && times[to] === times[from]) to += 1;
    const room = Math.min(1000, (times[to] ?? Infinity) - (times[from] as number));
    for (let index = from; index < to; index += 1) {
      spreadOut.push((times[from] as number) + ((index - from) * room) / (to - from));
    }
    from = to;
  }
  return spreadOut;
}

function eventColumn(samples: readonly Sample[], body: string[][], column: number): ProfileEvent[] {
  const events: ProfileEvent[] = [];
  body.forEach((row, index) => {
    for (const name of (row[column] ?? '').split('|')) {
      const type = ARTISAN_EVENTS[name.trim().replaceAll(' ', '').toLowerCase()];
      if (type === undefined || events.some((event) => event.type === type)) continue;
      events.push(eventAt(samples, type, (samples[index] as Sample).timeMs));
    }
  });
  return inOrder(events);
}

/** Every further column that holds figures. */
function extras(
  names: readonly string[],
  body: string[][],
  times: readonly number[],
  known: readonly number[],
): ExtraChannel[] {
  return names.flatMap((name, column) => {
    if (known.includes(column) || name === '') return [];
    const values = body.map((row) => decimal(row[column]));
    if (values.every((value) => value === null)) return [];
    return {
      name,
      samples: values.map((value, index) => ({
        timeMs: times[index] as number,
        value: value === -1 ? null : value,
      })),
    };
  });
}

function plainTable(rows: string[][]): Profile {
  const names = rows[0] ?? [];
  const plain = names.map((name) => name.toLowerCase().replaceAll(' ', '_'));
  const bare = plain.map((name) => name.replace(UNIT_SUFFIX, ''));
  const column = (kind: keyof typeof COLUMNS) => bare.findIndex((name) => COLUMNS[kind].includes(name));
  const [seconds, milliseconds] = [column('seconds'), column('milliseconds')];
  const [bt, et, event] = [column('bt'), column('et'), column('event')];
  const time = milliseconds >= 0 ? milliseconds : seconds;
  if (time < 0 || bt < 0) {
    throw invalid(
      1,
      names.join(', ').slice(0, 100),
      'the columns time_s (or timestamp_ms) and bt, et, event and more',
    );
  }
  const unit: TemperatureUnit = /f\)?$/.test(UNIT_SUFFIX.exec(plain[bt] as string)?.[0] ?? '') ? 'F' : 'C';
  const body = rows.slice(1);
  const times = body.map((row, index) => {
    const cell = row[time] ?? '';
    const value = decimal(cell);
    if (value !== null) return time === milliseconds ? value : Number((value * 1000).toPrecision(14));
    const clock = clockTime(cell);
    if (clock === null) throw invalid(index + 2, JSON.stringify(cell), 'a time in seconds or mm:ss');
    return clock;
  });
  const samples = body.map((row, index) => ({
    timeMs: times[index] as number,
    bt: toCelsius(decimal(row[bt]), unit),
    et: toCelsius(decimal(row[et]), unit),
  }));
  return {
    ...emptyProfile,
    unit,
    samples,
    events: eventColumn(samples, body, event),
    extraChannels: extras(names, body, times, [time, seconds, milliseconds, bt, et, event]),
  };
}

const quoted = (text: string) => (/[",\t\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);

/** Types of the events at each sample. */
function eventsAt({ samples, events }: Profile): ReadonlyMap<number, EventType[]> {
  const at = new Map<number, EventType[]>();
  for (const type of EVENT_TYPES) {
    const event = events.find((each) => each.type === type);
    if (event === undefined) continue;
    const index = nearestIndex(samples, event.timeMs);
    at.set(index, [...(at.get(index) ?? []), type]);
  }
  return at;
}

/** Extra channels that have the samples' times: a table has one time a line. */
const channelsOf = ({ samples, extraChannels }: Profile) =>
  extraChannels.filter((channel) => channel.samples.length === samples.length);

/**
 * The plain layout: `time_s,bt,et,event` in Celsius, then the extra channels that have the samples' times. What a table
 * has no place for (notes, weights, controls) is not in it.
 */
export function formatCsv(profile: Profile): string {
  const channels = channelsOf(profile);
  const at = eventsAt(profile);
  const lines = profile.samples.map(({ timeMs, bt, et }, index) => [
    String(Number((timeMs / 1000).toPrecision(14))),
    String(bt ?? ''),
    String(et ?? ''),
    (at.get(index) ?? []).join('|'),
    ...channels.map((channel) => String(channel.samples[index]?.value ?? '')),
  ]);
  const head = ['time_s', 'bt', 'et', 'event', ...channels.map(({ name }) => name)];
  return [head, ...lines].map((line) => `${line.map(quoted).join(',')}\n`).join('');
}

/** Artisan's names of the events, in the order of its first line, and in its column. */
const ARTISAN_NAMES: readonly (readonly [EventType, string, string])[] = [
  ['CHARGE', 'CHARGE', 'Charge'],
  ['TP', 'TP', 'TP'],
  ['DRY_END', 'DRYe', 'Dry End'],
  ['FCs', 'FCs', 'FCs'],
  ['FCe', 'FCe', 'FCe'],
  ['SCs', 'SCs', 'SCs'],
  ['SCe', 'SCe', 'SCe'],
  ['DROP', 'DROP', 'Drop'],
  ['COOL', 'COOL', 'Cool'],
];

function clockOf(timeMs: number): string {
  const seconds = Math.floor(Math.abs(timeMs) / 1000);
  const two = (value: number) => String(value).padStart(2, '0');
  return `${timeMs <= -1000 ? '-' : ''}${two(Math.floor(seconds / 60))}:${two(seconds % 60)}`;
}

/**
 * The layout of Artisan's CSV export, for programs that read that: tabs, whole seconds, the unit of the recording. Times
 * count from the first sample, and in the second column from CHARGE.
 */
export function formatArtisanCsv(profile: Profile): string {
  const { samples, events, unit, startedAt } = profile;
  const channels = channelsOf(profile);
  const at = eventsAt(profile);
  const begin = samples[0]?.timeMs ?? 0;
  const timeOf = (type: EventType) => events.find((each) => each.type === type)?.timeMs;
  const charge = timeOf('CHARGE');
  const started = startedAt === null ? '' : new Date(startedAt).toISOString();
  const about = [
    `Date:${started.slice(0, 10).split('-').reverse().join('.')}`,
    `Unit:${unit}`,
    ...ARTISAN_NAMES.map(([type, name]) => {
      const timeMs = timeOf(type);
      return `${name}:${timeMs === undefined ? '' : clockOf(timeMs - begin)}`;
    }),
    `Time:${started.slice(11, 16)}`,
  ];
  const temperature = (celsius: number | null) =>
    celsius === null ? '-1' : String(Number(fromCelsius(celsius, unit).toPrecision(14)));
  const lines = samples.map(({ timeMs, bt, et }, index) => [
    clockOf(timeMs - begin),
    charge === undefined || timeMs < charge ? '' : clockOf(timeMs - charge),
    temperature(et),
    temperature(bt),
    (at.get(index) ?? []).map((type) => ARTISAN_NAMES.find(([each]) => each === type)?.[2]).join('|'),
    ...channels.map((channel) => String(channel.samples[index]?.value ?? -1)),
  ]);
  const head = ['Time1', 'Time2', 'ET', 'BT', 'Event', ...channels.map(({ name }) => name)];
  return [about, head, ...lines].map((line) => `${line.map(quoted).join('\t')}\r\n`).join('');
}
