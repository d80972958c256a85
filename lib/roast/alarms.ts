import type { EventType } from './event.js';

export type Severity = 'info' | 'warning' | 'critical';
export type AlarmSource = 'bt' | 'et' | 'bt_ror' | 'et_ror';

/** What an alarm waits for. A missing reading meets no condition. */
export type AlarmCondition =
  | { readonly kind: 'value'; readonly source: AlarmSource; readonly above?: number; readonly below?: number }
  /** So many seconds since the event. */
  | { readonly kind: 'time'; readonly event: EventType; readonly seconds: number }
  | { readonly kind: 'event'; readonly event: EventType };

export type AlarmAction =
  | { readonly kind: 'mark'; readonly event: EventType }
  | { readonly kind: 'control'; readonly channel: string; readonly value: number };

/** roast.md "Sessions": alarms. */
export interface AlarmRule {
  readonly id: string;
  readonly message: string;
  readonly severity: Severity;
  readonly when: AlarmCondition;
  /** Not before this event. */
  readonly afterEvent?: EventType;
  /** Only after this alarm has fired. */
  readonly ifAlarm?: string;
  /** Not once this alarm has fired. */
  readonly butNot?: string;
  /** Fires again after the value has been back by so much; without it once a session. */
  readonly hysteresis?: number;
  /** What it does beside its message: asked for explicitly. */
  readonly actions: readonly AlarmAction[];
}

/** What is known of each alarm: `armed` is false from its firing until its value has been back. */
export type AlarmState = Readonly<Record<string, { readonly fired: number; readonly armed: boolean }>>;

export interface Situation {
  readonly timeMs: number;
  readonly values: Readonly<Record<AlarmSource, number | null>>;
  /** When each event that counts happened. */
  readonly events: ReadonlyMap<EventType, number>;
}

export interface AlarmStep {
  readonly state: AlarmState;
  /** Those that fire now, in the order of their ids. */
  readonly fired: readonly AlarmRule[];
}

export const NO_ALARMS: AlarmState = {};

/**
 * Which alarms fire at this moment.
 *
 * | alarm    | condition | met                  | not met                                 |
 * | -------- | --------- | -------------------- | --------------------------------------- |
 * | armed    | any       | fires, is not armed  | stays                                   |
 * | disarmed | value     | stays                | armed, once back by the hysteresis      |
 * | disarmed | others    | stays                | stays: an event happens once            |
 *
 * They are looked at in the order of their ids, so that one that refers to another sees it fire at the same moment only
 * where its own id is the later one.
 */
export function evaluateAlarms(
  rules: readonly AlarmRule[],
  state: AlarmState,
  situation: Situation,
): AlarmStep {
  const next: Record<string, { fired: number; armed: boolean }> = { ...state };
  const fired: AlarmRule[] = [];
  const hasFired = (id: string) => (next[id]?.fired ?? 0) > 0;
  for (const rule of inOrder(rules)) {
    const known = next[rule.id] ?? { fired: 0, armed: true };
    if (!known.armed) {
      if (isBack(rule, situation)) next[rule.id] = { ...known, armed: true };
      continue;
    }
    if (!isMet(rule.when, situation)) continue;
    if (rule.afterEvent !== undefined && !situation.events.has(rule.afterEvent)) continue;
    if (rule.ifAlarm !== undefined && !hasFired(rule.ifAlarm)) continue;
    if (rule.butNot !== undefined && hasFired(rule.butNot)) continue;
    next[rule.id] = { fired: known.fired + 1, armed: false };
    fired.push(rule);
  }
  return { state: next, fired };
}

/** By the bytes of the ids, whatever the language of the machine. */
const inOrder = (rules: readonly AlarmRule[]) =>
  rules.toSorted((a, b) => (a.id < b.id ? -1 : a.id > b.id ? 1 : 0));

function isMet(condition: AlarmCondition, { timeMs, values, events }: Situation): boolean {
  switch (condition.kind) {
    case 'value': {
      const value = values[condition.source];
      if (value === null) return false;
      const { above = Infinity, below = -Infinity } = condition;
      return value > above || value < below;
    }
    case 'time': {
      const since = events.get(condition.event);
      return since !== undefined && timeMs - since >= condition.seconds * 1000;
    }
    case 'event':
      return events.has(condition.event);
  }
}

function isBack({ when, hysteresis }: AlarmRule, { values }: Situation): boolean {
  if (when.kind !== 'value' || hysteresis === undefined) return false;
  const value = values[when.source];
  if (value === null) return false;
  const { above = Infinity, below = -Infinity } = when;
  return value <= above - hysteresis && value >= below + hysteresis;
}
