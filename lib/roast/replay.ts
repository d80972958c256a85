import { FieldloomError } from '../core/errors.js';
import type { ControlChange, Profile } from './profile.js';
import { rateOfRise } from './rate-of-rise.js';
import type { Sample } from './reading.js';

export const SPEEDS = [0.1, 20] as const;
/** Points come no closer than this, ms, however fast the replay. */
const CLOSEST_MS = 50;

/** One point of a replay. Times are ms from the start of the profile. */
export interface ReplayPoint extends Sample {
  readonly btRor: number | null;
  readonly etRor: number | null;
  /** Last value of each control, 0 to 1. */
  readonly controls: Readonly<Record<string, number>>;
  readonly share: number;
  readonly durationMs: number;
}

/** What a moment of the replay brings. */
export interface ReplayStep {
  readonly point: ReplayPoint | null;
  /** Controls that the profile sets here, each once, in their order. */
  readonly controls: readonly { readonly channel: string; readonly value: number }[];
  readonly ended: boolean;
}

export interface ReplayOptions {
  /** `time`: as it was recorded. `bt`: as the bean temperature of another roast passes the profile's. */
  readonly by: 'time' | 'bt';
  readonly speed: number;
  /** Where it starts. */
  readonly positionMs: number;
}

/**
 * Replays a profile (seed: roast-protocol, `replay` and `replay_control`). It has no timer: who owns it asks again
 * after `waitMs`, and tells it the readings of the roast that goes on.
 *
 * | state   | pause  | resume  | seek             | time passes (by time)  | a reading (by bt)                        |
 * | ------- | ------ | ------- | ---------------- | ---------------------- | ---------------------------------------- |
 * | playing | paused | refused | goes on there    | the newest point       | the point that its temperature has passed |
 * | paused  | refused | playing | is paused there | nothing                | nothing                                  |
 *
 * By bean temperature it begins once the roast has turned (TP), and never goes back: a temperature that swings crosses
 * each control once.
 */
export interface Replay {
  readonly playing: boolean;
  pause(nowMs: number): void;
  resume(nowMs: number, speed?: number): void;
  seek(positionMs: number, nowMs: number): ReplayStep;
  at(nowMs: number): ReplayStep;
  /** @param turned whether the roast has had its TP */
  reading(bt: number | null, turned: boolean): ReplayStep;
  /** Until `at` has something new; undefined where it is not time that it waits for. */
  waitMs(nowMs: number): number | undefined;
}

const NOTHING: ReplayStep = { point: null, controls: [], ended: false };

/** @throws FieldloomError invalid_input */
export function checkSpeed(speed: number): number {
  if (speed >= SPEEDS[0] && speed <= SPEEDS[1]) return speed;
  throw new FieldloomError('invalid_input', `speed is ${speed}: accepted is ${SPEEDS[0]} to ${SPEEDS[1]}`);
}

