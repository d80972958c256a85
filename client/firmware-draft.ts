import type { FleetStore } from './firmware-fleet.js';
import { counted } from './words.js';

/** One stage as it is typed. */
export interface DraftStage {
  /** Of the whole: so many controllers, or percent of them, have it when this stage is over. */
  size: string;
  unit: 'controllers' | 'percent';
  /** Percent. */
  success: string;
  error: string;
  onError: 'cancel' | 'pause';
  soakMinutes: string;
  approval: boolean;
}

/** A new rollout as it is typed. */
export interface Draft {
  imageId: string;
  name: string;
  stages: DraftStage[];
  /** Empty fields are left to the gateway. */
  rate: string;
  maxInProgress: string;
  deadlineMinutes: string;
  verifyMinutes: string;
  supersede: boolean;
  forced: boolean;
  forceReason: string;
}

const stage = (part: Partial<DraftStage>): DraftStage => ({
  ...{ size: '100', unit: 'percent', success: '95', error: '10', onError: 'cancel', soakMinutes: '0' },
  approval: false,
  ...part,
});

/** One canary that a person looks at, then 10 %, then all. */
export const presetStages = (): DraftStage[] => [
  stage({ size: '1', unit: 'controllers', success: '100', error: '0', soakMinutes: '10', approval: true }),
  stage({ size: '10', soakMinutes: '30' }),
  stage({}),
];

export const newDraft = (imageId = ''): Draft => ({
  imageId,
  name: '',
  stages: presetStages(),
  ...{ rate: '', maxInProgress: '', deadlineMinutes: '', verifyMinutes: '' },
  ...{ supersede: false, forced: false, forceReason: '' },
});

/** A further stage before the last one, half-way to it. */
export function addStage(stages: readonly DraftStage[]): DraftStage[] {
  const before = stages.at(-2);
  const from = before?.unit === 'percent' ? Number(before.size) || 0 : 0;
  return [...stages.slice(0, -1), stage({ size: String(Math.round((from + 100) / 2)) }), ...stages.slice(-1)];
}

export interface CheckedStage {
  /** Controllers that get it in this stage. */
  adds: number;
  /** And that have it afterwards. */
  upTo: number;
  words: string;
  /** It would add none, and is left out. */
  leftOut: boolean;
}

/** By field: `imageId`, `name`, `targets`, `stages.0.size`, `rate` … */
export type DraftProblems = Readonly<Record<string, string>>;

export interface CheckedDraft {
  problems: DraftProblems;
  stages: readonly CheckedStage[];
  /** Body of `POST /firmware/rollouts`; undefined while there are problems. */
  request: Record<string, unknown> | undefined;
  /** In the order of the request's stages, which of the draft's each is. */
  sent: readonly number[];
}

interface Range {
  min?: number;
  above?: number;
  max?: number;
  whole?: boolean;
}

/** @returns undefined where nothing was typed, NaN where it is no such number */
function numberOf(
  text: string,
  { min = -Infinity, above = -Infinity, max = Infinity, whole = false }: Range = {},
) {
  const typed = String(text).trim().replace(',', '.');
  if (typed === '') return undefined;
  const value = /^\d+(\.\d+)?$/.test(typed) ? Number(typed) : Number.NaN;
  return value >= min && value > above && value <= max && (!whole || Number.isInteger(value))
    ? value
    : Number.NaN;
}

/** Percents that the gateway, which rounds up, makes exactly so many controllers of. */
const percentOf = (count: number, targets: number) => Math.floor((count / targets) * 1e8) / 1e6;

const sizeOf = ({ size, unit }: DraftStage, targets: number): number => {
  const typed =
    numberOf(size, unit === 'percent' ? { above: 0, max: 100 } : { min: 1, whole: true }) ?? Number.NaN;
  return unit === 'percent' ? Math.ceil((targets * typed) / 100 - 1e-9) : Math.min(typed, targets);
};

/** Checks what is typed, and makes the request of it. @param targets chosen keys, `<store id>/<controller id>` */
export function checkDraft(draft: Draft, targets: readonly string[]): CheckedDraft {
  const problems: Record<string, string> = {};
  if (draft.imageId === '') problems['imageId'] = 'Choose the image.';
  if (targets.length === 0) problems['targets'] = 'Choose at least one controller.';
  if (draft.name.length > 200) problems['name'] = 'A name has 200 characters at most.';
  const { stages, sent } = checkStages(draft.stages, targets.length, problems);
  const options = checkOptions(draft, problems);
  if (Object.keys(problems).length > 0) return { problems, stages, request: undefined, sent };
  const name = draft.name.trim();
  const request = {
    image_id: draft.imageId,
    ...(name !== '' && { name }),
    targets: targets.map((key) => {
      const [store_id, controller_id] = key.split('/');
      return { store_id, controller_id };
    }),
    stages: sent.map((index) =>
      stageRequest(draft.stages[index] as DraftStage, stages[index]?.upTo ?? 0, targets.length),
    ),
    ...options,
  };
  return { problems, stages, request, sent };
}

