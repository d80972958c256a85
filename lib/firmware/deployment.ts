import { reach, start, tick, unsent } from './deployment-clock.js';
import { type Deployment, type DeploymentTerms, isActive, isVerifying } from './deployment-record.js';
import {
  cancelledState,
  type DeploymentEvent,
  type DeploymentResult,
  ended,
  logged,
  mismatch,
  nothing,
  refused,
} from './deployment-step.js';
import { compareVersions } from './version.js';

/**
 * One controller's part of one rollout (protocols.md "Firmware").
 *
 * | event       | in                    | does                                                                      |
 * | ----------- | --------------------- | ------------------------------------------------------------------------- |
 * | start       | SCHEDULED             | SENT, update_firmware; same version installed: COMPLETED, lower: REJECTED |
 * | ack         | SENT                  | IN_PROGRESS, the deadline begins anew                                     |
 * |             | other                 | logged: duplicate or late                                                 |
 * | completed   | SENT, IN_PROGRESS     | COMPLETED, or verified first (below)                                      |
 * |             | CANCELLING            | the same, `cancelLost`                                                    |
 * |             | TIMED_OUT             | COMPLETED, `late`, or verified first                                      |
 * |             | CANCELLED, SUPERSEDED, FAILED | stays; `diverged`, alert, installed version corrected             |
 * |             | COMPLETED             | logged                                                                    |
 * | failed      | SENT, IN_PROGRESS     | FAILED with errors                                                        |
 * |             | CANCELLING            | CANCELLED with errors                                                     |
 * |             | COMPLETED             | logged, alert                                                             |
 * |             | TIMED_OUT             | stays; its errors are kept                                                |
 * | cancel      | SCHEDULED             | CANCELLED, nothing is sent                                                |
 * |             | SENT, IN_PROGRESS     | CANCELLING, cancel_update_firmware                                        |
 * |             | CANCELLING            | nothing                                                                   |
 * |             | verifying, terminal   | refused                                                                   |
 * | cancel_ack  | CANCELLING            | CANCELLED                                                                 |
 * |             | CANCELLED, SUPERSEDED | logged: duplicate                                                         |
 * |             | other                 | anomaly                                                                   |
 * | tick        | SENT                  | sent again, after the retries TIMED_OUT; unreachable: waits; deadline: TIMED_OUT |
 * |             | IN_PROGRESS           | TIMED_OUT at the deadline; verifying: FAILED(version_mismatch)            |
 * |             | CANCELLING            | sent again 3 times, then `stuck`; unreachable: waits for the deadline     |
 * | reachable   | SENT, CANCELLING, while it waits | sent again, the retries begin anew                             |
 * | unsent      | SENT, CANCELLING      | waits until it can be reached                                             |
 * | force       | CANCELLING, stuck     | CANCELLED                                                                 |
 * | version     | verifying             | the target: COMPLETED, another: FAILED(version_mismatch)                  |
 * |             | SENT, IN_PROGRESS, CANCELLING | remembered                                                        |
 *
 * A deployment that another rollout took over (`supersededBy`) ends SUPERSEDED where CANCELLED stands above.
 * Verifying: the controller said `completed` and its next report must name the target version (`doneAt` is set).
 *
 * @param now epoch milliseconds UTC
 * @returns a new deployment, or the same one where nothing of it has changed
 */
export function transition(
  deployment: Deployment,
  event: DeploymentEvent,
  now: number,
  terms: DeploymentTerms,
): DeploymentResult {
  switch (event.type) {
    case 'start':
      return start(deployment, event, now, terms);
    case 'ack':
      return acknowledge(deployment, now, terms);
    case 'completed':
      return complete(deployment, now, terms);
    case 'failed':
      return fail(deployment, event.errors, now);
    case 'cancel':
      return cancel(deployment, event, now, terms);
    case 'cancel_ack':
      return acknowledgeCancel(deployment, now);
    case 'tick':
      return tick(deployment, event.reachable, now, terms);
    case 'reachable':
      return reach(deployment, now, terms);
    case 'unsent':
      return unsent(deployment, now, terms);
    case 'force':
      return force(deployment, event.reason, now);
    case 'version':
      return report(deployment, event.version, now, terms);
  }
}

