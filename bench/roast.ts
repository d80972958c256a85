/**
 * How well events are detected and the rate of rise is taken, on real recordings and on roasts that were made up:
 * `npm run bench:roast`. The recordings are read from the folder that ROASTS names, else from beside the checkout.
 */
import { randomFrom } from '../test/support/random.js';
import { randomPlan, synthesize } from '../test/support/synthetic-roast.js';
import { printTable } from './harness/table.js';
import { plainRegression, type RateMethod, rateFigures, streamed, twoPoint } from './roast/rates.js';
import { isHeldOut, loadRecordings, type Recording, recordingsFolder } from './roast/recordings.js';
import {
  type Accuracy,
  type Detector,
  DROP_WITHIN_MS,
  ours,
  replay,
  type Score,
  score,
  TP_WITHIN_MS,
} from './roast/score.js';
import { sixReadings } from './roast/six-readings.js';
import { STRESSES, stressed } from './roast/stress.js';

const MADE_UP = 500;
/** A CHARGE that is known later is looked at by itself. */
const LATE_MS = 6_050;
/** Where the hottest beans are looked for, to either side of DROP. */
const AROUND_MS = 60_000;

const percent = (share: number) => (100 * share).toFixed(1);
const cells = ({ within, missed, early, knownAfterS }: Accuracy) => [
  percent(within),
  percent(missed),
  percent(early),
  knownAfterS.toFixed(1),
];
const without = (accuracy: Accuracy, column: number) =>
  cells(accuracy).filter((_, index) => index !== column);

const HEAD = ['', 'CHARGE ±5 s', 'missed', 'early', 'known, s'];
const TP_HEAD = ['TP ±2 s', 'missed', 'known, s', '±2 s of curve'];
const DROP_HEAD = ['DROP ±10 s', 'missed', 'early', 'known, s'];

const row = (name: string, { charge, turningPoint, turningCurve, drop }: Score) => [
  name,
  ...cells(charge),
  ...without(turningPoint, 2),
  percent(turningCurve.within),
  ...cells(drop),
];

function printAccuracy(recordings: readonly Recording[], detector: Detector): void {
  const rows = STRESSES.map((stress) =>
    row(
      stress.name,
      score(recordings, detector, ({ name, samples }) => stressed(stress, name, samples)),
    ),
  );
  printTable([...HEAD, ...TP_HEAD, ...DROP_HEAD], rows);
}

/** Which CHARGE is known late, and what its readings show by then. */
function printLate(recordings: readonly Recording[]): void {
  const rows = recordings.flatMap(({ name, samples, charge, chargeByHand }) => {
    const found = ours(samples, chargeByHand).charge;
    if (charge === null || found === null || found.knownMs - charge <= LATE_MS) return [];
    const beans = samples.filter(({ bt }) => bt !== null);
    const after = beans.filter(({ timeMs }) => timeMs > charge && timeMs <= found.knownMs);
    const fall = (untilMs: number) => {
      const reading = beans.findLast(({ timeMs }) => timeMs <= charge + untilMs)?.bt ?? 0;
      return ((beans.findLast(({ timeMs }) => timeMs <= charge)?.bt ?? 0) - reading).toFixed(1);
    };
    const known = ((found.knownMs - charge) / 1000).toFixed(1);
    return [[name, isHeldOut({ name }) ? 'yes' : 'no', known, String(after.length), fall(LATE_MS)]];
  });
  console.log(`CHARGE known later than 6 s:\n`);
  printTable(['recording', 'held out', 'known, s', 'readings after it', 'fallen in 6 s, °C'], rows);
}

/** Which DROP is far from its reference, and what else says where it was. */
function printMisplaced(recordings: readonly Recording[]): void {
  const seconds = (ms: number | null | undefined) => (ms == null ? '' : (ms / 1000).toFixed(1));
  const rows = recordings.flatMap((recording) => {
    const { name, samples, drop, dropAsRecorded, chargeByHand } = recording;
    if (drop === null) return [];
    const found = ours(samples, chargeByHand).drop?.timeMs;
    if (found !== undefined && Math.abs(found - drop) <= DROP_WITHIN_MS) return [];
    const around = samples.filter(({ bt, timeMs }) => bt !== null && Math.abs(timeMs - drop) <= AROUND_MS);
    const highest = around.reduce((most, sample) => ((sample.bt ?? 0) > (most.bt ?? 0) ? sample : most));
    const times = [drop, found, dropAsRecorded, highest.timeMs].map(seconds);
    return [[name, isHeldOut(recording) ? 'yes' : 'no', ...times]];
  });
  console.log('DROP more than 10 s away from the reference:\n');
  const head = ['recording', 'held out', 'reference, s', 'found, s', 'as recorded, s', 'hottest beans, s'];
  printTable(head, rows);
}

