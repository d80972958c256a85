import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openStore } from '../../lib/store/open.js';
import { roastProfiles } from '../../lib/store/roast-profiles.js';
import { runScript } from '../support/run-script.js';

const COMMAND = join(__dirname, '../../bin/fieldloom.js');
const FIXTURES = join(__dirname, '../../../test/fixtures/roasts');

describe('fieldloom roast import', function () {
  this.timeout(60_000);
  let directory: string;
  const run = (...words: string[]) => runScript(COMMAND, words, { FIELDLOOM_DIR: join(directory, 'data') });
  const saved = async () => {
    const store = await openStore(`sqlite:${join(directory, 'data', 'fieldloom.db')}`);
    try {
      return (await roastProfiles(store).page()).items;
    } finally {
      await store.close();
    }
  };

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'fieldloom-cli-'));
  });
  afterEach(() => rm(directory, { recursive: true, force: true }));

  it('saves Artisan, JSON and CSV profiles, and prints their ids', async () => {
    const csv = join(directory, 'sample.csv');
    await writeFile(csv, 'time,bt,et\n0,200,210\n1,199,210\n2,198,209\n');
    const files = [
      join(FIXTURES, 'alog/jacciz-21-03-30_1611_DR_natural.alog'),
      join(FIXTURES, 'syamaner__session-2.json'),
      csv,
    ];
    const { code, out } = await run('--json', 'roast', 'import', ...files);
    assert.equal(code, 0, out);
    const { imported } = JSON.parse(out) as { imported: { id: string; name: string; file: string }[] };
    assert.deepEqual(
      imported.map(({ file }) => file),
      files,
    );
    assert.deepEqual(
      (await saved()).map(({ id }) => id).toReversed(),
      imported.map(({ id }) => id),
    );
    assert.equal(imported[2]?.name, 'sample', 'named after its file where it has no title');
  });

  it('saves none where one cannot be read, and names it', async () => {
    const bad = join(directory, 'bad.json');
    await writeFile(bad, '{"format":"fieldloom-roast","version":1,"samples":[]}');
    const good = join(FIXTURES, 'syamaner__session-2.json');
    const { code, problem } = await run('roast', 'import', good, bad);
    assert.equal(code, 2);
    assert.match(problem, /bad\.json: profile has no samples/);
    const { code: missing, problem: text } = await run('roast', 'import', join(directory, 'none.alog'));
    assert.equal(missing, 1);
    assert.match(text, /none\.alog/);
  });
});
