import { DEPLOYMENT_STATES, type DeploymentState, isTerminal } from './deployment-record.js';

/**
 * A staged rollout (protocols.md "Firmware"). Its targets are known to it as numbers alone: a step costs the same with
 * ten targets and with ten thousand.
 *
 * | event   | in                                | does                                                            |
 * | ------- | --------------------------------- | --------------------------------------------------------------- |
 * | start   | DRAFT                             | RUNNING, the first stage's gate                                 |
 * | pause   | RUNNING, WAITING_APPROVAL         | PAUSED: nothing new is started; what is under way goes on       |
 * | resume  | PAUSED                            | RUNNING; the thresholds that stopped it are overruled           |
 * | approve | WAITING_APPROVAL                  | RUNNING, on to the next stage                                   |
 * | gate    | RUNNING, phase gate, its stage    | pass: the stage starts; else it waits and is asked again        |
 * | cancel  | DRAFT to WAITING_APPROVAL, PAUSED | CANCELLED, every deployment is cancelled                        |
 * | counted | any                               | the counts move; thresholds as below                            |
 * | retried | any but DRAFT                     | RUNNING (a pause for approval stays): the counts move           |
 * | tick    | RUNNING                           | soak time over, gate asked again                                |
 * | other pairs |                               | refused                                                         |
 *
 * While RUNNING, or waiting for approval:
 * | when                                                      | does                                            |
 * | --------------------------------------------------------- | ----------------------------------------------- |
 * | errors of a started stage reach its error threshold       | ABORTED, all cancelled; or PAUSED (`on_error`)  |
 * | phase running, successes reach the success threshold      | phase soaking                                   |
 * | phase running, all ended and they do not                  | PAUSED                                          |
 * | phase soaking, time over                                  | WAITING_APPROVAL, or on                         |
 * | on, and there is a next stage                             | phase gate, or it starts                        |
 * | on, and it was the last                                   | phase settling                                  |
 * | phase settling, all ended                                 | COMPLETED                                       |
 *
 * Shares are of the targets that are really asked: cancelled, superseded and rejected ones are left out. Errors are
 * FAILED and TIMED_OUT; an error threshold is reached with the first error where it is 0.
 */
export type RolloutStateName =
  | 'DRAFT'
  | 'RUNNING'
  | 'PAUSED'
  | 'WAITING_APPROVAL'
  | 'COMPLETED'
  | 'ABORTED'
  | 'CANCELLED';

export type RolloutPhase = 'gate' | 'running' | 'soaking' | 'approval' | 'settling';

export interface StagePlan {
  /** Cumulative share of the targets in percent; null where the stage is a list. */
  percent: number | null;
  /** Targets of this stage alone. */
  targets: number;
  /** Shares from 0 to 1. */
  successThreshold: number;
  errorThreshold: number;
  onError: 'cancel' | 'pause';
  soakMs: number;
  approval: boolean;
}

/** Targets of one stage by the state of their present deployment, and how many of these are stuck. */
export interface StageCounts {
  readonly states: Readonly<Record<DeploymentState, number>>;
  readonly stuck: number;
}

export interface Rollout {
  readonly id: string;
  readonly state: RolloutStateName;
  readonly phase: RolloutPhase;
  /** The stage that runs, or whose gate is asked. */
  readonly stage: number;
  /** Why it is paused or aborted, or what the gate said last; null: nothing to say. */
  readonly reason: string | null;
  /** Errors of each stage that a person has overruled. */
  readonly tolerated: readonly number[];
  /** A person has overruled the success threshold of this stage. */
  readonly overruled: boolean;
  readonly wakeAt: number | null;
  readonly startedAt: number | null;
  readonly endedAt: number | null;
  /** Kept by the store beside it, and folded here from what each deployment does. */
  readonly counts: readonly StageCounts[];
}

/** A target's present deployment went from one state to another. */
export interface CountChange {
  stage: number;
  /** Null: it is new, or takes the place of one that is retried. */
  from: DeploymentState | null;
  to: DeploymentState | null;
  /** Change of the number of stuck ones. */
  stuck: -1 | 0 | 1;
}