/** What the second fit of a DROP is good for; one that was found a minute off says nothing of it. */
function printCorrected(halves: readonly (readonly [string, readonly Recording[]])[]): void {
  const rms = (errors: readonly number[]) =>
    (Math.sqrt(errors.reduce((sum, ms) => sum + ms * ms, 0) / errors.length) / 1000).toFixed(2);
  const rows = halves.map(([name, recordings]) => {
    const told = recordings.flatMap(({ samples, drop, chargeByHand }) => {
      const times = replay(samples, chargeByHand).flatMap(({ type, timeMs }) =>
        type === 'DROP' && drop !== null && Math.abs(timeMs - drop) < AROUND_MS ? [timeMs - drop] : [],
      );
      const first = times[0];
      return first === undefined ? [] : [{ first, last: times.at(-1) ?? first, corrected: times.length > 1 }];
    });
    const corrected = told.filter((each) => each.corrected).length;
    const [first, last] = [told.map((each) => each.first), told.map((each) => each.last)].map(rms);
    return [name, String(told.length), String(corrected), first ?? '', last ?? ''];
  });
  console.log(
    'How far DROP is from its reference as it is first told, and once it may have been corrected:\n',
  );
  printTable(['', 'recordings', 'corrected', 'rms at first, s', 'rms at last, s'], rows);
}

/** How far the lowest reading, which recordings have as their TP, is from the lowest point of the curve. */
function printLowest(recordings: readonly Recording[]): void {
  const away = recordings.flatMap(({ turningPoint, turningCurve }) =>
    turningPoint === null || turningCurve === null ? [] : [Math.abs(turningPoint - turningCurve)],
  );
  const near = away.filter((ms) => ms <= TP_WITHIN_MS).length / away.length;
  console.log(
    `The lowest reading is within 2 s of the lowest point of the curve in ${percent(near)} % of ${away.length} recordings.\n`,
  );
}

function printRates(recordings: readonly Recording[]): void {
  const methods: readonly [string, RateMethod][] = [
    ['last two readings', twoPoint],
    ['regression, 30 s, no median', plainRegression],
    ['regression, 30 s', streamed({ windowS: 30, mode: 'regression' })],
    ['low_lag, 30 s', streamed({ windowS: 30, mode: 'low_lag' })],
    ['regression, 20 s', streamed({ windowS: 20, mode: 'regression' })],
    ['low_lag, 20 s', streamed({ windowS: 20, mode: 'low_lag' })],
  ];
  const rows = methods.map(([name, method]) => {
    const pooled = rateFigures(recordings, method);
    return [name, pooled.lagS.toFixed(1), pooled.noise.toFixed(2), pooled.middle.toFixed(2)];
  });
  printTable(['rate of rise', 'lag, s', 'rms, °C/min', 'median recording'], rows);
}

function madeUp(): Recording[] {
  return Array.from({ length: MADE_UP }, (_, index) => {
    const random = randomFrom(index + 1);
    const { samples, chargeMs, turningMs, dropMs } = synthesize(randomPlan(random), random);
    return {
      name: `made up ${index}`,
      samples,
      charge: chargeMs,
      drop: dropMs,
      dropAsRecorded: null,
      turningPoint: turningMs,
      turningCurve: turningMs,
      chargeByHand: null,
    };
  });
}

function main(): void {
  const folder = recordingsFolder();
  if (folder === undefined) {
    console.log('No recordings: set ROASTS to their folder. What follows is of made-up roasts alone.\n');
  } else {
    const all = loadRecordings(folder);
    const chosen = all.filter((recording) => !isHeldOut(recording));
    const heldOut = all.filter(isHeldOut);
    console.log(`${all.length} recordings; shares in %, known: 95th percentile after the break.\n`);
    const native = (recordings: readonly Recording[]) => score(recordings, ours, ({ samples }) => samples);
    printTable(
      [...HEAD, ...TP_HEAD, ...DROP_HEAD],
      [
        row('all, as recorded', native(all)),
        row('chosen on', native(chosen)),
        row('held out', native(heldOut)),
      ],
    );
    printLate(all);
    printMisplaced(all);
    printCorrected([
      ['chosen on', chosen],
      ['held out', heldOut],
    ]);
    printLowest(all);
    console.log(`Parameters were chosen on these ${chosen.length}:\n`);
    printAccuracy(chosen, ours);
    console.log(`Held out, ${heldOut.length}:\n`);
    printAccuracy(heldOut, ours);
    console.log('All, by six readings, in the manner of the program most roasters use:\n');
    printAccuracy(all, sixReadings);
    console.log(
      'Rate of rise with 0.5 % spikes, against the middle of a 30 s window without, all recordings:\n',
    );
    printRates(all);
  }
  console.log(
    `${MADE_UP} made-up roasts, probes of 1 to 15 s, noise to 0.5 °C, steps to 1 °C, 0.5 to 3 s:\n`,
  );
  const roasts = madeUp();
  const samples = (recording: Recording) => recording.samples;
  printTable(
    [...HEAD, ...TP_HEAD.slice(0, 3), ...DROP_HEAD],
    [
      ['ours', ours],
      ['six readings', sixReadings],
    ].map(([name, detector]) => {
      const { charge, turningPoint, drop } = score(roasts, detector as Detector, samples);
      return [name as string, ...cells(charge), ...without(turningPoint, 2), ...cells(drop)];
    }),
  );
}

main();
