import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { v7 } from 'uuid';
import { type Deployment, scheduled } from '../../lib/firmware/deployment-record.js';
import type { DeploymentWrite, FirmwareStore, RolloutPlan } from '../../lib/firmware/ports.js';
import { draft, type StagePlan } from '../../lib/firmware/rollout.js';
import { firmwareStore } from '../../lib/store/firmware.js';
import type { FirmwareQueries } from '../../lib/store/firmware-queries.js';
import { startRetention } from '../../lib/store/retention.js';
import type { Store } from '../../lib/store/store.js';
import { fakeClock } from '../support/fake-clock.js';
import { IMAGE } from '../support/firmware.js';
import { cleanUp, opened } from '../support/store.js';

const T = Date.UTC(2024, 0, 15, 9, 0, 0);
const STAGE: StagePlan = {
  ...{ percent: 100, targets: 0, successThreshold: 1, errorThreshold: 0, onError: 'cancel' },
  ...{ soakMs: 0, approval: false },
};

type Rows = FirmwareStore & FirmwareQueries;

function planOf(targets: number, stages = 1): RolloutPlan {
  return {
    ...{ id: v7(), name: 'spring', image: IMAGE, forceReason: null, supersede: false, ratePerMinute: null },
    stages: Array.from({ length: stages }, (_, stage) => ({ ...STAGE, targets: stage === 0 ? targets : 0 })),
    terms: {
      firmwareVersion: '1.0.1',
      ackTimeoutMs: 30_000,
      deadlineMs: 3_600_000,
      verifyMs: null,
      force: false,
    },
    ...{ maxInProgress: 10, createdAt: T, createdBy: 'ann' },
  };
}

function targetsOf(plan: RolloutPlan, count: number, storeId: string = randomUUID()): Deployment[] {
  return Array.from({ length: count }, (_, position) =>
    scheduled(
      {
        ...{ id: v7(), rolloutId: plan.id, storeId, controllerId: randomUUID() },
        ...{ stage: 0, position, correlationId: randomUUID() },
      },
      T,
    ),
  );
}

async function made(rows: Rows, count: number, storeId?: string) {
  const plan = planOf(count);
  const targets = targetsOf(plan, count, storeId);
  await rows.create({ plan, rollout: draft(plan.id, plan.stages), revision: 1 }, targets);
  return { plan, targets, first: targets[0] as Deployment };
}

function step(
  before: Deployment,
  change: Partial<Deployment>,
  given: Partial<DeploymentWrite> = {},
): DeploymentWrite {
  const deployment = { ...before, ...change, revision: before.revision + 1 };
  const count = { stage: before.stage, from: before.state, to: deployment.state, stuck: 0 as const };
  const { id: subjectId, rolloutId } = before;
  return {
    ...{ deployment, expectedRevision: before.revision, count, messages: [], at: T },
    history: [
      { subjectId, rolloutId, event: 'moved', from: before.state, to: deployment.state, detail: null, at: T },
    ],
    ...given,
  };
}

