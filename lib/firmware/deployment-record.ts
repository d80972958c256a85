export const DEPLOYMENT_STATES = [
  'SCHEDULED',
  'SENT',
  'IN_PROGRESS',
  'COMPLETED',
  'FAILED',
  'CANCELLING',
  'CANCELLED',
  'TIMED_OUT',
  'REJECTED',
  'SUPERSEDED',
] as const;

export type DeploymentState = (typeof DEPLOYMENT_STATES)[number];

/** How the deployments of a rollout are driven; stored with it. */
export interface DeploymentTerms {
  firmwareVersion: string;
  ackTimeoutMs: number;
  deadlineMs: number;
  /** How long a controller that said `completed` may take to report its version; null: it is not asked. */
  verifyMs: number | null;
  /** A lower version than the installed one is accepted. */
  force: boolean;
}

/** Times are epoch milliseconds UTC. */
export interface Deployment {
  readonly id: string;
  readonly rolloutId: string;
  readonly storeId: string;
  readonly controllerId: string;
  /** Index of its stage. */
  readonly stage: number;
  /** Place among the rollout's targets. */
  readonly position: number;
  readonly state: DeploymentState;
  /** Raised by each stored change: what compare-and-set compares. */
  readonly revision: number;
  /** correlation_id of the present request; replies carry it. */
  readonly correlationId: string;
  /** update_firmware begun since the retries began: stored before each. */
  readonly attempts: number;
  readonly cancelAttempts: number;
  readonly errors: readonly string[];
  readonly late: boolean;
  readonly cancelLost: boolean;
  readonly diverged: boolean;
  readonly stuck: boolean;
  /** Its controller cannot be reached: it spends no attempt and takes no place. */
  readonly waiting: boolean;
  readonly supersededBy: string | null;
  /** The deployment that took its place by a retry. */
  readonly retriedBy: string | null;
  /** What the controller last reported since it was sent. */
  readonly reportedVersion: string | null;
  /** When the controller said `completed`. */
  readonly doneAt: number | null;
  readonly deadlineAt: number | null;
  /** When something is to be done next; null: nothing by itself. */
  readonly wakeAt: number | null;
  readonly createdAt: number;
  readonly sentAt: number | null;
  readonly acknowledgedAt: number | null;
  readonly endedAt: number | null;
}

const TERMINAL: ReadonlySet<DeploymentState> = new Set([
  'COMPLETED',
  'FAILED',
  'CANCELLED',
  'TIMED_OUT',
  'REJECTED',
  'SUPERSEDED',
]);

export const isTerminal = (state: DeploymentState) => TERMINAL.has(state);

/** Sent, and its end is not known: a controller has one such deployment at most. */
export const isActive = (state: DeploymentState) => state !== 'SCHEDULED' && !TERMINAL.has(state);

/** Takes one of the places that a rollout has for deployments in progress. */
export const takesPlace = ({ state, waiting, stuck }: Deployment) => isActive(state) && !waiting && !stuck;

/** The controller has installed it, and has yet to report its version. */
export const isVerifying = ({ state, doneAt }: Deployment) => state === 'IN_PROGRESS' && doneAt !== null;

/** States that a retry takes up (protocols.md "Firmware"). */
export const isRetriable = ({ state, retriedBy }: Deployment) =>
  retriedBy === null && (state === 'FAILED' || state === 'TIMED_OUT' || state === 'CANCELLED');

export interface NewDeployment {
  id: string;
  rolloutId: string;
  storeId: string;
  controllerId: string;
  stage: number;
  position: number;
  correlationId: string;
}

export function scheduled(given: NewDeployment, now: number): Deployment {
  return {
    ...given,
    state: 'SCHEDULED',
    revision: 1,
    attempts: 0,
    cancelAttempts: 0,
    errors: [],
    late: false,
    cancelLost: false,
    diverged: false,
    stuck: false,
    waiting: false,
    supersededBy: null,
    retriedBy: null,
    reportedVersion: null,
    doneAt: null,
    deadlineAt: null,
    wakeAt: null,
    createdAt: now,
    sentAt: null,
    acknowledgedAt: null,
    endedAt: null,
  };
}
