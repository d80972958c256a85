import type { Clock } from '../core/clock.js';
import type { Deadlines } from '../core/deadlines.js';
import { asError, FieldloomError, hasCode } from '../core/errors.js';
import type { Link } from '../core/link.js';
import type { Log } from '../core/log.js';
import { channelOf, firmwareTopic, format, type OutgoingFirmwareMessage } from './codec.js';
import { transition } from './deployment.js';
import { type Deployment, isActive, isTerminal, isVerifying } from './deployment-record.js';
import type { DeploymentEffects, DeploymentEvent } from './deployment-step.js';
import type { Fleet, FleetRollout } from './fleet.js';
import type { FirmwareFiles, FirmwareStore, HistoryRecord, MessageRecord, RolloutPlan } from './ports.js';
import { type CountChange, isOver, maySend } from './rollout.js';

/** What a deployment did, told when it is committed. */
export interface DeploymentChange {
  deployment: Deployment;
  previous: Deployment;
  effects: DeploymentEffects;
  plan: RolloutPlan;
  at: number;
}

export interface DeploymentsOptions {
  store: FirmwareStore;
  files: FirmwareFiles;
  link: Link;
  clock: Clock;
  log: Log;
  fleet: Fleet;
  prefix: string;
  deadlines: Deadlines<string>;
  /** A step of the rollout is on its way to the store, which may be that it is over. */
  isDeciding(rollout: FleetRollout): boolean;
  /** Called once for each committed change, in the order of each deployment's events. */
  committed(change: DeploymentChange, count: CountChange | undefined): void;
}

export interface Deployments {
  /**
   * Fulfils when the event is stored, with what it did; undefined where there is no such deployment. Events of one
   * deployment take turns.
   * @param message the message that brought it
   * @throws what the store rejects with
   */
  submit(id: string, event: DeploymentEvent, message?: Arrived): Promise<Submitted | undefined>;
  /** Fulfils when nothing is on its way. */
  idle(): Promise<void>;
}

/** A message of a controller, for the history of messages. */
export interface Arrived {
  topic: string;
  correlationId: string | null;
  receivedAt: number;
  /** Only what changes anything is stored. */
  again: boolean;
}

export interface Submitted {
  deployment: Deployment;
  effects: DeploymentEffects;
}

/** Another gateway may write between our reading and our writing; it cannot do so for ever. */
const MOST_CONFLICTS = 20;

/** Longer than any clock difference: a download begun at the deadline must find its file. */
const URL_MARGIN_MS = 60 * 60 * 1000;

const NOTHING: DeploymentEffects = { note: 'nothing', silent: true };

/** How the count of its stage moves. A deployment that was retried is counted no more. */
function countOf(before: Deployment, after: Deployment): CountChange | undefined {
  const stuck = (Number(after.stuck) - Number(before.stuck)) as -1 | 0 | 1;
  if (after.retriedBy !== null || (before.state === after.state && stuck === 0)) return undefined;
  return { stage: after.stage, from: before.state, to: after.state, stuck };
}

