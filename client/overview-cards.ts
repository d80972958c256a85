import { awayIn } from './overview-attention.js';
import type { CurveWire, OverviewWire, Part } from './overview-wire.js';
import { type Curve, curveOf } from './pond-curve.js';
import { parameterOf, valueWords, withUnit } from './pond-parameters.js';
import { counted } from './words.js';

export type OverviewCardName = 'laundry' | 'ponds' | 'firmware' | 'solar' | 'roast';

/** A number with the word and the sign that say what it counts. */
export interface FigureView {
  value: string;
  word: string;
  icon: string;
  look: 'plain' | 'busy' | 'idle' | 'unknown' | 'warning' | 'failure';
}

export interface OverviewCardView {
  name: OverviewCardName;
  title: string;
  icon: string;
  /** Below the dashboard. */
  place: string;
  state: 'ready' | 'empty' | 'absent' | 'unauthenticated' | 'forbidden' | 'failed';
  /** What is there: `2 shops, 3 controllers`; or why there is nothing to see. */
  text: string;
  figures: readonly FigureView[];
  /** What the curve shows, or why there is none. */
  caption: string;
  curve: Curve | undefined;
}

type Filled = Pick<OverviewCardView, 'text' | 'figures' | 'caption' | 'curve'> & { empty?: string };

const TITLES: Readonly<Record<OverviewCardName, { title: string; icon: string; login: string }>> = {
  laundry: { title: 'Laundry', icon: 'mdi-washing-machine', login: 'Log in to see the shops.' },
  ponds: { title: 'Ponds', icon: 'mdi-fish', login: 'Log in to see your ponds.' },
  firmware: { title: 'Firmware', icon: 'mdi-update', login: 'Log in to see the rollouts.' },
  solar: { title: 'Solar', icon: 'mdi-solar-power-variant-outline', login: 'Log in to see your machines.' },
  roast: { title: 'Roast', icon: 'mdi-coffee-outline', login: 'Log in to see the machines.' },
};

/** The five cards, in the order of the pages. Nothing of them changes but with the gateway's answer. */
export function overviewCards(overview: OverviewWire): OverviewCardView[] {
  return [
    card('laundry', overview.laundry, laundryCard),
    card('ponds', overview.ponds, (part) => pondsCard(part, Date.parse(overview.at))),
    card('firmware', overview.firmware, firmwareCard),
    card('solar', overview.solar, solarCard),
    card('roast', overview.roast, roastCard),
  ];
}

function card<Ready>(
  name: OverviewCardName,
  part: Part<Ready>,
  fill: (part: { state: 'ready' } & Ready) => Filled,
): OverviewCardView {
  const { title, icon, login } = TITLES[name];
  const nothing = { name, title, icon, place: name, figures: [], caption: '', curve: undefined };
  switch (part.state) {
    case 'ready': {
      const { empty, ...filled } = fill(part);
      if (empty !== undefined) return { ...nothing, state: 'empty', text: empty };
      return { ...nothing, state: 'ready', ...filled };
    }
    case 'absent':
      return { ...nothing, state: 'absent', text: 'No node of it is in the running flows.' };
    case 'unauthenticated':
      return { ...nothing, state: 'unauthenticated', text: login };
    case 'forbidden':
      return { ...nothing, state: 'forbidden', text: 'Your login may not see this.' };
    case 'failed':
      return { ...nothing, state: 'failed', text: `${part.message} (${part.code})` };
  }
}

const figure = (value: number, word: string, icon: string, look: FigureView['look']): FigureView => ({
  value: String(value),
  word,
  icon,
  look,
});
/** What is not there calls for no colour. */
const alarming = (value: number, word: string, icon: string, look: 'warning' | 'failure'): FigureView =>
  figure(value, word, icon, value === 0 ? 'plain' : look);

type Ready<Name extends keyof OverviewWire> = Extract<OverviewWire[Name], { state: 'ready' }>;

function laundryCard({ stores, controllers, controllers_offline, machines, busy }: Ready<'laundry'>): Filled {
  if (stores === 0) return nothingYet('No shop has reported yet.');
  return {
    text: `${counted(stores, 'shop')}, ${counted(controllers, 'controller')}`,
    figures: [
      figure(machines.busy, 'busy', 'mdi-progress-clock', 'busy'),
      figure(machines.idle, 'idle', 'mdi-check-circle-outline', 'idle'),
      figure(machines.unknown, 'unknown', 'mdi-help-circle-outline', 'unknown'),
      alarming(controllers_offline, 'offline', 'mdi-access-point-network-off', 'failure'),
    ],
    caption: 'Busy machines, last hour',
    curve: curveFrom(busy, { label: 'Busy machines', unit: '', decimals: 0, fromZero: true }),
  };
}

function pondsCard(part: Ready<'ponds'>, at: number): Filled {
  const { ponds, ponds_online, ponds_offline, ponds_alerted, ponds_outside, lowest_oxygen: lowest } = part;
  if (ponds === 0) return nothingYet('You have no pond yet.');
  const silent = ponds - ponds_online - ponds_offline;
  return {
    text: `${counted(ponds, 'pond')}${silent > 0 ? `, ${silent} never heard` : ''}`,
    figures: [
      figure(ponds_online, 'online', 'mdi-access-point-network', 'idle'),
      alarming(ponds_offline, 'offline', 'mdi-access-point-network-off', 'failure'),
      alarming(ponds_alerted, 'alerts', 'mdi-bell-outline', 'failure'),
      alarming(ponds_outside, 'off limits', 'mdi-thermometer-alert', 'warning'),
    ],
    ...oxygen(lowest, at),
  };
}

