import { type Limits, outsideAt } from '../lib/command/limits.js';

/** What is known of a parameter that devices measure; others are shown by their own name, without a unit. */
export interface Parameter {
  name: string;
  label: string;
  unit: string;
  icon: string;
  /** Figures after the point. */
  decimals: number;
  /** What a scale shows at least: the water that fish live in. */
  scale: readonly [from: number, to: number] | undefined;
}

export type Judgement = 'ok' | 'low' | 'high' | 'unjudged';

type Known = [
  name: string,
  label: string,
  unit: string,
  icon: string,
  decimals: number,
  scale?: readonly [from: number, to: number],
];

/** In the order of their weight for fish; units as in schemas/command/sensors.schema.json. */
const KNOWN: readonly Known[] = [
  ['dissolved_oxygen', 'Oxygen', 'mg/L', 'mdi-chart-bubble', 1, [2, 12]],
  ['temperature', 'Temperature', '°C', 'mdi-thermometer', 1, [15, 35]],
  ['ph', 'pH', '', 'mdi-ph', 2, [5.5, 9.5]],
  ['ammonia', 'Ammonia', 'mg/L', 'mdi-flask-outline', 2, [0, 2]],
  ['nitrite', 'Nitrite', 'mg/L', 'mdi-flask-outline', 2],
  ['nitrate', 'Nitrate', 'mg/L', 'mdi-flask-outline', 1],
  ['turbidity', 'Turbidity', 'NTU', 'mdi-blur', 0, [0, 100]],
  ['salinity', 'Salinity', 'g/kg', 'mdi-shaker-outline', 1],
  ['conductivity', 'Conductivity', 'µS/cm', 'mdi-lightning-bolt-outline', 0],
  ['tds', 'Dissolved solids', 'mg/L', 'mdi-grain', 0],
  ['orp', 'Redox potential', 'mV', 'mdi-lightning-bolt-outline', 0],
  ['water_level', 'Water level', '%', 'mdi-waves', 0, [0, 100]],
  ['water1', 'Water level 1', '%', 'mdi-waves', 0, [0, 100]],
  ['water_level2', 'Water level 2', '%', 'mdi-waves', 0, [0, 100]],
  ['feed_level', 'Feed in store', '%', 'mdi-silo', 0, [0, 100]],
  ['feed1', 'Feed in store 1', '%', 'mdi-silo', 0, [0, 100]],
  ['feed_level2', 'Feed in store 2', '%', 'mdi-silo', 0, [0, 100]],
  ['humidity', 'Humidity', '%', 'mdi-water-percent', 0, [0, 100]],
  ['battery', 'Battery', '%', 'mdi-battery', 0, [0, 100]],
  ['battery_voltage', 'Battery', 'V', 'mdi-battery', 2],
  ['signal_strength', 'Signal', 'dBm', 'mdi-wifi', 0],
];

/** Other names for the same. */
const SAME: Readonly<Record<string, string>> = {
  oxygen: 'dissolved_oxygen',
  do: 'dissolved_oxygen',
  temp: 'temperature',
  water_temperature: 'temperature',
  water2: 'water_level2',
  feed2: 'feed_level2',
};

const PARAMETERS = new Map<string, Parameter>(
  KNOWN.map(([name, label, unit, icon, decimals, scale]) => [
    name,
    { name, label, unit, icon, decimals, scale },
  ]),
);
const ORDER = [...PARAMETERS.keys()];

/** How a parameter is shown, by the name that the device gives it. */
export function parameterOf(name: string): Parameter {
  const plain = name.toLowerCase();
  const known = PARAMETERS.get(SAME[plain] ?? plain);
  if (known !== undefined) return { ...known, name };
  const words = name.replace(/([a-z])([A-Z])/g, '$1 $2').replaceAll(/[_\s]+/g, ' ');
  return {
    name,
    label: words.charAt(0).toUpperCase() + words.slice(1),
    unit: '',
    icon: 'mdi-gauge',
    decimals: 2,
    scale: undefined,
  };
}

/** Known ones first, in the order of their weight, then the others by name. */
export function inOrder(names: Iterable<string>): string[] {
  const rank = (name: string) => {
    const plain = name.toLowerCase();
    const place = ORDER.indexOf(SAME[plain] ?? plain);
    return place === -1 ? ORDER.length : place;
  };
  return [...names].sort((a, b) => rank(a) - rank(b) || (a < b ? -1 : 1));
}

/** The value as it is written, without its unit. */
export function valueWords(parameter: Parameter, value: number): string {
  return value.toFixed(parameter.decimals);
}

export const withUnit = (words: string, { unit }: Parameter) => (unit === '' ? words : `${words} ${unit}`);

/** At a limit is still in range. */
export function judge(value: number, limits: Limits | undefined): Judgement {
  if (limits?.min === undefined && limits?.max === undefined) return 'unjudged';
  return outsideAt(value, limits) ?? 'ok';
}

/** `5 to 12`, `at least 5`, `at most 12`, with the unit; empty without limits. */
export function limitsWords(parameter: Parameter, limits: Limits | undefined): string {
  const { min, max } = limits ?? {};
  const words = (value: number) => String(Number(value.toFixed(3)));
  if (min !== undefined && max !== undefined) return withUnit(`${words(min)} to ${words(max)}`, parameter);
  if (min !== undefined) return withUnit(`at least ${words(min)}`, parameter);
  if (max !== undefined) return withUnit(`at most ${words(max)}`, parameter);
  return '';
}

/** The stretch of values that a scale shows: the parameter's own, widened to hold limits and values. */
export function scaleOf(
  parameter: Parameter,
  limits: Limits | undefined,
  values: readonly number[],
): [from: number, to: number] {
  const bounds = [limits?.min, limits?.max].filter((bound) => bound !== undefined);
  // Where the limit is the end of the scale, what lies beyond it could not be shown.
  const room = bounds.length === 2 ? (Math.max(...bounds) - Math.min(...bounds)) / 4 : 0;
  const points = [
    ...(parameter.scale ?? []),
    ...bounds.map((bound) => (bound === limits?.min ? bound - room : bound + room)),
    ...values,
  ];
  if (points.length === 0) return [0, 1];
  const from = Math.min(...points);
  const to = Math.max(...points);
  return from === to ? [from - 1, to + 1] : [from, to];
}
