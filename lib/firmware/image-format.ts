import type { ImageRecord } from './image-ports.js';

/** An image as REST answers it. */
export function formatImage(image: ImageRecord) {
  return {
    id: image.imageId,
    version: image.version,
    file_size: image.fileSize,
    checksum: image.checksum,
    sha256: image.sha256,
    signature: image.signature,
    created_at: new Date(image.createdAt).toISOString(),
    created_by: image.createdBy,
  };
}
