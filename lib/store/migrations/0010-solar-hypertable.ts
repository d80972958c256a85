import type { Kysely } from 'kysely';
import { makeHypertable } from '../postgres/hypertable.js';
import type { Store } from '../store.js';
import type { ColumnTypes } from './column-types.js';

/** Telemetry of solar machines by weeks, where PostgreSQL has TimescaleDB. */
export async function solarHypertable(
  db: Kysely<never>,
  _types: ColumnTypes,
  dialect: Store['dialect'],
): Promise<void> {
  if (dialect === 'postgres') await makeHypertable(db, 'solar_telemetry');
}