/** @throws FieldloomError invalid_input, conflict where the step is not one of this state */
export function createReplay(profile: Profile, options: ReplayOptions, startMs: number): Replay {
  const { samples } = profile;
  const firstMs = samples[0]?.timeMs ?? 0;
  const durationMs = Math.max(0, (samples.at(-1)?.timeMs ?? 0) - firstMs);
  const rates = ratesOf(samples);
  const changes = profile.controls
    .filter((change): change is ControlChange & { value: number } => change.value !== null)
    .map((change) => ({ ...change, value: Math.min(1, Math.max(0, change.value)) }))
    .toSorted((a, b) => a.timeMs - b.timeMs);
  const turningMs = turningPoint(profile);

  let speed = checkSpeed(options.speed);
  let playing = true;
  /** Position in the profile when the clock was at `anchorMs`. */
  let positionMs = clampPosition(options.positionMs);
  let anchorMs = startMs;
  let told = -1;
  let nextChange = changes.findIndex(({ timeMs }) => timeMs - firstMs >= positionMs);
  if (nextChange < 0) nextChange = changes.length;
  let highest = -Infinity;

  function clampPosition(position: number): number {
    return Math.min(Math.max(0, position), durationMs);
  }
  const positionAt = (nowMs: number) =>
    playing && options.by === 'time' ? clampPosition(positionMs + (nowMs - anchorMs) * speed) : positionMs;
  const conflict = (text: string) => new FieldloomError('conflict', text);

  function pointAt(index: number): ReplayPoint {
    const sample = samples[index] as Sample;
    const controls: Record<string, number> = {};
    for (const { timeMs, channel, value } of changes) {
      if (timeMs > sample.timeMs) break;
      controls[channel] = value;
    }
    const at = sample.timeMs - firstMs;
    return {
      timeMs: at,
      bt: sample.bt,
      et: sample.et,
      btRor: rates.bt[index] ?? null,
      etRor: rates.et[index] ?? null,
      controls,
      share: durationMs === 0 ? 1 : at / durationMs,
      durationMs,
    };
  }

  /** The newest point up to a position, unless it has been told, and the controls on the way to it. */
  function goTo(position: number): ReplayStep {
    let index = Math.max(told, -1);
    while (index + 1 < samples.length && (samples[index + 1] as Sample).timeMs - firstMs <= position)
      index += 1;
    const due: { channel: string; value: number }[] = [];
    for (; nextChange < changes.length; nextChange += 1) {
      const change = changes[nextChange] as (typeof changes)[number];
      if (change.timeMs - firstMs > position) break;
      due.push({ channel: change.channel, value: change.value });
    }
    const point = index > told ? pointAt(index) : null;
    told = index;
    return { point, controls: due, ended: position >= durationMs };
  }

  return {
    get playing() {
      return playing;
    },
    pause(nowMs) {
      if (!playing) throw conflict('the replay is paused already');
      positionMs = positionAt(nowMs);
      playing = false;
    },
    resume(nowMs, newSpeed = speed) {
      if (playing) throw conflict('the replay is playing already');
      speed = checkSpeed(newSpeed);
      anchorMs = nowMs;
      playing = true;
    },
    seek(position, nowMs) {
      positionMs = clampPosition(position);
      anchorMs = nowMs;
      highest = -Infinity;
      told = -1;
      // What lies before it is skipped, not caught up with.
      nextChange = changes.findIndex(({ timeMs }) => timeMs - firstMs >= positionMs);
      if (nextChange < 0) nextChange = changes.length;
      return { ...goTo(positionMs), ended: false };
    },
    at(nowMs) {
      return playing && options.by === 'time' ? goTo(positionAt(nowMs)) : NOTHING;
    },
    reading(bt, turned) {
      if (!playing || options.by !== 'bt' || !turned || bt === null) return NOTHING;
      highest = Math.max(highest, bt);
      const reached = passed(samples, Math.max(turningMs, positionMs + firstMs), highest);
      if (reached === undefined) return NOTHING;
      positionMs = reached - firstMs;
      return goTo(positionMs);
    },
    waitMs(nowMs) {
      if (!playing || options.by !== 'time') return undefined;
      const next = samples[told + 1];
      if (next === undefined) return undefined;
      return Math.max(CLOSEST_MS, (next.timeMs - firstMs - positionAt(nowMs)) / speed);
    },
  };
}

/** The time up to which a profile, from `fromMs` on, is no warmer than `celsius`; undefined where it begins warmer. */
function passed(samples: readonly Sample[], fromMs: number, celsius: number): number | undefined {
  let reached: number | undefined;
  for (const { timeMs, bt } of samples) {
    if (timeMs < fromMs || bt === null) continue;
    if (bt > celsius) break;
    reached = timeMs;
  }
  return reached;
}

/** TP of a profile: as it says, or else its lowest bean temperature after CHARGE. */
function turningPoint({ samples, events }: Profile): number {
  const said = events.find(({ type }) => type === 'TP');
  if (said !== undefined) return said.timeMs;
  const charge = events.find(({ type }) => type === 'CHARGE')?.timeMs ?? -Infinity;
  let lowest: Sample | undefined;
  for (const sample of samples) {
    if (sample.bt === null || sample.timeMs < charge) continue;
    if (lowest === undefined || sample.bt < (lowest.bt as number)) lowest = sample;
  }
  return lowest?.timeMs ?? 0;
}

function ratesOf(samples: readonly Sample[]) {
  const rates = { bt: rateOfRise(), et: rateOfRise() };
  const of = (probe: 'bt' | 'et') =>
    samples.map((sample) => rates[probe].add(sample.timeMs, sample[probe])?.ror ?? null);
  return { bt: of('bt'), et: of('et') };
}
