import { FieldloomError } from '../core/errors.js';
import type { ImageRecord, ImageRows } from '../firmware/image-ports.js';
import { pageOf, readCursor } from './page.js';
import { placeholders, prepare } from './prepared.js';
import type { Store } from './store.js';
import type { FirmwareImageTable } from './tables.js';

const COLUMNS = [
  'id',
  'version',
  'file_size',
  'checksum',
  'sha256',
  'signature',
  'created_at',
  'created_by',
] as const;

const imageOf = (row: FirmwareImageTable): ImageRecord => ({
  imageId: row.id,
  version: row.version,
  fileSize: Number(row.file_size),
  checksum: row.checksum,
  sha256: row.sha256,
  signature: row.signature,
  createdAt: Number(row.created_at),
  createdBy: row.created_by,
});

/** The rows of firmware images; their files lie beside the database. */
export function firmwareImageRows(store: Store): ImageRows {
  const { db } = store;
  const insert = prepare<FirmwareImageTable>(
    db,
    (value) => db.insertInto('firmware_image').values(placeholders<'firmware_image'>(value, COLUMNS)),
    { affects: 1 },
  );
  const removal = prepare<{ id: string }>(db, (value) =>
    db.deleteFrom('firmware_image').where('id', '=', value('id')),
  );
  const found = async (column: 'id' | 'version', wanted: string) => {
    const row = await db
      .selectFrom('firmware_image')
      .selectAll()
      .where(column, '=', wanted)
      .executeTakeFirst();
    return row && imageOf(row);
  };

  return {
    async add(image) {
      try {
        await store.commit([
          insert({
            id: image.imageId,
            version: image.version,
            file_size: image.fileSize,
            checksum: image.checksum,
            sha256: image.sha256,
            signature: image.signature,
            created_at: image.createdAt,
            created_by: image.createdBy,
          }),
        ]);
      } catch (error) {
        if (!(error instanceof FieldloomError) || error.details?.['constraint'] !== true) throw error;
        throw new FieldloomError(
          'conflict',
          `version ${image.version} is there already: images are never changed`,
          {
            cause: error,
          },
        );
      }
    },
    get: (imageId) => found('id', imageId),
    ofVersion: (version) => found('version', version),
    async page({ limit, cursor }) {
      let query = db
        .selectFrom('firmware_image')
        .selectAll()
        .orderBy('id', 'desc')
        .limit(limit + 1);
      if (cursor !== undefined) query = query.where('id', '<', readCursor(cursor, 'string')[0]);
      return pageOf(await query.execute(), limit, imageOf, (row) => [row.id]);
    },
    async allIds() {
      const rows = await db.selectFrom('firmware_image').select('id').execute();
      return rows.map(({ id }) => id);
    },
    remove: (imageId) => store.commit([removal({ id: imageId })]),
  };
}
