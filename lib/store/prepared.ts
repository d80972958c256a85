import { type Compilable, type Insertable, type Kysely, sql } from 'kysely';
import type { SqlValue, Statement, Store } from './store.js';
import type { Tables } from './tables.js';

/** A statement with its values. A class, since it waits for its commit: as ArrivedMessage (core/link.ts). */
export class PreparedStatement implements Statement {
  readonly affects?: number;

  constructor(
    readonly sql: string,
    readonly parameters: readonly SqlValue[],
    affects?: number,
  ) {
    if (affects !== undefined) this.affects = affects;
  }
}

/** Stands in a query for a value that comes later. */
class Placeholder {
  constructor(readonly name: string) {}
}

/** Names a value that is given when the statement is made. It fits any column. */
export type Value<V> = (name: keyof V & string) => never;

export interface PrepareOptions {
  /** As in Statement. */
  affects?: number;
}

/**
 * Compiles a query once, for whichever dialect `db` speaks, and answers a function that makes the statement from
 * its values: cheap enough for every message.
 * @example
 * const insert = prepare<{ name: string; value: string }>(store.db, (value, db) =>
 *   db.insertInto('setting').values({ name: value('name'), value: value('value') }));
 * await store.commit([insert({ name: 'a', value: 'b' })]);
 */
export function prepare<V extends { [K in keyof V]: SqlValue }>(
  db: Kysely<Tables>,
  build: (value: Value<V>, db: Kysely<Tables>) => Compilable,
  { affects }: PrepareOptions = {},
): (values: V) => Statement {
  const value = (name: string) => new Placeholder(name) as never;
  const { sql, parameters } = build(value, db).compile();
  const names = parameters.map((parameter) =>
    parameter instanceof Placeholder ? parameter.name : undefined,
  );
  return (values) => {
    const given = values as Record<string, SqlValue>;
    const filled = parameters.slice() as SqlValue[];
    for (let index = 0; index < filled.length; index += 1) {
      const name = names[index];
      if (name !== undefined) filled[index] = given[name] as SqlValue;
    }
    return new PreparedStatement(sql, filled, affects);
  };
}

type Database = Pick<Store, 'db' | 'dialect'>;

/** A row of placeholders, each named as its column, for a prepared insert. */
export function placeholders<T extends keyof Tables>(
  value: (name: never) => never,
  columns: readonly (keyof Tables[T] & string)[],
): Insertable<Tables[T]> {
  return Object.fromEntries(columns.map((column) => [column, value(column as never)])) as never;
}

/**
 * Inserts the row, or sets all its columns in the row that has the same key. Do not guard it with `affects`: MySQL
 * counts a changed row twice.
 * @param key the columns of the primary key
 */
export function upsert<T extends keyof Tables>(
  { db, dialect }: Database,
  table: T,
  row: Insertable<Tables[T]>,
  key: readonly (keyof Tables[T] & string)[],
): Compilable {
  const others = Object.keys(row).filter((column) => !key.includes(column as never));
  const insert = untyped(db).insertInto(table).values(row);
  const set = (incoming: (column: string) => unknown) =>
    Object.fromEntries(others.map((column) => [column, incoming(column)])) as never;
  if (dialect === 'mysql') {
    return insert.onDuplicateKeyUpdate(set((column) => sql`values(${sql.ref(column)})`));
  }
  return insert.onConflict((conflict) =>
    conflict.columns([...key]).doUpdateSet(set((column) => sql.ref(`excluded.${column}`))),
  );
}

/**
 * Inserts the row where none has its key, else does nothing: for what may be sent twice. With `affects: 1` the unit
 * is void where there is a row already. (Not `insert ignore`, which hides every other error too.)
 * @param key the columns of the primary key
 */
export function insertOnce<T extends keyof Tables>(
  { db, dialect }: Database,
  table: T,
  row: Insertable<Tables[T]>,
  key: readonly (keyof Tables[T] & string)[],
): Compilable {
  const insert = untyped(db).insertInto(table).values(row);
  const first = key[0] as string;
  if (dialect === 'mysql') return insert.onDuplicateKeyUpdate({ [first]: sql.ref(first) } as never);
  return insert.onConflict((conflict) => conflict.columns([...key]).doNothing());
}

/** Kysely's types cannot follow a table that is itself a type parameter. */
// biome-ignore lint/suspicious/noExplicitAny: see above
function untyped(db: Kysely<Tables>): Kysely<any> {
  return db as never;
}
