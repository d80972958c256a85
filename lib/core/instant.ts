// Strict on purpose: Date.parse takes "2024-1-5", local times and much else that no two programs read alike.
const INSTANT =
  /^(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(?:[.,](\d{1,9}))?(?:([Zz])|([+-])(\d\d)(?::?(\d\d))?)$/;

const DAYS = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

function daysOf(year: number, month: number): number {
  const leap = month === 2 && year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
  return (DAYS[month - 1] as number) + (leap ? 1 : 0);
}

/**
 * An ISO 8601 date and time with its offset as epoch milliseconds UTC; digits past the millisecond are cut off.
 * @returns undefined where it is anything else: no offset, month 13, 30 February, hour 24. A leap second (60) is the
 *   first moment of the next minute.
 */
export function parseInstant(text: string): number | undefined {
  const parts = INSTANT.exec(text);
  if (parts === null) return undefined;
  const year = Number(parts[1]);
  const month = Number(parts[2]);
  const day = Number(parts[3]);
  const hour = Number(parts[4]);
  const minute = Number(parts[5]);
  const second = Number(parts[6]);
  if (month < 1 || month > 12 || day < 1 || day > daysOf(year, month)) return undefined;
  if (hour > 23 || minute > 59 || second > 60) return undefined;
  const fraction = parts[7];
  const millisecond = fraction === undefined ? 0 : Number(fraction.padEnd(3, '0').slice(0, 3));
  let offset = 0;
  if (parts[9] !== undefined) {
    const hours = Number(parts[10]);
    const minutes = Number(parts[11] ?? 0);
    if (hours > 23 || minutes > 59) return undefined;
    offset = (parts[9] === '-' ? -1 : 1) * (hours * 60 + minutes);
  }
  const local = Date.UTC(year, month - 1, day, hour, minute, second, millisecond);
  // Date.UTC takes the years 0 to 99 for 1900 to 1999.
  return (year < 100 ? new Date(local).setUTCFullYear(year) : local) - offset * 60_000;
}

/**
 * ISO 8601 text of an instant, as a clock `offsetMinutes` east of Greenwich shows it; 0 is written `Z`. Milliseconds
 * are written only where they are not zero.
 * @param instant epoch milliseconds UTC
 */
export function formatInstant(instant: number, offsetMinutes = 0): string {
  const text = new Date(instant + offsetMinutes * 60_000).toISOString().replace('.000Z', 'Z');
  if (offsetMinutes === 0) return text;
  const size = Math.abs(offsetMinutes);
  const two = (value: number) => String(value).padStart(2, '0');
  return `${text.slice(0, -1)}${offsetMinutes < 0 ? '-' : '+'}${two(Math.floor(size / 60))}:${two(size % 60)}`;
}
/** Epoch seconds have ten digits until the year 2286; what has more are milliseconds. */
const MILLISECONDS_FROM = 1e11;

/**
 * A time as devices write it: ISO 8601 with its offset, or epoch seconds or milliseconds as a number.
 * @returns epoch milliseconds UTC; undefined where it is none
 */
export function readInstant(value: string | number): number | undefined {
  if (typeof value === 'string') return parseInstant(value);
  if (!Number.isFinite(value) || value < 0) return undefined;
  const ms = Math.round(value < MILLISECONDS_FROM ? value * 1000 : value);
  return ms <= LATEST ? ms : undefined;
}

/** The last instant that a Date can hold. */
const LATEST = 8.64e15;
