import { type Kysely, sql } from 'kysely';

/** Rows of so long lie in one chunk, ms: a week. */
const CHUNK_MS = 7 * 24 * 60 * 60 * 1000;

/** Any Kysely over PostgreSQL. */
// biome-ignore lint/suspicious/noExplicitAny: no table of ours is named here
type Database = Kysely<any>;

async function answersOne(db: Database, table: string, column: string, value: string): Promise<boolean> {
  const { rows } = await sql`
    select 1 from ${sql.table(table)} where ${sql.ref(column)} = ${sql.lit(value)}
  `.execute(db);
  return rows.length > 0;
}

/**
 * Makes the table a hypertable of TimescaleDB, by its column `at`, where the extension is in this database. Rows that
 * are there already move. @returns whether it is one now
 */
export async function makeHypertable(db: Database, table: string): Promise<boolean> {
  if (!(await answersOne(db, 'pg_extension', 'extname', 'timescaledb'))) return false;
  await sql`
    select create_hypertable(${sql.lit(table)}, 'at', chunk_time_interval => ${sql.lit(CHUNK_MS)}::bigint,
      migrate_data => true)
  `.execute(db);
  return true;
}

/** Whether the table was made a hypertable. */
export async function isHypertable(db: Database, table: string): Promise<boolean> {
  if (!(await answersOne(db, 'pg_extension', 'extname', 'timescaledb'))) return false;
  return answersOne(db, 'timescaledb_information.hypertables', 'hypertable_name', table);
}

/**
 * Drops the chunks in which no row is left: deleting rows one by one leaves empty chunks behind.
 * @param before no row older than this is written any more, epoch ms; a chunk that reaches beyond it stays
 */
export async function dropEmptyChunks(db: Database, table: string, before: number): Promise<void> {
  const { rows } = await sql<{ oldest: number | null }>`
    select min(at) as oldest from ${sql.table(table)}
  `.execute(db);
  const oldest = rows[0]?.oldest ?? null;
  const until = oldest === null ? before : Math.min(before, Number(oldest));
  await sql`select drop_chunks(${sql.lit(table)}, older_than => ${sql.lit(until)}::bigint)`.execute(db);
}
