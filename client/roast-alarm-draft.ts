import { EVENT_TYPES, type EventType } from '../lib/roast/event.js';
import { EVENT_WORDS } from './roast-marks.js';
import {
  celsiusOf,
  celsiusRateOf,
  rateIn,
  roastTime,
  type TemperatureUnit,
  temperatureIn,
} from './roast-units.js';
import type { AlarmConfig, Severity } from './roast-wire.js';

/** What an alarm looks at, as a person chooses it. */
export type AlarmKind = 'bt' | 'et' | 'bt_ror' | 'et_ror' | 'time' | 'event';

export const ALARM_KINDS: readonly { kind: AlarmKind; label: string }[] = [
  { kind: 'bt', label: 'Bean temperature' },
  { kind: 'et', label: 'Air temperature' },
  { kind: 'bt_ror', label: 'Rate of rise, beans' },
  { kind: 'et_ror', label: 'Rate of rise, air' },
  { kind: 'time', label: 'Time since' },
  { kind: 'event', label: 'As soon as' },
];

/** An alarm as it stands in the form; texts are what is in the fields. */
export interface AlarmDraft {
  kind: AlarmKind;
  direction: 'above' | 'below';
  /** In the unit that is shown; of a time `m:ss` or seconds. */
  threshold: string;
  /** Of `time` and `event`. */
  event: EventType;
  /** Not before this event; empty: at any time. */
  after: EventType | '';
  message: string;
  severity: Severity;
  /** What the form does not show stays as it was. */
  rest: AlarmConfig | undefined;
}

export const newAlarm = (): AlarmDraft => ({
  kind: 'bt',
  direction: 'above',
  threshold: '',
  event: 'FCs',
  after: 'TP',
  message: '',
  severity: 'warning',
  rest: undefined,
});

const isRate = (kind: AlarmKind) => kind === 'bt_ror' || kind === 'et_ror';
/** Tenths are enough; a figure that came through the other unit must not grow a tail. */
const short = (value: number) => String(Math.round(value * 10) / 10);

/** An alarm of a machine as a form shows it. */
export function draftOfAlarm(alarm: AlarmConfig, unit: TemperatureUnit): AlarmDraft {
  const { source, above, below, event } = alarm.when;
  const value = above ?? below;
  const shown = (figure: number) => {
    if (source === 'time') return roastTime(figure * 1000);
    return short(isRate(source) ? rateIn(figure, unit) : temperatureIn(figure, unit));
  };
  return {
    kind: source,
    direction: above === undefined && below !== undefined ? 'below' : 'above',
    threshold: value === undefined ? '' : shown(value),
    event: event ?? 'FCs',
    after: alarm.after_event ?? '',
    message: alarm.message ?? '',
    severity: alarm.severity ?? 'warning',
    rest: alarm,
  };
}

/** Why a draft is no alarm yet; empty where it is one. */
export function alarmProblem(draft: AlarmDraft): string {
  if (draft.kind === 'event') return '';
  if (draft.kind === 'time') {
    return secondsOf(draft.threshold) === undefined ? 'A time such as 1:30 is wanted.' : '';
  }
  return figureOf(draft.threshold) === undefined ? 'A number is wanted.' : '';
}

/**
 * The alarms as the gateway takes them. Ids of new ones are given by their place, so that they fire in that order.
 * @param drafts each without a problem
 */
export function alarmsOfDrafts(drafts: readonly AlarmDraft[], unit: TemperatureUnit): AlarmConfig[] {
  const taken = new Set(drafts.map(({ rest }) => rest?.id));
  let number = 0;
  const nextId = () => {
    do number += 1;
    while (taken.has(`alarm-${number}`));
    return `alarm-${number}`;
  };
  return drafts.map((draft) => {
    const {
      message: _message,
      after_event: _after,
      severity: _severity,
      when: _when,
      ...rest
    } = draft.rest ?? {};
    return {
      id: nextIdOf(draft, nextId),
      ...rest,
      when: conditionOf(draft, unit),
      severity: draft.severity,
      ...(draft.message.trim() !== '' && { message: draft.message.trim() }),
      ...(draft.after !== '' && { after_event: draft.after }),
    };
  });
}

const nextIdOf = (draft: AlarmDraft, nextId: () => string) => draft.rest?.id ?? nextId();

function conditionOf(draft: AlarmDraft, unit: TemperatureUnit): AlarmConfig['when'] {
  const { kind, direction, threshold, event } = draft;
  if (kind === 'event') return { source: 'event', event };
  if (kind === 'time') return { source: 'time', event, above: secondsOf(threshold) ?? 0 };
  const figure = figureOf(threshold) ?? 0;
  const celsius = isRate(kind) ? celsiusRateOf(figure, unit) : celsiusOf(figure, unit);
  return { source: kind, [direction]: Math.round(celsius * 100) / 100 };
}

function figureOf(text: string): number | undefined {
  const trimmed = text.trim().replace(',', '.').replace('−', '-');
  const figure = Number(trimmed);
  return trimmed === '' || !Number.isFinite(figure) ? undefined : figure;
}

/** `1:30`, `90` */
function secondsOf(text: string): number | undefined {
  const match = /^(?:(\d{1,3}):)?(\d{1,5})$/.exec(text.trim());
  if (match === null) return undefined;
  const [, minutes, seconds] = match;
  if (minutes !== undefined && Number(seconds) > 59) return undefined;
  return Number(minutes ?? 0) * 60 + Number(seconds);
}

/** What an alarm waits for, in words: `BT above 216 °C, after TP`. */
export function alarmWords(alarm: AlarmConfig, unit: TemperatureUnit): string {
  const { source, above, below, event } = alarm.when;
  const after = alarm.after_event === undefined ? '' : `, after ${EVENT_WORDS[alarm.after_event]}`;
  if (source === 'event') return `${EVENT_WORDS[event ?? 'CHARGE']}${after}`;
  if (source === 'time')
    return `${roastTime((above ?? 0) * 1000)} after ${EVENT_WORDS[event ?? 'CHARGE']}${after}`;
  const figure = above ?? below ?? 0;
  const name = { bt: 'BT', et: 'ET', bt_ror: 'RoR', et_ror: 'ET RoR' }[source];
  const value = isRate(source)
    ? `${short(rateIn(figure, unit))} °${unit}/min`
    : `${short(temperatureIn(figure, unit))} °${unit}`;
  return `${name} ${above === undefined ? 'below' : 'above'} ${value}${after}`;
}

export const ALARM_EVENTS = EVENT_TYPES.map((type) => ({ type, label: EVENT_WORDS[type] }));
