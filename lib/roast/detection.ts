import { FieldloomError } from '../core/errors.js';
import { type Break, type FallRule, findFall, noiseOf, withoutSpikes } from './break.js';
import { type EventType, effectiveEvents, type RoastEvent } from './event.js';
import type { Reading, Sample } from './reading.js';
import { airRoast, follow, searchFrom, type TurningPointSearch } from './turning-point.js';

/**
 * Which events of a roast the temperatures show (roast.md "Events"), sample by sample.
 *
 * | phase     | input                                                | does                                       |
 * | --------- | ---------------------------------------------------- | ------------------------------------------ |
 * | preheat   | bean temperature breaks downwards from 77 °C or more | CHARGE, roasting                           |
 * |           | CHARGE marked                                        | CHARGE, roasting                           |
 * | roasting  | a minimum, later than 20 s, and a rise from it       | TP; again, superseding, for a lower one    |
 * |           | passes the dry end upwards after the lowest          | DRY_END                                    |
 * |           | breaks downwards from 150 °C or more after 3 min     | DROP, dropped                              |
 * |           | CHARGE marked                                        | stands in for the detected one; TP anew    |
 * |           | DROP marked                                          | DROP, dropped                              |
 * | dropped   | the break, fitted again 8 s later, lies elsewhere    | DROP, superseding, once                    |
 * |           | any other sample                                     | nothing: nothing re-arms in this session   |
 * | any       | any other mark                                       | is kept; a detected one of its type yields |
 * |           | a sample without a bean temperature, or less than    | nothing                                    |
 * |           | 0.4 s after the last one                             |                                            |
 *
 * FCs, FCe, SCs, SCe and COOL are marked by a person alone: the bean temperature does not show them.
 */
export type Phase = 'preheat' | 'roasting' | 'dropped';

export interface DetectionSettings {
  /** DRY_END is where the bean temperature passes this, °C. */
  readonly dryEndC: number;
}

export const DETECTION_DEFAULTS: DetectionSettings = { dryEndC: 150 };

export interface DetectionState {
  readonly phase: Phase;
  /** Every event, in the order in which it became known. */
  readonly events: readonly RoastEvent[];
  /** Samples of the last minutes, the newest last. */
  readonly recent: readonly Sample[];
  /** The search for TP; null before CHARGE. */
  readonly turning: TurningPointSearch | null;
  /** When the break of a detected DROP is fitted again; null where nothing waits for it. */
  readonly settleMs: number | null;
}

export type DetectionInput =
  | { readonly type: 'sample'; readonly sample: Sample }
  /**
   * Somebody says that it happened at `timeMs`; `nowMs` is when they said so, on the clock of the samples. `detected`:
   * not a person but a sensor, such as one that hears the crack.
   */
  | {
      readonly type: 'mark';
      readonly event: EventType;
      readonly timeMs: number;
      readonly nowMs: number;
      readonly source?: RoastEvent['source'];
    };

/** To be stored and told, in this order. */
export type DetectionEffect = { readonly type: 'event'; readonly event: RoastEvent };

export interface DetectionStep {
  readonly state: DetectionState;
  readonly effects: readonly DetectionEffect[];
}

/** Beans go in from above this by themselves; from below only by hand. */
const CHARGE_ABOVE_C = 77;
const DROP_ABOVE_C = 150;
const DROP_AFTER_MS = 180_000;

/**
 * CHARGE: cold beans take a probe down by 40 to 200 °C/min; a preheat that is regulated swings at less than half of
 * that. A fall that is slower than cold beans make must be as deep as no regulator lets it be.
 */
const CHARGE_RULES: readonly FallRule[] = [
  { depthC: 2.5, rate: 30, reachMs: 15_000, lastsMs: 2_500 },
  { depthC: 6, rate: 20, reachMs: 20_000, lastsMs: 2_500 },
];

/**
 * The first fit of a DROP has seen little of the fall, and takes the air that is turned up shortly before for it: 8 s
 * later the same lines lie better. What moves by less is not worth another event: 2 s is what times are asked to be
 * right by.
 */
const SETTLED_RULE: FallRule = { depthC: 8, rate: 15, reachMs: 30_000, lastsMs: 8_000 };
const SETTLE_MS = 8_000;
const WORTH_TELLING_MS = 2_000;

/**
 * DROP: the same break, but it must be deeper and older, for a false one is worse than a late one. Beans that are still
 * being roasted never lose 15 °C, however slowly: that they are gone is then certain.
 */
const DROP_RULES: readonly FallRule[] = [
  { depthC: 6, rate: 25, reachMs: 15_000, lastsMs: 6_000 },
  SETTLED_RULE,
  { depthC: 15, rate: 6, reachMs: 120_000, lastsMs: 30_000 },
];

/** What the slowest rule looks at. */
const RECENT_MS = 150_000;
/** Noise is judged by the readings of this time. */
const NOISE_MS = 45_000;
/** Samples that come closer than this say no more of a roast, and would make each one cost more. */
const CLOSEST_MS = 400;
/** A temperature at an event is that of a sample no further away. */
const NEAR_MS = 15_000;

