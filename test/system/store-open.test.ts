import assert from 'node:assert/strict';
import { stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { sql } from 'kysely';
import { MIGRATIONS } from '../../lib/store/migrations/index.js';
import { openStore } from '../../lib/store/open.js';
import { freePort } from '../support/ports.js';
import { cleanUp, opened, temporaryFolder, temporaryUrl } from '../support/store.js';
import { startStoreProcess } from '../support/store-process.js';

describe('opening a store', () => {
  afterEach(cleanUp);

  it('makes the file, with its folder, for its user alone', async () => {
    const file = join(await temporaryFolder(), 'new', 'folder', 'fieldloom.db');
    await opened(`sqlite:${file}`);
    assert.equal((await stat(file)).mode & 0o777, 0o600);
  });

  it('has each commit on the disk before it is fulfilled, and readers beside the writer', async () => {
    const store = await opened();
    // `pragma` goes to the writing connection.
    const pragma = async (name: string) => {
      const { rows } = await sql<Record<string, unknown>>`pragma ${sql.raw(name)}`.execute(store.db);
      return rows[0]?.[name];
    };
    assert.equal(await pragma('synchronous'), 2);
    assert.equal(await pragma('journal_mode'), 'wal');
  });

  it('by several at once, in this process and others, runs each migration once', async () => {
    const url = await temporaryUrl();
    const others = [startStoreProcess(url), startStoreProcess(url)];
    await Promise.all([
      opened(url),
      opened(url),
      opened(url),
      opened(url),
      ...others.map((other) => other.ask('open')),
    ]);
    const store = await opened(url);
    const tables = await store.db.introspection.getTables();
    assert.ok(tables.some(({ name }) => name === 'laundry_state_change'));
    await Promise.all(others.map((other, index) => other.ask('write', `process${index}`, 'here')));
    const rows = await store.db
      .selectFrom('schema_migration' as 'setting')
      .select('name')
      .execute();
    assert.deepEqual(
      rows.map(({ name }) => name),
      Object.keys(MIGRATIONS),
    );
  });

  it('refuses a database that a newer version has written, and says so', async () => {
    const url = await temporaryUrl();
    const store = await opened(url);
    await store.db
      .insertInto('schema_migration' as 'setting')
      .values({ name: '9999-from-the-future', timestamp: '' } as never)
      .execute();
    await store.close();
    await assert.rejects(openStore(url), {
      code: 'migration_failed',
      message: /newer version.*9999-from-the-future/,
    });
  });

  it('refuses what is no database, and leaves it as it is', async () => {
    const file = join(await temporaryFolder(), 'notes.txt');
    await writeFile(file, 'only text, but long enough to be looked at as if it were a database'.repeat(20));
    await assert.rejects(openStore(`sqlite:${file}`), { code: 'store_unavailable' });
    assert.equal((await stat(file)).size, 67 * 20);
  });

  it('refuses a URL that it does not know, names the setting and repeats no password', async () => {
    for (const url of ['mysql://root:secret@host', 'postgres://', 'redis://x:secret@y', '']) {
      await assert.rejects(openStore(url), (error: Error & { code: string }) => {
        assert.equal(error.code, 'invalid_setting');
        assert.match(error.message, /DATABASE_URL.*accepted is/);
        assert.doesNotMatch(error.message, /secret/);
        return true;
      });
    }
    await assert.rejects(openStore('sqlite::memory:'), { code: 'invalid_setting' });
  });

  it('says of a server that is not there that the database cannot be used, and no password', async () => {
    const port = await freePort();
    for (const scheme of ['mysql', 'postgres']) {
      const opening = openStore(`${scheme}://root:secret@127.0.0.1:${port}/db`);
      await assert.rejects(opening, (error: Error & { code: string }) => {
        assert.equal(error.code, 'store_unavailable');
        assert.match(error.message, /ECONNREFUSED/);
        assert.doesNotMatch(error.message, /secret/);
        return true;
      });
    }
  });
});
