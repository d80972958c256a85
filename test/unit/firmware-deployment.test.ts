import assert from 'node:assert/strict';
import { transition } from '../../lib/firmware/deployment.js';
import { type Deployment, type DeploymentTerms, scheduled } from '../../lib/firmware/deployment-record.js';
import type { DeploymentEvent } from '../../lib/firmware/deployment-step.js';
import { compareVersions } from '../../lib/firmware/version.js';

const T = Date.UTC(2024, 0, 15, 9, 0, 0);
const TERMS: DeploymentTerms = {
  firmwareVersion: '1.0.1',
  ackTimeoutMs: 30_000,
  deadlineMs: 3_600_000,
  verifyMs: null,
  force: false,
};
const VERIFIED = { ...TERMS, verifyMs: 600_000 };
const START: DeploymentEvent = { type: 'start', installed: undefined, reachable: true };
const TICK: DeploymentEvent = { type: 'tick', reachable: true };
const FAILED: DeploymentEvent = { type: 'failed', errors: ['disk full'] };

const fresh = () =>
  scheduled(
    { id: 'd', rolloutId: 'r', storeId: 's', controllerId: 'c', stage: 0, position: 0, correlationId: 'x' },
    T,
  );

/** The deployment after these events, one a second. */
function after(events: DeploymentEvent[], terms = TERMS, from: Deployment = fresh()): Deployment {
  return events.reduce(
    (deployment, event, index) => transition(deployment, event, T + index * 1000, terms).deployment,
    from,
  );
}
const IN_STATE: Record<string, DeploymentEvent[]> = {
  SCHEDULED: [],
  SENT: [START],
  IN_PROGRESS: [START, { type: 'ack' }],
  COMPLETED: [START, { type: 'completed' }],
  FAILED: [START, FAILED],
  CANCELLING: [START, { type: 'cancel' }],
  CANCELLED: [START, { type: 'cancel' }, { type: 'cancel_ack' }],
  SUPERSEDED: [START, { type: 'cancel', supersededBy: 'other' }, { type: 'cancel_ack' }],
  REJECTED: [{ type: 'start', installed: '2.0.0', reachable: true }],
};
const timedOut = (): Deployment => ({
  ...after(IN_STATE['SENT'] ?? []),
  state: 'TIMED_OUT',
  wakeAt: null,
  endedAt: T,
});
const inState = (state: string) => (state === 'TIMED_OUT' ? timedOut() : after(IN_STATE[state] ?? []));

interface Row {
  event: DeploymentEvent;
  in: string;
  to: string;
  note: string;
  also?: Partial<Deployment>;
  alert?: string;
  publish?: string;
  refused?: true;
}
const completed: DeploymentEvent = { type: 'completed' };
const cancel: DeploymentEvent = { type: 'cancel' };
const cancelAck: DeploymentEvent = { type: 'cancel_ack' };
const ack: DeploymentEvent = { type: 'ack' };

