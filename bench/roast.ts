/**
 * How well events are detected and the rate of rise is taken, on real recordings and on roasts that were made up:
 * `npm run bench:roast`. The recordings are read from the folder that ROASTS names, else from beside the checkout.
 */
import { randomFrom } from '../test/support/random.js';
import { randomPlan, synthesize } from '../test/support/synthetic-roast.js';
import { printTable } from './harness/table.js';
import { plainRegression, type RateMethod, rateFigures, streamed, twoPoint } from './roast/rates.js';
import { isHeldOut, loadRecordings, type Recording, recordingsFolder } from './roast/recordings.js';
import { type Accuracy, type Detector, ours, type Score, score } from './roast/score.js';
import { sixReadings } from './roast/six-readings.js';
import { STRESSES, stressed } from './roast/stress.js';

const MADE_UP = 500;

const percent = (share: number) => (100 * share).toFixed(1);
const cells = ({ within, missed, early, knownAfterS }: Accuracy) => [
  percent(within),
  percent(missed),
  percent(early),
  knownAfterS.toFixed(1),
];
const without = (accuracy: Accuracy, column: number) =>
  cells(accuracy).filter((_, index) => index !== column);

const HEAD = ['', 'CHARGE ±5 s', 'missed', 'early', 'known, s', 'TP ±2 s', 'missed', 'known, s'];
const DROP_HEAD = ['DROP ±10 s', 'missed', 'early', 'known, s'];

const row = (name: string, { charge, turningPoint, drop }: Score) => [
  name,
  ...cells(charge),
  ...without(turningPoint, 2),
  ...cells(drop),
];

function printAccuracy(recordings: readonly Recording[], detector: Detector): void {
  const rows = STRESSES.map((stress) =>
    row(
      stress.name,
      score(recordings, detector, ({ name, samples }) => stressed(stress, name, samples)),
    ),
  );
  printTable([...HEAD, ...DROP_HEAD], rows);
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
    const { samples, chargeMs, dropMs } = synthesize(randomPlan(random), random);
    return {
      name: `made up ${index}`,
      samples,
      charge: chargeMs,
      drop: dropMs,
      turningPoint: null,
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
      [...HEAD, ...DROP_HEAD],
      [
        row('all, as recorded', native(all)),
        row('chosen on', native(chosen)),
        row('held out', native(heldOut)),
      ],
    );
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
    [...HEAD.slice(0, 5), ...DROP_HEAD],
    [
      ['ours', ours],
      ['six readings', sixReadings],
    ].map(([name, detector]) => {
      const { charge, drop } = score(roasts, detector as Detector, samples);
      return [name as string, ...cells(charge), ...cells(drop)];
    }),
  );
}

main();
