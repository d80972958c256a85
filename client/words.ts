const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** A length of time as people say it: `12 s`, `23 min`, `5 h 10 min`, `3 d 4 h`. @param ms milliseconds */
export function durationWords(ms: number): string {
  const left = Math.max(0, ms);
  if (left < MINUTE) return `${Math.floor(left / SECOND)} s`;
  if (left < HOUR) return `${Math.floor(left / MINUTE)} min`;
  if (left < DAY) return twoUnits(left, HOUR, 'h', MINUTE, 'min');
  // Past ten days nobody counts hours.
  return left < 10 * DAY ? twoUnits(left, DAY, 'd', HOUR, 'h') : `${Math.floor(left / DAY)} d`;
}

function twoUnits(ms: number, large: number, largeName: string, small: number, smallName: string): string {
  const rest = Math.floor((ms % large) / small);
  const whole = `${Math.floor(ms / large)} ${largeName}`;
  return rest === 0 ? whole : `${whole} ${rest} ${smallName}`;
}

/** `12 s ago`, `just now` below two seconds. */
export function agoWords(at: number, now: number): string {
  return now - at < 2 * SECOND ? 'just now' : `${durationWords(now - at)} ago`;
}

// A formatter costs a thousand times what it formats: hundreds of machines are drawn every second.
const EXACT = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'medium' });
const TIME = { hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23' } as const;
const TIME_OF_DAY = new Intl.DateTimeFormat(undefined, TIME);
const DAY_AND_TIME = new Intl.DateTimeFormat(undefined, { day: 'numeric', month: 'short', ...TIME });

/** The instant itself in the reader's own time zone and language, to the second. */
export function exactTime(at: number): string {
  return EXACT.format(at);
}

/** Time of day to the second where `at` is today, otherwise with the date. */
export function clockTime(at: number, now: number): string {
  return (startOfDay(at) === startOfDay(now) ? TIME_OF_DAY : DAY_AND_TIME).format(at);
}

/** Midnight before `at` in the reader's time zone. */
export function startOfDay(at: number): number {
  return new Date(at).setHours(0, 0, 0, 0);
}

/** A share from 0 to 1 as whole percent; what is above nothing is never shown as nothing. */
export function percentWords(share: number): string {
  if (share > 0 && share < 0.01) return '<1 %';
  return `${Math.round(share * 100)} %`;
}

/** `1 machine`, `2 machines`. */
export function counted(count: number, one: string, many = `${one}s`): string {
  return `${count} ${count === 1 ? one : many}`;
}

const SHORT_BEGINNING = 8;
const SHORT_END = 4;
const LONGEST_BEGINNING = 12;

/**
 * Each id as short as it stays apart from the others of the list: its beginning of at least 8 characters, or, where
 * beginnings are alike for long, its end of at least 4.
 */
export function shortIds(ids: readonly string[]): Map<string, string> {
  const lengthApart = (least: number, part: (id: string, length: number) => string) => {
    const longest = Math.max(0, ...ids.map((id) => id.length));
    const distinct = new Set(ids).size;
    let length = least;
    while (length < longest && new Set(ids.map((id) => part(id, length))).size < distinct) length += 1;
    return length;
  };
  const beginning = lengthApart(SHORT_BEGINNING, (id, length) => id.slice(0, length));
  if (beginning <= LONGEST_BEGINNING) return new Map(ids.map((id) => [id, id.slice(0, beginning)]));
  const end = lengthApart(SHORT_END, (id, length) => id.slice(-length));
  return new Map(ids.map((id) => [id, id.length > end ? `…${id.slice(-end)}` : id]));
}
