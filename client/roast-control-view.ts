import type { RoastControls } from './roast-controls.js';

/** A control as it is drawn. */
export interface ControlView {
  channel: string;
  label: string;
  icon: string;
  /** A switch has two states: a hopper, a door. */
  kind: 'slider' | 'switch';
  /** Where its slider stands, percent: what was asked for, or else what is. */
  position: number;
  /** What was really applied: `80 %`, `open`; `not set yet`. */
  applied: string;
  /** What was asked for and not yet answered; empty where nothing was. */
  wanted: string;
  /** Why the last wish was refused; empty where it was not. */
  problem: string;
  on: boolean;
  /** What a switch does when it is pressed. */
  press: string;
}

interface Named {
  label: string;
  icon: string;
}

const KNOWN: Readonly<Record<string, Named>> = {
  burner: { label: 'Burner', icon: 'mdi-fire' },
  airflow: { label: 'Air', icon: 'mdi-weather-windy' },
  fan: { label: 'Fan', icon: 'mdi-fan' },
  drum: { label: 'Drum', icon: 'mdi-rotate-right' },
};
/** A person's hands at a real machine; a simulated one has them as controls. */
const SWITCHES: Readonly<Record<string, Named & { open: string; close: string }>> = {
  charge: {
    label: 'Hopper',
    icon: 'mdi-tray-arrow-down',
    open: 'Drop the beans in',
    close: 'Close the hopper',
  },
  drop: { label: 'Door', icon: 'mdi-door-open', open: 'Let the beans out', close: 'Close the door' },
};

const percent = (value: number) => `${Math.round(value * 100)} %`;

/** Sliders first, in the order of the driver; then the switches. */
export function controlViews(channels: readonly string[], controls: RoastControls): ControlView[] {
  const views = channels.map((channel) => controlView(channel, controls));
  return [...views.filter(({ kind }) => kind === 'slider'), ...views.filter(({ kind }) => kind === 'switch')];
}

function controlView(channel: string, controls: RoastControls): ControlView {
  const { applied, wanted, problem } = controls.of(channel);
  const hand = SWITCHES[channel];
  const words = (value: number) => (hand === undefined ? percent(value) : value > 0.5 ? 'open' : 'closed');
  const named = hand ?? KNOWN[channel] ?? { label: channel, icon: 'mdi-tune-vertical' };
  const on = (wanted ?? applied ?? 0) > 0.5;
  return {
    channel,
    label: named.label,
    icon: named.icon,
    kind: hand === undefined ? 'slider' : 'switch',
    position: Math.round((wanted ?? applied ?? 0) * 100),
    applied: applied === null ? (hand === undefined ? 'not set yet' : 'closed') : words(applied),
    wanted: wanted === null ? '' : words(wanted),
    problem,
    on,
    press: hand === undefined ? '' : on ? hand.close : hand.open,
  };
}
