import type { Kysely } from 'kysely';
import type { ColumnTypes } from './column-types.js';

/** Whose a roasting machine or a saved profile is; null: everyone's. */
export async function roastCompany(db: Kysely<never>, types: ColumnTypes): Promise<void> {
  for (const table of ['roast_machine', 'roast_profile']) {
    await db.schema.alterTable(table).addColumn('company_id', types.longKey).execute();
  }
}
