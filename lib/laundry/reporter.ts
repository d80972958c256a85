import type { MachineStatus, MachineType, QueuedReport } from './ports.js';

/**
 * What a controller's gateway reports, and when (protocols.md "Controller node machine-reporter").
 *
 * | event        | does                                                                                        |
 * | ------------ | ------------------------------------------------------------------------------------------- |
 * | restored     | everything on disk waits to be sent; a full state is due                                    |
 * | observed     | other status or type than known: to disk; the same: nothing                                 |
 * | stored       | waits to be sent; sent when changes of 250 ms have gathered; what it replaces leaves the disk |
 * | firmware     | another version than known: the full state is due at once; the same: nothing                |
 * | woken        | the gathered changes are sent; every interval the full state                                |
 * | acknowledged | no longer waits; leaves the disk unless it is the newest of its relay; the interval adapts  |
 * | failed       | waits on, in its order, until connected or for the retry                                    |
 * | connected    | what waits is sent at once                                                                  |
 * | disconnected | nothing is sent                                                                             |
 *
 * One message is under way at a time, so that order needs no further care.
 */

export interface ReporterSettings {
  /** Between two full states, ms. */
  intervalMs: number;
  /** Changes within so many ms travel together. */
  gatherMs: number;
  /** Waiting reports; past it the oldest that is not the newest of its relay is dropped. */
  queueLimit: number;
  /** Machines in one message. */
  batch: number;
}

export const REPORTER: ReporterSettings = {
  intervalMs: 30_000,
  gatherMs: 250,
  queueLimit: 10_000,
  batch: 500,
};

/** The interval grows to so many times its setting. */
const STRETCH = 4;
/** An acknowledgement that takes longer than this share of the interval is slow. */
const SLOW_SHARE = 0.1;

export interface ReporterState {
  /** Newest of each relay. */
  readonly known: ReadonlyMap<number, QueuedReport>;
  /** Not acknowledged yet, oldest first. */
  readonly waiting: readonly QueuedReport[];
  /** By relay, the row on disk of a state that is acknowledged and still the newest. */
  readonly kept: ReadonlyMap<number, string>;
  /** Ids of the message under way, which may be none, and when it was sent. */
  readonly underWay: { readonly ids: ReadonlySet<string>; readonly at: number } | undefined;
  readonly connected: boolean;
  /** Epoch ms from when what waits may be sent; undefined where nothing waits. */
  readonly sendAt: number | undefined;
  readonly fullAt: number;
  /** Relays of a full state that are still to be sent; undefined where none is due. */
  readonly full: readonly number[] | undefined;
  /** As adapted, ms. */
  readonly intervalMs: number;
  /** Reports dropped because too many waited. */
  readonly dropped: number;
  /** The firmware that the controller runs; travels with every message. Undefined: not known. */
  readonly firmwareVersion: string | undefined;
}

export interface Observation {
  relayId: number;
  status: MachineStatus;
  /** Undefined or null: not known. */
  machineType: MachineType;
}

export type ReporterEvent =
  | { type: 'restored'; reports: readonly QueuedReport[] }
  | { type: 'observed'; observations: readonly Observation[]; newId: () => string }
  | { type: 'stored'; reports: readonly QueuedReport[] }
  | { type: 'firmware'; version: string }
  | { type: 'woken' }
  | { type: 'acknowledged' }
  /** `retryMs`: not before so long. */
  | { type: 'failed'; retryMs: number }
  | { type: 'connected' }
  | { type: 'disconnected' };

export interface ReporterEffects {
  /** To be written before anything of it is sent; then comes the event `stored`. */
  store: readonly QueuedReport[];
  /** Ids that leave the disk. */
  remove: readonly string[];
  /** To be published; then comes the event `acknowledged` or `failed`. */
  publish: readonly QueuedReport[] | undefined;
  /** When the event `woken` is wanted, epoch ms; undefined: not. */
  wakeAt: number | undefined;
}

export function newReporter(settings: ReporterSettings, now: number): ReporterState {
  return {
    known: new Map(),
    waiting: [],
    kept: new Map(),
    underWay: undefined,
    connected: false,
    sendAt: undefined,
    fullAt: now,
    full: undefined,
    intervalMs: settings.intervalMs,
    dropped: 0,
    firmwareVersion: undefined,
  };
}

/**
 * @param now epoch milliseconds UTC
 * @returns a new state; the old one is untouched
 */
export function report(
  before: ReporterState,
  event: ReporterEvent,
  now: number,
  settings: ReporterSettings,
): { state: ReporterState; effects: ReporterEffects } {
  const { state, store = [], remove = [] } = take(before, event, now, settings);
  const sending = send(state, now, settings);
  return { state: sending.state, effects: { store, remove, ...sending.effects } };
}

interface Taken {
  state: ReporterState;
  store?: readonly QueuedReport[];
  remove?: readonly string[];
}

