import type { FileHandle } from 'node:fs/promises';

/** Writes all of a piece at `position`: one call may write less. */
export async function writeWhole(handle: FileHandle, piece: Uint8Array, position: number): Promise<void> {
  let written = 0;
  while (written < piece.length) {
    const { bytesWritten } = await handle.write(piece, written, piece.length - written, position + written);
    written += bytesWritten;
  }
}