export type RolloutEvent =
  | { type: 'start' | 'pause' | 'resume' | 'approve' | 'cancel' | 'tick'; reason?: string }
  | { type: 'gate'; stage: number; pass: boolean; reason?: string }
  | { type: 'counted'; change: CountChange }
  | { type: 'retried'; changes: readonly CountChange[] }
  /** After a restart: the counts are those of the store. */
  | { type: 'restored' };

export interface RolloutEffects {
  /** The state, phase or stage has changed: to be stored and told. */
  changed: boolean;
  /** The gate is to be asked about this stage. */
  askGate?: number;
  /** Every deployment that has not ended is to be cancelled. */
  cancelAll?: true;
  /** Why the event is refused; nothing has changed. */
  refused?: string;
}

export interface RolloutContext {
  stages: readonly StagePlan[];
  /** A flow decides whether a stage starts. */
  gated: boolean;
}

/** The gate is asked again so often while it has not let the stage pass, ms. */
export const GATE_AGAIN_MS = 60_000;

export const noCounts = (): StageCounts => ({
  states: Object.fromEntries(DEPLOYMENT_STATES.map((state) => [state, 0])) as Record<DeploymentState, number>,
  stuck: 0,
});

export function draft(id: string, stages: readonly StagePlan[]): Rollout {
  return {
    id,
    state: 'DRAFT',
    phase: 'gate',
    stage: 0,
    reason: null,
    tolerated: stages.map(() => 0),
    overruled: false,
    wakeAt: null,
    startedAt: null,
    endedAt: null,
    counts: stages.map(({ targets }) => {
      const none = noCounts();
      return { ...none, states: { ...none.states, SCHEDULED: targets } };
    }),
  };
}

/** Stages whose deployments may start; -1: none. */
export function startedStage({ state, phase, stage }: Rollout): number {
  if (state === 'DRAFT') return -1;
  return phase === 'gate' ? stage - 1 : stage;
}

/** Deployments of started stages may be sent now. */
export const maySend = ({ state }: Rollout) => state === 'RUNNING' || state === 'WAITING_APPROVAL';

export const isOver = ({ state }: Rollout) =>
  state === 'COMPLETED' || state === 'ABORTED' || state === 'CANCELLED';

/** What a person is told that it waits for. */
export function waitsFor({ state, phase }: Rollout): 'gate' | 'soak' | 'approval' | 'targets' | null {
  if (state === 'WAITING_APPROVAL') return 'approval';
  if (state !== 'RUNNING') return null;
  if (phase === 'gate') return 'gate';
  return phase === 'soaking' ? 'soak' : 'targets';
}

const errorsOf = ({ states }: StageCounts) => states.FAILED + states.TIMED_OUT;

/** Targets that are really asked. */
function asked({ states }: StageCounts): number {
  let sum = 0;
  for (const state of DEPLOYMENT_STATES) {
    if (state !== 'CANCELLED' && state !== 'SUPERSEDED' && state !== 'REJECTED') sum += states[state];
  }
  return sum;
}

/** Nothing of the stage is under way any more; a stuck one waits for a person, not for its controller. */
function hasEnded({ states, stuck }: StageCounts): boolean {
  let open = -stuck;
  for (const state of DEPLOYMENT_STATES) if (!isTerminal(state)) open += states[state];
  return open <= 0;
}

/** Shares that a person wrote in decimals must not be missed by the last bit. */
const reaches = (count: number, share: number, of: number) => count >= share * of - 1e-9;

function errorThresholdReached(counts: StageCounts, { errorThreshold }: StagePlan): boolean {
  const errors = errorsOf(counts);
  return errors > 0 && reaches(errors, errorThreshold, asked(counts));
}

function successThresholdReached(counts: StageCounts, { successThreshold }: StagePlan): boolean {
  const of = asked(counts);
  if (reaches(counts.states.COMPLETED, successThreshold, of)) return successThreshold > 0 || hasEnded(counts);
  return false;
}

export function fold(counts: readonly StageCounts[], change: CountChange): readonly StageCounts[] {
  return counts.map((stage, index) => {
    if (index !== change.stage) return stage;
    const states = { ...stage.states };
    if (change.from !== null) states[change.from] -= 1;
    if (change.to !== null) states[change.to] += 1;
    return { states, stuck: stage.stuck + change.stuck };
  });
}

