import type { Kysely } from 'kysely';
import type { Store } from '../store.js';
import { foundation } from './0001-foundation.js';
import { command } from './0002-command.js';
import { device } from './0003-device.js';
import { pond } from './0004-pond.js';
import { firmware } from './0005-firmware.js';
import { firmwareImage } from './0006-firmware-image.js';
import { solar } from './0007-solar.js';
import { accessMosquitto } from './0008-access-mosquitto.js';
import { roast } from './0009-roast.js';
import { solarHypertable } from './0010-solar-hypertable.js';
import { gateway } from './0011-gateway.js';
import { roastCompany } from './0012-roast-company.js';
import type { ColumnTypes } from './column-types.js';

/** In their order. A name that has been released never changes, nor does what it does. */
export const MIGRATIONS: Readonly<
  Record<string, (db: Kysely<never>, types: ColumnTypes, dialect: Store['dialect']) => Promise<void>>
> = {
  '0001-foundation': foundation,
  '0002-command': command,
  '0003-device': device,
  '0004-pond': pond,
  '0005-firmware': firmware,
  '0006-firmware-image': firmwareImage,
  '0007-solar': solar,
  '0008-access-mosquitto': accessMosquitto,
  '0009-roast': roast,
  '0010-solar-hypertable': solarHypertable,
  '0011-gateway': gateway,
  '0012-roast-company': roastCompany,
};
