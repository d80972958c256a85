import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { secret } from '../../lib/access/secrets.js';

const run = promisify(execFile);

describe('a secret', () => {
  let directory: string;
  beforeEach(async () => {
    directory = join(await mkdtemp(join(tmpdir(), 'fieldloom-secret-')), 'new');
  });
  afterEach(() => rm(join(directory, '..'), { recursive: true, force: true }));

  it('is made at first use and the same from then on', async () => {
    const made = await secret(directory, 'jwt-secret');
    assert.equal(Buffer.from(made, 'base64url').length, 32);
    assert.equal(await secret(directory, 'jwt-secret'), made);
    assert.notEqual(await secret(directory, 'other'), made);
  });

  it('is its owner’s alone to read', async () => {
    await secret(directory, 'jwt-secret');
    assert.equal((await stat(join(directory, 'jwt-secret'))).mode & 0o777, 0o600);
    assert.equal((await stat(directory)).mode & 0o777, 0o700);
  });

  it('is one for all who make it at once, and leaves nothing beside it', async () => {
    const made = await Promise.all(Array.from({ length: 50 }, () => secret(directory, 'jwt-secret')));
    assert.equal(new Set(made).size, 1);
    assert.deepEqual(await readdir(directory), ['jwt-secret']);
  });

  it('is one for all processes that make it at once', async () => {
    const module = join(__dirname, '../../lib/access/secrets.js');
    const script = `require(${JSON.stringify(module)}).secret(process.argv[1], 'jwt-secret').then(s => process.stdout.write(s))`;
    const made = await Promise.all(
      Array.from({ length: 4 }, async () => (await run(process.execPath, ['-e', script, directory])).stdout),
    );
    assert.equal(new Set(made).size, 1);
    assert.equal(made[0]?.length, 43);
  });

  it('that is too short or empty is refused, with the file', async () => {
    await secret(directory, 'other');
    for (const text of ['', 'short\n']) {
      await writeFile(join(directory, 'jwt-secret'), text);
      await assert.rejects(secret(directory, 'jwt-secret'), {
        code: 'invalid_setting',
        message: /jwt-secret/,
      });
    }
  });
});
