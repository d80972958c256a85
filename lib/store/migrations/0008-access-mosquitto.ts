import type { Kysely } from 'kysely';
import type { ColumnTypes } from './column-types.js';

/**
 * Beside the hash of each MQTT password one that Mosquitto can check. Null for logins made before: their passwords
 * are known to nobody, so they have to be rotated once.
 */
export async function accessMosquitto(db: Kysely<never>, types: ColumnTypes): Promise<void> {
  await db.schema.alterTable('access_client').addColumn('mosquitto_hash', types.text).execute();
}
