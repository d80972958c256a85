import type { EventType } from '../lib/roast/event.js';
import type { ImportOutcome, LoadedProfile, RoastLibrary } from './roast-library.js';
import { EVENT_WORDS } from './roast-marks.js';
import type { RoastTrace } from './roast-trace.js';
import {
  rateWords,
  roastTime,
  shareWords,
  type TemperatureUnit,
  temperatureWords,
  UNKNOWN,
} from './roast-units.js';
import type { ProfileHeadWire, ProfileWire, StatisticsWire } from './roast-wire.js';

/** A saved roast in the list. */
export interface ProfileLine {
  id: string;
  name: string;
  /** When it was roasted, or else saved. */
  date: string;
  duration: string;
  isBackground: boolean;
  isOpened: boolean;
}

/** A figure of a roast, and of the one that it is compared with. */
export interface StatisticRow {
  label: string;
  value: string;
  other: string;
  /** The first less the second; empty where it has no meaning. */
  difference: string;
}

export interface OpenedProfileView {
  id: string;
  name: string;
  date: string;
  loading: boolean;
  problem: string;
  trace: RoastTrace | undefined;
  compared: { id: string; name: string; trace: RoastTrace | undefined; problem: string } | undefined;
  rows: readonly StatisticRow[];
  notes: readonly { label: string; text: string }[];
}

export interface LibraryView {
  loading: boolean;
  lines: readonly ProfileLine[];
  more: boolean;
  background: { id: string; name: string; trace: RoastTrace | undefined; problem: string } | undefined;
  opened: OpenedProfileView | undefined;
  imports: readonly ImportOutcome[];
  importing: boolean;
}

const DATE = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'short' });
const dateOf = ({ started_at, created_at }: ProfileHeadWire) =>
  DATE.format(Date.parse(started_at ?? created_at));
const nameOf = (name: string) => (name === '' ? 'Without a name' : name);

export function libraryView(library: RoastLibrary, unit: TemperatureUnit): LibraryView {
  const { heads, background, opened, compared, imports, importing, more } = library;
  const known = (id: string) => nameOf(heads?.find((head) => head.id === id)?.name ?? '');
  const shown = ({ id, profile, trace, problem }: LoadedProfile) => ({
    id,
    name: profile === undefined ? known(id) : nameOf(profile.name),
    trace,
    problem,
  });
  return {
    loading: heads === undefined,
    lines: (heads ?? []).map((head) => ({
      id: head.id,
      name: nameOf(head.name),
      date: dateOf(head),
      duration: roastTime(head.duration_ms),
      isBackground: head.id === background?.id,
      isOpened: head.id === opened?.id,
    })),
    more,
    background: background === undefined ? undefined : shown(background),
    opened:
      opened === undefined
        ? undefined
        : {
            ...shown(opened),
            date: opened.profile === undefined ? '' : dateOf(opened.profile),
            loading: opened.profile === undefined && opened.problem === '',
            compared: compared === undefined ? undefined : shown(compared),
            rows: opened.profile === undefined ? [] : statisticRows(opened.profile, compared?.profile, unit),
            notes: opened.profile === undefined ? [] : notesOf(opened.profile),
          },
    imports,
    importing,
  };
}

const NOTE_WORDS = [
  ['beans', 'Beans'],
  ['roaster', 'Roaster'],
  ['operator', 'Operator'],
  ['roasting', 'Roasting'],
  ['cupping', 'Cupping'],
] as const;

function notesOf({ notes = {} }: ProfileWire) {
  return NOTE_WORDS.flatMap(([key, label]) => {
    const text = notes[key] ?? '';
    return text === '' ? [] : [{ label, text }];
  });
}

/** One figure of a profile: what it is, as a number, and how the number is said. */
interface Figure {
  label: string;
  of(profile: ProfileWire): number | null;
  words(value: number): string;
}

const signed = (words: string, value: number) => (value > 0 ? `+${words}` : words);

/** What roasters compare, in the order of a roast. Missing figures are shown as missing. */
export function statisticRows(
  profile: ProfileWire,
  other: ProfileWire | undefined,
  unit: TemperatureUnit,
): StatisticRow[] {
  return figuresFor(unit)
    .map(({ label, of, words }): StatisticRow => {
      const [value, compared] = [of(profile), other === undefined ? null : of(other)];
      const said = (figure: number | null) => (figure === null ? UNKNOWN : words(figure));
      return {
        label,
        value: said(value),
        other: said(compared),
        difference:
          value === null || compared === null ? '' : difference(label, value - compared, words, unit),
      };
    })
    .filter(({ value, other: compared }) => value !== UNKNOWN || compared !== UNKNOWN);
}

/** A difference of temperatures has no offset. */
function difference(
  label: string,
  value: number,
  words: (value: number) => string,
  unit: TemperatureUnit,
): string {
  const text = label.endsWith('BT') ? `${rateWords(value, unit)} °${unit}` : words(value).replace('-', '−');
  return signed(text, value);
}

function figuresFor(unit: TemperatureUnit): Figure[] {
  const time = (label: string, of: Figure['of']): Figure => ({ label, of, words: roastTime });
  const share = (label: string, of: Figure['of']): Figure => ({ label, of, words: shareWords });
  const rate = (label: string, of: Figure['of']): Figure => ({
    label,
    of,
    words: (value) => `${rateWords(value, unit)} °${unit}/min`,
  });
  const weight = (label: string, of: Figure['of']): Figure => ({ label, of, words: (value) => `${value} g` });
  const phase = (name: 'drying' | 'maillard' | 'development', label: string): Figure[] => [
    time(label, ({ statistics }) => statistics[name]?.duration_ms ?? null),
    share(`${label}, share`, ({ statistics }) => statistics[name]?.share ?? null),
    rate(`${label}, mean RoR`, ({ statistics }) => statistics[name]?.ror ?? null),
  ];
  const event = (type: EventType): Figure[] => [
    ...(type === 'CHARGE' ? [] : [time(EVENT_WORDS[type], (profile) => sinceCharge(profile, type))]),
    {
      label: `${EVENT_WORDS[type]}, BT`,
      of: (profile) => profile.events?.find(({ event_type }) => event_type === type)?.bt_at_event ?? null,
      words: (value) => `${temperatureWords(value, unit)} °${unit}`,
    },
  ];
  const figure = (name: keyof StatisticsWire) => (profile: ProfileWire) =>
    profile.statistics[name] as number | null;
  return [
    time('CHARGE to DROP', figure('total_ms')),
    ...phase('drying', 'Drying'),
    ...phase('maillard', 'Maillard'),
    ...phase('development', 'Development'),
    ...(['CHARGE', 'TP', 'DRY_END', 'FCs', 'FCe', 'SCs', 'DROP'] as const).flatMap(event),
    weight('Green weight', ({ weight: weighed }) => weighed?.green_g ?? null),
    weight('Roasted weight', ({ weight: weighed }) => weighed?.roasted_g ?? null),
    share('Weight loss', figure('weight_loss')),
  ];
}

function sinceCharge({ events = [] }: ProfileWire, type: EventType): number | null {
  const at = (wanted: EventType) => events.find(({ event_type }) => event_type === wanted)?.timestamp_ms;
  const [charge, event] = [at('CHARGE'), at(type)];
  return charge === undefined || event === undefined ? null : event - charge;
}
