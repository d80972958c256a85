import assert from 'node:assert/strict';
import { setImmediate } from 'node:timers/promises';
import type { DeadLetter } from '../../lib/core/dead-letter.js';
import { FieldloomError } from '../../lib/core/errors.js';
import { DEPLOYMENT_STATES, type Deployment, isTerminal } from '../../lib/firmware/deployment-record.js';
import type {
  ControllerRecord,
  DeploymentWrite,
  FirmwareStore,
  HistoryRecord,
  Retry,
  RolloutWrite,
  StoredRollout,
} from '../../lib/firmware/ports.js';
import { type CountChange, fold, isOver } from '../../lib/firmware/rollout.js';

/** The rows of the firmware protocol as the port promises them; a write waits until a test commits it. */
export interface ModelStore extends FirmwareStore {
  readonly deployments: Map<string, Deployment>;
  readonly rollouts: Map<string, StoredRollout>;
  readonly lines: HistoryRecord[];
  readonly letters: DeadLetter[];
  /** What `onLine` has thrown. */
  readonly violations: Error[];
  readonly pending: number;
  /** Commits so many of the oldest units. */
  step(units?: number): Promise<void>;
  /** Commits until nothing waits. */
  settle(): Promise<void>;
  /** Forgets the units that wait, as a kill does. */
  kill(): void;
  /** The same rows, whose writes of what is driven count only where `check` throws nothing when they are committed. */
  at(check: () => void): FirmwareStore;
  /** Called with each line when it is committed. */
  onLine(check: (line: HistoryRecord) => void): void;
}

const conflict = (text: string) => new FieldloomError('store_conflict', text);

