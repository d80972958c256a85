import type { DeploymentState, DeploymentWire, RolloutWire } from './firmware-wire.js';
import { counted } from './words.js';

export type RolloutAction = 'start' | 'pause' | 'resume' | 'approve' | 'cancel' | 'retry';
export type DeploymentAction = 'cancel' | 'force' | 'retry';

/** What a person may press, and what it will do: said before it is done. */
export interface ActionView<Action = RolloutAction> {
  action: Action;
  word: string;
  icon: string;
  look: 'primary' | 'plain' | 'danger';
  question: string;
  consequences: readonly string[];
}

/** How a press is told while it is on its way, and when it is done. */
export const PRESSED: Readonly<Record<RolloutAction | DeploymentAction, [doing: string, done: string]>> = {
  start: ['Starting …', 'Started'],
  pause: ['Pausing …', 'Paused'],
  resume: ['Resuming …', 'Resumed'],
  approve: ['Approving …', 'Approved'],
  cancel: ['Cancelling …', 'Cancel was taken'],
  retry: ['Retrying …', 'Will be tried again'],
  force: ['Ending it …', 'Ended'],
};

const ACTIONS: Readonly<Record<RolloutWire['state'], readonly RolloutAction[]>> = {
  DRAFT: ['start', 'cancel'],
  RUNNING: ['pause', 'cancel'],
  PAUSED: ['resume', 'cancel'],
  WAITING_APPROVAL: ['approve', 'pause', 'cancel'],
  COMPLETED: [],
  ABORTED: [],
  CANCELLED: [],
};

const RETRIABLE: readonly DeploymentState[] = ['FAILED', 'TIMED_OUT', 'CANCELLED'];
const OPEN: readonly DeploymentState[] = ['SENT', 'IN_PROGRESS', 'CANCELLING'];

const sumOf = ({ counts }: Pick<RolloutWire, 'counts'>, states: readonly DeploymentState[]) =>
  states.reduce((sum, state) => sum + (counts[state] ?? 0), 0);

export function actionsOf(rollout: RolloutWire): ActionView[] {
  const actions = [...ACTIONS[rollout.state]];
  if (rollout.state !== 'DRAFT' && sumOf(rollout, RETRIABLE) > 0) actions.push('retry');
  return actions.map((action) => actionView(rollout, action));
}

const are = (count: number) => (count === 1 ? 'is' : 'are');
const nextStage = ({ stage, stages }: RolloutWire) => stages[stage + 1];

function actionView(rollout: RolloutWire, action: RolloutAction): ActionView {
  const { stages, stage, targets, firmware_version: version } = rollout;
  const open = sumOf(rollout, OPEN);
  const planned = sumOf(rollout, ['SCHEDULED']);
  const view = (
    [word, icon, look]: [string, string, ActionView['look']],
    question: string,
    consequences: string[],
  ): ActionView => ({ action, word, icon, look, question, consequences });
  switch (action) {
    case 'start': {
      const first = counted(stages[0]?.targets ?? 0, 'controller');
      return view(['Start', 'mdi-play', 'primary'], `Start the rollout of ${version}?`, [
        `Stage 1 begins with ${first}; ${counted(targets, 'controller')} in all.`,
      ]);
    }
    case 'pause':
      return view(['Pause', 'mdi-pause', 'plain'], `Pause the rollout of ${version}?`, [
        `No further controller is asked: ${planned} ${are(planned)} still planned.`,
        open === 0
          ? 'Nothing is under way.'
          : `${counted(open, 'controller')} under way finish what they do.`,
      ]);
    case 'resume':
      return view(['Resume', 'mdi-play', 'primary'], `Resume the rollout of ${version}?`, [
        `It goes on with stage ${stage + 1}; ${counted(planned, 'controller')} ${are(planned)} still planned.`,
        'The failures so far are accepted: only further ones can stop it again.',
      ]);
    case 'approve': {
      const next = nextStage(rollout);
      return view(['Approve', 'mdi-check', 'primary'], `Approve stage ${stage + 1}?`, [
        next === undefined
          ? 'It was the last stage: the rollout completes.'
          : `Stage ${stage + 2} begins: ${counted(next.targets, 'controller')} more get ${version}.`,
      ]);
    }
    case 'cancel':
      return view(['Cancel', 'mdi-close', 'danger'], `Cancel the rollout of ${version}?`, [
        open === 0
          ? 'Nothing is under way.'
          : `${counted(open, 'controller')} under way ${are(open)} asked to stop.`,
        `${planned} ${are(planned)} not started.`,
        `${counted(sumOf(rollout, ['COMPLETED']), 'controller')} that completed keep ${version}.`,
      ]);
    case 'retry': {
      const many = sumOf(rollout, RETRIABLE);
      return view(['Retry', 'mdi-restart', 'plain'], `Try ${counted(many, 'controller')} again?`, [
        `${counted(many, 'controller')} that failed, timed out or ${many === 1 ? 'was' : 'were'} cancelled get a new attempt.`,
        ...(rollout.state === 'RUNNING' || rollout.state === 'WAITING_APPROVAL'
          ? []
          : ['The rollout goes on.']),
      ]);
    }
  }
}

/** What can be done about one controller alone. */
export function deploymentActions(deployment: DeploymentWire): ActionView<DeploymentAction>[] {
  const { state, stuck, verifying, retried_by: retriedBy } = deployment;
  const found: ActionView<DeploymentAction>[] = [];
  if (state === 'SCHEDULED' || ((state === 'SENT' || state === 'IN_PROGRESS') && !verifying)) {
    found.push({
      action: 'cancel',
      word: 'Cancel',
      icon: 'mdi-close',
      look: 'danger',
      question: 'Cancel the update of this controller?',
      consequences: [
        state === 'SCHEDULED'
          ? 'It is not asked at all.'
          : 'It is asked to stop; what has begun may still complete.',
        'The other controllers go on.',
      ],
    });
  }
  if (stuck) {
    found.push({
      action: 'force',
      word: 'End it',
      icon: 'mdi-close-octagon-outline',
      look: 'danger',
      question: 'End it without the controller’s word?',
      consequences: [
        'It counts as cancelled. The controller may have installed the firmware all the same: then you are told.',
      ],
    });
  }
  if (RETRIABLE.includes(state) && retriedBy === null) {
    found.push({
      action: 'retry',
      word: 'Retry',
      icon: 'mdi-restart',
      look: 'plain',
      question: 'Try this controller again?',
      consequences: ['It gets a new attempt in the same stage. A rollout that has ended goes on.'],
    });
  }
  return found;
}
