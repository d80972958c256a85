import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { loadRecordings, type Recording, recordingsFolder } from '../../bench/roast/recordings.js';
import { type Accuracy, ours, score } from '../../bench/roast/score.js';
import { NATIVE, STRESSES, stressed } from '../../bench/roast/stress.js';
import type { Profile } from '../../lib/roast/profile.js';
import { formatProfile, parseProfile } from '../../lib/roast/profile-codec.js';

const OWN = join(__dirname, '../../../test/fixtures/roasts');

const filesIn = (folder: string) =>
  readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => /\.(json|alog)$/.test(name))
    .map((name) => join(folder, name));

/** What of a profile must be there for it to be a roast. */
function checkImport(file: string): void {
  const profile: Profile = parseProfile(readFileSync(file));
  assert.ok(profile.samples.length >= 50, file);
  for (const { bt, et } of profile.samples) {
    for (const celsius of [bt, et]) assert.ok(celsius === null || (celsius > -40 && celsius < 600), file);
  }
}

/** Exported and imported again it is the same, as far as the format can hold it. */
function checkRoundTrip(file: string): void {
  const profile = parseProfile(readFileSync(file));
  const again = (format: 'alog' | 'json' | 'csv') =>
    parseProfile(Buffer.from(formatProfile(profile, format)));
  // A missing value is null here and left out there.
  const plain = (value: unknown) => JSON.parse(JSON.stringify(value)) as object;
  assert.deepEqual(plain(again('json')), plain(profile), file);
  const near = (a: number | null | undefined, b: number | null | undefined) =>
    a === b || (typeof a === 'number' && typeof b === 'number' && Math.abs(a - b) < 1e-6);
  for (const format of ['alog', 'csv'] as const) {
    const { samples, events } = again(format);
    assert.equal(samples.length, profile.samples.length, `${file}, ${format}`);
    samples.forEach(({ timeMs, bt, et }, index) => {
      const before = profile.samples[index];
      assert.ok(near(bt, before?.bt) && near(et, before?.et), `${file}, ${format}: sample ${index}`);
      if (format === 'alog') assert.ok(near(timeMs, before?.timeMs), `${file}: time of sample ${index}`);
    });
    assert.deepEqual(
      events.map(({ type }) => type).sort(),
      profile.events.map(({ type }) => type).sort(),
      `${file}, ${format}`,
    );
  }
}

describe('real roasts that the project carries', () => {
  it('are imported, all of them', () => {
    const files = filesIn(OWN);
    assert.equal(files.length, 6);
    files.forEach(checkImport);
  });

  it('are the same after export and import', () => {
    filesIn(OWN).forEach(checkRoundTrip);
  });

  it('have their CHARGE, TP and DROP found, as they are and worse', () => {
    const recordings = loadRecordings(OWN);
    for (const stress of STRESSES) {
      const { charge, turningPoint, drop } = score(recordings, ours, ({ name, samples }) =>
        stressed(stress, name, samples),
      );
      assert.deepEqual([charge.count, drop.count], [3, 3]);
      assert.deepEqual([charge.within, charge.missed], [1, 0], stress.name);
      assert.deepEqual([drop.within, drop.missed], [1, 0], stress.name);
      if (stress === NATIVE) assert.deepEqual([turningPoint.count, turningPoint.within], [2, 1]);
    }
  });
});

describe('all recordings, where they are', function () {
  this.timeout(120_000);
  let folder: string;
  let recordings: Recording[];
  before(function () {
    const found = recordingsFolder();
    // Where the folder is named it must be there; beside a checkout it may be missing.
    assert.ok(found !== undefined || process.env['ROASTS'] === undefined, 'ROASTS names no folder');
    if (found === undefined) return this.skip();
    folder = found;
    recordings = loadRecordings(folder);
  });

  it('are imported, .alog and JSON', () => {
    const files = filesIn(folder);
    assert.ok(files.length >= 86, String(files.length));
    files.forEach(checkImport);
  });

  it('are the same after export and import', () => {
    filesIn(folder).forEach(checkRoundTrip);
  });

  const good = (accuracy: Accuracy, within: number, where: string) => {
    assert.ok(accuracy.within >= within, `${where}: ${accuracy.within} within`);
    assert.ok(accuracy.missed <= 0.01, `${where}: ${accuracy.missed} missed`);
  };

  it('are detected as well as is promised', () => {
    const { charge, turningPoint, drop } = score(recordings, ours, ({ samples }) => samples);
    good(charge, 0.97, 'CHARGE');
    good(turningPoint, 0.98, 'TP');
    good(drop, 0.95, 'DROP');
    assert.ok(charge.early <= 0.02 && drop.early <= 0.02);
    assert.ok(turningPoint.knownAfterS <= 12 && drop.knownAfterS <= 12);
  });

  it('are detected as well resampled, with dropouts, spikes, noise and steps', () => {
    for (const stress of STRESSES) {
      const { charge, drop } = score(recordings, ours, ({ name, samples }) =>
        stressed(stress, name, samples),
      );
      good(charge, 0.97, `CHARGE, ${stress.name}`);
      good(drop, 0.95, `DROP, ${stress.name}`);
    }
  });
});
