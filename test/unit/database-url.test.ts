import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { databaseUrl, fieldloomDirectory } from '../../bin/database-url.js';

describe('the address of the database', () => {
  it('is a file in FIELDLOOM_DIR where nothing else is said', () => {
    assert.equal(databaseUrl({}), `sqlite:${resolve('.fieldloom/fieldloom.db')}`);
    assert.equal(databaseUrl({ FIELDLOOM_DIR: '/srv/x', DATABASE_URL: ' ' }), 'sqlite:/srv/x/fieldloom.db');
    assert.equal(fieldloomDirectory({ FIELDLOOM_DIR: '' }), resolve('.fieldloom'));
  });

  it('is a file of the current directory where that is the user directory of a Node-RED with this package', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'fieldloom-user-'));
    try {
      assert.equal(fieldloomDirectory({}, directory), join(directory, '.fieldloom'));
      const installed = join(directory, 'node_modules/@fieldloom/node-red-fieldloom');
      await mkdir(installed, { recursive: true });
      await writeFile(join(installed, 'package.json'), '{}');
      assert.equal(fieldloomDirectory({}, directory), directory);
      assert.equal(fieldloomDirectory({ FIELDLOOM_DIR: 'x' }, directory), join(directory, 'x'));
    } finally {
      await rm(directory, { recursive: true });
    }
  });

  it('is DATABASE_URL as it stands', () => {
    for (const url of [
      'sqlite:here.db',
      'mysql://u:p@h/d',
      'mariadb://h/d',
      'postgres://u@h:5/d',
      'postgresql://h/d',
    ]) {
      assert.equal(databaseUrl({ DATABASE_URL: url }), url);
    }
  });

  it('is refused where it is of no kind we know, and no password is repeated', () => {
    for (const url of [
      'x',
      'sqlite:',
      'http://h/d',
      'mysql:',
      'oracle://u:hunter2@h/d',
      'redis://u:hun@ter2@h',
    ]) {
      assert.throws(
        () => databaseUrl({ DATABASE_URL: url }),
        (error: Error & { code: string }) => {
          assert.equal(error.code, 'invalid_setting');
          assert.match(error.message, /^DATABASE_URL=.*: accepted is sqlite:<file>, mysql:/);
          assert.ok(!/hun|ter2/.test(error.message), error.message);
          return true;
        },
      );
    }
  });
});
