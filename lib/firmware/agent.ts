import { type AgentTerms, refusalsOf } from './agent-judge.js';
import type { AgentRecord, FetchOutcome } from './agent-ports.js';
import {
  type End,
  endAgain,
  ended,
  forgettable,
  freshRecord,
  hasEnded,
  replied,
  withoutReply,
} from './agent-record.js';
import type { FirmwareFile } from './codec.js';
import { compareVersions } from './version.js';

/**
 * What a controller does with update_firmware and cancel_update_firmware (seed: firmware-update; protocols.md
 * "Controller node firmware-agent"). One deployment is under way at a time. The ends are completed, failed, cancelled.
 *
 * | event            | unknown                        | downloading        | installing           | cancelling           | ended         |
 * | ---------------- | ------------------------------ | ------------------ | -------------------- | -------------------- | ------------- |
 * | update           | ack, downloading (*)           | ack                | ack                  | ack                  | its end again |
 * | malformed        | failed                         | –                  | –                    | –                    | its end again |
 * | cancel           | cancelled                      | stop, cancelled    | cancelling, ask flow | –                    | its end again |
 * | fetched ready    | –                              | installing, hand   | –                    | –                    | –             |
 * | … interrupted    | –                              | again after a wait | –                    | –                    | –             |
 * | … wrong          | –                              | failed (**)        | –                    | –                    | –             |
 * | … refused        | –                              | failed             | –                    | –                    | –             |
 * | answer installed | –                              | –                  | completed            | completed            | –             |
 * | answer failed    | –                              | –                  | failed               | failed               | –             |
 * | answer cancelled | –                              | –                  | failed               | cancelled            | –             |
 * | version told     | known from now on              | the same           | decides (***)        | decides (***)        | the same      |
 * | deadline         | –                              | stop, failed       | failed               | failed               | –             |
 * | restored         | –                              | goes on            | waits; hands nothing | asks the flow again  | –             |
 *
 * (*) Refused, which is failed without an ack: what refusalsOf says, or another deployment is under way. The version
 *     that is installed already: ack and completed, and nothing is downloaded.
 * (**) A file of several pieces is first downloaded anew, whole, once: the file may have changed between them.
 * (***) Only after a restart, which has cut the installation off: the target's version is completed, another failed.
 *
 * The end that is stored is what every repetition gets. Written first, then told: a file whose installation is on
 * disk is never handed on again.
 */

export interface AgentSettings extends AgentTerms {
  /** From the command to the whole file, ms. */
  downloadMs: number;
  /** From handing the file on to the flow's answer, ms. */
  installMs: number;
  /** Ends that are remembered. */
  remembered: number;
}

const HOUR_MS = 60 * 60 * 1000;

export const AGENT: AgentSettings = {
  maxBytes: 1024 ** 3,
  allowedHosts: [],
  signed: false,
  downgrade: false,
  downloadMs: 24 * HOUR_MS,
  installMs: HOUR_MS,
  remembered: 200,
};

export interface AgentState {
  readonly records: ReadonlyMap<string, AgentRecord>;
  /** The deployment under way. */
  readonly busy: string | undefined;
  /** Since when nothing is fetched, and until when; undefined while it is. */
  readonly retry: { readonly at: number; readonly reason: string } | undefined;
  /** Tries in a row that brought nothing. */
  readonly attempt: number;
  /** The installation was cut off by a restart. */
  readonly interrupted: boolean;
  readonly installedVersion: string | undefined;
}

/** What the flow that installs has answered. */
export type InstallAnswer =
  | { result: 'installed' }
  | { result: 'failed'; errors: readonly string[] }
  | { result: 'cancelled' };

export type AgentEvent =
  | { type: 'restored'; records: readonly AgentRecord[]; installedVersion: string | undefined }
  | {
      type: 'update';
      deploymentId: string;
      correlationId: string | null;
      file: FirmwareFile;
      freeBytes: number | undefined;
    }
  | { type: 'malformed'; deploymentId: string; correlationId: string | null; errors: readonly string[] }
  | { type: 'cancel'; deploymentId: string; correlationId: string | null }
  /** `retryMs`: where it was interrupted, how long to wait. */
  | { type: 'fetched'; deploymentId: string; outcome: FetchOutcome; retryMs: number }
  | { type: 'answered'; deploymentId: string; answer: InstallAnswer }
  | { type: 'version'; installedVersion: string }
  | { type: 'told'; deploymentId: string; number: number }
  | { type: 'woken' };

/** In the order in which they are carried out. */
export interface AgentEffects {
  /** Written before anything else happens. */
  save: AgentRecord | undefined;
  /** Ends that are old enough to be forgotten, removed with it. */
  forget: readonly string[];
  /** The download of this deployment stops, and its file goes. */
  discard: string | undefined;
  /** `fetch` downloads and checks; `install` hands the file on; `ask` asks the flow whether it can still cancel. */
  act: { action: 'fetch' | 'install' | 'ask'; record: AgentRecord } | undefined;
  /** When the event `woken` is wanted, epoch ms. */
  wakeAt: number | undefined;
}

