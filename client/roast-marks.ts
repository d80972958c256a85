import { EVENT_TYPES, type EventType } from '../lib/roast/event.js';
import { roastTime, type TemperatureUnit, temperatureWords } from './roast-units.js';

/** What roasters call the events. */
export const EVENT_WORDS: Readonly<Record<EventType, string>> = {
  CHARGE: 'CHARGE',
  TP: 'TP',
  DRY_END: 'DRY END',
  FCs: 'FCs',
  FCe: 'FCe',
  SCs: 'SCs',
  SCe: 'SCe',
  DROP: 'DROP',
  COOL: 'COOL',
};

/** What a screen reader says, and a tooltip. */
export const EVENT_NAMES: Readonly<Record<EventType, string>> = {
  CHARGE: 'Charge: the beans are in',
  TP: 'Turning point',
  DRY_END: 'Dry end: the beans are yellow',
  FCs: 'First crack starts',
  FCe: 'First crack ends',
  SCs: 'Second crack starts',
  SCe: 'Second crack ends',
  DROP: 'Drop: the beans are out',
  COOL: 'Cool: the beans are cold',
};

/** What a person marks, in the order of a roast; the key of each is its place, from 1 on. TP marks itself. */
export const MARKED_EVENTS: readonly EventType[] = EVENT_TYPES.filter((type) => type !== 'TP');

/** The key of each event that a person marks. */
export const eventKey = (type: EventType) => String(MARKED_EVENTS.indexOf(type) + 1);

/** The event of a key; undefined where there is none. */
export function eventOfKey(key: string): EventType | undefined {
  return /^[1-9]$/.test(key) ? MARKED_EVENTS[Number(key) - 1] : undefined;
}

/** An event on the curve: where it is and what stands there. */
export interface EventMark {
  type: EventType;
  timeMs: number;
  /** °C on the curve; null where nobody knows. */
  bt: number | null;
  /** `FCs 9:18` */
  title: string;
  /** `202.9 °C` */
  text: string;
}

/** The events of a roast in the order of time, as they stand on the curve. */
export function eventMarks(
  events: ReadonlyMap<EventType, { readonly timeMs: number; readonly bt: number | null }>,
  unit: TemperatureUnit,
): EventMark[] {
  const zeroMs = events.get('CHARGE')?.timeMs ?? 0;
  return [...events]
    .map(([type, { timeMs, bt }]) => ({
      type,
      timeMs,
      bt,
      title: type === 'CHARGE' ? EVENT_WORDS[type] : `${EVENT_WORDS[type]} ${roastTime(timeMs - zeroMs)}`,
      text: bt === null ? '' : `${temperatureWords(bt, unit)} °${unit}`,
    }))
    .sort((a, b) => a.timeMs - b.timeMs);
}

/** A label that wants a place: the middle of it is over a point of the curve. */
export interface LabelWish {
  x: number;
  y: number;
  width: number;
  height: number;
}

/** Where a label stands: its upper left corner. */
export interface LabelPlace {
  left: number;
  top: number;
}

/** Between a label and the point that it names, px. */
const AWAY = 12;

/**
 * Places labels so that none covers another and all are inside: above their point, or else below it, or else further
 * and further up.
 */
export function placeLabels(
  wishes: readonly LabelWish[],
  area: { left: number; top: number; right: number; bottom: number },
): LabelPlace[] {
  const taken: (LabelPlace & LabelWish)[] = [];
  return wishes.map((wish) => {
    const { x, y, width, height } = wish;
    const left = Math.min(Math.max(x - width / 2, area.left), area.right - width);
    const above = y - AWAY - height;
    const tops = [above, y + AWAY];
    for (let step = 1; step <= 6; step += 1)
      tops.push(above - step * (height + 2), y + AWAY + step * (height + 2));
    const free = (top: number) =>
      top >= area.top &&
      top + height <= area.bottom &&
      !taken.some(
        (other) =>
          left < other.left + other.width + 4 &&
          other.left < left + width + 4 &&
          top < other.top + other.height + 2 &&
          other.top < top + height + 2,
      );
    const top = tops.find(free) ?? Math.min(Math.max(above, area.top), area.bottom - height);
    taken.push({ ...wish, left, top });
    return { left, top };
  });
}
