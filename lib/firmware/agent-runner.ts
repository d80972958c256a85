import { backoffDelay } from '../core/backoff.js';
import type { Clock, Timer } from '../core/clock.js';
import type { ControllerIds } from '../core/envelope.js';
import { asError, FieldloomError } from '../core/errors.js';
import type { Link, Message } from '../core/link.js';
import type { Log } from '../core/log.js';
import {
  AGENT,
  type AgentEffects,
  type AgentEvent,
  type AgentSettings,
  type AgentState,
  advance,
  type InstallAnswer,
  newAgent,
} from './agent.js';
import { readRequest } from './agent-inbox.js';
import { createOutbox } from './agent-outbox.js';
import type { AgentFiles, AgentRecord, AgentStore, Progress } from './agent-ports.js';
import { hasEnded } from './agent-record.js';
import { firmwareTopic } from './codec.js';

/** The file of a deployment, ready to be installed. */
export interface Handover {
  path: string;
  record: AgentRecord;
}

export interface AgentListener {
  /** Every check has passed: install it, then call `answer`. Never called twice for a deployment. */
  install(handover: Handover): void;
  /** Cancel was asked while it is installed: `answer` what became of it. May come again after a restart. */
  cancelAsked(handover: Handover): void;
  /** A deployment's state is stored, or a restart has found one under way (`restarted`). */
  changed?(record: AgentRecord, restarted: boolean): void;
  progress?(record: AgentRecord, progress: Progress): void;
  /** A download was interrupted and is tried again at `at`, epoch ms. */
  waiting?(record: AgentRecord, reason: string, at: number): void;
}

export interface AgentOptions extends ControllerIds {
  link: Pick<Link, 'publish'>;
  store: AgentStore;
  files: AgentFiles;
  clock: Clock;
  log: Log;
  listener: AgentListener;
  /** Before the topics, for example `lms`. */
  prefix?: string;
  /** Of the times in messages, minutes east of Greenwich. */
  offsetMinutes?: number;
  settings?: Partial<AgentSettings>;
  /** Where it is known at the start for sure. */
  installedVersion?: string | undefined;
}

export interface Agent {
  /** The topic to subscribe to. */
  readonly topic: string;
  readonly state: AgentState;
  /** Loads what is on disk and goes on with it. */
  start(): Promise<void>;
  /** Fulfils when what the message changes is on disk. What is not for an agent is ignored. */
  handle(message: Pick<Message, 'payload'>): Promise<void>;
  /**
   * What the flow has done with the file. An answer for a deployment that has ended changes nothing.
   * @throws FieldloomError not_found for a deployment that is not known
   */
  answer(deploymentId: string, answer: InstallAnswer): Promise<void>;
  /** The version that runs, as the flow knows it. */
  installed(version: string): Promise<void>;
  /** Fulfils when nothing is on its way any more. What was not finished goes on at the next start. */
  close(): Promise<void>;
}

const RETRY = { firstMs: 1_000, maxMs: 5 * 60_000, jitter: 0.2 };

