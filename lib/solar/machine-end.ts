import type { MachineStatus, Measurement, QueuedTelemetry } from './machine-ports.js';

/**
 * What a machine publishes of itself, and when (protocols.md "Solar").
 *
 * | event        | does                                                                                          |
 * | ------------ | --------------------------------------------------------------------------------------------- |
 * | restored     | everything on disk waits to be sent, in its order                                             |
 * | measured     | the newest of each value is kept for the interval's message; with `now` it is made at once     |
 * | stored       | waits to be sent; past the limit the oldest that is not under way leaves the queue            |
 * | unstored     | the values of a message that could not be written go with the next one                        |
 * | reported     | the status is to be sent, before any telemetry                                                |
 * | woken        | at the end of an interval its message is made, where anything was measured                    |
 * | acknowledged | the status, or the telemetry with its place on disk, is done with                             |
 * | failed       | nothing is sent for a while                                                                   |
 * | rested       | the same again                                                                                |
 * | connected    | the last status first, since the broker may have told the last will meanwhile; then what waits |
 * | disconnected | nothing is sent; measurements go on                                                           |
 * | closing      | what the interval has measured so far becomes a message                                       |
 *
 * One message is under way at a time, so that order needs no further care. A value that was not measured in an
 * interval is not in its message: what is sent was measured.
 */

export interface MachineEndSettings {
  /** Between two telemetry messages, ms. */
  intervalMs: number;
  /** Telemetry messages that may wait; past it the oldest is dropped. */
  queueLimit: number;
}

export const MACHINE_END: MachineEndSettings = { intervalMs: 30_000, queueLimit: 10_000 };

/** What a machine is shown as of which nothing else is known than that it is there. */
const ONLINE: MachineStatus = { status: 'online' };

/** A clock that is put back by less is the same instant told twice: the next message is a millisecond later. */
const SAME_INSTANT_MS = 1000;

/** What is published: a status, or a telemetry message of the queue. */
export type Outgoing =
  | { type: 'status'; status: MachineStatus }
  | { type: 'telemetry'; queued: QueuedTelemetry };

export interface MachineEndState {
  /** Newest of each value since the last message; undefined where nothing was measured. */
  readonly values: Measurement | undefined;
  /** End of the interval, epoch ms. */
  readonly dueAt: number;
  /** Time of the newest telemetry message, epoch ms. */
  readonly lastAt: number;
  /** Not acknowledged yet, oldest first. */
  readonly waiting: readonly QueuedTelemetry[];
  readonly underWay: Outgoing | undefined;
  readonly status: MachineStatus;
  readonly statusDue: boolean;
  readonly connected: boolean;
  /** After a failure nothing is sent for a while. */
  readonly resting: boolean;
  /** Telemetry messages dropped because too many waited. */
  readonly dropped: number;
}

export type MachineEndEvent =
  | { type: 'restored'; waiting: readonly QueuedTelemetry[] }
  | { type: 'measured'; values: Measurement; now: boolean }
  | { type: 'stored'; queued: QueuedTelemetry }
  | { type: 'unstored'; values: Measurement }
  | { type: 'reported'; status: MachineStatus }
  | { type: 'woken' }
  | { type: 'acknowledged' }
  | { type: 'failed' }
  | { type: 'rested' }
  | { type: 'connected' }
  | { type: 'disconnected' }
  | { type: 'closing' };

export interface MachineEndEffects {
  /** A telemetry message with its time, to be written to disk; then comes the event `stored` or `unstored`. */
  store: { values: Measurement; at: number } | undefined;
  /** Ids that leave the disk. */
  remove: readonly string[];
  /** To be published; then comes the event `acknowledged` or `failed`. */
  publish: Outgoing | undefined;
  /** When the event `woken` is wanted, epoch ms. */
  wakeAt: number;
}

export function newMachineEnd({ intervalMs }: MachineEndSettings, now: number): MachineEndState {
  return {
    values: undefined,
    dueAt: now + intervalMs,
    lastAt: 0,
    waiting: [],
    underWay: undefined,
    status: ONLINE,
    statusDue: false,
    connected: false,
    resting: false,
    dropped: 0,
  };
}

