/** An image that is stored whole. Written once, never changed. */
export interface ImageRecord {
  /** UUID version 7: the order of ids is the order of the uploads. */
  imageId: string;
  /** No two images have the same. */
  version: string;
  /** Bytes. */
  fileSize: number;
  /** MD5 in hex: the `checksum` of the seed. */
  checksum: string;
  /** SHA-256 in hex. */
  sha256: string;
  /** Ed25519 signature of the SHA-256 digest, base64. */
  signature: string | null;
  /** Epoch ms. */
  createdAt: number;
  /** Name of the user who uploaded it. */
  createdBy: string | null;
}

/** The images' rows (table `firmware_image`). */
export interface ImageRows {
  /** @throws FieldloomError conflict where the version is taken */
  add(image: ImageRecord): Promise<void>;
  get(imageId: string): Promise<ImageRecord | undefined>;
  ofVersion(version: string): Promise<ImageRecord | undefined>;
  /** Newest first. @throws FieldloomError invalid_input for a cursor that is none */
  page(request: {
    limit: number;
    cursor?: string;
  }): Promise<{ items: ImageRecord[]; next_cursor: string | null }>;
  allIds(): Promise<string[]>;
  remove(imageId: string): Promise<void>;
}

/** What was received and is on the disk under a temporary name. */
export interface ReceivedFile {
  size: number;
  /** Hex. */
  md5: string;
  /** Hex. */
  sha256: string;
  /** Gives it its name for good. */
  keep(imageId: string): Promise<void>;
  /** Removes it, kept or not. */
  discard(): Promise<void>;
}

/** A file that is being read. */
export interface OpenFile {
  size: number;
  /** Reads into `piece` from `position`; fewer bytes only at the end of the file. */
  read(piece: Uint8Array, position: number): Promise<number>;
  close(): Promise<void>;
}

/** The images' files: one folder that belongs to one gateway. */
export interface ImageFiles {
  /**
   * Writes what comes to a temporary file, piece by piece, and waits until the disk has it. Whatever goes wrong,
   * nothing is left behind.
   * @param maxBytes more are refused before they are written
   * @throws FieldloomError payload_too_large; what `content` throws; the file system's errors
   */
  receive(content: AsyncIterable<Uint8Array>, maxBytes: number): Promise<ReceivedFile>;
  /** Undefined where there is no such file. */
  open(imageId: string): Promise<OpenFile | undefined>;
  remove(imageId: string): Promise<void>;
  /** Removes what a crash has left: temporary files, and images but these. @returns how many */
  sweep(imageIds: ReadonlySet<string>): Promise<number>;
}
