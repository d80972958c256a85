import requestSchema from '../../schemas/firmware/rollout-request.schema.json';
import { FieldloomError } from '../core/errors.js';
import { compileSchema } from '../core/schema.js';
import type { ImageInfo, RolloutPlan } from './ports.js';
import type { StagePlan } from './rollout.js';
import type { RolloutRequest } from './wire.js';

const validate = compileSchema<RolloutRequest>(requestSchema);

export interface Target {
  storeId: string;
  controllerId: string;
}

/** A target and the stage that it is in. */
export interface PlannedTarget extends Target {
  stage: number;
}

/** What applies where a request leaves it open. */
export interface RolloutDefaults {
  ackTimeoutMs: number;
  deadlineMs: number;
  /** 0: versions are not verified. */
  verifyMs: number;
  maxInProgress: number;
}

/** protocols.md "Firmware"; so many in progress at once keep the broker and the download server responsive. */
export const ROLLOUT_DEFAULTS: RolloutDefaults = {
  ackTimeoutMs: 30_000,
  deadlineMs: 60 * 60 * 1000,
  verifyMs: 0,
  maxInProgress: 1000,
};

/** A request that is well formed. Its stages and targets are assigned; the image is yet to be looked up. */
export interface RolloutDraft {
  imageId: string;
  start: boolean;
  targets: readonly PlannedTarget[];
  plan: Omit<RolloutPlan, 'id' | 'image' | 'createdAt' | 'createdBy'>;
}

function refuse(pointer: string, text: string): never {
  throw new FieldloomError('invalid_input', `${pointer} ${text}`, { pointer });
}

/**
 * Reads the body of `POST /firmware/rollouts`.
 * @throws FieldloomError invalid_input with the pointer of the field that is wrong
 */
export function parseRolloutRequest(body: unknown, defaults: RolloutDefaults): RolloutDraft {
  const result = validate(body);
  if (!result.valid) {
    throw new FieldloomError('invalid_input', result.message, { pointer: result.pointer });
  }
  const request = result.value;
  const targets = readTargets(request.targets, '/targets');
  const byList = request.stages.some((stage) => stage.targets !== undefined);
  const planned = byList ? assignByList(request, targets) : assignByPercent(request, targets);
  const stages = request.stages.map(
    (stage, index): StagePlan => ({
      percent: stage.percent ?? null,
      targets: planned.filter((target) => target.stage === index).length,
      successThreshold: stage.success_threshold,
      errorThreshold: stage.error_threshold,
      onError: stage.on_error ?? 'cancel',
      soakMs: (stage.soak_s ?? 0) * 1000,
      approval: stage.approval ?? false,
    }),
  );
  const verifyMs = request.verify_s === undefined ? defaults.verifyMs : request.verify_s * 1000;
  return {
    imageId: request.image_id,
    start: request.start ?? false,
    targets: planned,
    plan: {
      name: request.name ?? null,
      stages,
      terms: {
        firmwareVersion: '',
        ackTimeoutMs:
          request.ack_timeout_s === undefined ? defaults.ackTimeoutMs : request.ack_timeout_s * 1000,
        deadlineMs: request.deadline_s === undefined ? defaults.deadlineMs : request.deadline_s * 1000,
        verifyMs: verifyMs === 0 ? null : verifyMs,
        force: request.force !== undefined,
      },
      forceReason: request.force?.reason ?? null,
      supersede: request.supersede ?? false,
      ratePerMinute: request.rate_per_minute ?? null,
      maxInProgress: request.max_in_progress ?? defaults.maxInProgress,
    },
  };
}

/** The plan of a rollout of this image. */
export function planOf(
  { plan }: RolloutDraft,
  image: ImageInfo,
  given: Pick<RolloutPlan, 'id' | 'createdAt' | 'createdBy'>,
): RolloutPlan {
  return { ...plan, ...given, image, terms: { ...plan.terms, firmwareVersion: image.version } };
}

export const targetKey = ({ storeId, controllerId }: Target) => `${storeId}/${controllerId}`;

function readTargets(list: RolloutRequest['targets'], base: string): Target[] {
  const seen = new Map<string, number>();
  return list.map(({ store_id, controller_id }, index) => {
    const target = { storeId: store_id.toLowerCase(), controllerId: controller_id.toLowerCase() };
    const key = targetKey(target);
    const first = seen.get(key);
    if (first !== undefined) refuse(`${base}/${index}`, `is the same controller as ${base}/${first}`);
    seen.set(key, index);
    return target;
  });
}

function assignByPercent({ stages }: RolloutRequest, targets: readonly Target[]): PlannedTarget[] {
  let before = 0;
  const ends = stages.map(({ percent }, index) => {
    const pointer = `/stages/${index}/percent`;
    if (percent === undefined) refuse(pointer, 'is missing: a stage has a percent, or targets');
    if (percent <= before)
      refuse(pointer, `is ${percent}: percents are cumulative, so it is above ${before}`);
    before = percent;
    // Rounded up, so that a small share of few targets is one at least.
    return Math.ceil((targets.length * percent) / 100 - 1e-9);
  });
  if (before !== 100)
    refuse(`/stages/${stages.length - 1}/percent`, `is ${before}: that of the last stage is 100`);
  return targets.map((target, index) => ({ ...target, stage: ends.findIndex((end) => index < end) }));
}

function assignByList({ stages }: RolloutRequest, targets: readonly Target[]): PlannedTarget[] {
  const stageOf = new Map<string, number>();
  const known = new Set(targets.map(targetKey));
  for (const [stage, { targets: list, percent }] of stages.entries()) {
    const pointer = `/stages/${stage}`;
    if (percent !== undefined)
      refuse(`${pointer}/percent`, 'is beside stages by list: all have targets, or all a percent');
    if (list === undefined)
      refuse(`${pointer}/targets`, 'is missing: all stages have targets, or all a percent');
    for (const [index, target] of readTargets(list, `${pointer}/targets`).entries()) {
      const key = targetKey(target);
      if (!known.has(key)) refuse(`${pointer}/targets/${index}`, 'is not one of /targets');
      if (stageOf.has(key)) refuse(`${pointer}/targets/${index}`, `is in stage ${stageOf.get(key)} too`);
      stageOf.set(key, stage);
    }
  }
  return targets.map((target, index) => {
    const stage = stageOf.get(targetKey(target));
    if (stage === undefined) refuse(`/targets/${index}`, 'is in none of the stages');
    return { ...target, stage };
  });
}