const ROWS: Row[] = [
  // the races first
  { event: completed, in: 'CANCELLING', to: 'COMPLETED', note: 'completed', also: { cancelLost: true } },
  {
    event: completed,
    in: 'CANCELLED',
    to: 'CANCELLED',
    note: 'diverged',
    also: { diverged: true },
    alert: 'diverged',
  },
  {
    event: completed,
    in: 'SUPERSEDED',
    to: 'SUPERSEDED',
    note: 'diverged',
    also: { diverged: true },
    alert: 'diverged',
  },
  {
    event: completed,
    in: 'FAILED',
    to: 'FAILED',
    note: 'diverged',
    also: { diverged: true },
    alert: 'diverged',
  },
  { event: completed, in: 'TIMED_OUT', to: 'COMPLETED', note: 'completed_late', also: { late: true } },
  { event: completed, in: 'SENT', to: 'COMPLETED', note: 'completed' },
  { event: completed, in: 'IN_PROGRESS', to: 'COMPLETED', note: 'completed' },
  { event: completed, in: 'COMPLETED', to: 'COMPLETED', note: 'duplicate_completed' },
  { event: completed, in: 'SCHEDULED', to: 'SCHEDULED', note: 'anomaly' },
  { event: ack, in: 'SENT', to: 'IN_PROGRESS', note: 'acknowledged' },
  { event: ack, in: 'IN_PROGRESS', to: 'IN_PROGRESS', note: 'duplicate_ack' },
  ...['COMPLETED', 'FAILED', 'CANCELLED', 'TIMED_OUT', 'REJECTED', 'SUPERSEDED', 'CANCELLING'].map(
    (state): Row => ({ event: ack, in: state, to: state, note: 'late_ack' }),
  ),
  { event: FAILED, in: 'SENT', to: 'FAILED', note: 'failed', also: { errors: ['disk full'] } },
  { event: FAILED, in: 'IN_PROGRESS', to: 'FAILED', note: 'failed', also: { errors: ['disk full'] } },
  { event: FAILED, in: 'CANCELLING', to: 'CANCELLED', note: 'cancelled', also: { errors: ['disk full'] } },
  {
    event: FAILED,
    in: 'COMPLETED',
    to: 'COMPLETED',
    note: 'failed_after_completed',
    alert: 'failed_after_completed',
  },
  { event: FAILED, in: 'TIMED_OUT', to: 'TIMED_OUT', note: 'failed_late', also: { errors: ['disk full'] } },
  { event: FAILED, in: 'FAILED', to: 'FAILED', note: 'duplicate_failed' },
  { event: cancel, in: 'SCHEDULED', to: 'CANCELLED', note: 'cancelled' },
  { event: cancel, in: 'SENT', to: 'CANCELLING', note: 'cancelling', publish: 'cancel_update_firmware' },
  {
    event: cancel,
    in: 'IN_PROGRESS',
    to: 'CANCELLING',
    note: 'cancelling',
    publish: 'cancel_update_firmware',
  },
  { event: cancel, in: 'CANCELLING', to: 'CANCELLING', note: 'nothing' },
  ...['COMPLETED', 'FAILED', 'CANCELLED', 'TIMED_OUT', 'REJECTED', 'SUPERSEDED'].map(
    (state): Row => ({ event: cancel, in: state, to: state, note: 'cancel_refused', refused: true }),
  ),
  { event: cancelAck, in: 'CANCELLING', to: 'CANCELLED', note: 'cancelled' },
  { event: cancelAck, in: 'CANCELLED', to: 'CANCELLED', note: 'duplicate_cancel_ack' },
  ...['SCHEDULED', 'SENT', 'IN_PROGRESS', 'COMPLETED', 'FAILED', 'TIMED_OUT', 'REJECTED'].map(
    (state): Row => ({ event: cancelAck, in: state, to: state, note: 'anomaly' }),
  ),
  { event: { type: 'force' }, in: 'CANCELLING', to: 'CANCELLING', note: 'force_refused', refused: true },
  { event: { type: 'force' }, in: 'COMPLETED', to: 'COMPLETED', note: 'force_refused', refused: true },
  { event: START, in: 'SCHEDULED', to: 'SENT', note: 'sent', publish: 'update_firmware' },
  { event: START, in: 'SENT', to: 'SENT', note: 'nothing' },
];

describe('a deployment, row by row', () => {
  for (const row of ROWS) {
    it(`${row.event.type} in ${row.in}: ${row.to}, ${row.note}`, () => {
      const before = inState(row.in);
      assert.equal(before.state, row.in);
      const { deployment, effects } = transition(before, row.event, T + 60_000, TERMS);
      assert.equal(deployment.state, row.to);
      assert.equal(effects.note, row.note);
      for (const [field, value] of Object.entries(row.also ?? {})) {
        assert.deepEqual(deployment[field as keyof Deployment], value, field);
      }
      assert.equal(effects.alert?.code, row.alert);
      assert.equal(effects.publish, row.publish);
      assert.equal(effects.refused !== undefined, row.refused ?? false);
    });
  }

  it('knows what runs on the controller after completed, also where it was cancelled before', () => {
    for (const state of ['SENT', 'CANCELLING', 'CANCELLED', 'TIMED_OUT']) {
      assert.equal(transition(inState(state), completed, T, TERMS).effects.installed, '1.0.1', state);
    }
  });
});

