import type { CountsWire, DeploymentState, RolloutWire, StageWire } from './firmware-wire.js';
import { DEPLOYMENT_STATES, DEPLOYMENT_WORDS, fromOne, type Look } from './firmware-words.js';
import { clockTime, counted, durationWords } from './words.js';

export interface SegmentView {
  look: Look;
  /** Of the bar's width. */
  percent: number;
}

export interface CountView {
  state: DeploymentState;
  word: string;
  icon: string;
  look: Look;
  count: number;
}

export interface StageView {
  index: number;
  title: string;
  /** `1 controller`, `9 more`. */
  size: string;
  place: 'done' | 'now' | 'asks' | 'ahead' | 'stopped';
  icon: string;
  word: string;
  segments: readonly SegmentView[];
  counts: readonly CountView[];
  /** Where the completed ones are enough, from the left; where the failed ones are too many, from the right: percent. */
  enough: number;
  tooMany: number;
  terms: string;
  /** The bar for who does not see it. */
  spoken: string;
}

/** Completed ones grow from the left, failed ones from the right. */
const BAR: readonly Look[] = ['completed', 'open', 'waiting', 'out', 'failed'];

const count = (counts: CountsWire, look: Look) =>
  DEPLOYMENT_STATES.reduce(
    (sum, state) => sum + (DEPLOYMENT_WORDS[state].look === look ? (counts[state] ?? 0) : 0),
    0,
  );

export const countViews = (counts: CountsWire): CountView[] =>
  DEPLOYMENT_STATES.flatMap((state) => {
    const of = counts[state] ?? 0;
    return of === 0 ? [] : [{ state, ...DEPLOYMENT_WORDS[state], count: of }];
  });

export function segmentsOf(counts: CountsWire, targets: number): SegmentView[] {
  return BAR.map((look) => ({ look, percent: (count(counts, look) / Math.max(targets, 1)) * 100 })).filter(
    ({ percent }) => percent > 0,
  );
}

/** How many of a stage are needed, and how many errors stop it (protocols.md "Firmware", Rollouts). */
export function thresholdsOf({ counts, targets, success_threshold, error_threshold }: StageWire) {
  const asked = targets - count(counts, 'out');
  const whole = (share: number) => Math.ceil(share * asked - 1e-9);
  return { asked, enough: whole(success_threshold), tooMany: Math.max(1, whole(error_threshold)) };
}

/** What a rollout waits for, or why it has ended, in plain words. @param now epoch milliseconds UTC */
export function waitsWords(rollout: RolloutWire, now: number): string {
  const { state, waits_for, reason, stage, wakes_at, stages } = rollout;
  const number = stage + 1;
  const because = reason === null ? '' : `: ${fromOne(reason)}`;
  switch (state) {
    case 'DRAFT':
      return 'A draft: nothing is sent before somebody starts it.';
    case 'PAUSED':
      return `Paused${because}.`;
    case 'WAITING_APPROVAL':
      return `Waits for a person’s approval of stage ${number}.`;
    case 'COMPLETED':
      return `${rollout.counts.COMPLETED ?? 0} of ${counted(rollout.targets, 'controller')} run ${rollout.firmware_version}.`;
    case 'ABORTED':
      return `Stopped by itself${because}.`;
    case 'CANCELLED':
      return `Cancelled${reason === null || reason === 'cancelled by a person' ? ' by a person' : because}.`;
    case 'RUNNING': {
      if (waits_for === 'gate') return `Waits for the flow behind the gate of stage ${number}${because}.`;
      if (waits_for === 'soak' && wakes_at !== null) {
        const until = Date.parse(wakes_at);
        const left = until > now ? `, ${durationWords(until - now)} more` : '';
        return `Stage ${number} soaks until ${clockTime(until, now)}${left}.`;
      }
      const { counts, targets } = stages[stage] as StageWire;
      const ended = targets - count(counts, 'open') - count(counts, 'waiting');
      const failed = count(counts, 'failed');
      const ofThem = failed === 0 ? '' : `, ${failed} of them failed`;
      return `Stage ${number} of ${stages.length}: ${ended} of ${counted(targets, 'controller')} finished${ofThem}.`;
    }
  }
}

export function stageViews(rollout: RolloutWire, now: number): StageView[] {
  return rollout.stages.map((stage, index) => stageView(rollout, stage, index, now));
}

function stageView(rollout: RolloutWire, stage: StageWire, index: number, now: number): StageView {
  const { counts, targets } = stage;
  const { asked, enough, tooMany } = thresholdsOf(stage);
  const place = placeOf(rollout, index);
  const of = (number: number) => (Math.min(number, targets) / Math.max(targets, 1)) * 100;
  const parts = countViews(counts).map(({ word, count: many }) => `${many} ${word.toLowerCase()}`);
  const more = index === 0 ? counted(targets, 'controller') : `${targets} more`;
  return {
    index,
    title: `Stage ${index + 1}`,
    size:
      stage.percent === null || index === 0 ? more : `${more}, up to ${Number(stage.percent.toFixed(2))} %`,
    place,
    icon: PLACES[place],
    word: wordOf(rollout, place, now),
    segments: segmentsOf(counts, targets),
    counts: countViews(counts),
    enough: of(enough),
    tooMany: of(tooMany),
    terms: termsOf(stage, { asked, enough, tooMany }),
    spoken: `Stage ${index + 1}, ${counted(targets, 'controller')}: ${parts.join(', ')}`,
  };
}

const PLACES: Readonly<Record<StageView['place'], string>> = {
  done: 'mdi-check',
  now: 'mdi-dots-horizontal',
  asks: 'mdi-account-clock-outline',
  ahead: 'mdi-circle-outline',
  stopped: 'mdi-pause',
};

function placeOf({ state, stage, waits_for, started_at }: RolloutWire, index: number): StageView['place'] {
  if (state === 'COMPLETED' || (index < stage && started_at !== null)) return 'done';
  if (index > stage || started_at === null) return 'ahead';
  if (state === 'RUNNING' && waits_for === 'gate') return 'ahead';
  if (state === 'WAITING_APPROVAL') return 'asks';
  return state === 'RUNNING' ? 'now' : 'stopped';
}

function wordOf(rollout: RolloutWire, place: StageView['place'], now: number): string {
  const { state, waits_for, wakes_at } = rollout;
  if (place === 'done') return 'Done';
  if (place === 'ahead') return 'Not started';
  if (place === 'stopped') return state === 'PAUSED' ? 'Paused' : 'Stopped';
  if (place === 'asks') return 'Waits for approval';
  if (waits_for === 'soak' && wakes_at !== null) return `Soaks until ${clockTime(Date.parse(wakes_at), now)}`;
  return 'Under way';
}

function termsOf(
  { on_error, soak_s, approval, success_threshold }: StageWire,
  { asked, enough, tooMany }: ReturnType<typeof thresholdsOf>,
): string {
  const stops = on_error === 'pause' ? 'pauses' : 'stops';
  const parts = [
    success_threshold === 0 ? 'goes on when all have ended' : `goes on at ${enough} of ${asked} completed`,
    tooMany > asked ? `never ${stops} by itself` : `${stops} at ${counted(tooMany, 'failure')}`,
    ...(soak_s > 0 ? [`soaks ${durationWords(soak_s * 1000)}`] : []),
    ...(approval ? ['a person approves'] : []),
  ];
  return parts.join(', ');
}
