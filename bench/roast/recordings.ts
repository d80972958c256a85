import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Sample } from '../../lib/roast/reading.js';
import { lowestOfCurve } from '../../lib/roast/turning-point.js';
import { hashOf } from '../../test/support/random.js';

/** A roast with what is known of it, times in ms from the start of the recording. */
export interface Recording {
  readonly name: string;
  readonly samples: readonly Sample[];
  /** Where the bean temperature breaks; what a detector is scored against. */
  readonly charge: number | null;
  readonly drop: number | null;
  /** DROP as the recording program or a person marked it. */
  readonly dropAsRecorded: number | null;
  /** The lowest bean temperature, as the recording program found it; null where it is within 20 s of CHARGE. */
  readonly turningPoint: number | null;
  /**
   * The lowest point of the curve of bean temperature, as noise and rounding leave it where it is; null where
   * `turningPoint` is.
   */
  readonly turningCurve: number | null;
  /** CHARGE as the recording has it, where its break could not be measured: it is marked by hand. */
  readonly chargeByHand: number | null;
}

interface File {
  timex: number[];
  bt: (number | null)[];
  et: (number | null)[];
  events: Partial<Record<string, number>>;
  knee: { CHARGE?: number; DROP?: number };
}

/** Where the recordings are: in the folder that ROASTS names, else beside the checkout; undefined where they are not. */
export function recordingsFolder(): string | undefined {
  const folder = process.env['ROASTS'] ?? join(__dirname, '../../../../shared/data/roasts');
  return existsSync(folder) ? folder : undefined;
}

const ms = (seconds: number | undefined) => (seconds === undefined ? null : Math.round(seconds * 1000));

/** @param text one file of the recordings' folder */
export function recordingOf(name: string, text: string): Recording {
  const { timex, bt, et, events, knee } = JSON.parse(text) as File;
  const at = (type: string) => {
    const index = events[type];
    return index === undefined ? null : ms(timex[index]);
  };
  const charge = ms(knee.CHARGE);
  const labelled = at('CHARGE');
  const turningPoint = at('TP');
  const since = turningPoint === null ? 0 : turningPoint - (charge ?? labelled ?? turningPoint);
  const samples = timex.map((time, index) => ({
    timeMs: Math.round(time * 1000),
    bt: bt[index] ?? null,
    et: et[index] ?? null,
  }));
  const turned = since > 20_000 ? turningPoint : null;
  return {
    name,
    samples,
    charge,
    drop: ms(knee.DROP),
    dropAsRecorded: at('DROP'),
    turningPoint: turned,
    turningCurve: turned === null ? null : curveAround(samples, turned),
    chargeByHand: charge === null ? labelled : null,
  };
}

function curveAround(samples: readonly Sample[], timeMs: number): number {
  const readings = samples.flatMap(({ timeMs: at, bt }) =>
    bt === null ? [] : [{ timeMs: at, celsius: bt }],
  );
  const lowest = readings.find(({ timeMs: at }) => at >= timeMs);
  return lowest === undefined ? timeMs : lowestOfCurve(readings, lowest, 0).timeMs;
}

export function loadRecordings(folder: string): Recording[] {
  return readdirSync(folder)
    .filter((name) => name.endsWith('.json'))
    .sort()
    .map((name) => recordingOf(name.replace('.json', ''), readFileSync(join(folder, name), 'utf8')));
}

/** Parameters were chosen by the accuracy on the other half. */
export const isHeldOut = (recording: Pick<Recording, 'name'>) => hashOf(recording.name) % 2 === 1;