export const newAgent: AgentState = {
  records: new Map(),
  busy: undefined,
  retry: undefined,
  attempt: 0,
  interrupted: false,
  installedVersion: undefined,
};

const NOTHING_UNDER_WAY = { retry: undefined, attempt: 0, interrupted: false };

interface Taken {
  state: AgentState;
  save?: AgentRecord | undefined;
  discard?: string;
  act?: AgentEffects['act'];
}

/**
 * @param now epoch milliseconds UTC
 * @returns a new state; the old one is untouched
 */
export function advance(
  before: AgentState,
  event: AgentEvent,
  now: number,
  settings: AgentSettings,
): { state: AgentState; effects: AgentEffects } {
  const { state, save, discard, act } = take(before, event, now, settings);
  const forget = save === undefined ? [] : forgettable(state.records, settings.remembered);
  const records = new Map(state.records);
  for (const id of forget) records.delete(id);
  return {
    state: { ...state, records },
    effects: { save, forget, discard, act, wakeAt: wakeAt(state) },
  };
}

function take(state: AgentState, event: AgentEvent, now: number, settings: AgentSettings): Taken {
  switch (event.type) {
    case 'restored':
      return restore(state, event, now);
    case 'version':
      return versionTold(state, event.installedVersion, now);
    case 'woken':
      return wake(state, now);
    case 'update':
      return update(state, event, now, settings);
    default:
      break;
  }
  const known = state.records.get(event.deploymentId);
  switch (event.type) {
    case 'malformed': {
      const { deploymentId, correlationId, errors } = event;
      if (known !== undefined && !hasEnded(known)) return { state };
      if (known !== undefined)
        return stored(state, endAgain({ ...known, correlationId, updatedAt: now }, true));
      return stored(state, ended(freshRecord(deploymentId, null, correlationId, now), 'failed', now, errors));
    }
    case 'cancel':
      return cancel(state, known, event, now);
    case 'fetched':
      return known?.status === 'downloading' ? fetched(state, known, event, now, settings) : { state };
    case 'answered':
      return known?.status === 'installing' || known?.status === 'cancelling'
        ? answered(state, known, event.answer, now)
        : { state };
    case 'told': {
      const told = known && withoutReply(known, event.number, now);
      return told === undefined ? { state } : stored(state, told);
    }
  }
}

function update(
  state: AgentState,
  event: Extract<AgentEvent, { type: 'update' }>,
  now: number,
  settings: AgentSettings,
): Taken {
  const { deploymentId, correlationId, file, freeBytes } = event;
  const known = state.records.get(deploymentId);
  if (known !== undefined) {
    const asked = { ...known, correlationId, updatedAt: now };
    return stored(state, hasEnded(known) ? endAgain(asked, true) : replied(asked, 'ack'));
  }
  const record = freshRecord(deploymentId, file, correlationId, now);
  const errors = refusalsOf(file, settings, state.installedVersion, freeBytes);
  if (state.busy !== undefined) {
    const status = state.records.get(state.busy)?.status;
    errors.push(`deployment ${state.busy} is under way (${status}): cancel it, or wait for its end`);
  }
  if (errors.length > 0) return stored(state, ended(record, 'failed', now, errors));
  const acknowledged = replied({ ...record, acknowledged: true }, 'ack');
  if (isInstalled(state, file)) return stored(state, ended(acknowledged, 'completed', now));
  const downloading = { ...acknowledged, deadlineAt: now + settings.downloadMs };
  return {
    ...stored({ ...state, busy: deploymentId, ...NOTHING_UNDER_WAY }, downloading),
    act: { action: 'fetch', record: downloading },
  };
}

function cancel(
  state: AgentState,
  known: AgentRecord | undefined,
  event: Extract<AgentEvent, { type: 'cancel' }>,
  now: number,
): Taken {
  if (known === undefined) {
    // It may have overtaken its update_firmware, which must then not begin.
    const unheard = freshRecord(event.deploymentId, null, null, now);
    return stored(state, ended({ ...unheard, cancelCorrelationId: event.correlationId }, 'cancelled', now));
  }
  const asked = { ...known, cancelCorrelationId: event.correlationId, updatedAt: now };
  if (hasEnded(known)) return stored(state, endAgain(asked, false));
  if (known.status === 'downloading') return end(state, asked, 'cancelled', now);
  // Whether it was cancelled is the flow's to say: until then there is no ack.
  if (known.status === 'cancelling') return stored(state, asked);
  const cancelling: AgentRecord = { ...asked, status: 'cancelling' };
  return { ...stored(state, cancelling), act: { action: 'ask', record: cancelling } };
}

