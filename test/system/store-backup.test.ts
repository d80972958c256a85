import assert from 'node:assert/strict';
import { readdir, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { backup, restore } from '../../lib/store/backup.js';
import { prepare, upsert } from '../../lib/store/prepared.js';
import { RESTORED, watchRestored } from '../../lib/store/settings.js';
import { fakeClock } from '../support/fake-clock.js';
import {
  cleanUp,
  later,
  opened,
  settingInsert,
  settings,
  temporaryFolder,
  temporaryUrl,
} from '../support/store.js';
import { startStoreProcess } from '../support/store-process.js';

describe('backup of the embedded database', () => {
  afterEach(cleanUp);

  it('is a consistent moment while units are written', async () => {
    const store = await opened();
    const set = prepare<{ name: string; value: string }>(store.db, (value) =>
      upsert(store, 'setting', { name: value('name'), value: value('value') }, ['name']),
    );
    let writing = true;
    let last = 0;
    const writer = (async () => {
      while (writing) {
        last += 1;
        await store.commit(['a', 'b'].map((name) => set({ name, value: String(last) })));
      }
    })();
    const folder = await temporaryFolder();
    const before = last;
    for (let copy = 0; copy < 3; copy += 1) await store.backup(join(folder, `copy${copy}.db`));
    writing = false;
    await writer;
    assert.ok(last > before + 3, 'writing went on meanwhile');
    for (let copy = 0; copy < 3; copy += 1) {
      const { a, b } = await settings(await opened(`sqlite:${join(folder, `copy${copy}.db`)}`));
      assert.equal(a, b);
    }
  });

  it('is readable by its user alone, replaces an older one, and leaves nothing beside it', async () => {
    const store = await opened();
    const folder = await temporaryFolder();
    const file = join(folder, 'copy.db');
    await writeFile(file, 'an older one');
    await store.backup(file);
    assert.equal((await stat(file)).mode & 0o777, 0o600);
    assert.deepEqual(await readdir(folder), ['copy.db']);
  });

  it('to a place that cannot be written fails and says where', async () => {
    const store = await opened();
    const file = join(await temporaryFolder(), 'nowhere', 'copy.db');
    await assert.rejects(store.backup(file), { code: 'backup_failed', message: /nowhere/ });
  });
});

describe('restore of the embedded database', () => {
  afterEach(cleanUp);

  it('is seen by a process that holds the database open, and by one that writes meanwhile', async () => {
    const url = await temporaryUrl();
    const file = join(await temporaryFolder(), 'copy.db');
    const other = startStoreProcess(url);
    await other.ask('open');
    await other.ask('write', 'kept', 'yes');
    await backup(file, url);
    await other.ask('write', 'kept', 'changed');
    await other.ask('write', 'later', 'gone');

    const store = await opened(url);
    const insert = settingInsert(store);
    let writing = true;
    const names: string[] = [];
    const writer = (async () => {
      while (writing) {
        names.push(`n${names.length}`);
        await store.commit([insert(names.at(-1) as string)]);
      }
    })();
    await restore(file, url);
    writing = false;
    await writer;

    const { [RESTORED]: mark, ...found } = (await other.ask('read')) as Record<string, string>;
    assert.ok(mark);
    const { kept, ...rest } = found;
    assert.equal(kept, 'yes');
    // What was written before the restore is gone, what came after it is there, and nothing in between is missing.
    const left = Object.keys(rest);
    assert.ok(!left.includes('later'));
    assert.deepEqual([...left].sort(), names.slice(names.length - left.length).sort());
    await other.ask('write', 'after', 'works');
    assert.equal((await settings(store))['after'], 'works');
    assert.deepEqual(
      (await readdir(dirname(url.slice('sqlite:'.length)))).filter((name) => name.includes('restore')),
      [],
    );
  });

  it('into an empty folder makes the database', async () => {
    const store = await opened();
    await store.commit([settingInsert(store)('kept')]);
    const file = join(await temporaryFolder(), 'copy.db');
    await store.backup(file);
    const url = await temporaryUrl();
    await restore(file, url);
    assert.ok('kept' in (await settings(await opened(url))));
  });

  it('refuses what is no backup, one of a newer version and a damaged one, and changes nothing', async () => {
    const url = await temporaryUrl();
    const store = await opened(url);
    await store.commit([settingInsert(store)('kept')]);
    const folder = await temporaryFolder();

    const text = join(folder, 'text.db');
    await writeFile(text, 'no database'.repeat(200));
    const empty = join(folder, 'empty.db');
    await writeFile(empty, '');
    const damaged = join(folder, 'damaged.db');
    await store.backup(damaged);
    const bytes = Buffer.alloc(40_000, 0x5a);
    await writeFile(damaged, bytes, { flag: 'r+' });
    for (const file of [text, empty, damaged, join(folder, 'missing.db')]) {
      await assert.rejects(restore(file, url), { code: 'backup_failed' }, file);
    }

    const newer = join(folder, 'newer.db');
    await store.backup(newer);
    const changed = await opened(`sqlite:${newer}`);
    await changed.db
      .insertInto('schema_migration' as 'setting')
      .values({ name: '9999-from-the-future', timestamp: '' } as never)
      .execute();
    await changed.close();
    await assert.rejects(restore(newer, url), { code: 'migration_failed', message: /newer version/ });
    assert.deepEqual(await settings(store), { kept: '' });
  });

  it('tells those who watch, once', async () => {
    const url = await temporaryUrl();
    const store = await opened(url);
    const file = join(await temporaryFolder(), 'copy.db');
    await store.backup(file);
    const clock = fakeClock();
    let told = 0;
    let tell: () => void = () => {};
    const restored = new Promise<void>((fulfil) => {
      tell = fulfil;
    });
    const end = await watchRestored(
      store,
      () => {
        told += 1;
        tell();
      },
      { clock },
    );
    later(async () => end());
    await restore(file, url);
    clock.advance(1_000);
    await restored;
    // A read of ours comes back after the watch's own: by then it has looked again.
    for (let look = 0; look < 3; look += 1) {
      await settings(store);
      clock.advance(1_000);
    }
    await settings(store);
    assert.equal(told, 1);
  });

  it('of a database server is refused with the name of the setting', async () => {
    await assert.rejects(restore('copy.db', 'mysql://host/db'), {
      code: 'invalid_setting',
      message: /DATABASE_URL/,
    });
  });
});