function acknowledge(deployment: Deployment, now: number, terms: DeploymentTerms): DeploymentResult {
  if (deployment.state !== 'SENT') {
    return logged(deployment, deployment.state === 'IN_PROGRESS' ? 'duplicate_ack' : 'late_ack');
  }
  const deadlineAt = now + terms.deadlineMs;
  const next: Deployment = {
    ...deployment,
    state: 'IN_PROGRESS',
    waiting: false,
    acknowledgedAt: now,
    deadlineAt,
    wakeAt: deadlineAt,
  };
  return { deployment: next, effects: { note: 'acknowledged' } };
}

const hasReported = ({ reportedVersion }: Deployment, version: string) =>
  reportedVersion !== null && compareVersions(reportedVersion, version) === 0;

function complete(deployment: Deployment, now: number, terms: DeploymentTerms): DeploymentResult {
  const installed = terms.firmwareVersion;
  switch (deployment.state) {
    case 'SENT':
    case 'IN_PROGRESS':
    case 'CANCELLING': {
      if (deployment.doneAt !== null) return logged(deployment, 'duplicate_completed');
      const cancelLost = deployment.state === 'CANCELLING';
      const done: Deployment = { ...deployment, cancelLost, doneAt: now, stuck: false, waiting: false };
      if (terms.verifyMs === null || hasReported(deployment, installed)) {
        return { deployment: ended(done, 'COMPLETED', now), effects: { note: 'completed', installed } };
      }
      const wakeAt = now + terms.verifyMs;
      const next: Deployment = { ...done, state: 'IN_PROGRESS', deadlineAt: wakeAt, wakeAt };
      return { deployment: next, effects: { note: 'installed', detail: 'waits for its version' } };
    }
    case 'TIMED_OUT': {
      if (deployment.doneAt !== null) return logged(deployment, 'duplicate_completed');
      if (terms.verifyMs === null || hasReported(deployment, installed)) {
        const next = ended(deployment, 'COMPLETED', now, { late: true, doneAt: now });
        return { deployment: next, effects: { note: 'completed_late', installed } };
      }
      const next: Deployment = { ...deployment, doneAt: now };
      return { deployment: next, effects: { note: 'installed_late', detail: 'waits for its version' } };
    }
    case 'FAILED':
    case 'CANCELLED':
    case 'SUPERSEDED': {
      if (deployment.diverged) return logged(deployment, 'duplicate_completed');
      // A version that was verified and was another is not corrected by the controller's word.
      if (deployment.state === 'FAILED' && deployment.doneAt !== null)
        return logged(deployment, 'duplicate_completed');
      const message = `the controller says that it has installed ${installed}, although the deployment is ${deployment.state}`;
      return {
        deployment: { ...deployment, diverged: true },
        effects: { note: 'diverged', installed, alert: { code: 'diverged', message } },
      };
    }
    case 'COMPLETED':
      return logged(deployment, 'duplicate_completed');
    default:
      return logged(deployment, 'anomaly', `completed while ${deployment.state}`);
  }
}

