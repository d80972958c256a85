import { FieldloomError } from '../core/errors.js';
import { formatInstant } from '../core/instant.js';
import { isTopicLevel } from '../core/topic.js';

export interface Threshold {
  min?: number;
  max?: number;
}

/** What a pond is before it has its id. */
export interface PondDefinition {
  name: string;
  /** The user it belongs to. */
  ownerId: number;
  device: string;
  /** Which of the device's ponds, from 1. */
  position: number;
  /** Most grams of one feed command. */
  feedLimitG: number;
  /** Limits by the name of a sensor value, such as `temperature`. */
  thresholds: Readonly<Record<string, Threshold>>;
}

export interface Pond extends PondDefinition {
  pondId: number;
}

export const DEFAULT_FEED_LIMIT_G = 10_000;
/** seed: pond-command-flow, 2: `data.get('amount', 100)`. */
const DEFAULT_AMOUNT_G = 100;
/** A valve that is to stay open longer than a day is no command with a duration. */
const LONGEST_WATER_S = 86_400;
const LARGEST_INTEGER = 2 ** 31 - 1;
const LONGEST_NAME = 128;
const LONGEST_ID = 255;

/** A checked request of a person: what is stored as its execution, and what is sent to the device. */
export interface PondOrder {
  /** seed: pond-command-flow, 3: `action` and `execution_type`. */
  action: 'FEED' | 'WATER';
  commandType: 'FEED' | 'WATER_VALVE';
  /** seed: pond-command-flow, 3: `{'feed_amount': amount}`. */
  parameters: Readonly<Record<string, unknown>>;
  /** seed: pond-command-flow, 4 and 6: `parameters` of the message. */
  commandParameters: Readonly<Record<string, unknown>>;
}

const bad = (message: string, pointer: string) => new FieldloomError('invalid_input', message, { pointer });

/** What was found, short enough for an answer. */
function shown(value: unknown): string {
  const text = typeof value === 'number' ? String(value) : (JSON.stringify(value) ?? String(value));
  return text.length > 60 ? `${text.slice(0, 60)}…` : text;
}

const NUMBER = /^[+-]?(\d+(\.\d*)?|\.\d+)(e[+-]?\d+)?$/i;

/**
 * A JSON number, or a text that is one, as Python's float() reads it; NaN where it is neither. What is too large for
 * a number is infinite.
 */
function numberOf(value: unknown): number {
  if (typeof value === 'number') return value;
  if (typeof value !== 'string') return Number.NaN;
  const text = value.trim();
  return NUMBER.test(text) ? Number(text) : Number.NaN;
}

/** @throws FieldloomError unprocessable: JSON, but nothing that could hold a field */
function fieldsOf(body: unknown): Record<string, unknown> {
  if (body === undefined) return {};
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    throw new FieldloomError('unprocessable', `The body is ${shown(body)}: accepted is a JSON object`);
  }
  return body as Record<string, unknown>;
}

/**
 * A feed command from the body of its request.
 * (seed: pond-command-flow, 2 and 4; amount and limit: protocols.md "Commands")
 * @param body parsed JSON; undefined where there was none
 * @param now epoch ms
 * @throws FieldloomError unprocessable where the body is no object; invalid_input
 */
export function feedOrder(pond: Pond, body: unknown, now: number): PondOrder {
  const { amount: given = DEFAULT_AMOUNT_G } = fieldsOf(body);
  const amount = numberOf(given);
  if (amount <= 0) throw bad('Amount must be positive', '/amount');
  if (!Number.isFinite(amount)) {
    throw bad(`Amount is ${shown(given)}: accepted is a finite number of grams above 0`, '/amount');
  }
  if (amount > pond.feedLimitG) {
    throw bad(`Amount is ${amount} g: at most ${pond.feedLimitG} g are accepted for this pond`, '/amount');
  }
  return {
    action: 'FEED',
    commandType: 'FEED',
    parameters: { feed_amount: amount },
    commandParameters: { action: 'feed', amount, timestamp: formatInstant(now) },
  };
}

/**
 * A command to the water valve from the body of its request (contract.md "REST").
 * @param body parsed JSON; undefined where there was none
 * @param now epoch ms
 * @throws FieldloomError unprocessable where the body is no object; invalid_input
 */
export function waterOrder(body: unknown, now: number): PondOrder {
  const { action, duration_s: given } = fieldsOf(body);
  if (action !== 'open' && action !== 'close') {
    const found = action === undefined ? 'missing' : shown(action);
    throw bad(`Action is ${found}: accepted is "open" or "close"`, '/action');
  }
  const duration = given === undefined ? undefined : numberOf(given);
  if (duration !== undefined && !(duration > 0 && duration <= LONGEST_WATER_S)) {
    throw bad(
      `Duration_s is ${shown(given)}: accepted is a number of seconds above 0, at most ${LONGEST_WATER_S}`,
      '/duration_s',
    );
  }
  const parameters = { action, ...(duration !== undefined && { duration_s: duration }) };
  return {
    action: 'WATER',
    commandType: 'WATER_VALVE',
    parameters,
    commandParameters: { ...parameters, timestamp: formatInstant(now) },
  };
}

const isWhole = (value: number, least: number) =>
  Number.isInteger(value) && value >= least && value <= LARGEST_INTEGER;

/**
 * A pond that can be stored.
 * @param nameOf how a field is called where the user wrote it, for the error
 * @throws FieldloomError invalid_input, with the field
 */
export function checkedPond(
  pond: PondDefinition,
  nameOf: (field: string) => string = (field) => field,
): PondDefinition {
  const refuse = (field: string, value: unknown, accepted: string) =>
    bad(`${nameOf(field)} is ${shown(value)}: accepted is ${accepted}`, `/${field}`);
  const { name, device, position, feedLimitG, thresholds } = pond;
  if (name.trim() === '' || name.length > LONGEST_NAME || /\p{Cc}/u.test(name)) {
    throw refuse('name', name, `text of 1 to ${LONGEST_NAME} characters on one line`);
  }
  if (!isTopicLevel(device) || device.length > LONGEST_ID) {
    throw refuse('device', device, `text without +, #, / and control characters, at most ${LONGEST_ID}`);
  }
  if (!isWhole(position, 1)) throw refuse('position', position, 'a whole number from 1');
  if (!isWhole(feedLimitG, 1)) throw refuse('feed_limit', feedLimitG, 'a whole number of grams from 1');
  for (const [parameter, { min, max }] of Object.entries(thresholds)) {
    const limits = [min, max].filter((limit) => limit !== undefined);
    const ordered = min === undefined || max === undefined || min < max;
    if (
      !/^[A-Za-z][\w.-]{0,63}$/.test(parameter) ||
      limits.length === 0 ||
      !limits.every(Number.isFinite) ||
      !ordered
    ) {
      throw refuse(
        'threshold',
        `${parameter}=${min ?? ''}:${max ?? ''}`,
        'a name and two numbers such as temperature=18:30, the lower first, one of which may be left out',
      );
    }
  }
  return pond;
}
