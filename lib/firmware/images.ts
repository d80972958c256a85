import type { KeyObject } from 'node:crypto';
import { v7 } from 'uuid';
import type { Clock } from '../core/clock.js';
import { FieldloomError, hasCode } from '../core/errors.js';
import type { ImageFiles, ImageRecord, ImageRows } from './image-ports.js';
import { isSignature, isSignedBy } from './signature.js';

/** An image as a rollout needs it for its commands. */
export interface Image {
  imageId: string;
  version: string;
  fileSize: number;
  checksum: string;
  sha256: string;
  signature?: string;
}

export interface Upload {
  version: string;
  /** Base64. */
  signature?: string | undefined;
  content: AsyncIterable<Uint8Array>;
  /** Bytes, where the client says it before. */
  announcedSize?: number | undefined;
  /** Who uploads. */
  user?: string | undefined;
}

export interface ImagesOptions {
  rows: ImageRows;
  files: ImageFiles;
  clock: Clock;
  /** Bytes of one image. */
  maxBytes: number;
  /** Where set, an image must have a signature that this key accepts. */
  publicKey?: KeyObject | undefined;
}

export interface Images {
  /** Removes what a crash has left. Before it nothing may be uploaded. @returns how many files */
  start(): Promise<number>;
  /**
   * Stores an image. Fulfils when file and row are on the disk; whatever goes wrong, neither is left behind.
   * @throws FieldloomError invalid_input (version, signature, an empty file), conflict (the version is there),
   *   payload_too_large
   */
  add(upload: Upload): Promise<ImageRecord>;
  get(imageId: string): Promise<ImageRecord | undefined>;
  /** @throws FieldloomError not_found; conflict where somebody still needs it */
  remove(imageId: string): Promise<void>;
  /**
   * Asks before an image is removed: `needed` answers why it may not be, or undefined.
   * @returns what ends it
   */
  holdBack(needed: (imageId: string) => Promise<string | undefined>): () => void;
  /** Breaks off what is being uploaded. Fulfils when nothing of it is there any more, and nothing new begins. */
  close(): Promise<void>;
}

const VERSION = /^[\x21-\x7e]([\x20-\x7e]{0,62}[\x21-\x7e])?$/;

/** @throws FieldloomError invalid_input */
export function checkVersion(version: string | null | undefined): string {
  if (version !== null && version !== undefined && VERSION.test(version)) return version;
  const found =
    version === null || version === undefined ? 'is missing' : `is ${JSON.stringify(version.slice(0, 80))}`;
  throw new FieldloomError('invalid_input', `version ${found}: accepted is 1 to 64 printable characters`, {
    details: { parameter: 'version' },
  });
}

/** What an upload of more bytes than the limit is refused with. */
export function tooLarge(maxBytes: number): FieldloomError {
  return new FieldloomError(
    'payload_too_large',
    `the image is too large: at most ${maxBytes} bytes are accepted`,
  );
}

const taken = ({ imageId, version }: ImageRecord) =>
  new FieldloomError('conflict', `version ${version} is there already: images are never changed`, {
    details: { image_id: imageId },
  });

/** The images of a gateway: rows and files together (protocols.md "Images"). */
export function createImages({ rows, files, clock, maxBytes, publicKey }: ImagesOptions): Images {
  const holders = new Set<(imageId: string) => Promise<string | undefined>>();
  const closing = new AbortController();
  const uploads = new Set<Promise<unknown>>();

  /** Before the file is there only its form can be judged; without a key of ours nothing more ever is. */
  function checkSignature(signature: string | undefined, sha256?: string): void {
    const fits =
      signature === undefined
        ? publicKey === undefined
        : isSignature(signature) &&
          (publicKey === undefined || sha256 === undefined || isSignedBy(publicKey, sha256, signature));
    if (fits) return;
    throw new FieldloomError(
      'invalid_input',
      `the signature ${signature === undefined ? 'is missing' : 'does not fit'}: accepted is the Ed25519 signature ` +
        'of the SHA-256 digest of the file, in base64, by the key that this gateway checks with',
      { details: { parameter: 'signature' } },
    );
  }

  async function add({ version, signature, content, announcedSize, user }: Upload): Promise<ImageRecord> {
    checkVersion(version);
    checkSignature(signature);
    if (announcedSize !== undefined && announcedSize > maxBytes) throw tooLarge(maxBytes);
    // Before gigabytes are taken for nothing; two at once are told apart by the row.
    const present = await rows.ofVersion(version);
    if (present !== undefined) throw taken(present);

    const received = await files.receive(until(closing.signal, content), maxBytes);
    try {
      if (received.size === 0)
        throw new FieldloomError('invalid_input', 'the image is empty: the body is the file');
      checkSignature(signature, received.sha256);
      const now = clock.now();
      const image: ImageRecord = {
        imageId: v7({ msecs: now }),
        version,
        fileSize: received.size,
        checksum: received.md5,
        sha256: received.sha256,
        signature: signature ?? null,
        createdAt: now,
        createdBy: user ?? null,
      };
      await received.keep(image.imageId);
      await rows.add(image);
      return image;
    } catch (error) {
      // Where the store was closed in between the row may be there: the next start knows.
      if (!hasCode(error, 'store_closed')) await received.discard();
      throw error;
    }
  }

  return {
    async start() {
      return files.sweep(new Set(await rows.allIds()));
    },

    add(upload) {
      const added = add(upload);
      uploads.add(added);
      const settled = () => uploads.delete(added);
      added.then(settled, settled);
      return added;
    },

    get: (imageId) => rows.get(imageId),

    async remove(imageId) {
      if ((await rows.get(imageId)) === undefined) {
        throw new FieldloomError('not_found', `there is no image ${imageId}`);
      }
      for (const needed of holders) {
        const reason = await needed(imageId);
        if (reason !== undefined)
          throw new FieldloomError('conflict', `image ${imageId} is in use: ${reason}`);
      }
      // A file without a row is swept at the next start; a row without a file would be a promise nobody keeps.
      await rows.remove(imageId);
      await files.remove(imageId);
    },

    holdBack(needed) {
      holders.add(needed);
      return () => holders.delete(needed);
    },

    async close() {
      closing.abort();
      await Promise.allSettled(uploads);
    },
  };
}

/** The same pieces, until the signal: then it throws, also where the next piece is still waited for. */
async function* until(signal: AbortSignal, content: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const pieces = content[Symbol.asyncIterator]();
  // Not Promise.race with one promise for all: that would keep every piece until the end.
  const next = () =>
    new Promise<IteratorResult<Uint8Array>>((resolve, reject) => {
      const stop = () =>
        reject(new FieldloomError('store_closed', 'the gateway stops: upload the image again'));
      if (signal.aborted) return stop();
      signal.addEventListener('abort', stop);
      pieces
        .next()
        .then(resolve, reject)
        .finally(() => signal.removeEventListener('abort', stop));
    });
  try {
    for (let piece = await next(); piece.done !== true; piece = await next()) yield piece.value;
  } finally {
    const over = pieces.return?.();
    // A sender that sends nothing would be waited for.
    if (!signal.aborted) await over;
  }
}

/** What a rollout puts into its commands. */
export function imageOf({ imageId, version, fileSize, checksum, sha256, signature }: ImageRecord): Image {
  return { imageId, version, fileSize, checksum, sha256, ...(signature !== null && { signature }) };
}