function oxygen(lowest: Ready<'ponds'>['lowest_oxygen'], at: number): Pick<Filled, 'caption' | 'curve'> {
  if (lowest === null) return { caption: 'No oxygen was measured in the last hour.', curve: undefined };
  const parameter = parameterOf(lowest.parameter);
  const limits =
    lowest.threshold === null
      ? undefined
      : { min: lowest.threshold.min ?? undefined, max: lowest.threshold.max ?? undefined };
  const readings = lowest.readings
    .map((reading) => ({ key: reading.at, at: Date.parse(reading.at), values: reading.values }))
    .sort((a, b) => a.at - b.at);
  return {
    caption: `Lowest oxygen: ${lowest.name}, ${withUnit(valueWords(parameter, lowest.value), parameter)}`,
    curve: curveOf(readings, parameter, limits, '1h', at),
  };
}

function firmwareCard(part: Ready<'firmware'>): Filled {
  if (part.rollouts_total === 0) return nothingYet('No firmware was rolled out yet.');
  const { rollouts, rollouts_total, completed_24h, failed_24h, completed } = part;
  const waiting = (rollouts.WAITING_APPROVAL ?? 0) + (rollouts.PAUSED ?? 0);
  let sum = 0;
  const risen = completed.values.map((value) => {
    sum += value ?? 0;
    return sum;
  });
  return {
    text: counted(rollouts_total, 'rollout'),
    figures: [
      figure(rollouts.RUNNING ?? 0, 'running', 'mdi-play-circle-outline', 'busy'),
      alarming(waiting, 'waiting', 'mdi-account-clock-outline', 'warning'),
      figure(completed_24h, 'done, 24 h', 'mdi-check-circle-outline', 'idle'),
      alarming(failed_24h, 'failed, 24 h', 'mdi-alert-circle-outline', 'failure'),
    ],
    caption: 'Controllers updated, last hour',
    curve: curveFrom(
      { ...completed, values: risen },
      { label: 'Controllers updated', unit: '', decimals: 0, fromZero: true },
    ),
  };
}

function solarCard({ companies, machines, states, battery }: Ready<'solar'>): Filled {
  if (machines === 0) return nothingYet('No machine has reported yet.');
  const mean = battery.values.findLast((value) => value !== null);
  const now = mean === undefined || mean === null ? '' : `, now ${mean.toFixed(1)} V`;
  return {
    text: `${counted(machines, 'machine')}${companies > 1 ? ` of ${companies} companies` : ''}`,
    figures: [
      figure(machines - awayIn(states), 'online', 'mdi-lan-connect', 'idle'),
      alarming(states['offline'] ?? 0, 'offline', 'mdi-lan-disconnect', 'failure'),
      alarming(states['stale'] ?? 0, 'stale', 'mdi-clock-alert-outline', 'warning'),
    ],
    caption: now === '' ? 'No machine told its battery in the last hour.' : `Mean battery, last hour${now}`,
    curve: now === '' ? undefined : curveFrom(battery, { label: 'Mean battery', unit: 'V', decimals: 1 }),
  };
}

function roastCard({ machines, bean_temperature: bean }: Ready<'roast'>): Filled {
  if (machines.length === 0) return nothingYet('No roasting machine is set up yet.');
  const many = (wanted: (machine: (typeof machines)[number]) => boolean) => machines.filter(wanted).length;
  const last = bean?.values.findLast((value) => value !== null);
  return {
    text: counted(machines.length, 'machine'),
    figures: [
      figure(
        many(({ state }) => state === 'recording'),
        'roasting',
        'mdi-fire',
        'busy',
      ),
      figure(
        many(({ driver_state }) => driver_state === 'connected'),
        'connected',
        'mdi-lan-connect',
        'idle',
      ),
      alarming(
        many(({ driver_state }) => driver_state === 'reconnecting'),
        'cut off',
        'mdi-connection',
        'failure',
      ),
    ],
    ...(bean === null
      ? { caption: 'Nothing is roasted now.', curve: undefined }
      : {
          caption: `Beans in ${bean.name}${last === undefined || last === null ? '' : `, now ${last.toFixed(1)} °C`}`,
          curve: curveFrom(bean, { label: `Bean temperature in ${bean.name}`, unit: '°C', decimals: 1 }),
        }),
  };
}

const nothingYet = (empty: string): Filled => ({
  empty,
  text: '',
  figures: [],
  caption: '',
  curve: undefined,
});

/**
 * @param fromZero a count: its scale begins at nothing
 */
function curveFrom(
  { from, step_s, values }: CurveWire,
  {
    label,
    unit,
    decimals,
    fromZero = false,
  }: { label: string; unit: string; decimals: number; fromZero?: boolean },
): Curve {
  const begin = Date.parse(from);
  const step = step_s * 1000;
  const known = values.filter((value) => value !== null);
  const words = (value: number) => `${value.toFixed(decimals)}${unit === '' ? '' : ` ${unit}`}`;
  const range =
    known.length === 0
      ? 'nothing was measured'
      : `${words(Math.min(...known))} to ${words(Math.max(...known))}`;
  return {
    times: values.map((_, index) => begin + index * step),
    values,
    from: begin,
    to: begin + Math.max(values.length - 1, 1) * step,
    limits: undefined,
    decimals,
    unit,
    ...(fromZero && { least: 0 }),
    label: `${label}, last hour: ${range}`,
  };
}
