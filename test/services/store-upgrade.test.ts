import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { Access } from '../../lib/access/access.js';
import { newDatabase } from '../support/database.js';
import { assertKept, FOLDER, type Frozen, readAll, VERSIONS } from '../support/released-schema.js';
import { copyRows, countRows, makeReleased, serverOutline } from '../support/server-schema.js';
import { serviceUrl } from '../support/services.js';
import { cleanUp, later, opened, temporaryFolder } from '../support/store.js';

for (const [dialect, variable] of [
  ['mysql', 'TEST_MYSQL_URL'],
  ['postgres', 'TEST_POSTGRES_URL'],
] as const) {
  for (const version of VERSIONS) {
    describe(`a database of version ${version} on ${dialect}`, function () {
      this.timeout(60_000);
      const frozen = JSON.parse(readFileSync(join(FOLDER, `${version}.json`), 'utf8')) as Frozen;
      const tables = Object.keys(frozen.counts).filter((name) => !name.startsWith('schema_migration'));
      afterEach(cleanUp);

      async function released(): Promise<string> {
        const { url, drop } = await newDatabase(serviceUrl(variable));
        later(drop);
        await makeReleased(url, frozen.migrations);
        return url;
      }

      it('is what its migrations still make: none that was released has changed', async () => {
        const then = JSON.parse(await readFile(join(FOLDER, `${version}.${dialect}.json`), 'utf8'));
        assert.deepEqual(await serverOutline(await released()), then);
      });

      it('opens with this version, which reads every row as it was and takes new ones', async () => {
        const url = await released();
        const file = join(await temporaryFolder(), 'fieldloom.db');
        await writeFile(file, gunzipSync(await readFile(join(FOLDER, `${version}.db.gz`))));
        await copyRows(file, url, tables);
        const store = await opened(url);
        assertKept(await readAll(store), frozen.rows, '');
        const counts = await countRows(url, tables);
        for (const table of tables) assert.equal(counts[table], frozen.counts[table], table);
        const access = await Access.open(store);
        try {
          const { username } = await access.addClient({ role: 'service' });
          const logins = await access.listClients();
          assert.ok(logins.some(({ principal }) => principal.username === username));
        } finally {
          access.close();
        }
      });
    });
  }
}
