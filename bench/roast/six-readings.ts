import type { Sample } from '../../lib/roast/reading.js';
import type { Detector, Found } from './score.js';

/**
 * The peer: detection in the manner of the program most roasters use, written anew from how it is described. It looks
 * at six readings, and where they do not tell at every second of eleven: the temperature fell twice in row, and by more
 * than an offset and a multiple of what it fell before. It knows nothing of how far apart readings are.
 */
interface Rule {
  /** °C a reading. */
  readonly offset: number;
  readonly aboveC: number;
}

const CHARGE: Rule = { offset: 0.5, aboveC: 77 };
const DROP: Rule = { offset: 0.2, aboveC: 160 };
const DROP_AFTER_MS = 420_000;
const FALLING_FACTOR = 3.5;

interface Valid {
  readonly timeMs: number;
  readonly celsius: number;
}

function breaks(readings: readonly Valid[], stride: number, { offset }: Rule): boolean {
  const at = (back: number) => readings[readings.length - 1 - back * stride]?.celsius;
  const [p0, p1, p2, p3, p4] = [at(4), at(3), at(2), at(1), at(0)];
  if (p0 === undefined || p1 === undefined || p2 === undefined || p3 === undefined || p4 === undefined) {
    return false;
  }
  const before = (p2 - p0) / 2;
  const after = (p4 - p2) / 2;
  if (!(p3 < p2 && p4 < p3)) return false;
  return -after > offset + (before < 0 ? FALLING_FACTOR * -before : 0);
}

function look(readings: readonly Valid[], rule: Rule): Found | null {
  const newest = readings.at(-1) as Valid;
  for (const [stride, back] of [
    [1, 2],
    [2, 4],
  ] as const) {
    const event = readings[readings.length - 1 - back];
    if (event === undefined || event.celsius < rule.aboveC || !breaks(readings, stride, rule)) continue;
    return { timeMs: event.timeMs, knownMs: newest.timeMs };
  }
  return null;
}

/** Lowest reading between CHARGE and DROP, as such programs find it: afterwards. */
function lowest(readings: readonly Valid[], fromMs: number, toMs: number): Found | null {
  let found: Valid | null = null;
  for (const reading of readings) {
    if (reading.timeMs < fromMs || reading.timeMs > toMs) continue;
    if (found === null || reading.celsius <= found.celsius) found = reading;
  }
  return found === null ? null : { timeMs: found.timeMs, knownMs: found.timeMs };
}

export const sixReadings: Detector = (samples: readonly Sample[], chargeByHand) => {
  const readings: Valid[] = [];
  let charge: Found | null = chargeByHand === null ? null : { timeMs: chargeByHand, knownMs: chargeByHand };
  let drop: Found | null = null;
  for (const { timeMs, bt } of samples) {
    if (bt === null) continue;
    readings.push({ timeMs, celsius: bt });
    if (charge === null) charge = look(readings, CHARGE);
    else if (drop === null && timeMs - charge.timeMs > DROP_AFTER_MS) drop = look(readings, DROP);
  }
  const turningPoint = charge === null ? null : lowest(readings, charge.timeMs, drop?.timeMs ?? Infinity);
  return { charge, turningPoint, drop };
};
