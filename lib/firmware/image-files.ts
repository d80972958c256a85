import { createHash, randomUUID } from 'node:crypto';
import { type FileHandle, mkdir, open, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { ImageFiles, OpenFile, ReceivedFile } from './image-ports.js';
import { tooLarge } from './images.js';
import { writeWhole } from './write-whole.js';

const IMAGE = /^([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\.bin$/;
const TEMPORARY = /^[0-9a-f-]{36}\.upload$/;

const isMissing = (error: unknown) => (error as NodeJS.ErrnoException).code === 'ENOENT';

/** A name that was given is only for good when the folder is on the disk too. */
async function syncFolder(folder: string): Promise<void> {
  // Windows knows no such thing.
  const handle = await open(folder, 'r').catch(() => undefined);
  await handle?.sync().catch(() => {});
  await handle?.close();
}

/** The images' files in `folder`, which is made, for its owner alone, where it is not there. */
export function imageFiles(folder: string): ImageFiles {
  const pathOf = (imageId: string) => join(folder, `${imageId}.bin`);

  async function receive(content: AsyncIterable<Uint8Array>, maxBytes: number): Promise<ReceivedFile> {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    let path = join(folder, `${randomUUID()}.upload`);
    const discard = () => rm(path, { force: true });
    const [md5, sha256] = [createHash('md5'), createHash('sha256')];
    let size = 0;
    const handle = await open(path, 'wx', 0o600);
    try {
      for await (const piece of content) {
        size += piece.length;
        if (size > maxBytes) throw tooLarge(maxBytes);
        md5.update(piece);
        sha256.update(piece);
        await writeWhole(handle, piece, size - piece.length);
      }
      await handle.sync();
    } catch (error) {
      await handle.close();
      await discard();
      throw error;
    }
    await handle.close();
    return {
      size,
      md5: md5.digest('hex'),
      sha256: sha256.digest('hex'),
      async keep(imageId) {
        await rename(path, pathOf(imageId));
        path = pathOf(imageId);
        await syncFolder(folder);
      },
      discard,
    };
  }

  async function openFile(imageId: string): Promise<OpenFile | undefined> {
    let handle: FileHandle;
    try {
      handle = await open(pathOf(imageId), 'r');
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw error;
    }
    const { size } = await handle.stat();
    return {
      size,
      read: async (piece, position) => (await handle.read(piece, 0, piece.length, position)).bytesRead,
      close: () => handle.close(),
    };
  }

  return {
    receive,
    open: openFile,
    remove: (imageId) => rm(pathOf(imageId), { force: true }),
    async sweep(imageIds) {
      await mkdir(folder, { recursive: true, mode: 0o700 });
      const left = (await readdir(folder)).filter((name) => {
        const imageId = IMAGE.exec(name)?.[1];
        return imageId === undefined ? TEMPORARY.test(name) : !imageIds.has(imageId);
      });
      for (const name of left) await rm(join(folder, name), { force: true });
      return left.length;
    },
  };
}