interface Step {
  rollout: Rollout;
  effects: RolloutEffects;
}

/**
 * @param now epoch milliseconds UTC
 * @returns a new rollout; the old one is untouched
 */
export function transition(
  rollout: Rollout,
  event: RolloutEvent,
  now: number,
  context: RolloutContext,
): Step {
  const taken = take(rollout, event, now, context);
  if (taken.effects.refused !== undefined) return taken;
  return settle(taken, now, context);
}

const refuse = (rollout: Rollout, refused: string): Step => ({
  rollout,
  effects: { changed: false, refused },
});
const become = (rollout: Rollout, change: Partial<Rollout>): Step => ({
  rollout: { ...rollout, ...change },
  effects: { changed: true },
});

function take(rollout: Rollout, event: RolloutEvent, now: number, { stages, gated }: RolloutContext): Step {
  const { state } = rollout;
  const wrong = (wanted: string) =>
    refuse(rollout, `the rollout is ${state}: ${event.type} is for one that is ${wanted}`);
  switch (event.type) {
    case 'start':
      if (state !== 'DRAFT') return wrong('DRAFT');
      return enter({ ...rollout, state: 'RUNNING', startedAt: now }, 0, now, gated);
    case 'pause':
      if (state !== 'RUNNING' && state !== 'WAITING_APPROVAL') return wrong('RUNNING or WAITING_APPROVAL');
      return become(rollout, { state: 'PAUSED', reason: event.reason ?? 'paused by a person' });
    case 'resume':
      if (state !== 'PAUSED') return wrong('PAUSED');
      return become(rollout, {
        state: rollout.phase === 'approval' ? 'WAITING_APPROVAL' : 'RUNNING',
        reason: null,
        tolerated: rollout.counts.map(errorsOf),
        overruled: rollout.phase === 'running' && hasEnded(rollout.counts[rollout.stage] as StageCounts),
        wakeAt: rollout.phase === 'gate' ? now : rollout.wakeAt,
      });
    case 'approve':
      if (state !== 'WAITING_APPROVAL') return wrong('WAITING_APPROVAL');
      return goOn({ ...rollout, state: 'RUNNING' }, now, stages, gated);
    case 'cancel':
      if (isOver(rollout)) return refuse(rollout, `the rollout is ${state} already`);
      return {
        rollout: over(rollout, 'CANCELLED', event.reason ?? 'cancelled by a person', now),
        effects: { changed: true, cancelAll: true },
      };
    case 'gate':
      if (rollout.phase !== 'gate' || state !== 'RUNNING' || event.stage !== rollout.stage) {
        return refuse(rollout, `the gate of stage ${event.stage} is not being asked now`);
      }
      if (event.pass) return become(rollout, { phase: 'running', reason: null, wakeAt: null });
      return hold(rollout, event.reason ?? 'the gate does not let it pass yet');
    case 'counted':
      return {
        rollout: { ...rollout, counts: fold(rollout.counts, event.change) },
        effects: { changed: false },
      };
    case 'retried': {
      if (state === 'DRAFT') return wrong('started');
      const counts = event.changes.reduce(fold, rollout.counts);
      const tolerated = counts.map((stage, index) =>
        Math.min(rollout.tolerated[index] ?? 0, errorsOf(stage)),
      );
      if (state === 'WAITING_APPROVAL') return become(rollout, { counts, tolerated });
      // What had passed is judged anew by the new numbers.
      const judged = rollout.phase === 'soaking' || rollout.phase === 'approval';
      const phase = judged ? 'running' : rollout.phase;
      const wakeAt = judged ? null : rollout.wakeAt;
      return become(rollout, {
        ...{ state: 'RUNNING', phase, wakeAt, reason: null, endedAt: null, overruled: false },
        ...{ counts, tolerated },
      });
    }
    case 'tick':
    case 'restored':
      return { rollout, effects: { changed: false } };
  }
}

