import type { DeploymentState, DeploymentWire, HistoryWire, RolloutState } from './firmware-wire.js';

/** How a state is shown: those that look alike count together in a bar. */
export type Look = 'completed' | 'open' | 'waiting' | 'out' | 'failed';

/** asks: it is a person's turn. */
export type RolloutLook = Look | 'asks';

interface StateWords<Looks = Look> {
  word: string;
  icon: string;
  look: Looks;
}

export const DEPLOYMENT_WORDS: Readonly<Record<DeploymentState, StateWords>> = {
  SCHEDULED: { word: 'Planned', icon: 'mdi-clock-outline', look: 'waiting' },
  SENT: { word: 'Asked', icon: 'mdi-send-outline', look: 'open' },
  IN_PROGRESS: { word: 'Updating', icon: 'mdi-progress-download', look: 'open' },
  COMPLETED: { word: 'Completed', icon: 'mdi-check-circle-outline', look: 'completed' },
  FAILED: { word: 'Failed', icon: 'mdi-alert-circle-outline', look: 'failed' },
  TIMED_OUT: { word: 'Timed out', icon: 'mdi-timer-alert-outline', look: 'failed' },
  CANCELLING: { word: 'Cancelling', icon: 'mdi-progress-close', look: 'open' },
  CANCELLED: { word: 'Cancelled', icon: 'mdi-cancel', look: 'out' },
  REJECTED: { word: 'Not asked', icon: 'mdi-minus-circle-outline', look: 'out' },
  SUPERSEDED: { word: 'Taken over', icon: 'mdi-swap-horizontal', look: 'out' },
};

export const ROLLOUT_WORDS: Readonly<Record<RolloutState, StateWords<RolloutLook>>> = {
  DRAFT: { word: 'Draft', icon: 'mdi-file-outline', look: 'waiting' },
  RUNNING: { word: 'Running', icon: 'mdi-play-circle-outline', look: 'open' },
  PAUSED: { word: 'Paused', icon: 'mdi-pause-circle-outline', look: 'asks' },
  WAITING_APPROVAL: { word: 'Waits for approval', icon: 'mdi-account-clock-outline', look: 'asks' },
  COMPLETED: { word: 'Completed', icon: 'mdi-check-circle-outline', look: 'completed' },
  ABORTED: { word: 'Aborted', icon: 'mdi-alert-octagon-outline', look: 'failed' },
  CANCELLED: { word: 'Cancelled', icon: 'mdi-cancel', look: 'out' },
};

/** In the order in which they are shown. */
export const DEPLOYMENT_STATES = Object.keys(DEPLOYMENT_WORDS) as DeploymentState[];

/** What is to be known of a controller's part beside its state; empty where there is nothing. */
export function noteOf(deployment: DeploymentWire): string {
  if (deployment.state === 'SUPERSEDED') return 'another rollout has taken the controller over';
  const parts = [
    ...(deployment.stuck ? ['does not answer to its cancellation'] : []),
    ...(deployment.waiting && !deployment.stuck ? ['controller offline: waits for it'] : []),
    ...(deployment.verifying ? ['installed, has yet to report the version'] : []),
    ...(deployment.diverged ? ['has installed it all the same'] : []),
    ...(deployment.late ? ['after it had timed out'] : []),
    ...(deployment.cancel_lost ? ['before its cancellation came'] : []),
    ...(deployment.retried_by === null ? [] : ['tried again']),
    ...deployment.errors,
  ];
  return parts.join('; ');
}

