import type { Controller, Machine, Statistics } from './laundry-state.js';
import type { StripSegment } from './laundry-strip.js';
import type { MachineStatus, MachineType } from './laundry-wire.js';
import { counted, durationWords, exactTime, percentWords } from './words.js';

export interface TileView {
  key: string;
  kind: 'washer' | 'dryer' | 'machine';
  icon: string;
  title: string;
  status: MachineStatus;
  statusWord: string;
  statusIcon: string;
  /** How long, or what it was before it became unknown. */
  age: string;
  exact: string;
  cycles: string;
  share: string;
  segments: readonly StripSegment[];
  /** Changes exactly when anything but the strip has to be drawn again. */
  memo: string;
}

export const STATUS_WORDS: Record<MachineStatus, string> = { busy: 'Busy', idle: 'Idle', unknown: 'Unknown' };
export const STATUS_ICONS: Record<MachineStatus, string> = {
  busy: 'mdi-play-circle',
  idle: 'mdi-check-circle-outline',
  unknown: 'mdi-help-circle-outline',
};
const KIND_WORDS = { washer: 'Washer', dryer: 'Dryer', machine: 'Machine' } as const;
const KIND_ICONS = {
  washer: 'mdi-washing-machine',
  dryer: 'mdi-tumble-dryer',
  machine: 'mdi-help-box-outline',
} as const;

export function kindOf(type: MachineType): keyof typeof KIND_WORDS {
  return type ?? 'machine';
}

export const machineTitle = (type: MachineType, relayId: number) => `${KIND_WORDS[kindOf(type)]} ${relayId}`;

export function tileView(
  machine: Machine,
  controller: Controller,
  today: Statistics | undefined,
  segments: readonly StripSegment[],
  now: number,
): TileView {
  const { key, machineType, relayId, status, lastStatus, since } = machine;
  const kind = kindOf(machineType);
  const away = status === 'unknown';
  const was = lastStatus === 'unknown' ? 'never heard' : `was ${lastStatus}`;
  const age = away ? was : durationWords(now - since);
  const cycles = today === undefined ? '' : counted(today.cycles, 'cycle');
  const share = today === undefined ? '' : `${percentWords(today.busyShare)} busy`;
  return {
    key,
    kind,
    icon: KIND_ICONS[kind],
    title: machineTitle(machineType, relayId),
    status,
    statusWord: STATUS_WORDS[status],
    statusIcon: STATUS_ICONS[status],
    age,
    exact: away
      ? `${STATUS_WORDS[status]} since its controller was last heard, ${exactTime(controller.lastSeen)}`
      : `${STATUS_WORDS[status]} since ${exactTime(since)}`,
    cycles,
    share,
    segments,
    memo: [status, age, cycles, share, kind, since].join('|'),
  };
}