/** The newest of each value; an `extra` that is an object is merged by its own names. */
export function mergeValues(before: Measurement | undefined, values: Measurement): Measurement {
  const merged = { ...before, ...values };
  if (isObject(before?.extra) && isObject(values.extra)) merged.extra = { ...before.extra, ...values.extra };
  return merged;
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/**
 * @param now epoch milliseconds UTC
 * @returns a new state; the old one is untouched
 */
export function machineEnd(
  before: MachineEndState,
  event: MachineEndEvent,
  now: number,
  settings: MachineEndSettings,
): { state: MachineEndState; effects: MachineEndEffects } {
  const taken = take(before, event, settings);
  const made = make(taken.state, event, now, settings);
  const { state, publish } = event.type === 'closing' ? made : send(made.state);
  return { state, effects: { store: made.store, remove: taken.remove ?? [], publish, wakeAt: state.dueAt } };
}

function take(
  state: MachineEndState,
  event: MachineEndEvent,
  { queueLimit }: MachineEndSettings,
): { state: MachineEndState; remove?: readonly string[] } {
  switch (event.type) {
    case 'restored':
      return { state: { ...state, waiting: [...event.waiting, ...state.waiting] } };
    case 'measured':
      return { state: { ...state, values: mergeValues(state.values, event.values) } };
    case 'stored':
      return queue(state, event.queued, queueLimit);
    case 'unstored':
      return { state: { ...state, values: mergeValues(event.values, state.values ?? {}) } };
    case 'reported':
      return { state: { ...state, status: event.status, statusDue: true } };
    case 'acknowledged': {
      const { underWay } = state;
      if (underWay?.type !== 'telemetry') return { state: { ...state, underWay: undefined } };
      const { id } = underWay.queued;
      const waiting = state.waiting.filter((each) => each.id !== id);
      return { state: { ...state, waiting, underWay: undefined }, remove: [id] };
    }
    case 'failed': {
      const statusDue = state.statusDue || state.underWay?.type === 'status';
      return { state: { ...state, underWay: undefined, statusDue, resting: true } };
    }
    case 'rested':
      return { state: { ...state, resting: false } };
    case 'connected':
      return { state: { ...state, connected: true, statusDue: true, resting: false } };
    case 'disconnected':
      return { state: { ...state, connected: false } };
    case 'woken':
    case 'closing':
      return { state };
  }
}

function queue(state: MachineEndState, queued: QueuedTelemetry, limit: number) {
  const waiting = [...state.waiting, queued];
  const remove: string[] = [];
  const sent = state.underWay?.type === 'telemetry' ? state.underWay.queued.id : undefined;
  while (waiting.length > limit) {
    const oldest = waiting.findIndex(({ id }) => id !== sent);
    remove.push(...waiting.splice(oldest, 1).map(({ id }) => id));
  }
  return { state: { ...state, waiting, dropped: state.dropped + remove.length }, remove };
}

type Made = { state: MachineEndState; store: MachineEndEffects['store']; publish?: undefined };

/** Makes the interval's message, where that is due and anything was measured. */
function make(
  state: MachineEndState,
  event: MachineEndEvent,
  now: number,
  { intervalMs }: MachineEndSettings,
): Made {
  if (event.type !== 'woken' && event.type !== 'measured' && event.type !== 'closing') {
    return { state, store: undefined };
  }
  const atOnce = event.type === 'closing' || (event.type === 'measured' && event.now);
  // Also after a leap of the clock, either way, an interval is not longer than it is set to.
  const due = now >= state.dueAt || state.dueAt > now + intervalMs;
  const dueAt = due ? now + intervalMs : state.dueAt;
  if (state.values === undefined || (!due && !atOnce))
    return { state: { ...state, dueAt }, store: undefined };
  // Two messages of one instant with the same values would count once.
  const isSame = now <= state.lastAt && now > state.lastAt - SAME_INSTANT_MS;
  const at = isSame ? state.lastAt + 1 : now;
  return { state: { ...state, values: undefined, dueAt, lastAt: at }, store: { values: state.values, at } };
}

function send(state: MachineEndState): { state: MachineEndState; publish: Outgoing | undefined } {
  const nothing = { state, publish: undefined };
  if (!state.connected || state.underWay !== undefined || state.resting) return nothing;
  const [oldest] = state.waiting;
  let publish: Outgoing;
  if (state.statusDue) publish = { type: 'status', status: state.status };
  else if (oldest !== undefined) publish = { type: 'telemetry', queued: oldest };
  else return nothing;
  const statusDue = publish.type === 'status' ? false : state.statusDue;
  return { state: { ...state, underWay: publish, statusDue }, publish };
}
