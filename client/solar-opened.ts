import type { Past } from './followed-machine.js';
import type { Curve } from './pond-curve.js';
import { type Sent, type SentView, sentView } from './solar-command.js';
import type { Change, Machine } from './solar-fleet.js';
import type { Form } from './solar-form.js';
import { type MachineView, machineView } from './solar-list.js';
import { type Curves, measurementsOf, type Span } from './solar-series.js';
import { LOOK_ICONS, type Look, lookOf, measure, powerOf, statusWord } from './solar-words.js';
import { agoWords, clockTime, exactTime } from './words.js';

/** Which commands a company's machines take, as far as the gateway has told. */
export type Offers =
  | { kind: 'loading' }
  /** @param any nothing is set: every command is taken */
  | { kind: 'known'; any: boolean; items: readonly { command: string; form: Form }[] }
  /** The gateway sends no commands. */
  | { kind: 'none' }
  | { kind: 'failed'; message: string };

export interface MeasurementView {
  name: string;
  label: string;
  icon: string;
  value: string;
  unit: string;
  curve: Curve;
}

export interface ChangeView {
  key: string;
  time: string;
  exact: string;
  look: Look;
  icon: string;
  word: string;
  from: string;
  /** It was away for less than five seconds. */
  restarted: boolean;
}

export interface OpenedMachineView extends MachineView {
  companyId: string;
  figures: readonly { label: string; value: string; exact: string }[];
  /** When the figures of its sensors were measured. */
  measured: string;
  span: Span;
  curves: 'loading' | 'loaded';
  measurements: readonly MeasurementView[];
  /** Numbers that it sends and that have no curve here. */
  more: number;
  changes: readonly ChangeView[];
  offers: Offers;
  /** What to know before one sends. */
  caution: string;
  /** Newest first. */
  sent: readonly SentView[];
  /** A command is not answered yet: another one has to wait. */
  busy: boolean;
}

export interface OpenedState {
  machine: Machine;
  past: Past;
  span: Span;
  offers: Offers | undefined;
  sent: readonly Sent[];
}

/** @param now epoch milliseconds UTC */
export function openedView(
  { machine, past, span, offers = { kind: 'loading' }, sent }: OpenedState,
  curves: Curves,
  now: number,
): OpenedMachineView {
  const series = past.series.get(span) ?? [];
  const { shown, more } = measurementsOf([
    ...past.series.values(),
    past.newest === undefined ? [] : [past.newest],
  ]);
  const newest = past.newest;
  return {
    ...machineView(machine, false, now),
    companyId: machine.companyId,
    figures: figuresOf(machine),
    measured:
      newest === undefined ? 'Its sensors have told nothing yet.' : `Measured ${agoWords(newest.at, now)}`,
    span,
    curves: past.loading.has(span) ? 'loading' : 'loaded',
    measurements: shown.map((measurement) => {
      const { name, label, icon, unit, decimals } = measurement;
      const value = measure(newest?.values.get(name)?.mean, decimals, '');
      return {
        name,
        label,
        icon,
        unit,
        value,
        curve: curves(machine.key, series, newest, measurement, span, now),
      };
    }),
    more,
    changes: (past.changes ?? []).map((change) => changeView(change, now)),
    offers,
    caution: cautionOf(machine),
    sent: sent.map((one) => sentView(one, now)),
    busy: sent.some(({ state }) => state.kind === 'asking'),
  };
}

function figuresOf(machine: Machine): OpenedMachineView['figures'] {
  const { telemetry, area, energy, waterUsed, reportedAt } = machine;
  const exact = reportedAt === undefined ? '' : `reported ${exactTime(reportedAt)}`;
  const measuredAt = telemetry === undefined ? '' : `measured ${exactTime(telemetry.at)}`;
  return [
    { label: 'Area cleaned', value: measure(area, 0, 'm²'), exact },
    { label: 'Energy used', value: measure(energy, 1, 'Wh'), exact },
    { label: 'Water used', value: measure(waterUsed, 1, 'L'), exact },
    { label: 'Panel power', value: measure(powerOf(telemetry), 0, 'W'), exact: measuredAt },
  ];
}

function changeView(change: Change, now: number): ChangeView {
  const { status, previousStatus, at, restarted } = change;
  const look = lookOf({ status, online: status !== 'offline' && status !== 'stale' });
  return {
    key: `${at} ${status}`,
    time: clockTime(at, now),
    exact: exactTime(at),
    look,
    icon: restarted ? 'mdi-restart' : LOOK_ICONS[look],
    word: statusWord(status),
    from: previousStatus === null ? '' : statusWord(previousStatus),
    restarted,
  };
}

function cautionOf(machine: Machine): string {
  switch (lookOf(machine)) {
    case 'offline':
      return 'It is offline: it gets the command when it is back, or never.';
    case 'stale':
      return 'It has been silent for too long: whether it gets the command is not known.';
    default:
      return '';
  }
}