/** A gate may say the same every minute for days: only a new reason is news. */
function hold(rollout: Rollout, reason: string): Step {
  if (rollout.reason === reason) return { rollout, effects: { changed: false } };
  return become(rollout, { reason });
}

function over(rollout: Rollout, state: RolloutStateName, reason: string | null, now: number): Rollout {
  return { ...rollout, state, reason, wakeAt: null, endedAt: now };
}

/** To the gate of a stage, or into it. */
function enter(rollout: Rollout, stage: number, now: number, gated: boolean): Step {
  const next: Rollout = { ...rollout, stage, reason: null, overruled: false, wakeAt: null };
  if (!gated) return become(next, { phase: 'running' });
  const asking: Rollout = { ...next, phase: 'gate', wakeAt: now + GATE_AGAIN_MS };
  return { rollout: asking, effects: { changed: true, askGate: stage } };
}

function goOn(rollout: Rollout, now: number, stages: readonly StagePlan[], gated: boolean): Step {
  const next = rollout.stage + 1;
  if (next < stages.length) return enter(rollout, next, now, gated);
  return become(rollout, { phase: 'settling', reason: null, wakeAt: null });
}

/** What follows from the numbers and the time, step by step until nothing does. */
function settle(step: Step, now: number, context: RolloutContext): Step {
  let { rollout, effects } = step;
  for (;;) {
    const next = follow(rollout, now, context);
    if (next === undefined) return { rollout, effects };
    rollout = next.rollout;
    effects = { ...effects, ...next.effects, changed: effects.changed || next.effects.changed };
  }
}

function follow(rollout: Rollout, now: number, { stages, gated }: RolloutContext): Step | undefined {
  if (!maySend(rollout)) return undefined;
  const stopped = stop(rollout, now, stages);
  if (stopped !== undefined) return stopped;
  if (rollout.state !== 'RUNNING') return undefined;
  const counts = rollout.counts[rollout.stage] as StageCounts;
  const plan = stages[rollout.stage] as StagePlan;
  switch (rollout.phase) {
    case 'gate':
      if (!gated) return become(rollout, { phase: 'running', reason: null, wakeAt: null });
      if (rollout.wakeAt !== null && rollout.wakeAt > now) return undefined;
      return {
        rollout: { ...rollout, wakeAt: now + GATE_AGAIN_MS },
        // Nothing to store: after a restart it is asked at once.
        effects: { changed: false, askGate: rollout.stage },
      };
    case 'running':
      if (successThresholdReached(counts, plan) || (rollout.overruled && hasEnded(counts))) {
        return become(rollout, { phase: 'soaking', wakeAt: now + plan.soakMs });
      }
      if (!hasEnded(counts)) return undefined;
      return become(rollout, {
        state: 'PAUSED',
        reason: `stage ${rollout.stage}: ${counts.states.COMPLETED} of ${asked(counts)} completed, fewer than its success threshold asks for`,
      });
    case 'soaking':
      if (rollout.wakeAt !== null && rollout.wakeAt > now) return undefined;
      if (plan.approval)
        return become(rollout, { state: 'WAITING_APPROVAL', phase: 'approval', wakeAt: null });
      return goOn(rollout, now, stages, gated);
    case 'approval':
      return undefined;
    case 'settling':
      return rollout.counts.every(hasEnded)
        ? { rollout: over(rollout, 'COMPLETED', null, now), effects: { changed: true } }
        : undefined;
  }
}

function stop(rollout: Rollout, now: number, stages: readonly StagePlan[]): Step | undefined {
  for (let index = 0; index <= startedStage(rollout); index += 1) {
    const counts = rollout.counts[index] as StageCounts;
    const plan = stages[index] as StagePlan;
    const errors = errorsOf(counts);
    if (errors <= (rollout.tolerated[index] ?? 0) || !errorThresholdReached(counts, plan)) continue;
    const reason = `stage ${index}: ${errors} of ${asked(counts)} failed or timed out, which reaches its error threshold`;
    if (plan.onError === 'pause') return become(rollout, { state: 'PAUSED', reason });
    return { rollout: over(rollout, 'ABORTED', reason, now), effects: { changed: true, cancelAll: true } };
  }
  return undefined;
}