/** @throws FieldloomError invalid_setting */
export function checkDetectionSettings({ dryEndC }: DetectionSettings): void {
  if (dryEndC >= 100 && dryEndC <= 200) return;
  throw new FieldloomError('invalid_setting', `dry end is ${dryEndC} °C: accepted is 100 to 200`);
}

/** A session begins. @param leadIn what was seen before it, on its clock: a CHARGE that comes soon is found by it */
export function newDetection(leadIn: readonly Sample[] = []): DetectionState {
  return { phase: 'preheat', events: [], recent: leadIn, turning: null, settleMs: null };
}

/** As much of what was seen as `newDetection` has a use for. */
export function leadInWith(leadIn: readonly Sample[], sample: Sample): readonly Sample[] {
  const last = leadIn.at(-1);
  const tooClose = last !== undefined && sample.timeMs - last.timeMs < CLOSEST_MS;
  return sample.bt === null || tooClose ? leadIn : remember(leadIn, sample);
}

/** One sample or mark more. Pure: the same inputs give the same events, and times shifted give events shifted. */
export function detect(
  state: DetectionState,
  input: DetectionInput,
  settings: DetectionSettings = DETECTION_DEFAULTS,
): DetectionStep {
  return input.type === 'sample' ? take(state, input.sample, settings) : mark(state, input);
}

/** The event of this type that counts now. */
const timeOf = (state: DetectionState, type: EventType) => effectiveEvents(state.events).get(type)?.timeMs;

function readingsOf(samples: readonly Sample[]): Reading[] {
  const readings: Reading[] = [];
  for (const { timeMs, bt } of samples) if (bt !== null) readings.push({ timeMs, celsius: bt });
  return readings;
}

/** Adds an event to the record. */
function record(
  state: DetectionState,
  event: Pick<RoastEvent, 'type' | 'source' | 'timeMs' | 'knownMs'>,
): DetectionStep {
  const at = nearest(state.recent, event.timeMs);
  const before = effectiveEvents(state.events).get(event.type);
  const full: RoastEvent = {
    ...event,
    // What is fitted to strange readings may lie ahead of them; nothing is known before it has happened.
    timeMs: Math.min(event.timeMs, event.knownMs),
    number: state.events.length + 1,
    bt: at('bt'),
    et: at('et'),
    supersedes: before?.number ?? null,
  };
  return {
    state: { ...state, events: [...state.events, full] },
    effects: [{ type: 'event', event: full }],
  };
}

/** Temperature of the sample nearest to a time that has one. */
function nearest(samples: readonly Sample[], timeMs: number) {
  return (probe: 'bt' | 'et'): number | null => {
    let value: number | null = null;
    let least = NEAR_MS;
    for (const sample of samples) {
      const away = Math.abs(sample.timeMs - timeMs);
      if (sample[probe] !== null && away <= least) {
        value = sample[probe];
        least = away;
      }
    }
    return value;
  };
}

function mark(state: DetectionState, input: Extract<DetectionInput, { type: 'mark' }>): DetectionStep {
  const { event: type, timeMs, nowMs, source = 'marked' } = input;
  const step = record(state, { type, source, timeMs, knownMs: nowMs });
  if (type === 'DROP') return { ...step, state: { ...step.state, phase: 'dropped', settleMs: null } };
  if (type === 'CHARGE' && state.phase !== 'dropped') {
    // What has been sampled since is looked at again, so that a mark may come late.
    return { ...step, state: startRoasting(step.state, timeMs) };
  }
  return step;
}

function startRoasting(state: DetectionState, chargeMs: number): DetectionState {
  return { ...state, phase: 'roasting', turning: searchFrom(chargeMs) };
}

function take(state: DetectionState, sample: Sample, settings: DetectionSettings): DetectionStep {
  const last = state.recent.at(-1);
  const sinceMs = last === undefined ? Infinity : sample.timeMs - last.timeMs;
  if (sample.bt === null || sinceMs < CLOSEST_MS) return { state, effects: [] };
  const next = { ...state, recent: remember(state.recent, sample) };
  switch (state.phase) {
    case 'preheat':
      return preheat(next);
    case 'roasting':
      return roast(next, settings);
    case 'dropped':
      // Samples are kept, for a person may still mark COOL.
      return settle(next, sample.timeMs);
  }
}

function remember(recent: readonly Sample[], sample: Sample): readonly Sample[] {
  const oldest = sample.timeMs - RECENT_MS;
  const first = recent.findIndex(({ timeMs }) => timeMs >= oldest);
  return first < 0 ? [sample] : [...recent.slice(first), sample];
}

const noiseUntil = (readings: readonly Reading[], now: number) =>
  noiseOf(readings.filter(({ timeMs }) => timeMs >= now - NOISE_MS));

