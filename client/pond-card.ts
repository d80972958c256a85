import { outcomeWords, pastWords, progressView } from './pond-command.js';
import type { Order } from './pond-order.js';
import {
  inOrder,
  type Judgement,
  judge,
  limitsWords,
  parameterOf,
  scaleOf,
  valueWords,
} from './pond-parameters.js';
import { type Device, type Execution, hasEnded, type Pond } from './pond-state.js';
import { agoWords, durationWords, exactTime } from './words.js';

/** Shares of a scale, 0 to 100 from its beginning, for a bar with the limits drawn in. */
export interface GaugeView {
  value: number;
  /** The stretch inside the limits. */
  from: number;
  to: number;
}

export interface ReadingView {
  parameter: string;
  label: string;
  icon: string;
  value: string;
  unit: string;
  judgement: Judgement;
  judgementWord: string;
  judgementIcon: string;
  limits: string;
  age: string;
  exact: string;
  gauge: GaugeView | undefined;
}

export interface DeviceView {
  look: 'online' | 'offline' | 'unheard';
  icon: string;
  word: string;
  exact: string;
}

export interface CardCommandView {
  look: 'open' | 'completed' | 'failed' | 'ended';
  icon: string;
  text: string;
  exact: string;
}

export const JUDGEMENT_WORDS: Record<Judgement, string> = {
  ok: 'in range',
  low: 'too low',
  high: 'too high',
  unjudged: '',
};
export const JUDGEMENT_ICONS: Record<Judgement, string> = {
  ok: 'mdi-check-circle-outline',
  low: 'mdi-arrow-down-bold-circle',
  high: 'mdi-arrow-up-bold-circle',
  unjudged: '',
};
const LOOK_ICONS: Record<CardCommandView['look'], string> = {
  open: 'mdi-progress-clock',
  completed: 'mdi-check-circle-outline',
  failed: 'mdi-alert-circle-outline',
  ended: 'mdi-minus-circle-outline',
};

/** All parameters that have a value, the weightiest first. @param now epoch milliseconds UTC */
export function readingViews(pond: Pond, now: number): ReadingView[] {
  return inOrder(Object.keys(pond.latest)).flatMap((name) => {
    const latest = pond.latest[name];
    if (latest === undefined) return [];
    const parameter = parameterOf(name);
    const limits = pond.thresholds[name];
    const judgement = judge(latest.value, limits);
    return {
      parameter: name,
      label: parameter.label,
      icon: parameter.icon,
      value: valueWords(parameter, latest.value),
      unit: parameter.unit,
      judgement,
      judgementWord: JUDGEMENT_WORDS[judgement],
      judgementIcon: JUDGEMENT_ICONS[judgement],
      limits: limitsWords(parameter, limits),
      age: agoWords(latest.at, now),
      exact: exactTime(latest.at),
      gauge: gaugeView(pond, name, latest.value),
    };
  });
}

function gaugeView(pond: Pond, name: string, value: number): GaugeView | undefined {
  const limits = pond.thresholds[name];
  if (judge(value, limits) === 'unjudged') return undefined;
  const [from, to] = scaleOf(parameterOf(name), limits, [value]);
  const share = (at: number) => Math.round(((at - from) / (to - from)) * 1000) / 10;
  return { value: share(value), from: share(limits?.min ?? from), to: share(limits?.max ?? to) };
}

/** @param brief where there are many: without the age, which is another each second */
export function deviceView(device: Device | undefined, now: number, brief = false): DeviceView {
  if (device === undefined) {
    return { look: 'unheard', icon: 'mdi-access-point-network', word: 'Not heard yet', exact: '' };
  }
  const { online, lastSeen } = device;
  return online
    ? {
        look: 'online',
        icon: 'mdi-access-point-network',
        word: brief ? 'Online' : `Online, last heard ${agoWords(lastSeen, now)}`,
        exact: `Last heard ${exactTime(lastSeen)}`,
      }
    : {
        look: 'offline',
        icon: 'mdi-access-point-network-off',
        word: `Offline for ${durationWords(now - lastSeen)}`,
        exact: `Last heard ${exactTime(lastSeen)}`,
      };
}

/** The line of a card that tells what was pressed last and what became of it. */
export function cardCommand(
  executions: readonly Execution[],
  order: Order | undefined,
  now: number,
): CardCommandView | undefined {
  if (order !== undefined) return orderLine(order);
  const execution = executions.find((one) => !hasEnded(one)) ?? executions[0];
  if (execution === undefined) return undefined;
  const progress = progressView(execution, now);
  const { look, title, status, exact } = progress;
  const icon = LOOK_ICONS[look];
  if (look === 'open') return { look, icon, text: `${title}: ${outcomeWords(progress)} …`, exact };
  const ago = agoWords(execution.completedAt ?? execution.createdAt, now);
  const text =
    look === 'completed' ? `${pastWords(execution)} ${ago}` : `${title}: ${status.toLowerCase()} ${ago}`;
  return { look, icon, text, exact };
}

function orderLine({ state, title }: Order): CardCommandView | undefined {
  switch (state.kind) {
    case 'asking':
    case 'answered':
      return { look: 'open', icon: LOOK_ICONS.open, text: `${title}: asking the gateway …`, exact: '' };
    case 'retrying':
      return {
        look: 'open',
        icon: LOOK_ICONS.open,
        text: `${title}: no answer yet, asking again …`,
        exact: '',
      };
    case 'refused':
    case 'unknown':
      return { look: 'failed', icon: LOOK_ICONS.failed, text: `${title}: ${state.text}`, exact: '' };
  }
}
