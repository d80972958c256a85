import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { Kysely } from 'kysely';
import { Access } from '../../lib/access/access.js';
import { columnTypes } from '../../lib/store/migrations/column-types.js';
import { MIGRATIONS } from '../../lib/store/migrations/index.js';
import { SqliteDriver } from '../../lib/store/sqlite/driver.js';
import {
  assertKept,
  FOLDER,
  type Frozen,
  outline,
  readAll,
  schemaOf,
  VERSIONS,
} from '../support/released-schema.js';
import { cleanUp, opened, temporaryFolder } from '../support/store.js';

const NAMES = Object.keys(MIGRATIONS);
const SOURCES = 'lib/store/migrations';

describe('migrations', () => {
  it('are numbered one after another, each in a file of its name', () => {
    assert.deepEqual(
      NAMES.map((name) => Number(name.slice(0, 4))),
      NAMES.map((_name, index) => index + 1),
    );
    const files = readdirSync(SOURCES).filter((name) => /^\d/.test(name));
    assert.deepEqual(
      files.map((name) => name.replace('.ts', '')),
      NAMES,
    );
  });
});

for (const version of VERSIONS) {
  describe(`a database of version ${version}`, () => {
    const frozen = JSON.parse(readFileSync(join(FOLDER, `${version}.json`), 'utf8')) as Frozen;
    afterEach(cleanUp);

    async function copy(): Promise<string> {
      const file = join(await temporaryFolder(), 'fieldloom.db');
      await writeFile(file, gunzipSync(await readFile(join(FOLDER, `${version}.db.gz`))));
      return file;
    }

    it('has rows of every protocol, so that the tests below see something', async () => {
      const empty = Object.entries(frozen.counts).filter(([, count]) => count === 0);
      const filled = Object.entries(frozen.counts).filter(([, count]) => count > 0);
      for (const part of ['laundry', 'device', 'pond', 'firmware', 'solar', 'roast', 'mqtt', 'access']) {
        assert.ok(
          filled.some(([table]) => table.includes(part)),
          `rows of ${part}; empty are ${empty.map(([table]) => table)}`,
        );
      }
      assert.deepEqual(outline(await copy()).counts, frozen.counts);
    });

    it('opens with this version, which reads every row as it was', async () => {
      const file = await copy();
      const store = await opened(`sqlite:${file}`);
      assertKept(await readAll(store), frozen.rows, '');
      await store.close();
      const now = outline(file);
      assert.deepEqual(now.migrations, NAMES);
      const { schema_migration: _done, ...counts } = frozen.counts;
      for (const [table, count] of Object.entries(counts)) assert.equal(now.counts[table], count, table);
    });

    it('takes new rows after that', async () => {
      const file = await copy();
      const store = await opened(`sqlite:${file}`);
      const access = await Access.open(store);
      try {
        const login = await access.addClient({ role: 'service' });
        assert.ok(
          (await access.listClients()).some(({ principal }) => principal.username === login.username),
        );
      } finally {
        access.close();
      }
    });

    it('is what its migrations still make: none that was released has changed', async () => {
      assert.deepEqual(NAMES.slice(0, frozen.migrations.length), frozen.migrations);
      const file = join(await temporaryFolder(), 'fieldloom.db');
      const driver = await SqliteDriver.open(file);
      const db = new Kysely<never>({ dialect: driver.dialect });
      try {
        for (const name of frozen.migrations) await MIGRATIONS[name]?.(db, columnTypes('sqlite'), 'sqlite');
      } finally {
        await driver.close();
      }
      const ours = (schema: readonly string[]) => schema.filter((sql) => !sql.includes('schema_migration'));
      assert.deepEqual(ours(schemaOf(file)), ours(frozen.schema));
    });
  });
}