function firstFall(
  readings: readonly Reading[],
  rules: readonly FallRule[],
  noiseC: number,
  accept: (found: Break) => boolean,
): Break | null {
  const filtered = withoutSpikes(readings);
  for (const rule of rules) {
    const found = findFall(filtered, rule, noiseC);
    if (found !== null && accept(found)) return found;
  }
  return null;
}

function preheat(state: DetectionState): DetectionStep {
  const readings = readingsOf(state.recent);
  const now = (readings.at(-1) as Reading).timeMs;
  const found = firstFall(
    readings,
    CHARGE_RULES,
    noiseUntil(readings, now),
    ({ celsius }) => celsius >= CHARGE_ABOVE_C,
  );
  if (found === null) return { state, effects: [] };
  const step = record(state, { type: 'CHARGE', source: 'detected', timeMs: found.timeMs, knownMs: now });
  return { ...step, state: startRoasting(step.state, found.timeMs) };
}

function roast(state: DetectionState, settings: DetectionSettings): DetectionStep {
  const readings = readingsOf(state.recent);
  const now = (readings.at(-1) as Reading).timeMs;
  const noiseC = noiseUntil(readings, now);
  const turned = turn(state, readings, noiseC);
  const dried = dry(turned.state, readings, settings);
  const dropped = drop(dried.state, readings, noiseC);
  return {
    state: dropped.state,
    effects: [...turned.effects, ...dried.effects, ...dropped.effects],
  };
}

function turn(state: DetectionState, readings: readonly Reading[], noiseC: number): DetectionStep {
  if (state.turning === null) return { state, effects: [] };
  const { search, found } = follow(state.turning, readings, noiseC);
  const next = { ...state, turning: search };
  if (found === null || isMarked(state, 'TP') || timeOf(state, 'DRY_END') !== undefined) {
    return { state: next, effects: [] };
  }
  const knownMs = (readings.at(-1) as Reading).timeMs;
  return record(next, { type: 'TP', source: 'detected', timeMs: found.timeMs, knownMs });
}

/** The dry end is passed by two readings in row, after the lowest. */
function dry(
  state: DetectionState,
  readings: readonly Reading[],
  settings: DetectionSettings,
): DetectionStep {
  const { turning } = state;
  const none = { state, effects: [] };
  if (turning === null || turning.lowest === null || timeOf(state, 'DRY_END') !== undefined) return none;
  const knownMs = (readings.at(-1) as Reading).timeMs;
  if (!turning.told && !airRoast(turning, knownMs)) return none;
  const { dryEndC } = settings;
  const below = readings.findLastIndex(({ celsius }) => celsius < dryEndC);
  const from = readings[below];
  const to = readings[below + 1];
  if (from === undefined || to === undefined || below + 2 >= readings.length) return none;
  if (from.timeMs < turning.lowest.timeMs) return none;
  const share = (dryEndC - from.celsius) / (to.celsius - from.celsius);
  const timeMs = from.timeMs + share * (to.timeMs - from.timeMs);
  return record(state, { type: 'DRY_END', source: 'detected', timeMs, knownMs });
}

/** The break at which the beans are out; null before CHARGE and for three minutes after it. */
function fallOut(
  state: DetectionState,
  readings: readonly Reading[],
  rules: readonly FallRule[],
  noiseC: number,
): Break | null {
  const charge = timeOf(state, 'CHARGE');
  const { timeMs: now } = readings.at(-1) as Reading;
  if (charge === undefined || now - charge < DROP_AFTER_MS) return null;
  const isDrop = ({ timeMs, celsius }: Break) => celsius >= DROP_ABOVE_C && timeMs - charge >= DROP_AFTER_MS;
  return firstFall(readings, rules, noiseC, isDrop);
}

function drop(state: DetectionState, readings: readonly Reading[], noiseC: number): DetectionStep {
  const found = fallOut(state, readings, DROP_RULES, noiseC);
  if (found === null) return { state, effects: [] };
  const { timeMs: knownMs } = readings.at(-1) as Reading;
  const step = record(state, { type: 'DROP', source: 'detected', timeMs: found.timeMs, knownMs });
  return { ...step, state: { ...step.state, phase: 'dropped', settleMs: knownMs + SETTLE_MS } };
}

/** A DROP that was detected gets the time that more of the fall shows. */
function settle(state: DetectionState, knownMs: number): DetectionStep {
  if (state.settleMs === null || knownMs < state.settleMs) return { state, effects: [] };
  const settled = { ...state, settleMs: null };
  const readings = readingsOf(state.recent);
  const found = fallOut(state, readings, [SETTLED_RULE], noiseUntil(readings, knownMs));
  const told = timeOf(state, 'DROP');
  if (found === null || told === undefined || Math.abs(found.timeMs - told) <= WORTH_TELLING_MS) {
    return { state: settled, effects: [] };
  }
  return record(settled, { type: 'DROP', source: 'detected', timeMs: found.timeMs, knownMs });
}

const isMarked = (state: DetectionState, type: EventType) =>
  effectiveEvents(state.events).get(type)?.source === 'marked';