describe('the clock of a deployment', () => {
  it('sends again after 30 s, doubling, 5 times, then times out', () => {
    let deployment = after([START]);
    const waits: number[] = [];
    let now = T;
    let published = 1;
    while (deployment.state === 'SENT') {
      const { wakeAt } = deployment;
      assert.ok(wakeAt !== null);
      waits.push((wakeAt - now) / 1000);
      now = wakeAt;
      const next = transition(deployment, TICK, now, { ...TERMS, deadlineMs: 86_400_000 });
      if (next.effects.publish === 'update_firmware') published += 1;
      ({ deployment } = next);
    }
    assert.deepEqual(waits, [30, 60, 120, 240, 480, 960]);
    assert.deepEqual([published, deployment.state], [6, 'TIMED_OUT']);
  });

  it('spends no attempt on a controller that cannot be reached, sends when it is back, and ends at the deadline', () => {
    const sent = after([START]);
    const waits = transition(sent, { type: 'tick', reachable: false }, T + 30_000, TERMS);
    assert.deepEqual(
      [waits.deployment.waiting, waits.deployment.attempts, waits.effects.publish],
      [true, 1, undefined],
    );
    const back = transition(waits.deployment, { type: 'reachable' }, T + 40_000, TERMS);
    assert.deepEqual([back.deployment.waiting, back.effects.publish], [false, 'update_firmware']);
    let { deployment } = waits;
    let now = T;
    for (let looks = 0; deployment.state === 'SENT'; looks += 1) {
      assert.ok(looks < 200);
      now = deployment.wakeAt ?? 0;
      ({ deployment } = transition(deployment, { type: 'tick', reachable: false }, now, TERMS));
    }
    assert.deepEqual([deployment.state, now - T], ['TIMED_OUT', TERMS.deadlineMs]);
  });

  it('counts the deadline of an update from its acknowledgement', () => {
    const acknowledged = transition(after([START]), ack, T + 500_000, TERMS).deployment;
    const due = T + 500_000 + TERMS.deadlineMs;
    assert.equal(transition(acknowledged, TICK, due - 1, TERMS).deployment.state, 'IN_PROGRESS');
    assert.equal(transition(acknowledged, TICK, due, TERMS).deployment.state, 'TIMED_OUT');
  });

  it('asks 3 times more for a cancellation, then is stuck until a person forces it', () => {
    let deployment = after([START, cancel]);
    let published = 1;
    while (!deployment.stuck) {
      const next = transition(deployment, TICK, deployment.wakeAt ?? 0, TERMS);
      if (next.effects.publish === 'cancel_update_firmware') published += 1;
      ({ deployment } = next);
    }
    assert.deepEqual([published, deployment.state, deployment.wakeAt], [4, 'CANCELLING', null]);
    const forced = transition(deployment, { type: 'force', reason: 'scrapped' }, T, TERMS);
    assert.deepEqual(
      [forced.deployment.state, forced.deployment.stuck, forced.effects.detail],
      ['CANCELLED', false, 'scrapped'],
    );
    assert.equal(transition(deployment, completed, T, TERMS).deployment.state, 'COMPLETED');
  });

  it('does nothing before its time', () => {
    const sent = after([START]);
    assert.equal(transition(sent, TICK, T + 29_999, TERMS).deployment, sent);
  });
});

