import { createHash, type KeyObject } from 'node:crypto';
import { open } from 'node:fs/promises';
import type { FirmwareFile } from './codec.js';
import { isSignedBy } from './signature.js';

const PIECE = 256 * 1024;

/**
 * Reads a downloaded file and holds it against what the command says: size, MD5, and SHA-256 and signature where
 * given. With a public key a signature must be there.
 * @returns every check that failed, for people; none: it is the file
 */
export async function fileProblems(
  path: string,
  file: FirmwareFile,
  publicKey: KeyObject | undefined,
  signal: AbortSignal,
): Promise<string[]> {
  const [md5, sha256] = [createHash('md5'), createHash('sha256')];
  const piece = Buffer.allocUnsafe(PIECE);
  const handle = await open(path, 'r');
  let size = 0;
  try {
    for (;;) {
      signal.throwIfAborted();
      const { bytesRead } = await handle.read(piece, 0, PIECE, size);
      if (bytesRead === 0) break;
      size += bytesRead;
      md5.update(piece.subarray(0, bytesRead));
      sha256.update(piece.subarray(0, bytesRead));
    }
  } finally {
    await handle.close();
  }
  const digests = { md5: md5.digest('hex'), sha256: sha256.digest('hex') };
  const problems: string[] = [];
  if (size !== file.fileSize) problems.push(`the file has ${size} bytes: file_size says ${file.fileSize}`);
  if (digests.md5 !== file.checksum) {
    problems.push(`the MD5 of the file is ${digests.md5}: checksum says ${file.checksum}`);
  }
  if (file.sha256 !== undefined && digests.sha256 !== file.sha256) {
    problems.push(`the SHA-256 of the file is ${digests.sha256}: sha256 says ${file.sha256}`);
  }
  if (publicKey !== undefined) {
    if (file.signature === undefined) problems.push('signature is missing: only signed images are accepted');
    else if (!isSignedBy(publicKey, digests.sha256, file.signature)) {
      problems.push('the signature does not fit the file and the public key of this controller');
    }
  }
  return problems;
}
