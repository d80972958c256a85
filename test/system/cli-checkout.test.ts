import assert from 'node:assert/strict';
import { copyFile, mkdir, mkdtemp, readFile, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runScript } from '../support/run-script.js';

const ROOT = join(__dirname, '../../..');

describe('the fieldloom command of a checkout', function () {
  this.timeout(60_000);
  let directory: string;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'fieldloom-checkout-'));
  });
  afterEach(() => rm(directory, { recursive: true, force: true }));

  /** A checkout whose build is `build`. */
  async function checkout(build: string): Promise<string> {
    const root = join(directory, 'checkout');
    await mkdir(join(root, 'bin'), { recursive: true });
    for (const name of ['ensure-built.mjs', 'fieldloom.mjs']) {
      await copyFile(join(ROOT, 'bin', name), join(root, 'bin', name));
    }
    await writeFile(join(root, 'package.json'), '{}');
    await writeFile(join(root, 'bin/build.mjs'), build);
    return root;
  }
  /** Takes no time, notes each run, and writes a command that says hello. */
  const BUILD = `import { appendFileSync, mkdirSync, writeFileSync } from 'node:fs';
    appendFileSync('builds', 'x');
    console.log('noise');
    mkdirSync('dist/bin', { recursive: true });
    writeFileSync('dist/bin/fieldloom.js', "process.stdout.write('hello')");`;

  const runIn = (root: string) => runScript(join(root, 'bin/fieldloom.mjs'), []);
  const builds = async (root: string) => (await readFile(join(root, 'builds'), 'utf8')).length;

  it('builds what is not built, once for all that start at once, and keeps standard output clean', async () => {
    const root = await checkout(BUILD);
    const results = await Promise.all([runIn(root), runIn(root), runIn(root)]);
    for (const { code, out } of results) assert.deepEqual([code, out], [0, 'hello']);
    assert.equal(await builds(root), 1);
    assert.equal((await runIn(root)).out, 'hello');
    assert.equal(await builds(root), 1);
  });

  it('builds again what is older than its sources', async () => {
    const root = await checkout(BUILD);
    await runIn(root);
    const later = new Date(Date.now() + 1_000);
    await utimes(join(root, 'package.json'), later, later);
    assert.equal((await runIn(root)).out, 'hello');
    assert.equal(await builds(root), 2);
  });

  it('says so where the build fails, and tries again the next time', async () => {
    const root = await checkout('process.exit(3)');
    for (let time = 0; time < 2; time += 1) {
      const { code, out, problem } = await runIn(root);
      assert.deepEqual([code, out], [1, '']);
      assert.match(problem, /the build failed/);
    }
  });

  it('takes over from a build that was killed, and trusts nothing of it', async () => {
    const root = await checkout(BUILD);
    await runIn(root);
    await writeFile(join(root, '.building'), '999999999');
    assert.equal((await runIn(root)).out, 'hello');
    assert.equal(await builds(root), 2);
  });

  it('runs by a link, as an installed command does', async () => {
    const link = join(directory, 'fieldloom');
    await symlink(join(ROOT, 'dist/bin/fieldloom.js'), link);
    const { out } = await runScript(link, ['--json', 'access', 'list'], { FIELDLOOM_DIR: directory });
    assert.deepEqual(JSON.parse(out), []);
  });
});
