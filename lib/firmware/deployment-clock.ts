import { type Deployment, type DeploymentTerms, isVerifying } from './deployment-record.js';
import { type DeploymentResult, ended, mismatch, nothing } from './deployment-step.js';
import { compareVersions } from './version.js';

/** What time and the way to the controller do to a deployment; the table is in deployment.ts. */

/** update_firmware is sent so often after the first time. */
export const MAX_RETRIES = 5;
/** cancel_update_firmware is sent so often after the first time. */
export const MAX_CANCEL_RETRIES = 3;

/** Doubles with each attempt; never past the deadline. */
function nextTry(deployment: Deployment, attempts: number, now: number, terms: DeploymentTerms): number {
  const wait = terms.ackTimeoutMs * 2 ** Math.max(0, attempts - 1);
  return Math.min(now + wait, deployment.deadlineAt ?? Infinity);
}

export function start(
  deployment: Deployment,
  { installed, reachable }: { installed: string | undefined; reachable: boolean },
  now: number,
  terms: DeploymentTerms,
): DeploymentResult {
  if (deployment.state !== 'SCHEDULED') return nothing(deployment);
  const order = installed === undefined ? undefined : compareVersions(terms.firmwareVersion, installed);
  if (order === 0) {
    const detail = `version ${installed} is installed already`;
    return {
      deployment: ended(deployment, 'COMPLETED', now),
      effects: { note: 'already_installed', detail },
    };
  }
  if (order !== undefined && order < 0 && !terms.force) {
    const detail = `version ${terms.firmwareVersion} is lower than the installed ${installed}: wants force with a reason`;
    const next = ended(deployment, 'REJECTED', now, { errors: [detail] });
    return { deployment: next, effects: { note: 'lower_version', detail } };
  }
  const begun = { ...deployment, deadlineAt: now + terms.deadlineMs };
  const next: Deployment = {
    ...begun,
    state: 'SENT',
    attempts: 1,
    waiting: !reachable,
    sentAt: now,
    wakeAt: nextTry(begun, 1, now, terms),
  };
  return { deployment: next, effects: { note: 'sent', publish: 'update_firmware' } };
}

function timedOut(deployment: Deployment, now: number, detail: string): DeploymentResult {
  return { deployment: ended(deployment, 'TIMED_OUT', now), effects: { note: 'timed_out', detail } };
}

export function tick(
  deployment: Deployment,
  reachable: boolean,
  now: number,
  terms: DeploymentTerms,
): DeploymentResult {
  const { state, wakeAt, deadlineAt, attempts, cancelAttempts } = deployment;
  if (wakeAt === null || wakeAt > now) return nothing(deployment);
  const over = deadlineAt !== null && deadlineAt <= now;
  if (state === 'IN_PROGRESS') {
    if (!over)
      return {
        deployment: { ...deployment, wakeAt: deadlineAt },
        effects: { note: 'nothing', silent: true },
      };
    return isVerifying(deployment)
      ? mismatch(deployment, now, 'no version was reported in time')
      : timedOut(deployment, now, 'no end was reported by the deadline');
  }
  if (state === 'SENT') {
    if (over) return timedOut(deployment, now, 'no acknowledgement came by the deadline');
    if (!reachable) return wait(deployment, now, terms);
    if (attempts > MAX_RETRIES)
      return timedOut(deployment, now, `no acknowledgement after ${attempts} attempts`);
    return sendAgain(deployment, attempts + 1, now, terms);
  }
  if (state !== 'CANCELLING') return nothing(deployment);
  if (!reachable && !over) return wait(deployment, now, terms);
  if (over || cancelAttempts > MAX_CANCEL_RETRIES) {
    const message = `no answer to ${cancelAttempts} cancel_update_firmware: a person may force it`;
    return {
      deployment: { ...deployment, stuck: true, waiting: false, wakeAt: null },
      effects: { note: 'stuck', alert: { code: 'stuck', message } },
    };
  }
  return sendAgain(deployment, cancelAttempts + 1, now, terms);
}

function sendAgain(
  deployment: Deployment,
  attempts: number,
  now: number,
  terms: DeploymentTerms,
): DeploymentResult {
  const wakeAt = nextTry(deployment, attempts, now, terms);
  if (deployment.state === 'SENT') {
    const next = { ...deployment, attempts, waiting: false, wakeAt };
    return { deployment: next, effects: { note: 'sent_again', publish: 'update_firmware' } };
  }
  const next = { ...deployment, cancelAttempts: attempts, waiting: false, wakeAt };
  return { deployment: next, effects: { note: 'cancel_sent_again', publish: 'cancel_update_firmware' } };
}

/** Looks again later; only the deadline ends it. */
function wait(deployment: Deployment, now: number, terms: DeploymentTerms): DeploymentResult {
  const wakeAt = nextTry(deployment, 1, now, terms);
  const next = { ...deployment, waiting: true, wakeAt };
  if (deployment.waiting) return { deployment: next, effects: { note: 'nothing', silent: true } };
  return { deployment: next, effects: { note: 'waits', detail: 'the controller cannot be reached' } };
}

export function reach(deployment: Deployment, now: number, terms: DeploymentTerms): DeploymentResult {
  const { state, waiting } = deployment;
  if (!waiting || (state !== 'SENT' && state !== 'CANCELLING')) return nothing(deployment);
  return sendAgain(deployment, 1, now, terms);
}

export function unsent(deployment: Deployment, now: number, terms: DeploymentTerms): DeploymentResult {
  const { state, waiting } = deployment;
  if (waiting || (state !== 'SENT' && state !== 'CANCELLING')) return nothing(deployment);
  return wait(deployment, now, terms);
}
