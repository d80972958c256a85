import type { Kysely } from 'kysely';
import { foundation } from './0001-foundation.js';
import { firmwareImage } from './0006-firmware-image.js';
import type { ColumnTypes } from './column-types.js';

/** In their order. A name that has been released never changes, nor does what it does. */
export const MIGRATIONS: Readonly<Record<string, (db: Kysely<never>, types: ColumnTypes) => Promise<void>>> =
  {
    '0001-foundation': foundation,
    '0006-firmware-image': firmwareImage,
  };