/** Carries out what deployments ask for: each change is stored first, then published and told. */
export function createDeployments(options: DeploymentsOptions): Deployments {
  const { store, files, link, clock, log, fleet, deadlines } = options;
  const topics = {
    action: firmwareTopic('action', options.prefix),
    ack: firmwareTopic('ack', options.prefix),
  };
  /** The last event of each deployment that is on its way. */
  const tails = new Map<string, Promise<unknown>>();
  let becameIdle: (() => void) | undefined;

  async function planOf(rolloutId: string): Promise<RolloutPlan | undefined> {
    return fleet.rollouts.get(rolloutId)?.plan ?? (await store.rollout(rolloutId))?.plan;
  }

  const topicOf = (
    { storeId, controllerId }: Deployment,
    type: 'update_firmware' | 'cancel_update_firmware',
  ) => topics[channelOf(type)].format({ store_id: storeId, controller_id: controllerId });

  /** Once a rollout is over nothing of it is sent any more: what would be is cancelled instead. */
  function judged(deployment: Deployment, event: DeploymentEvent): DeploymentEvent {
    const sends = event.type === 'start' || event.type === 'tick' || event.type === 'reachable';
    const rollout = fleet.rollouts.get(deployment.rolloutId)?.rollout;
    const mayStill = rollout === undefined || !isOver(rollout) || rollout.state === 'COMPLETED';
    if (!sends || mayStill || (deployment.state !== 'SCHEDULED' && deployment.state !== 'SENT')) return event;
    return { type: 'cancel', reason: `the rollout is ${rollout.state}` };
  }

  /** Its rollout was paused, or begins to decide something, while it was about to start. */
  function isHeld({ rolloutId }: Deployment): boolean {
    const entry = fleet.rollouts.get(rolloutId);
    if (entry === undefined) return false;
    return options.isDeciding(entry) || (!maySend(entry.rollout) && !isOver(entry.rollout));
  }

  /** A version that is waited for may have been told to another gateway. */
  async function told(deployment: Deployment, event: DeploymentEvent): Promise<DeploymentEvent> {
    if (event.type !== 'tick' || !isVerifying(deployment)) return event;
    const { version, versionAt } =
      (await store.controller(deployment.storeId, deployment.controllerId)) ?? {};
    if (version == null || versionAt == null || versionAt < (deployment.doneAt ?? Infinity)) return event;
    return { type: 'version', version };
  }

  async function happen(
    id: string,
    given: DeploymentEvent,
    message?: Arrived,
  ): Promise<Submitted | undefined> {
    let before = fleet.deployment(id) ?? (await store.deployment(id));
    for (let conflicts = 0; before !== undefined; conflicts += 1) {
      const plan = await planOf(before.rolloutId);
      if (plan === undefined) return undefined;
      const now = clock.now();
      if (given.type === 'start' && isHeld(before)) return { deployment: before, effects: NOTHING };
      const event = judged(before, await told(before, given));
      const { deployment: next, effects } = transition(before, event, now, plan.terms);
      if (effects.silent && next === before && message === undefined) return { deployment: before, effects };
      if (next === before && message?.again === true) return { deployment: before, effects: NOTHING };
      const after = next === before ? before : { ...next, revision: before.revision + 1 };
      try {
        await save(before, after, effects, message, now);
      } catch (error) {
        if (!hasCode(error, 'store_conflict') || conflicts >= MOST_CONFLICTS) throw error;
        before = await reload(before, event);
        continue;
      }
      await commit({ deployment: after, previous: before, effects, plan, at: now });
      return { deployment: after, effects };
    }
    return undefined;
  }

  /** After another gateway's write: the row as it is, and whether the controller is busy after all. */
  async function reload(before: Deployment, event: DeploymentEvent): Promise<Deployment | undefined> {
    const found = await store.deployment(before.id);
    if (found !== undefined) fleet.update(found);
    if (event.type !== 'start' || found?.state !== 'SCHEDULED') return found;
    const busy = (await store.controller(found.storeId, found.controllerId))?.deploymentId;
    if (busy === null || busy === undefined || busy === found.id) return found;
    throw new FieldloomError('conflict', `controller ${found.controllerId} is busy with deployment ${busy}`);
  }

  function save(
    before: Deployment,
    after: Deployment,
    effects: DeploymentEffects,
    message: Arrived | undefined,
    at: number,
  ): Promise<void> {
    const count = countOf(before, after);
    const wasActive = isActive(before.state);
    const messages: MessageRecord[] = [];
    if (message !== undefined) {
      const { topic, correlationId, receivedAt } = message;
      messages.push({ direction: 'in', topic, outcome: effects.note, correlationId, at: receivedAt });
    }
    if (effects.publish !== undefined) {
      const topic = topicOf(after, effects.publish);
      messages.push({
        direction: 'out',
        topic,
        outcome: effects.note,
        correlationId: after.correlationId,
        at,
      });
    }
    const line: HistoryRecord = {
      subjectId: after.id,
      rolloutId: after.rolloutId,
      event: effects.note,
      from: before.state,
      to: after.state,
      detail: effects.detail ?? null,
      at,
    };
    return store.saveDeployment({
      deployment: after,
      expectedRevision: after === before ? undefined : before.revision,
      ...(count !== undefined && { count }),
      ...(!wasActive && isActive(after.state) && { controller: 'claim' as const }),
      ...(wasActive && isTerminal(after.state) && { controller: 'release' as const }),
      ...(effects.installed !== undefined && { installed: effects.installed }),
      history: effects.silent ? [] : [line],
      messages,
      at,
    });
  }

  async function commit(change: DeploymentChange): Promise<void> {
    const { deployment, previous, effects, plan } = change;
    if (effects.installed !== undefined) fleet.controller(deployment).version = effects.installed;
    fleet.update(deployment);
    deadlines.set(deployment.id, deployment.wakeAt);
    options.committed(change, countOf(previous, deployment));
    if (effects.publish !== undefined) await publish(deployment, effects.publish, plan);
  }

  /** Fulfils when the message is handed to the link: the next event of this deployment may then publish too. */
  async function publish(
    deployment: Deployment,
    type: 'update_firmware' | 'cancel_update_firmware',
    plan: RolloutPlan,
  ): Promise<void> {
    try {
      const text = format(await messageOf(deployment, type, plan));
      link.publish(topicOf(deployment, type), text, { qos: 1, wait: false }).catch((error: unknown) => {
        notSent(deployment, error);
      });
    } catch (error) {
      notSent(deployment, error);
    }
  }

  function notSent({ id }: Deployment, error: unknown): void {
    if (!hasCode(error, 'not_connected') && !hasCode(error, 'link_closed')) {
      log.warn(`firmware: deployment ${id} cannot be sent: ${asError(error).message}; it is tried again`);
    }
    submit(id, { type: 'unsent' }).catch((failed: unknown) => {
      log.warn(`firmware: deployment ${id} cannot be stored: ${asError(failed).message}`);
    });
  }

  async function messageOf(
    { id, storeId, controllerId, correlationId }: Deployment,
    type: 'update_firmware' | 'cancel_update_firmware',
    { image, terms }: RolloutPlan,
  ): Promise<OutgoingFirmwareMessage> {
    const now = clock.now();
    const envelope = { storeId, controllerId, version: '1.0.0', correlationId, timestamp: now };
    if (type === 'cancel_update_firmware') return { ...envelope, type, deploymentId: id };
    // It may be taken as late as the deadline, and then has the deadline's length once more.
    const fileUrl = await files.url(image.imageId, now + 2 * terms.deadlineMs + URL_MARGIN_MS);
    return {
      ...envelope,
      type,
      deploymentId: id,
      firmwareVersion: image.version,
      fileUrl,
      fileSize: image.fileSize,
      checksum: image.checksum,
      sha256: image.sha256,
      ...(image.signature !== undefined && { signature: image.signature }),
    };
  }

  function submit(id: string, event: DeploymentEvent, message?: Arrived): Promise<Submitted | undefined> {
    const run = () => happen(id, event, message);
    const before = tails.get(id);
    const mine = before === undefined ? run() : before.then(run, run);
    tails.set(id, mine);
    const ended = () => {
      if (tails.get(id) === mine) tails.delete(id);
      if (tails.size === 0) becameIdle?.();
    };
    mine.then(ended, ended);
    return mine;
  }

  return {
    submit,
    async idle() {
      if (tails.size === 0) return;
      await new Promise<void>((resolve) => {
        becameIdle = resolve;
      });
    },
  };
}
