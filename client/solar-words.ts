import type { Machine, Row } from './solar-fleet.js';
import { clockTime, durationWords, exactTime } from './words.js';

/** How a machine is shown: what it says itself, told apart into work and rest, or why it says nothing. */
export type Look = 'running' | 'idle' | 'stale' | 'offline';

export const LOOKS: readonly Look[] = ['offline', 'stale', 'running', 'idle'];

export const LOOK_WORDS: Readonly<Record<Look, string>> = {
  offline: 'Offline',
  stale: 'Stale',
  running: 'Running',
  idle: 'Idle',
};

export const LOOK_ICONS: Readonly<Record<Look, string>> = {
  offline: 'mdi-lan-disconnect',
  stale: 'mdi-clock-alert-outline',
  running: 'mdi-play-circle',
  idle: 'mdi-check-circle-outline',
};

/** The protocol names one word for a machine at work and leaves all others to its maker. */
const AT_WORK = /^(running|cleaning|working|active|busy)\b/i;

export function lookOf({ status, online }: Pick<Machine, 'status' | 'online'>): Look {
  if (!online) return status === 'stale' ? 'stale' : 'offline';
  return AT_WORK.test(status) ? 'running' : 'idle';
}

export const capital = (text: string) => text.charAt(0).toUpperCase() + text.slice(1);

/** The machine's own word where it has one, else ours. */
export function statusWord(status: string): string {
  return capital(status);
}

/** A number with its unit, `–` where there is none. */
export function measure(value: number | null | undefined, decimals: number, unit: string): string {
  if (value == null) return '–';
  return `${value.toFixed(decimals)}${unit === '' ? '' : ` ${unit}`}`;
}

/** Watts that its panel gives now; null where it tells no volts or no amperes. */
export function powerOf(row: Row | undefined): number | null {
  return row?.solarV == null || row.solarA == null ? null : row.solarV * row.solarA;
}

/** Since when it is so, and what it was before. */
export interface SinceView {
  /** `for 5 min`: a tile is not drawn each second for the sake of its seconds. */
  age: string;
  /** What it did before it went away: `was Running`, or empty. */
  was: string;
  exact: string;
}

/** @param now epoch milliseconds UTC */
export function sinceWords(machine: Machine, now: number): SinceView {
  const { since, lastSeen, lastStatus } = machine;
  const heard = lastSeen === undefined ? 'It was never heard.' : `Last word ${exactTime(lastSeen)}.`;
  const was = lastStatus === undefined ? '' : `was ${statusWord(lastStatus)}`;
  switch (lookOf(machine)) {
    case 'offline':
      return {
        age: lastingWords(now - since),
        was,
        exact: `It said goodbye, or its connection broke and the broker sent its last will, ${exactTime(since)}. ${heard}`,
      };
    case 'stale':
      return {
        age: lastingWords(now - (lastSeen ?? since)),
        was,
        exact: `Nothing was heard for three of its intervals; it has not said goodbye. ${heard}`,
      };
    default:
      return {
        age: lastingWords(now - since),
        was: '',
        exact: `${statusWord(machine.status)} since ${exactTime(since)}. ${heard}`,
      };
  }
}

const lastingWords = (ms: number) => (ms < 60_000 ? 'just now' : `for ${durationWords(ms)}`);

/** `12:03:05`, or a dash. */
export const timeWords = (at: number | undefined, now: number) =>
  at === undefined ? '–' : clockTime(at, now);