/** Carries out what the rules in agent.ts say: writes first, then acts. @throws FieldloomError invalid_topic_parameter */
export function createAgent(options: AgentOptions): Agent {
  const { store, files, clock, log, listener, storeId, controllerId, prefix = '' } = options;
  const parameters = { store_id: storeId, controller_id: controllerId };
  const topic = firmwareTopic('action', prefix).format(parameters);
  const settings: AgentSettings = { ...AGENT, ...options.settings };
  const outbox = createOutbox({ ...options, onTold: (told) => report({ type: 'told', ...told }) });
  let state = newAgent;
  let closed = false;
  let started: Promise<void> | undefined;
  let timer: Timer | undefined;
  /** One event after the other: each sees what the one before has stored. */
  let turn: Promise<unknown> = Promise.resolve();
  let fetching: { stop: AbortController; done: Promise<void> } | undefined;

  function happen(event: AgentEvent): Promise<void> {
    const done = turn.then(() => (closed ? undefined : carryOut(event)));
    turn = done.catch(() => {});
    return done;
  }

  /** An event that nobody waits for. */
  function report(event: AgentEvent): void {
    happen(event).catch((error: unknown) => log.error(`firmware: ${asError(error).message}`));
  }

  async function carryOut(event: AgentEvent): Promise<void> {
    const { state: next, effects } = advance(state, event, clock.now(), settings);
    if (effects.save !== undefined) await store.save(effects.save, effects.forget);
    const before = state;
    state = next;
    if (effects.discard !== undefined) await discard(effects.discard);
    if (closed) return;
    tell(before, event, effects);
    act(effects.act);
    wake(effects.wakeAt);
    if (effects.save !== undefined) outbox.send(effects.save);
  }

  /** Those who listen: in the order in which they will understand it. */
  function tell(before: AgentState, event: AgentEvent, { save }: AgentEffects): void {
    const busy = state.busy === undefined ? undefined : state.records.get(state.busy);
    if (event.type === 'restored') {
      if (busy !== undefined) listener.changed?.(busy, true);
    }
    if (save !== undefined && before.records.get(save.deploymentId)?.status !== save.status) {
      listener.changed?.(save, false);
    }
    if (busy !== undefined && state.retry !== undefined && state.retry !== before.retry) {
      listener.waiting?.(busy, state.retry.reason, state.retry.at);
    }
  }

  function act(next: AgentEffects['act']): void {
    if (next === undefined) return;
    const { record } = next;
    if (next.action === 'fetch') fetch(record);
    else {
      const handover = { path: files.pathOf(record.deploymentId), record };
      if (next.action === 'install') listener.install(handover);
      else listener.cancelAsked(handover);
    }
  }

  function fetch(record: AgentRecord): void {
    const { deploymentId, file } = record;
    if (file === null) return;
    const stop = new AbortController();
    const done = files
      .fetch(deploymentId, file, stop.signal, (progress) => {
        if (!stop.signal.aborted) listener.progress?.(record, progress);
      })
      .then((outcome) => {
        fetching = undefined;
        if (stop.signal.aborted) return;
        report({ type: 'fetched', deploymentId, outcome, retryMs: backoffDelay(state.attempt, RETRY) });
      });
    fetching = { stop, done };
  }

  async function stopFetching(): Promise<void> {
    fetching?.stop.abort();
    await fetching?.done;
  }

  async function discard(deploymentId: string): Promise<void> {
    await stopFetching();
    await files.remove(deploymentId).catch((error: unknown) => {
      log.warn(`firmware: the file of ${deploymentId} is still there: ${asError(error).message}`);
    });
  }

  function wake(at: number | undefined): void {
    timer?.cancel();
    timer = at === undefined ? undefined : clock.setTimer(() => report({ type: 'woken' }), at - clock.now());
  }

  async function load(): Promise<void> {
    const records = await store.all();
    const busy = records.find((record) => !hasEnded(record));
    await files.sweep(busy?.deploymentId).catch((error: unknown) => {
      log.warn(`firmware: old files could not be removed: ${asError(error).message}`);
    });
    await happen({ type: 'restored', records, installedVersion: options.installedVersion });
    for (const record of state.records.values()) outbox.send(record);
  }

  const start = () => {
    started ??= load();
    return started;
  };

  return {
    topic,
    get state() {
      return state;
    },
    start,
    async handle({ payload }) {
      await start();
      const request = readRequest(parameters, payload, log);
      if (request === undefined) return;
      if (request.type !== 'update') return happen(request);
      const known = state.records.has(request.deploymentId);
      await happen({ ...request, freeBytes: known ? undefined : await files.freeBytes() });
    },
    async answer(deploymentId, answer) {
      await start();
      await turn;
      if (!state.records.has(deploymentId)) {
        throw new FieldloomError('not_found', `deployment ${deploymentId} is not known here`);
      }
      await happen({ type: 'answered', deploymentId, answer });
    },
    async installed(installedVersion) {
      await start();
      await happen({ type: 'version', installedVersion });
    },
    async close() {
      closed = true;
      timer?.cancel();
      outbox.close();
      await stopFetching();
      await turn;
    },
  };
}
