import { type ColumnDataType, type RawBuilder, sql } from 'kysely';
import type { Store } from '../store.js';

type ColumnType = ColumnDataType | RawBuilder<unknown>;

/** The few column types that the tables need, in each dialect's words. */
export interface ColumnTypes {
  /** Text that is a key or part of one: short, compared byte for byte. */
  key: ColumnType;
  /** A longer key, such as an MQTT client id. */
  longKey: ColumnType;
  /** Any other text up to 65,535 bytes. */
  text: ColumnType;
  /** An instant or a length of time, ms. */
  ms: ColumnType;
  integer: ColumnType;
  /** A number with a fraction, of 64 bits. */
  real: ColumnType;
  /** Bytes, up to 16 MiB and more. */
  bytes: ColumnType;
  /** What follows the closing bracket of `create table`. */
  tableEnd: RawBuilder<unknown>;
  /** The same for a table whose rows are to lie in the order of its key. */
  clusteredEnd: RawBuilder<unknown>;
}

export function columnTypes(dialect: Store['dialect']): ColumnTypes {
  const common = {
    key: 'varchar(64)',
    longKey: 'varchar(255)',
    text: 'text',
    ms: 'bigint',
    integer: 'integer',
    real: 'double precision',
  } as const;
  switch (dialect) {
    case 'sqlite':
      return { ...common, bytes: 'blob', tableEnd: sql``, clusteredEnd: sql`without rowid` };
    case 'postgres':
      // Other collations order text by a language's rules; pages and ids go by the bytes.
      return {
        ...common,
        key: sql`varchar(64) collate "C"`,
        longKey: sql`varchar(255) collate "C"`,
        bytes: 'bytea',
        tableEnd: sql``,
        clusteredEnd: sql``,
      };
    case 'mysql': {
      // MySQL's own collations take A for a, and two spaces for one.
      const tableEnd = sql`character set utf8mb4 collate utf8mb4_bin`;
      return { ...common, bytes: sql`longblob`, tableEnd, clusteredEnd: tableEnd };
    }
  }
}