function fetched(
  state: AgentState,
  known: AgentRecord,
  { outcome, retryMs }: Extract<AgentEvent, { type: 'fetched' }>,
  now: number,
  settings: AgentSettings,
): Taken {
  switch (outcome.outcome) {
    case 'ready': {
      const installing: AgentRecord = {
        ...known,
        status: 'installing',
        deadlineAt: now + settings.installMs,
        updatedAt: now,
      };
      return {
        ...stored({ ...state, retry: undefined, interrupted: false }, installing),
        act: { action: 'install', record: installing },
      };
    }
    case 'interrupted': {
      const at = now + Math.max(retryMs, outcome.retryAfterMs ?? 0);
      const attempt = outcome.progressed ? 0 : state.attempt + 1;
      if (attempt >= (outcome.tries ?? Number.POSITIVE_INFINITY)) {
        return end(state, known, 'failed', now, [outcome.reason]);
      }
      return { state: { ...state, retry: { at, reason: outcome.reason }, attempt } };
    }
    case 'wrong': {
      if (!outcome.pieced || known.fresh) return end(state, known, 'failed', now, outcome.errors);
      const again = { ...known, fresh: true, updatedAt: now };
      return { ...stored(state, again), act: { action: 'fetch', record: again } };
    }
    case 'refused':
      return end(state, known, 'failed', now, outcome.errors);
  }
}

function answered(state: AgentState, known: AgentRecord, answer: InstallAnswer, now: number): Taken {
  switch (answer.result) {
    case 'installed':
      return installed(state, known, now);
    case 'failed':
      return end(state, known, 'failed', now, answer.errors);
    case 'cancelled':
      if (known.status === 'cancelling') return end(state, known, 'cancelled', now);
      return end(state, known, 'failed', now, [
        'the installation was broken off, and nobody had asked for it',
      ]);
  }
}

function installed(state: AgentState, known: AgentRecord, now: number): Taken {
  return end({ ...state, installedVersion: known.file?.firmwareVersion }, known, 'completed', now);
}

function versionTold(before: AgentState, installedVersion: string, now: number): Taken {
  const state = { ...before, installedVersion };
  const known = state.busy === undefined ? undefined : state.records.get(state.busy);
  if (!state.interrupted || known?.file == null || known.status === 'downloading') return { state };
  if (isInstalled(state, known.file)) return installed(state, known, now);
  return end(state, known, 'failed', now, [
    `the installation was cut off by a restart, and ${installedVersion} runs, not ${known.file.firmwareVersion}`,
  ]);
}

function wake(state: AgentState, now: number): Taken {
  const known = state.busy === undefined ? undefined : state.records.get(state.busy);
  if (known === undefined) return { state };
  if (known.deadlineAt !== null && now >= known.deadlineAt) {
    const downloading = known.status === 'downloading';
    const last = downloading && state.retry !== undefined ? `: ${state.retry.reason}` : '';
    const text = downloading
      ? `the file was not there in time${last}`
      : 'the installation gave no answer in time';
    return end(state, known, 'failed', now, [text]);
  }
  if (state.retry === undefined || now < state.retry.at) return { state };
  return { state: { ...state, retry: undefined }, act: { action: 'fetch', record: known } };
}

function restore(
  state: AgentState,
  { records, installedVersion }: Extract<AgentEvent, { type: 'restored' }>,
  now: number,
): Taken {
  const sorted = [...records].sort((a, b) => a.updatedAt - b.updatedAt);
  const busy = sorted.find((record) => !hasEnded(record));
  const last = sorted.findLast(({ status, file }) => status === 'completed' && file !== null);
  const restored: AgentState = {
    ...state,
    records: new Map(sorted.map((record) => [record.deploymentId, record])),
    busy: busy?.deploymentId,
    interrupted: busy !== undefined && busy.status !== 'downloading',
    installedVersion: installedVersion ?? last?.file?.firmwareVersion,
  };
  // The setting may be older than the installation, so that only the target's version says something.
  const done = installedVersion !== undefined && busy?.file != null && isInstalled(restored, busy.file);
  if (busy !== undefined && restored.interrupted && done) return installed(restored, busy, now);
  if (busy?.status === 'downloading') return { state: restored, act: { action: 'fetch', record: busy } };
  if (busy?.status === 'cancelling') return { state: restored, act: { action: 'ask', record: busy } };
  return { state: restored };
}

function isInstalled({ installedVersion }: AgentState, { firmwareVersion }: FirmwareFile): boolean {
  return installedVersion !== undefined && compareVersions(firmwareVersion, installedVersion) === 0;
}

/** The deployment under way ends. */
function end(
  state: AgentState,
  known: AgentRecord,
  status: End,
  now: number,
  errors: readonly string[] = [],
): Taken {
  const idle = { ...state, busy: undefined, ...NOTHING_UNDER_WAY };
  return { ...stored(idle, ended(known, status, now, errors)), discard: known.deploymentId };
}

function stored(state: AgentState, record: AgentRecord): Taken {
  return {
    state: { ...state, records: new Map(state.records).set(record.deploymentId, record) },
    save: record,
  };
}

function wakeAt(state: AgentState): number | undefined {
  const known = state.busy === undefined ? undefined : state.records.get(state.busy);
  const times = [known?.deadlineAt, state.retry?.at].filter((at) => at !== undefined && at !== null);
  return times.length === 0 ? undefined : Math.min(...times);
}
