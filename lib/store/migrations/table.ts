import type { Kysely } from 'kysely';
import type { ColumnTypes } from './column-types.js';

type TypeName = Exclude<keyof ColumnTypes, 'tableEnd' | 'clusteredEnd'>;

/** `text?` may be null, all others may not. */
type Column = TypeName | `${TypeName}?`;

/**
 * Creates a table with its primary key.
 * @param clustered its rows lie in the order of the primary key, where the database does not do so by itself and can
 */
export async function createTable(
  db: Kysely<never>,
  types: ColumnTypes,
  name: string,
  columns: Record<string, Column>,
  primaryKey: readonly string[],
  { clustered = false } = {},
): Promise<void> {
  let table = db.schema.createTable(name);
  for (const [column, type] of Object.entries(columns)) {
    const nullable = type.endsWith('?');
    const typeName = (nullable ? type.slice(0, -1) : type) as TypeName;
    table = table.addColumn(column, types[typeName], (built) => (nullable ? built : built.notNull()));
  }
  await table
    .addPrimaryKeyConstraint(`${name}_key`, primaryKey as never)
    .modifyEnd(clustered ? types.clusteredEnd : types.tableEnd)
    .execute();
}

/** Creates an index, named after its table and columns. */
export async function createIndex(
  db: Kysely<never>,
  table: string,
  columns: readonly string[],
  { unique = false } = {},
): Promise<void> {
  const index = db.schema
    .createIndex(`${table}_by_${columns.join('_')}`)
    .on(table)
    .columns([...columns]);
  await (unique ? index.unique() : index).execute();
}
