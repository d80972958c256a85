import { DEPLOYMENT_STATES, type Deployment } from '../firmware/deployment-record.js';
import type { DeploymentWrite, HistoryRecord, MessageRecord, StoredRollout } from '../firmware/ports.js';
import type { CountChange, Rollout } from '../firmware/rollout.js';
import { rowOfDeployment, rowOfRollout, STUCK } from './firmware-rows.js';
import type {
  FirmwareControllerTable,
  FirmwareCountTable,
  FirmwareDeploymentTable,
  FirmwareHistoryTable,
  FirmwareRolloutStoreTable,
  FirmwareRolloutTable,
} from './firmware-tables.js';
import { newId } from './ids.js';
import { insertOnce, placeholders, prepare } from './prepared.js';
import type { Statement, Store } from './store.js';
import type { MessageTable } from './tables.js';

/** Columns of a deployment that an event may change. */
const CHANGING = [
  'state',
  'revision',
  'attempts',
  'cancel_attempts',
  'errors',
  'late',
  'cancel_lost',
  'diverged',
  'stuck',
  'waiting',
  'superseded_by',
  'retried_by',
  'reported_version',
  'done_at',
  'deadline_at',
  'wake_at',
  'sent_at',
  'acknowledged_at',
  'ended_at',
] as const;
const DEPLOYMENT = [
  'id',
  'rollout_id',
  'store_id',
  'controller_id',
  'stage',
  'position',
  'correlation_id',
  'created_at',
  ...CHANGING,
] as const;
const ROLLOUT_CHANGING = [
  'state',
  'phase',
  'stage',
  'reason',
  'tolerated',
  'overruled',
  'wake_at',
  'started_at',
  'ended_at',
  'revision',
] as const;
const ROLLOUT = ['id', 'image_id', 'version', 'plan', 'created_at', ...ROLLOUT_CHANGING] as const;
const HISTORY = [
  'id',
  'subject_id',
  'rollout_id',
  'event',
  'from_state',
  'to_state',
  'detail',
  'at',
] as const;
const CONTROLLER = ['store_id', 'controller_id', 'version', 'version_at', 'deployment_id'] as const;
const COUNT = ['rollout_id', 'stage', 'state', 'amount'] as const;
const MESSAGE = ['id', 'protocol', 'direction', 'topic', 'outcome', 'correlation_id', 'at'] as const;

const valuesOf = (value: (name: never) => never, columns: readonly string[]) =>
  Object.fromEntries(columns.map((column) => [column, value(column as never)])) as never;

interface ControllerKey {
  store_id: string;
  controller_id: string;
}

