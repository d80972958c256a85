import type { Deployment, DeploymentState } from './deployment-record.js';

export type DeploymentEvent =
  /** `installed` is undefined where nothing is known of the controller's version. */
  | { type: 'start'; installed: string | undefined; reachable: boolean }
  | { type: 'ack' }
  | { type: 'completed' }
  | { type: 'failed'; errors: readonly string[] }
  | { type: 'cancel'; supersededBy?: string; reason?: string }
  | { type: 'cancel_ack' }
  | { type: 'tick'; reachable: boolean }
  | { type: 'reachable' }
  | { type: 'unsent' }
  | { type: 'force'; reason?: string }
  | { type: 'version'; version: string };

export type AlertCode = 'diverged' | 'failed_after_completed' | 'stuck' | 'version_mismatch';

export interface DeploymentEffects {
  /** To be published when the row is committed. */
  publish?: 'update_firmware' | 'cancel_update_firmware';
  alert?: { code: AlertCode; message: string };
  /** What is known to run on the controller now. */
  installed?: string;
  /** What the history says: the event's type, or what became of it. */
  note: string;
  /** Words beside it. */
  detail?: string;
  /** The event is not for this state: nothing has changed, and who asked is told. */
  refused?: string;
  /** Nothing to store: neither state nor history. */
  silent?: true;
}

export interface DeploymentResult {
  deployment: Deployment;
  effects: DeploymentEffects;
}

export const nothing = (deployment: Deployment): DeploymentResult => ({
  deployment,
  effects: { note: 'nothing', silent: true },
});
export const logged = (deployment: Deployment, note: string, detail?: string): DeploymentResult => ({
  deployment,
  effects: { note, ...(detail !== undefined && { detail }) },
});
export const refused = (deployment: Deployment, note: string, reason: string): DeploymentResult => ({
  deployment,
  effects: { note, refused: reason, silent: true },
});

/** A deployment whose end this is. */
export function ended(
  deployment: Deployment,
  state: DeploymentState,
  now: number,
  change: Partial<Deployment> = {},
): Deployment {
  return { ...deployment, stuck: false, waiting: false, ...change, state, wakeAt: null, endedAt: now };
}

export const cancelledState = ({ supersededBy }: Deployment): DeploymentState =>
  supersededBy === null ? 'CANCELLED' : 'SUPERSEDED';

/** The controller does not run what it said that it has installed. */
export function mismatch(deployment: Deployment, now: number, detail: string): DeploymentResult {
  const error = `version_mismatch: ${detail}`;
  return {
    deployment: ended(deployment, 'FAILED', now, { errors: [error] }),
    effects: { note: 'version_mismatch', detail, alert: { code: 'version_mismatch', message: detail } },
  };
}