export function modelFirmwareStore(): ModelStore {
  const deployments = new Map<string, Deployment>();
  const rollouts = new Map<string, StoredRollout>();
  const controllers = new Map<string, ControllerRecord>();
  const lines: HistoryRecord[] = [];
  const letters: DeadLetter[] = [];
  const units: { commit(): void; resolve(): void; reject(error: Error): void }[] = [];
  const violations: Error[] = [];
  let check: (line: HistoryRecord) => void = () => {};

  const later = (commit: () => void) =>
    new Promise<void>((resolve, reject) => {
      units.push({ commit, resolve, reject });
    });
  const controllerOf = (storeId: string, controllerId: string): ControllerRecord => {
    const key = `${storeId}/${controllerId}`;
    const none = { storeId, controllerId, version: null, versionAt: null, deploymentId: null };
    const found = controllers.get(key) ?? none;
    controllers.set(key, found);
    return found;
  };
  const tell = (line: HistoryRecord) => {
    lines.push(line);
    try {
      check(line);
    } catch (error) {
      // Thrown here it would look like the store's own failure.
      violations.push(error as Error);
    }
  };
  function count(rolloutId: string, change: CountChange): void {
    const stored = rollouts.get(rolloutId) as StoredRollout;
    const rollout = { ...stored.rollout, counts: fold(stored.rollout.counts, change) };
    rollouts.set(rolloutId, { ...stored, rollout });
  }
  const expect = (id: string, revision: number) => {
    if (deployments.get(id)?.revision !== revision) throw conflict(`deployment ${id} has another revision`);
  };

  function saveDeployment(write: DeploymentWrite): void {
    const { deployment, expectedRevision } = write;
    const controller = controllerOf(deployment.storeId, deployment.controllerId);
    if (expectedRevision !== undefined) expect(deployment.id, expectedRevision);
    if (write.controller === 'claim') {
      if (controller.deploymentId !== null) throw conflict('the controller is busy');
      controller.deploymentId = deployment.id;
    }
    if (write.controller === 'release' && controller.deploymentId === deployment.id)
      controller.deploymentId = null;
    if (write.installed !== undefined) controller.version = write.installed;
    if (expectedRevision !== undefined) deployments.set(deployment.id, deployment);
    if (write.count !== undefined) count(deployment.rolloutId, write.count);
    for (const line of write.history) tell(line);
  }

  const created = (deployment: Deployment): void => {
    deployments.set(deployment.id, deployment);
    controllerOf(deployment.storeId, deployment.controllerId);
    const { id: subjectId, rolloutId, createdAt: at } = deployment;
    tell({ subjectId, rolloutId, event: 'scheduled', from: null, to: 'SCHEDULED', detail: null, at });
  };
  const present = (rolloutId: string) =>
    [...deployments.values()].filter((each) => each.rolloutId === rolloutId && each.retriedBy === null);

  /** @param check throws where the write is void */
  function writes(check: () => void) {
    const guarded = (commit: () => void) =>
      later(() => {
        check();
        commit();
      });
    return {
      create: (stored: StoredRollout, targets: readonly Deployment[]) =>
        guarded(() => {
          rollouts.set(stored.plan.id, stored);
          targets.forEach(created);
        }),
      saveDeployment: (write: DeploymentWrite) => guarded(() => saveDeployment(write)),
      saveRollout: ({ plan, rollout, expectedRevision, history }: RolloutWrite) =>
        guarded(() => {
          const stored = rollouts.get(plan.id) as StoredRollout;
          if (stored.revision !== expectedRevision)
            throw conflict('another revision of the rollout is stored');
          // Counts are the deployments' to write.
          const { counts } = stored.rollout;
          rollouts.set(plan.id, { plan, rollout: { ...rollout, counts }, revision: expectedRevision + 1 });
          history.forEach(tell);
        }),
      retry: (retries: readonly Retry[], at: number) =>
        guarded(() => {
          for (const { old, expectedRevision } of retries) expect(old.id, expectedRevision);
          for (const { old, next } of retries) {
            deployments.set(old.id, old);
            created(next);
            count(next.rolloutId, { stage: next.stage, from: old.state, to: next.state, stuck: 0 });
            const { id: subjectId, rolloutId, state } = old;
            tell({ subjectId, rolloutId, event: 'retried', from: state, to: state, detail: next.id, at });
          }
        }),
    } satisfies Partial<FirmwareStore>;
  }

  const model: ModelStore = {
    ...{ deployments, rollouts, lines, letters, violations },
    get pending() {
      return units.length;
    },
    onLine(given) {
      check = given;
    },
    countEarlier: async () => 0,
    async loadOpen() {
      const open = [...rollouts.values()].filter(
        ({ rollout, plan }) => !isOver(rollout) || present(plan.id).some(({ state }) => !isTerminal(state)),
      );
      return {
        rollouts: open,
        deployments: open.flatMap(({ plan }) => present(plan.id).filter(({ state }) => !isTerminal(state))),
      };
    },
    rollout: async (id) => rollouts.get(id),
    deployment: async (id) => deployments.get(id),
    deploymentsIn: async (id, states) => present(id).filter(({ state }) => states.includes(state)),
    unverified: async (storeId, controllerId) =>
      [...deployments.values()]
        .reverse()
        .find(
          (each) =>
            each.storeId === storeId &&
            each.controllerId === controllerId &&
            each.state === 'TIMED_OUT' &&
            each.doneAt !== null,
        ),
    controller: async (storeId, controllerId) => ({ ...controllerOf(storeId, controllerId) }),
    controllersOf: async () => new Map([...controllers].map(([key, record]) => [key, { ...record }])),
    isOnline: async () => undefined,
    ...writes(() => {}),
    at: (check) => ({ ...model, ...writes(check) }),
    reportVersion: (storeId, controllerId, version) =>
      later(() => {
        controllerOf(storeId, controllerId).version = version;
      }),
    refuse: (refused) =>
      later(() => {
        letters.push(...refused);
      }),
    async step(count_ = 1) {
      for (let done = 0; done < count_; done += 1) {
        const unit = units.shift();
        if (unit === undefined) break;
        try {
          unit.commit();
          unit.resolve();
        } catch (error) {
          unit.reject(error as Error);
        }
      }
      await setImmediate();
    },
    async settle() {
      await setImmediate();
      while (units.length > 0) await model.step(units.length);
    },
    kill() {
      units.length = 0;
    },
  };
  return model;
}

/** Counts by stage as the history alone tells them. */
export function countsOfHistory(store: ModelStore, rolloutId: string): Record<string, number>[] {
  const { plan } = store.rollouts.get(rolloutId) as StoredRollout;
  const counts = plan.stages.map(() => Object.fromEntries(DEPLOYMENT_STATES.map((state) => [state, 0])));
  const last = new Map<string, string>();
  for (const { subjectId, event, to } of store.lines) {
    if (event === 'retried') last.delete(subjectId);
    else if (subjectId !== rolloutId && store.deployments.get(subjectId)?.rolloutId === rolloutId) {
      if (store.deployments.get(subjectId)?.retriedBy === null) last.set(subjectId, to);
    }
  }
  for (const [id, state] of last) {
    const stage = counts[store.deployments.get(id)?.stage ?? 0] as Record<string, number>;
    stage[state] = (stage[state] ?? 0) + 1;
  }
  assert.ok(last.size > 0);
  return counts;
}