/** The statements of the firmware protocol, compiled once. */
export function firmwareStatements(store: Pick<Store, 'db' | 'dialect'>) {
  const { db } = store;
  const insertRollout = prepare<FirmwareRolloutTable>(
    db,
    (value) =>
      insertOnce(store, 'firmware_rollout', placeholders<'firmware_rollout'>(value, ROLLOUT), ['id']),
    { affects: 1 },
  );
  const updateRollout = prepare<FirmwareRolloutTable & { expected_revision: number }>(
    db,
    (value) =>
      db
        .updateTable('firmware_rollout')
        .set(valuesOf(value, ROLLOUT_CHANGING))
        .where('id', '=', value('id'))
        .where('revision', '=', value('expected_revision')),
    { affects: 1 },
  );
  const insertStore = prepare<FirmwareRolloutStoreTable>(db, (value) =>
    insertOnce(
      store,
      'firmware_rollout_store',
      placeholders<'firmware_rollout_store'>(value, ['rollout_id', 'store_id']),
      ['rollout_id', 'store_id'],
    ),
  );
  const insertDeployment = prepare<FirmwareDeploymentTable>(
    db,
    (value) =>
      insertOnce(store, 'firmware_deployment', placeholders<'firmware_deployment'>(value, DEPLOYMENT), [
        'id',
      ]),
    { affects: 1 },
  );
  const updateDeployment = prepare<FirmwareDeploymentTable & { expected_revision: number }>(
    db,
    (value) =>
      db
        .updateTable('firmware_deployment')
        .set(valuesOf(value, CHANGING))
        .where('id', '=', value('id'))
        .where('revision', '=', value('expected_revision')),
    { affects: 1 },
  );
  const insertCount = prepare<FirmwareCountTable>(db, (value) =>
    insertOnce(store, 'firmware_count', placeholders<'firmware_count'>(value, COUNT), [
      'rollout_id',
      'stage',
      'state',
    ]),
  );
  const addCount = prepare<FirmwareCountTable>(db, (value) =>
    db
      .updateTable('firmware_count')
      .set((is) => ({ amount: is('amount', '+', value('amount')) }))
      .where('rollout_id', '=', value('rollout_id'))
      .where('stage', '=', value('stage'))
      .where('state', '=', value('state')),
  );
  const insertHistory = prepare<FirmwareHistoryTable>(db, (value) =>
    insertOnce(store, 'firmware_history', placeholders<'firmware_history'>(value, HISTORY), ['id']),
  );
  const insertMessage = prepare<MessageTable>(db, (value) =>
    insertOnce(store, 'message', placeholders<'message'>(value, MESSAGE), ['id']),
  );
  const insertController = prepare<FirmwareControllerTable>(db, (value) =>
    insertOnce(store, 'firmware_controller', placeholders<'firmware_controller'>(value, CONTROLLER), [
      'store_id',
      'controller_id',
    ]),
  );
  const claim = prepare<ControllerKey & { deployment_id: string }>(
    db,
    (value) =>
      db
        .updateTable('firmware_controller')
        .set({ deployment_id: value('deployment_id') })
        .where('store_id', '=', value('store_id'))
        .where('controller_id', '=', value('controller_id'))
        .where('deployment_id', 'is', null),
    { affects: 1 },
  );
  const release = prepare<ControllerKey & { deployment_id: string }>(db, (value) =>
    db
      .updateTable('firmware_controller')
      .set({ deployment_id: null })
      .where('store_id', '=', value('store_id'))
      .where('controller_id', '=', value('controller_id'))
      .where('deployment_id', '=', value('deployment_id')),
  );
  const setVersion = prepare<ControllerKey & { version: string; version_at: number }>(db, (value) =>
    db
      .updateTable('firmware_controller')
      .set({ version: value('version'), version_at: value('version_at') })
      .where('store_id', '=', value('store_id'))
      .where('controller_id', '=', value('controller_id')),
  );

  const controllerRow = (storeId: string, controllerId: string) =>
    insertController({
      store_id: storeId,
      controller_id: controllerId,
      version: null,
      version_at: null,
      deployment_id: null,
    });
  const historyLine = (line: HistoryRecord) =>
    insertHistory({
      id: newId(),
      subject_id: line.subjectId,
      rollout_id: line.rolloutId,
      event: line.event,
      from_state: line.from,
      to_state: line.to,
      detail: line.detail,
      at: line.at,
    });

  function counts(rolloutId: string, { stage, from, to, stuck }: CountChange): Statement[] {
    const add = (state: string, amount: number) => addCount({ rollout_id: rolloutId, stage, state, amount });
    return [
      ...(from === null || from === to ? [] : [add(from, -1)]),
      ...(to === null || from === to ? [] : [add(to, 1)]),
      ...(stuck === 0 ? [] : [add(STUCK, stuck)]),
    ];
  }

  return {
    counts,
    history: historyLine,
    insertDeployment: (deployment: Deployment) => insertDeployment(rowOfDeployment(deployment)),
    updateDeployment: (deployment: Deployment, expectedRevision: number) =>
      updateDeployment({ ...rowOfDeployment(deployment), expected_revision: expectedRevision }),

    message: (message: MessageRecord) =>
      insertMessage({
        id: newId(),
        protocol: 'firmware',
        direction: message.direction,
        topic: message.topic,
        outcome: message.outcome,
        correlation_id: message.correlationId,
        at: message.at,
      }),

    updateRollout: (rollout: Rollout, plan: StoredRollout['plan'], expectedRevision: number) =>
      updateRollout({
        ...rowOfRollout({ plan, rollout, revision: expectedRevision + 1 }),
        expected_revision: expectedRevision,
      }),

    create(stored: StoredRollout, deployments: readonly Deployment[]): Statement[] {
      const { plan, rollout } = stored;
      const unit = [insertRollout(rowOfRollout(stored))];
      for (const storeId of new Set(deployments.map((deployment) => deployment.storeId))) {
        unit.push(insertStore({ rollout_id: plan.id, store_id: storeId }));
      }
      for (const [stage, { states }] of rollout.counts.entries()) {
        for (const state of [...DEPLOYMENT_STATES, STUCK] as const) {
          const amount = state === STUCK ? 0 : states[state];
          unit.push(insertCount({ rollout_id: plan.id, stage, state, amount }));
        }
      }
      for (const deployment of deployments) {
        unit.push(insertDeployment(rowOfDeployment(deployment)));
        unit.push(controllerRow(deployment.storeId, deployment.controllerId));
        unit.push(historyLine(createdLine(deployment)));
      }
      return unit;
    },

    deployment(write: DeploymentWrite): Statement[] {
      const { deployment, expectedRevision, count, controller, installed, at } = write;
      const { id, storeId, controllerId, rolloutId } = deployment;
      const key = { store_id: storeId, controller_id: controllerId };
      const unit: Statement[] = [];
      // The guards come first: a unit that is void by them has written nothing that would have to be undone.
      if (expectedRevision !== undefined) {
        unit.push(updateDeployment({ ...rowOfDeployment(deployment), expected_revision: expectedRevision }));
      }
      if (controller === 'claim') unit.push(claim({ ...key, deployment_id: id }));
      if (controller === 'release') unit.push(release({ ...key, deployment_id: id }));
      if (count !== undefined) unit.push(...counts(rolloutId, count));
      if (installed !== undefined) unit.push(setVersion({ ...key, version: installed, version_at: at }));
      unit.push(...write.history.map(historyLine));
      return unit;
    },

    version: (storeId: string, controllerId: string, version: string, at: number): Statement[] => [
      controllerRow(storeId, controllerId),
      setVersion({ store_id: storeId, controller_id: controllerId, version, version_at: at }),
    ],
  };
}

/** How a deployment's history begins. */
export function createdLine(deployment: Deployment): HistoryRecord {
  return {
    subjectId: deployment.id,
    rolloutId: deployment.rolloutId,
    event: 'scheduled',
    from: null,
    to: 'SCHEDULED',
    detail: null,
    at: deployment.createdAt,
  };
}
