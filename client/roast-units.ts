import type { TemperatureUnit } from '../lib/roast/reading.js';

export type { TemperatureUnit };

/** What a page shows where nothing is known. */
export const UNKNOWN = '–';

/** A temperature as it is shown. @param celsius as it came */
export function temperatureIn(celsius: number, unit: TemperatureUnit): number {
  return unit === 'C' ? celsius : celsius * 1.8 + 32;
}

export function celsiusOf(temperature: number, unit: TemperatureUnit): number {
  return unit === 'C' ? temperature : (temperature - 32) / 1.8;
}

/** A rate is a difference: it has no offset. @param celsiusPerMinute as it came */
export function rateIn(celsiusPerMinute: number, unit: TemperatureUnit): number {
  return unit === 'C' ? celsiusPerMinute : celsiusPerMinute * 1.8;
}

export function celsiusRateOf(rate: number, unit: TemperatureUnit): number {
  return unit === 'C' ? rate : rate / 1.8;
}

export const unitSign = (unit: TemperatureUnit) => `°${unit}`;

/** `185.3` */
export function temperatureWords(celsius: number | null | undefined, unit: TemperatureUnit): string {
  return celsius == null ? UNKNOWN : temperatureIn(celsius, unit).toFixed(1);
}

/** `12.4`, `−3.1` */
export function rateWords(rate: number | null | undefined, unit: TemperatureUnit): string {
  return rate == null ? UNKNOWN : rateIn(rate, unit).toFixed(1).replace('-', '−');
}

/** A time of a roast as roasters read it: `8:05`, `−0:30`, `1:02:03`. Whole seconds, cut off. */
export function roastTime(ms: number | null | undefined): string {
  if (ms == null) return '–:––';
  const seconds = Math.floor(Math.abs(ms) / 1000);
  const sign = ms < 0 && seconds > 0 ? '−' : '';
  const two = (value: number) => String(value).padStart(2, '0');
  const hours = Math.floor(seconds / 3600);
  const minutes = Math.floor(seconds / 60) % 60;
  const rest = two(seconds % 60);
  return hours > 0 ? `${sign}${hours}:${two(minutes)}:${rest}` : `${sign}${minutes}:${rest}`;
}

/** A share from 0 to 1: `16.4 %`. */
export function shareWords(share: number | null | undefined): string {
  return share == null ? UNKNOWN : `${(share * 100).toFixed(1)} %`;
}