function take(state: ReporterState, event: ReporterEvent, now: number, settings: ReporterSettings): Taken {
  switch (event.type) {
    case 'restored': {
      const known = new Map(event.reports.map((report) => [report.relayId, report]));
      return { state: { ...state, known, waiting: [...event.reports], sendAt: now, fullAt: now } };
    }
    case 'observed':
      return observe(state, event, now);
    case 'stored':
      return queue(state, event.reports, now, settings);
    case 'acknowledged':
      return acknowledge(state, now, settings);
    case 'failed': {
      const sendAt = now + event.retryMs;
      // A full state is made anew when its turn comes: by then it may be another.
      return {
        state: {
          ...state,
          underWay: undefined,
          sendAt,
          full: undefined,
          fullAt: Math.max(state.fullAt, sendAt),
        },
      };
    }
    case 'connected':
      return { state: { ...state, connected: true, sendAt: now, fullAt: now } };
    case 'disconnected':
      return { state: { ...state, connected: false } };
    case 'firmware':
      if (event.version === state.firmwareVersion) return { state };
      return { state: { ...state, firmwareVersion: event.version, fullAt: now } };
    case 'woken':
      return { state };
  }
}

function observe(
  state: ReporterState,
  { observations, newId }: { observations: readonly Observation[]; newId: () => string },
  now: number,
): Taken {
  const known = new Map(state.known);
  const store: QueuedReport[] = [];
  for (const { relayId, status, machineType } of observations) {
    const last = known.get(relayId);
    const type = machineType ?? last?.machineType ?? null;
    if (last !== undefined && last.status === status && last.machineType === type) continue;
    // Later than the last one even within a millisecond, or where the clock was put back: newest wins.
    const lastUpdated = last === undefined ? now : Math.max(now, last.lastUpdated + 1);
    const changed = { id: newId(), relayId, machineType: type, status, lastUpdated };
    known.set(relayId, changed);
    store.push(changed);
  }
  return { state: { ...state, known }, store };
}

function queue(
  state: ReporterState,
  reports: readonly QueuedReport[],
  now: number,
  { queueLimit, gatherMs }: ReporterSettings,
): Taken {
  const waiting = [...state.waiting, ...reports];
  const kept = new Map(state.kept);
  const remove: string[] = [];
  for (const { relayId } of reports) {
    const replaced = kept.get(relayId);
    if (replaced === undefined) continue;
    remove.push(replaced);
    kept.delete(relayId);
  }
  let { dropped } = state;
  while (waiting.length > queueLimit) {
    const oldest = waiting.findIndex(
      ({ id, relayId }) => state.known.get(relayId)?.id !== id && state.underWay?.ids.has(id) !== true,
    );
    if (oldest < 0) break;
    remove.push(...waiting.splice(oldest, 1).map(({ id }) => id));
    dropped += 1;
  }
  return { state: { ...state, waiting, kept, dropped, sendAt: state.sendAt ?? now + gatherMs }, remove };
}

function acknowledge(state: ReporterState, now: number, settings: ReporterSettings): Taken {
  const { underWay } = state;
  if (underWay === undefined) return { state };
  const waiting: QueuedReport[] = [];
  const kept = new Map(state.kept);
  const remove: string[] = [];
  for (const queued of state.waiting) {
    if (!underWay.ids.has(queued.id)) waiting.push(queued);
    else if (state.known.get(queued.relayId)?.id === queued.id) kept.set(queued.relayId, queued.id);
    else remove.push(queued.id);
  }
  const slow = now - underWay.at > settings.intervalMs * SLOW_SHARE;
  const intervalMs = slow
    ? Math.min(state.intervalMs * 2, settings.intervalMs * STRETCH)
    : Math.max(state.intervalMs / 2, settings.intervalMs);
  return { state: { ...state, waiting, kept, underWay: undefined, intervalMs }, remove };
}

type Sending = { state: ReporterState; effects: Pick<ReporterEffects, 'publish' | 'wakeAt'> };

/** What is to be sent now, if anything. */
function send(before: ReporterState, now: number, settings: ReporterSettings): Sending {
  // The answer of the link, or the connection, is the next event.
  if (!before.connected || before.underWay !== undefined) return idle(before, undefined);
  const state = before.full === undefined && now >= before.fullAt ? makeFull(before, now) : before;
  const { waiting, known, full } = state;
  const waitingIsDue = waiting.length > 0 && state.sendAt !== undefined && now >= state.sendAt;
  if (full === undefined && !waitingIsDue) {
    return idle(state, Math.min(state.fullAt, waiting.length > 0 ? (state.sendAt ?? Infinity) : Infinity));
  }
  // What waits goes first, in its order; a full state fills up the message.
  const publish = waiting.slice(0, settings.batch);
  const ids = new Set(publish.map(({ id }) => id));
  const later: number[] = [];
  for (const relayId of full ?? []) {
    const newest = known.get(relayId);
    if (newest === undefined || ids.has(newest.id)) continue;
    if (publish.length < settings.batch) publish.push(newest);
    else later.push(relayId);
  }
  return {
    state: {
      ...state,
      underWay: { ids, at: now },
      full: later.length > 0 ? later : undefined,
      sendAt: waiting.length > settings.batch ? now : undefined,
    },
    effects: { publish, wakeAt: undefined },
  };
}

const idle = (state: ReporterState, wakeAt: number | undefined): Sending => ({
  state,
  effects: { publish: undefined, wakeAt },
});

/** With no relay known yet it is a message without machines: the controller is there. */
function makeFull(state: ReporterState, now: number): ReporterState {
  return { ...state, full: [...state.known.keys()], fullAt: now + state.intervalMs };
}