describe('the version of a deployment', () => {
  const start = (installed: string | undefined, terms = TERMS) =>
    transition(fresh(), { type: 'start', installed, reachable: true }, T, terms);

  it('that is installed already is completed without sending', () => {
    const { deployment, effects } = start('v1.0.1');
    assert.deepEqual([deployment.state, effects.publish], ['COMPLETED', undefined]);
  });

  it('that is lower than the installed one is rejected, unless forced', () => {
    const { deployment, effects } = start('1.1.0');
    assert.deepEqual([deployment.state, effects.publish], ['REJECTED', undefined]);
    assert.match(deployment.errors[0] ?? '', /1\.0\.1 is lower than the installed 1\.1\.0/);
    assert.equal(start('1.1.0', { ...TERMS, force: true }).deployment.state, 'SENT');
  });

  it('that has no order with the installed one, or with nothing known, is sent', () => {
    assert.equal(start('spring-edition').deployment.state, 'SENT');
    assert.equal(start(undefined).deployment.state, 'SENT');
  });

  const done = (terms = VERIFIED) => after([START, ack, completed], terms);
  const says = (version: string): DeploymentEvent => ({ type: 'version', version });

  it('is verified by the next report: the target completes, another fails as version_mismatch', () => {
    assert.equal(done().state, 'IN_PROGRESS');
    assert.equal(transition(done(), says('1.0.1'), T, VERIFIED).deployment.state, 'COMPLETED');
    const { deployment, effects } = transition(done(), says('1.0.0'), T, VERIFIED);
    assert.equal(deployment.state, 'FAILED');
    assert.match(deployment.errors[0] ?? '', /^version_mismatch: .*1\.0\.0, not 1\.0\.1/);
    assert.equal(effects.alert?.code, 'version_mismatch');
  });

  it('that nobody reports in time fails as version_mismatch', () => {
    const waiting = done();
    const { deployment } = transition(waiting, TICK, waiting.wakeAt ?? 0, VERIFIED);
    assert.equal(deployment.state, 'FAILED');
    assert.match(deployment.errors[0] ?? '', /^version_mismatch/);
  });

  it('that was reported before completed came need not be reported again', () => {
    assert.equal(after([START, ack, says('1.0.1'), completed], VERIFIED).state, 'COMPLETED');
  });

  it('cannot be cancelled while it is verified', () => {
    assert.match(transition(done(), cancel, T, VERIFIED).effects.refused ?? '', /verified/);
  });

  it('after a late completed is verified too, and then late', () => {
    const late = transition(timedOut(), completed, T, VERIFIED).deployment;
    assert.equal(late.state, 'TIMED_OUT');
    const { deployment } = transition(late, says('1.0.1'), T, VERIFIED);
    assert.deepEqual([deployment.state, deployment.late], ['COMPLETED', true]);
    assert.equal(transition(late, says('1.0.0'), T, VERIFIED).deployment.state, 'TIMED_OUT');
  });
});

describe('versions', () => {
  for (const [lower, higher] of [
    ['1.9', '1.10'],
    ['1.0.0-rc.1', '1.0.0'],
    ['1.0.0-rc.2', '1.0.0-rc.10'],
    ['1.0.0-alpha', '1.0.0-beta'],
    ['1.0.0-1', '1.0.0-a'],
    ['1.2', '1.2.1'],
  ] as const) {
    it(`${lower} is lower than ${higher}`, () => {
      assert.ok((compareVersions(lower, higher) ?? 0) < 0);
      assert.ok((compareVersions(higher, lower) ?? 0) > 0);
    });
  }
  it('are the same with and without a v, trailing zeros and build data', () => {
    for (const other of ['v1.2.0', '1.2.0+build.7', '1.2.0.0'])
      assert.equal(compareVersions('1.2', other), 0, other);
  });
  it('of another kind have no order', () => {
    assert.equal(compareVersions('spring-2024', '1.0'), undefined);
    assert.equal(compareVersions('spring', 'spring'), 0);
  });
});