function checkStages(typed: readonly DraftStage[], targets: number, problems: Record<string, string>) {
  const stages: CheckedStage[] = [];
  const sent: number[] = [];
  let before = 0;
  /** What was typed last in each unit. */
  const last = { percent: 0, controllers: 0 };
  for (const [index, each] of typed.entries()) {
    const field = (name: string) => `stages.${index}.${name}`;
    const upTo = sizeOf(each, targets);
    const size = numberOf(each.size) ?? Number.NaN;
    if (Number.isNaN(upTo)) {
      problems[field('size')] =
        each.unit === 'percent'
          ? 'A share is above 0 and at most 100 %.'
          : 'A whole number of controllers, 1 at least.';
    } else if (size <= last[each.unit]) {
      problems[field('size')] = 'Stages are cumulative: it has to be more than in the stage before.';
    } else if (index === typed.length - 1 && targets > 0 && upTo < targets) {
      problems[field('size')] = 'The last stage has to reach all: 100 %.';
    }
    for (const name of ['success', 'error'] as const) {
      const value = numberOf(each[name], { min: 0, max: 100 });
      if (value === undefined || Number.isNaN(value)) problems[field(name)] = 'A share from 0 to 100 %.';
    }
    if (Number.isNaN(numberOf(each.soakMinutes, { min: 0, max: 525_600 }))) {
      problems[field('soakMinutes')] = 'Minutes from 0 to 525600 (a year).';
    }
    const adds = Number.isNaN(upTo) ? 0 : Math.max(upTo - before, 0);
    const leftOut = targets > 0 && adds === 0 && problems[field('size')] === undefined;
    stages.push({
      adds,
      upTo: Number.isNaN(upTo) ? before : upTo,
      words: stageWords(Number.isNaN(upTo) ? upTo : adds, targets, index),
      leftOut,
    });
    if (!leftOut) sent.push(index);
    if (!Number.isNaN(upTo)) before = Math.max(before, upTo);
    if (!Number.isNaN(size)) last[each.unit] = size;
  }
  return { stages, sent };
}

function stageWords(adds: number, targets: number, index: number): string {
  if (Number.isNaN(adds)) return '';
  if (targets === 0) return 'no controller is chosen yet';
  if (adds === 0) return 'adds no controller: left out';
  return index === 0 ? counted(adds, 'controller') : `${counted(adds, 'controller')} more`;
}

function stageRequest(typed: DraftStage, upTo: number, targets: number) {
  const soak = numberOf(typed.soakMinutes) ?? 0;
  const percent = typed.unit === 'percent' ? numberOf(typed.size) : percentOf(upTo, targets);
  return {
    percent: upTo >= targets ? 100 : percent,
    success_threshold: (numberOf(typed.success) ?? 0) / 100,
    error_threshold: (numberOf(typed.error) ?? 0) / 100,
    ...(typed.onError === 'pause' && { on_error: 'pause' }),
    ...(soak > 0 && { soak_s: soak * 60 }),
    ...(typed.approval && { approval: true }),
  };
}

/** Field, name in the request, factor, and what is accepted. */
const OPTIONS: readonly [keyof Draft & string, string, number, Range, string][] = [
  ['rate', 'rate_per_minute', 1, { above: 0, max: 1_000_000 }, 'Starts a minute, above 0.'],
  [
    'maxInProgress',
    'max_in_progress',
    1,
    { min: 1, max: 1_000_000, whole: true },
    'A whole number, 1 at least.',
  ],
  ['deadlineMinutes', 'deadline_s', 60, { above: 0, max: 525_600 }, 'Minutes above 0.'],
  ['verifyMinutes', 'verify_s', 60, { min: 0, max: 525_600 }, 'Minutes; 0 does not verify.'],
];

function checkOptions(draft: Draft, problems: Record<string, string>): Record<string, unknown> {
  const options: Record<string, unknown> = {};
  for (const [field, name, factor, range, accepted] of OPTIONS) {
    const value = numberOf(String(draft[field]), range);
    if (value === undefined) continue;
    if (Number.isNaN(value)) problems[field] = accepted;
    else options[name] = value * factor;
  }
  if (draft.supersede) options['supersede'] = true;
  if (draft.forced) {
    const reason = draft.forceReason.trim();
    if (reason === '') problems['forceReason'] = 'Say why: it stays in the history.';
    else options['force'] = { reason };
  }
  return options;
}

const FIELDS: Readonly<Record<string, string>> = {
  image_id: 'imageId',
  rate_per_minute: 'rate',
  max_in_progress: 'maxInProgress',
  deadline_s: 'deadlineMinutes',
  verify_s: 'verifyMinutes',
  force: 'forceReason',
  percent: 'size',
  success_threshold: 'success',
  error_threshold: 'error',
  soak_s: 'soakMinutes',
};

/**
 * The field of the form that a gateway's JSON pointer is about: `/stages/1/percent` is `stages.1.size`.
 * @param sent as `checkDraft` says it
 * @returns undefined where it is about none of them
 */
export function fieldOf(pointer: string | undefined, sent: readonly number[]): string | undefined {
  const [first = '', index, last = ''] = (pointer ?? '').split('/').slice(1);
  if (first === 'stages') {
    const of = sent[Number(index)];
    return of === undefined ? undefined : `stages.${of}.${FIELDS[last] ?? 'size'}`;
  }
  if (first === 'targets' || first === 'name' || first === 'supersede') return first;
  return FIELDS[first];
}

/** Keys of the fleet that begin or contain what is typed. */
export function foundIn({ storeId, controllers }: FleetStore, text: string): FleetStore['controllers'] {
  const wanted = text.trim().toLowerCase();
  if (wanted === '' || storeId.includes(wanted)) return controllers;
  return controllers.filter(({ controllerId }) => controllerId.includes(wanted));
}