describe('the rows of firmware rollouts', () => {
  let store: Store;
  let rows: Rows;
  beforeEach(async () => {
    store = await opened();
    rows = firmwareStore(store);
  });
  afterEach(cleanUp);

  it('of a rollout that ended 400 days ago go, those of others and what runs on the controllers stay', async () => {
    const DAY = 86_400_000;
    const old = await made(rows, 600);
    const running = await made(rows, 2);
    await rows.saveDeployment(step(old.first, { state: 'COMPLETED', endedAt: T }, { installed: '1.0.1' }));
    await store.db
      .updateTable('firmware_rollout')
      .set({ ended_at: T })
      .where('id', '=', old.plan.id)
      .execute();
    const clean = async (days: number) => {
      const retention = startRetention(store, { clock: fakeClock(T + days * DAY) });
      await retention.run();
      await retention.stop();
    };
    const left = async (table: 'firmware_deployment' | 'firmware_count') => {
      const found = await store.db.selectFrom(table).select('rollout_id').execute();
      return new Set(found.map(({ rollout_id }) => rollout_id));
    };
    await clean(399);
    assert.deepEqual(await left('firmware_deployment'), new Set([old.plan.id, running.plan.id]));
    await clean(401);
    assert.deepEqual(await left('firmware_deployment'), new Set([running.plan.id]));
    assert.deepEqual(await left('firmware_count'), new Set([running.plan.id]));
    assert.equal(await rows.rollout(old.plan.id), undefined);
    const history = await store.db
      .selectFrom('firmware_history')
      .select('rollout_id')
      .where('rollout_id', '=', old.plan.id)
      .execute();
    assert.deepEqual(history, []);
    const { storeId, controllerId } = old.first;
    assert.equal((await rows.controller(storeId, controllerId))?.version, '1.0.1');
  });

  it('give back a rollout and its deployments as they were written', async () => {
    const { plan, targets } = await made(rows, 3);
    const found = await rows.rollout(plan.id);
    assert.deepEqual(found, { plan, rollout: draft(plan.id, plan.stages), revision: 1 });
    assert.deepEqual((await rows.deployments(plan.id)).items, targets);
    assert.deepEqual(await rows.loadOpen(), { rollouts: [found], deployments: targets });
  });

  it('move a deployment and its counts together, once', async () => {
    const { plan, first } = await made(rows, 2);
    const full: Partial<Deployment> = {
      ...{ state: 'SENT', attempts: 2, cancelAttempts: 1, errors: ['ü', 'b'], late: true, cancelLost: true },
      ...{ diverged: true, stuck: false, waiting: true, supersededBy: 'x', reportedVersion: '1', doneAt: T },
      ...{ deadlineAt: T + 1, wakeAt: T + 2, sentAt: T + 3, acknowledgedAt: T + 4, endedAt: T + 5 },
    };
    const write = step(first, full, { controller: 'claim' });
    await rows.saveDeployment(write);
    assert.deepEqual(await rows.deployment(first.id), write.deployment);
    await assert.rejects(rows.saveDeployment(write), { code: 'store_conflict' });
    const states = (await rows.rollout(plan.id))?.rollout.counts[0]?.states;
    assert.deepEqual([states?.SCHEDULED, states?.SENT], [1, 1]);
    assert.deepEqual(
      (await rows.history([first.id])).get(first.id)?.map(({ event, to }) => [event, to]),
      [
        ['scheduled', 'SCHEDULED'],
        ['moved', 'SENT'],
      ],
    );
  });

  it('let one deployment at a time have a controller', async () => {
    const { first } = await made(rows, 1);
    const other = planOf(1);
    const rival = {
      ...(targetsOf(other, 1)[0] as Deployment),
      storeId: first.storeId,
      controllerId: first.controllerId,
    };
    await rows.create({ plan: other, rollout: draft(other.id, other.stages), revision: 1 }, [rival]);
    const sent = step(first, { state: 'SENT' }, { controller: 'claim' });
    await rows.saveDeployment(sent);
    const claim = step(rival, { state: 'SENT' }, { controller: 'claim' });
    await assert.rejects(rows.saveDeployment(claim), { code: 'store_conflict' });
    assert.equal((await rows.deployment(rival.id))?.state, 'SCHEDULED');
    const done = step(sent.deployment, { state: 'COMPLETED' }, { controller: 'release', installed: '1.0.1' });
    await rows.saveDeployment(done);
    const controller = await rows.controller(first.storeId, first.controllerId);
    assert.deepEqual([controller?.version, controller?.deploymentId], ['1.0.1', null]);
    await rows.saveDeployment(claim);
  });

  it('let one step at a time change a rollout', async () => {
    const { plan } = await made(rows, 1);
    const rollout = {
      ...draft(plan.id, plan.stages),
      state: 'RUNNING' as const,
      startedAt: T,
      tolerated: [3],
    };
    const write = { plan, rollout, expectedRevision: 1, history: [] };
    await rows.saveRollout(write);
    await assert.rejects(rows.saveRollout(write), { code: 'store_conflict' });
    assert.deepEqual(await rows.rollout(plan.id), { plan, rollout, revision: 2 });
  });

  it('put a new deployment in the place of one that is retried', async () => {
    const { plan, first } = await made(rows, 1);
    const failed = step(first, { state: 'FAILED', endedAt: T });
    await rows.saveDeployment(failed);
    const next = {
      ...(targetsOf(plan, 1, first.storeId)[0] as Deployment),
      controllerId: first.controllerId,
    };
    const old = { ...failed.deployment, retriedBy: next.id, revision: 3 };
    await rows.retry([{ old, expectedRevision: 2, next }], T);
    await assert.rejects(rows.retry([{ old, expectedRevision: 2, next: { ...next, id: v7() } }], T), {
      code: 'store_conflict',
    });
    const states = (await rows.rollout(plan.id))?.rollout.counts[0]?.states;
    assert.deepEqual([states?.FAILED, states?.SCHEDULED], [0, 1]);
    assert.deepEqual(await rows.deploymentsIn(plan.id, ['FAILED']), []);
    assert.deepEqual((await rows.deployments(plan.id)).items, [old, next]);
  });

  it('are listed page by page, by state and by stage, and only to whom all its stores belong', async () => {
    const [mine, theirs] = [randomUUID(), randomUUID()];
    const { plan, targets, first } = await made(rows, 5, mine);
    const foreign = await made(rows, 1, theirs);
    const ids = async (stores?: string[]) =>
      (await rows.rollouts(stores === undefined ? {} : { stores })).items.map((each) => each.plan.id);
    assert.deepEqual(await ids(), [foreign.plan.id, plan.id]);
    assert.deepEqual(await ids([mine]), [plan.id]);
    assert.deepEqual(await ids([]), []);
    await rows.saveDeployment(step(first, { state: 'SENT' }));
    const page = await rows.deployments(plan.id, { state: 'SCHEDULED', stage: 0, limit: 3 });
    const rest = await rows.deployments(plan.id, {
      state: 'SCHEDULED',
      limit: 3,
      cursor: page.next_cursor as string,
    });
    assert.deepEqual([...page.items, ...rest.items], targets.slice(1));
    assert.equal(rest.next_cursor, null);
  });

  it('know what runs on a controller, also on one that no rollout has named', async () => {
    const [storeId, controllerId] = [randomUUID(), randomUUID()];
    await rows.reportVersion(storeId, controllerId, '1.0.0', T);
    await rows.reportVersion(storeId, controllerId, '1.0.1', T + 1);
    assert.deepEqual(await rows.controller(storeId, controllerId), {
      ...{ storeId, controllerId, version: '1.0.1', versionAt: T + 1, deploymentId: null },
    });
    assert.equal(await rows.isOnline(storeId, controllerId), undefined);
    const { first } = await made(rows, 1);
    await rows.saveDeployment(step(first, { state: 'TIMED_OUT', doneAt: T }));
    assert.equal((await rows.unverified(first.storeId, first.controllerId))?.id, first.id);
  });
});
