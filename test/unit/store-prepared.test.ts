import assert from 'node:assert/strict';
import {
  DummyDriver,
  Kysely,
  MysqlAdapter,
  MysqlIntrospector,
  MysqlQueryCompiler,
  PostgresAdapter,
  PostgresIntrospector,
  PostgresQueryCompiler,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
} from 'kysely';
import { columnTypes } from '../../lib/store/migrations/column-types.js';
import { MIGRATIONS } from '../../lib/store/migrations/index.js';
import { insertOnce, placeholders, prepare, upsert } from '../../lib/store/prepared.js';
import type { Store } from '../../lib/store/store.js';
import type { Tables } from '../../lib/store/tables.js';

const parts = {
  sqlite: [SqliteAdapter, SqliteIntrospector, SqliteQueryCompiler],
  mysql: [MysqlAdapter, MysqlIntrospector, MysqlQueryCompiler],
  postgres: [PostgresAdapter, PostgresIntrospector, PostgresQueryCompiler],
} as const;

/** Kysely of a dialect with no database behind it: what it would send is kept. */
function compiling(dialect: Store['dialect']): {
  db: Kysely<Tables>;
  dialect: Store['dialect'];
  sent: string[];
} {
  const [Adapter, Introspector, Compiler] = parts[dialect];
  const sent: string[] = [];
  const db = new Kysely<Tables>({
    dialect: {
      createAdapter: () => new Adapter(),
      createDriver: () => new DummyDriver(),
      createIntrospector: (of) => new Introspector(of),
      createQueryCompiler: () => new Compiler(),
    },
    log: (event) => {
      sent.push(event.query.sql);
    },
  });
  return { db, dialect, sent };
}

describe('prepared statements', () => {
  it('put values where their names stand, and keep constants', () => {
    const { db } = compiling('sqlite');
    const update = prepare<{ id: string; value: string }>(db, (value, on) =>
      on
        .updateTable('setting')
        .set({ value: value('value') })
        .where('name', '=', value('id'))
        .where('value', '!=', 'fixed'),
    );
    const first = update({ id: 'a', value: 'b' });
    const second = update({ value: 'd', id: 'c' });
    assert.deepEqual(first.parameters, ['b', 'a', 'fixed']);
    assert.deepEqual(second.parameters, ['d', 'c', 'fixed']);
    assert.equal(first.sql, second.sql);
  });

  it('carry the number of rows they must change', () => {
    const { db } = compiling('sqlite');
    const guarded = prepare<{ id: string }>(
      db,
      (value, on) => on.deleteFrom('outbox').where('id', '=', value('id')),
      {
        affects: 1,
      },
    );
    assert.equal(guarded({ id: 'a' }).affects, 1);
  });

  const row = (value: (name: never) => never) => placeholders<'setting'>(value, ['name', 'value']);

  it('upsert in the words of each dialect', () => {
    const sqlOf = (dialect: Store['dialect']) => {
      const database = compiling(dialect);
      const { sql, parameters } = prepare<{ name: string; value: string }>(database.db, (value) =>
        upsert(database, 'setting', row(value), ['name']),
      )({ name: 'n', value: 'v' });
      return { sql, parameters };
    };
    assert.deepEqual(sqlOf('sqlite'), {
      sql: 'insert into "setting" ("name", "value") values (?, ?) on conflict ("name") do update set "value" = "excluded"."value"',
      parameters: ['n', 'v'],
    });
    assert.deepEqual(sqlOf('postgres'), {
      sql: 'insert into "setting" ("name", "value") values ($1, $2) on conflict ("name") do update set "value" = "excluded"."value"',
      parameters: ['n', 'v'],
    });
    assert.deepEqual(sqlOf('mysql'), {
      sql: 'insert into `setting` (`name`, `value`) values (?, ?) on duplicate key update `value` = values(`value`)',
      parameters: ['n', 'v'],
    });
  });

  it('insert once in the words of each dialect', () => {
    const sqlOf = (dialect: Store['dialect']) => {
      const database = compiling(dialect);
      return insertOnce(database, 'setting', { name: 'n', value: 'v' }, ['name']).compile().sql;
    };
    assert.match(sqlOf('sqlite'), /on conflict \("name"\) do nothing$/);
    assert.match(sqlOf('postgres'), /on conflict \("name"\) do nothing$/);
    assert.match(sqlOf('mysql'), /on duplicate key update `name` = `name`$/);
  });
});

describe('migrations', () => {
  it('give bytes and byte-wise keys their name in each dialect', async () => {
    const created = async (dialect: Store['dialect']) => {
      const { db, sent } = compiling(dialect);
      for (const up of Object.values(MIGRATIONS)) {
        await up(db as unknown as Kysely<never>, columnTypes(dialect), dialect);
      }
      return sent.find((text) => text.includes('create table') && text.includes('mqtt_retained')) ?? '';
    };
    assert.match(await created('sqlite'), /"payload" blob not null/);
    assert.match(await created('postgres'), /"payload" bytea not null/);
    assert.match(await created('mysql'), /`payload` longblob not null.*collate utf8mb4_bin$/);
  });
});
