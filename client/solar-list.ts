import { byName, type Machine } from './solar-fleet.js';
import {
  LOOK_ICONS,
  LOOK_WORDS,
  LOOKS,
  type Look,
  lookOf,
  measure,
  powerOf,
  sinceWords,
  statusWord,
  timeWords,
} from './solar-words.js';
import { counted } from './words.js';

export type Filter = 'all' | Look;
export const COLUMNS = ['machine', 'state', 'battery', 'power', 'water', 'area', 'energy', 'seen'] as const;
export type Column = (typeof COLUMNS)[number];

export interface Sort {
  column: Column;
  descending: boolean;
}

/** One machine as a tile and as a row of the table: both say the same. */
export interface MachineView {
  key: string;
  machineId: string;
  /** Only where machines of several companies are shown. */
  company: string;
  look: Look;
  word: string;
  icon: string;
  age: string;
  was: string;
  exact: string;
  battery: string;
  power: string;
  water: string;
  /** Percent of the tank, for a bar; undefined where it is not measured. */
  tank: number | undefined;
  area: string;
  energy: string;
  seen: string;
  /** Changes exactly when anything of it has to be drawn again. */
  memo: string;
}

export interface CountView {
  filter: Filter;
  word: string;
  count: number;
  pressed: boolean;
}

export function machineView(machine: Machine, withCompany: boolean, now: number): MachineView {
  const { telemetry, area, energy } = machine;
  const look = lookOf(machine);
  const { age, was, exact } = sinceWords(machine, now);
  const tank = telemetry?.water == null ? undefined : Math.min(Math.max(telemetry.water, 0), 100);
  const view = {
    key: machine.key,
    machineId: machine.machineId,
    company: withCompany ? machine.companyId : '',
    look,
    word: statusWord(machine.status),
    icon: LOOK_ICONS[look],
    age,
    was,
    exact,
    battery: measure(telemetry?.battery, 1, 'V'),
    power: measure(powerOf(telemetry), 0, 'W'),
    water: measure(telemetry?.water, 0, '%'),
    tank,
    area: measure(area, 0, 'm²'),
    energy: measure(energy, 0, 'Wh'),
    seen: timeWords(machine.lastSeen, now),
  };
  return { ...view, memo: Object.values(view).join('|') };
}

/** All machines counted by their looks, whatever is filtered. */
export function countsOf(machines: readonly Machine[], chosen: Filter): CountView[] {
  const counts = new Map<Look, number>();
  for (const machine of machines) {
    const look = lookOf(machine);
    counts.set(look, (counts.get(look) ?? 0) + 1);
  }
  const all: CountView = { filter: 'all', word: 'All', count: machines.length, pressed: chosen === 'all' };
  return [
    all,
    ...LOOKS.map((look) => ({
      filter: look,
      word: LOOK_WORDS[look],
      count: counts.get(look) ?? 0,
      pressed: chosen === look,
    })),
  ];
}

/** Those of the chosen state whose id, or company's, holds the text. */
export function filtered(machines: readonly Machine[], filter: Filter, text: string): readonly Machine[] {
  const wanted = text.trim().toLowerCase();
  if (filter === 'all' && wanted === '') return machines;
  return machines.filter(
    (machine) =>
      (filter === 'all' || lookOf(machine) === filter) &&
      (machine.machineId.toLowerCase().includes(wanted) || machine.companyId.toLowerCase().includes(wanted)),
  );
}

type Value = string | number | undefined | null;

const VALUES: Readonly<Record<Exclude<Column, 'machine'>, (machine: Machine) => Value>> = {
  state: (machine) => LOOKS.indexOf(lookOf(machine)),
  battery: ({ telemetry }) => telemetry?.battery,
  power: ({ telemetry }) => powerOf(telemetry),
  water: ({ telemetry }) => telemetry?.water,
  area: ({ area }) => area,
  energy: ({ energy }) => energy,
  seen: ({ lastSeen }) => lastSeen,
};

/** Machines without a value come last, either way. */
export function sorted(machines: readonly Machine[], { column, descending }: Sort): readonly Machine[] {
  const sign = descending ? -1 : 1;
  if (column === 'machine') {
    return descending ? [...machines].sort((a, b) => byName(b.machineId, a.machineId)) : machines;
  }
  const of = VALUES[column];
  return machines
    .map((machine, place) => ({ machine, place, value: of(machine) }))
    .sort((a, b) => {
      if (a.value == null || b.value == null) return Number(a.value == null) - Number(b.value == null);
      if (a.value === b.value) return a.place - b.place;
      return a.value < b.value ? -sign : sign;
    })
    .map(({ machine }) => machine);
}

export interface AttentionView {
  key: string;
  look: 'failure' | 'warning';
  icon: string;
  title: string;
  text: string;
  exact: string;
  /** The machine to open, or the state to filter by where it stands for several. */
  machine: string | undefined;
  filter: Look;
}

/** More than these of one kind are told as one. */
const SINGLY = 4;

/** Machines that are away: those that said so, or whose connection broke, before those that are merely silent. */
export function attentionOf(machines: readonly Machine[], now: number): AttentionView[] {
  return (['offline', 'stale'] as const).flatMap((look): AttentionView[] => {
    const away = machines.filter((machine) => lookOf(machine) === look);
    const kind = look === 'offline' ? ('failure' as const) : ('warning' as const);
    const base = { look: kind, icon: LOOK_ICONS[look], filter: look };
    if (away.length > SINGLY) {
      const title = `${counted(away.length, 'machine')} ${look === 'offline' ? 'are offline' : 'are silent'}`;
      const names = away.slice(0, SINGLY).map(({ machineId }) => machineId);
      const text = `${names.join(', ')} and ${away.length - SINGLY} more`;
      return [{ ...base, key: look, title, text, exact: '', machine: undefined }];
    }
    return away.map((machine) => {
      const { age, was, exact } = sinceWords(machine, now);
      const title =
        look === 'offline' ? `${machine.machineId} is offline` : `${machine.machineId} says nothing`;
      const text = was === '' ? age : `${age}, ${was}`;
      return { ...base, key: machine.key, title, text, exact, machine: machine.key };
    });
  });
}