function fail(deployment: Deployment, errors: readonly string[], now: number): DeploymentResult {
  const detail = errors.join('; ');
  switch (deployment.state) {
    case 'SENT':
    case 'IN_PROGRESS':
      return {
        deployment: ended(deployment, 'FAILED', now, { errors }),
        effects: { note: 'failed', detail },
      };
    case 'CANCELLING': {
      const next = ended(deployment, cancelledState(deployment), now, { errors });
      return { deployment: next, effects: { note: 'cancelled', detail } };
    }
    case 'TIMED_OUT':
      if (deployment.errors.length > 0) return logged(deployment, 'duplicate_failed', detail);
      return { deployment: { ...deployment, errors }, effects: { note: 'failed_late', detail } };
    case 'COMPLETED': {
      const message = `the controller reports a failure after it has completed: ${detail}`;
      const alert = { code: 'failed_after_completed', message } as const;
      return { deployment, effects: { note: 'failed_after_completed', detail, alert } };
    }
    case 'SCHEDULED':
      return logged(deployment, 'anomaly', `failed while ${deployment.state}`);
    default:
      return logged(deployment, 'duplicate_failed', detail);
  }
}

function cancel(
  deployment: Deployment,
  { supersededBy = null, reason }: { supersededBy?: string | null; reason?: string },
  now: number,
  terms: DeploymentTerms,
): DeploymentResult {
  const words = reason === undefined ? {} : { detail: reason };
  switch (deployment.state) {
    case 'SCHEDULED': {
      const taken = { ...deployment, supersededBy };
      return {
        deployment: ended(taken, cancelledState(taken), now),
        effects: { note: 'cancelled', ...words },
      };
    }
    case 'SENT':
    case 'IN_PROGRESS': {
      if (isVerifying(deployment)) {
        return refused(
          deployment,
          'cancel_refused',
          'the image is installed and its version is being verified',
        );
      }
      const next: Deployment = {
        ...deployment,
        state: 'CANCELLING',
        supersededBy,
        cancelAttempts: 1,
        deadlineAt: now + terms.deadlineMs,
        wakeAt: now + terms.ackTimeoutMs,
      };
      return {
        deployment: next,
        effects: { note: 'cancelling', publish: 'cancel_update_firmware', ...words },
      };
    }
    case 'CANCELLING':
      return nothing(deployment);
    default:
      return refused(deployment, 'cancel_refused', `the deployment is ${deployment.state}`);
  }
}

function acknowledgeCancel(deployment: Deployment, now: number): DeploymentResult {
  switch (deployment.state) {
    case 'CANCELLING':
      return {
        deployment: ended(deployment, cancelledState(deployment), now),
        effects: { note: 'cancelled' },
      };
    case 'CANCELLED':
    case 'SUPERSEDED':
      return logged(deployment, 'duplicate_cancel_ack');
    default:
      return logged(deployment, 'anomaly', `cancel_ack while ${deployment.state}`);
  }
}

function force(deployment: Deployment, reason: string | undefined, now: number): DeploymentResult {
  if (deployment.state !== 'CANCELLING' || !deployment.stuck) {
    const found = deployment.state === 'CANCELLING' ? 'CANCELLING and still being asked' : deployment.state;
    return refused(deployment, 'force_refused', `the deployment is ${found}; only a stuck one can be forced`);
  }
  const effects = { note: 'forced', ...(reason !== undefined && { detail: reason }) };
  return { deployment: ended(deployment, cancelledState(deployment), now), effects };
}

function report(
  deployment: Deployment,
  version: string,
  now: number,
  terms: DeploymentTerms,
): DeploymentResult {
  const known: Deployment = { ...deployment, reportedVersion: version };
  const isTarget = compareVersions(version, terms.firmwareVersion) === 0;
  if (isVerifying(deployment)) {
    return isTarget
      ? { deployment: ended(known, 'COMPLETED', now), effects: { note: 'verified' } }
      : mismatch(known, now, `the controller runs ${version}, not ${terms.firmwareVersion}`);
  }
  if (deployment.state === 'TIMED_OUT' && deployment.doneAt !== null && isTarget) {
    return { deployment: ended(known, 'COMPLETED', now, { late: true }), effects: { note: 'verified_late' } };
  }
  if (!isActive(deployment.state) && deployment.state !== 'TIMED_OUT') return nothing(deployment);
  if (deployment.reportedVersion === version) return nothing(deployment);
  return { deployment: known, effects: { note: 'version_reported', detail: version } };
}
