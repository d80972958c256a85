import { EVENT_TYPES, type EventType } from './event.js';
import type { Sample, TemperatureUnit } from './reading.js';

/** What came of a roast, whole: what is saved, exported and imported. Times are ms from the start of the recording. */
export interface Profile {
  readonly title: string;
  /** When the recording began, epoch ms UTC; null where nobody knows. */
  readonly startedAt: number | null;
  /** What the recording was made in; temperatures here are Celsius. */
  readonly unit: TemperatureUnit;
  /** In the order of time. */
  readonly samples: readonly Sample[];
  /** One of each type at most. */
  readonly events: readonly ProfileEvent[];
  readonly controls: readonly ControlChange[];
  readonly extraChannels: readonly ExtraChannel[];
  readonly notes: ProfileNotes;
  /** Grams; null where it was not weighed. */
  readonly greenG: number | null;
  readonly roastedG: number | null;
  /** Everything else that an .alog holds, as it was: it goes back into the next one. */
  readonly artisan: PythonDict | null;
}

export interface ProfileEvent {
  readonly type: EventType;
  readonly timeMs: number;
  /** Null where the source does not say. */
  readonly source: 'detected' | 'marked' | null;
  readonly bt: number | null;
  readonly et: number | null;
}

/** A control was set. */
export interface ControlChange {
  readonly timeMs: number;
  /** `burner`, `airflow` … as the machine or the recording calls it. */
  readonly channel: string;
  /** 0 to 1 of its range; null where the recording has but a text. Recordings go beyond the range. */
  readonly value: number | null;
  readonly label: string;
}

/** A further temperature or figure, with times of its own, in the unit it was recorded in. */
export interface ExtraChannel {
  readonly name: string;
  readonly samples: readonly { readonly timeMs: number; readonly value: number | null }[];
}

export interface ProfileNotes {
  readonly beans: string;
  readonly roasting: string;
  readonly cupping: string;
  readonly operator: string;
  readonly roaster: string;
}

export const NO_NOTES: ProfileNotes = { beans: '', roasting: '', cupping: '', operator: '', roaster: '' };

/** What a Python literal can say, as it is here; a tuple is a list. */
export type PythonValue = null | boolean | number | string | readonly PythonValue[] | PythonDict;
/** Without a prototype, so that no key means more than it says. */
export interface PythonDict {
  readonly [key: string]: PythonValue;
}

/** An event at a sample's temperatures. */
export function eventAt(
  samples: readonly Sample[],
  type: EventType,
  timeMs: number,
  source: ProfileEvent['source'] = null,
): ProfileEvent {
  const sample = samples[nearestIndex(samples, timeMs)];
  return { type, timeMs, source, bt: sample?.bt ?? null, et: sample?.et ?? null };
}

/** Events in the order of time; those of one time in the order in which they usually come. */
export function inOrder<T extends Pick<ProfileEvent, 'type' | 'timeMs'>>(events: readonly T[]): T[] {
  const usual = ({ type }: T) => EVENT_TYPES.indexOf(type);
  return events.toSorted((a, b) => a.timeMs - b.timeMs || usual(a) - usual(b));
}

/** Index of the sample nearest to a time; 0 where there is none. */
export function nearestIndex(samples: readonly Sample[], timeMs: number): number {
  let nearest = 0;
  let least = Infinity;
  for (let index = 0; index < samples.length; index += 1) {
    const away = Math.abs((samples[index] as Sample).timeMs - timeMs);
    if (away < least) {
      least = away;
      nearest = index;
    }
  }
  return nearest;
}
