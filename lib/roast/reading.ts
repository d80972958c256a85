/** The temperature unit of a source. Inside, temperatures are Celsius. */
export type TemperatureUnit = 'C' | 'F';

/** Below and above these a thermocouple or its wire is broken; roast.md "Signal". */
const LOWEST_C = -40;
const HIGHEST_C = 600;
/** What recording programs write where a probe gave nothing, whatever the unit. */
const NOTHING = -1;

/** A rate in °C/min, of a rate in the source's unit: a difference has no offset. */
export function rateToCelsius(rate: number, unit: TemperatureUnit): number {
  return unit === 'F' ? rate / 1.8 : rate;
}

/** A temperature in the unit a person reads. */
export function fromCelsius(celsius: number, unit: TemperatureUnit): number {
  return unit === 'F' ? celsius * 1.8 + 32 : celsius;
}

/** A rate in the unit a person reads, of °C/min. */
export function rateFromCelsius(rate: number, unit: TemperatureUnit): number {
  return unit === 'F' ? rate * 1.8 : rate;
}

/**
 * A temperature of a driver or an import in °C. Null where it is missing: null, undefined, no number, -1 (in any unit,
 * before conversion), below -40 °C or above 600 °C (roast.md "Signal").
 */
export function toCelsius(value: unknown, unit: TemperatureUnit = 'C'): number | null {
  if (typeof value !== 'number' || !Number.isFinite(value) || value === NOTHING) return null;
  const celsius = unit === 'F' ? (value - 32) / 1.8 : value;
  return celsius < LOWEST_C || celsius > HIGHEST_C ? null : celsius;
}

/** One moment of a roast. Times are ms on one clock that never goes back; null where a probe gave nothing. */
export interface Sample {
  readonly timeMs: number;
  /** Bean temperature, °C. */
  readonly bt: number | null;
  /** Environment (air, exhaust) temperature, °C. */
  readonly et: number | null;
}

/** A temperature that is not missing, at its own time. */
export interface Reading {
  readonly timeMs: number;
  readonly celsius: number;
}