const EVENTS: Readonly<Record<string, string>> = {
  scheduled: 'Planned',
  sent: 'Asked to update',
  sent_again: 'Asked again',
  acknowledged: 'The controller has accepted it',
  late_ack: 'Accepted, too late',
  version_reported: 'The controller reports its version',
  already_installed: 'Runs the version already: not asked',
  lower_version: 'Runs a higher version: not asked',
  installed: 'Installed, says the controller',
  installed_late: 'Installed, says the controller, after the time was up',
  completed: 'Completed',
  completed_late: 'Completed after the time was up',
  verified: 'Its version is the new one: completed',
  verified_late: 'Its version is the new one: completed, late',
  version_mismatch: 'Failed: it starts with another version',
  failed: 'Failed',
  failed_late: 'Failed, after the time was up',
  failed_after_completed: 'Says that it has failed, after it had completed',
  timed_out: 'Timed out',
  waits: 'Waits for the controller',
  cancelling: 'Asked to cancel',
  cancel_sent_again: 'Asked to cancel again',
  cancelled: 'Cancelled',
  forced: 'Ended without the controller’s word',
  stuck: 'Does not answer to its cancellation',
  diverged: 'Installed although it had ended otherwise',
  duplicate_ack: 'Accepted again',
  duplicate_completed: 'Completed, said again',
  duplicate_failed: 'Failed, said again',
  duplicate_cancel_ack: 'Cancelled, said again',
  anomaly: 'A message that does not fit',
};

/** One line of a controller's history for people. */
export function eventWords({ event, detail }: HistoryWire): string {
  const words = EVENTS[event] ?? event.replaceAll('_', ' ');
  return detail === null || detail === '' ? words : `${words}: ${fromOne(detail)}`;
}

const PRESSES: Readonly<Record<string, string>> = {
  created: 'Made',
  start: 'Started',
  pause: 'Paused by a person',
  resume: 'Resumed by a person',
  approve: 'Approved by a person',
  cancel: 'Cancelled by a person',
  retried: 'Failed controllers are tried again',
  gate: 'The flow behind the gate has answered',
};

const PHASES: Readonly<Record<string, (stage: number) => string>> = {
  gate: (stage) => `asks the gate of stage ${stage}`,
  running: (stage) => `stage ${stage} begins`,
  soaking: (stage) => `stage ${stage} has enough completed, soaks`,
  approval: (stage) => `stage ${stage} waits for a person’s approval`,
  settling: () => 'waits for the last controllers',
};

/** One line of a rollout's history for people; its detail says in JSON where the rollout stood afterwards. */
export function rolloutEventWords({ event, from, to, detail }: HistoryWire): string {
  const { stage, phase, reason } = JSON.parse(detail ?? '{}') as {
    stage?: number;
    phase?: string;
    reason?: string | null;
  };
  // Where no reason was given the gateway says who it was: so do the words.
  const given = typeof reason === 'string' && !reason.endsWith('by a person');
  const because = given ? `: ${fromOne(reason)}` : '';
  const press = PRESSES[event];
  if (press !== undefined && (to !== 'RUNNING' || event === 'resume')) return `${press}${because}`;
  const ended = from !== to && to !== 'RUNNING' && to !== 'WAITING_APPROVAL';
  const step = ended ? ROLLOUT_WORDS[to as RolloutState]?.word : PHASES[phase ?? '']?.((stage ?? 0) + 1);
  const words = [press, step].filter((part) => part !== undefined).join(': ');
  return `${words === '' ? event : words.charAt(0).toUpperCase() + words.slice(1)}${because}`;
}

/** The gateway counts stages from 0, people from 1. */
export function fromOne(text: string): string {
  return text.replace(/\bstage (\d+)\b/g, (_all, stage: string) => `stage ${Number(stage) + 1}`);
}

const UNITS = ['KiB', 'MiB', 'GiB'];

/** `779 B`, `256 KiB`, `1.5 MiB`. */
export function sizeWords(bytes: number): string {
  if (bytes < 1024) return `${bytes} B`;
  let [size, unit] = [bytes / 1024, 0];
  while (size >= 1024 && unit < UNITS.length - 1) {
    size /= 1024;
    unit += 1;
  }
  return `${size >= 100 ? Math.round(size) : Number(size.toFixed(1))} ${UNITS[unit]}`;
}
