import { createPublicKey, type KeyObject, verify } from 'node:crypto';
import { FieldloomError } from '../core/errors.js';

/** Before the 32 bytes of an Ed25519 public key, in its DER form (RFC 8410). */
const DER_HEAD = Buffer.from('302a300506032b6570032100', 'hex');
const SIGNATURE = /^[A-Za-z0-9+/]{86}==$/;

/**
 * The public key that images are checked with. Accepted is PEM (its line ends may have become spaces in a form), or
 * base64 of its DER form or of its 32 bytes alone.
 * @throws FieldloomError invalid_setting
 */
export function readPublicKey(text: string): KeyObject {
  const base64 = text.replace(/-----(BEGIN|END) PUBLIC KEY-----/g, '').replace(/\s+/g, '');
  const bytes = Buffer.from(base64, 'base64');
  try {
    const key = createPublicKey({
      key: bytes.length === 32 ? Buffer.concat([DER_HEAD, bytes]) : bytes,
      format: 'der',
      type: 'spki',
    });
    if (key.asymmetricKeyType === 'ed25519') return key;
  } catch {
    // said below, as for a key of another kind
  }
  throw new FieldloomError(
    'invalid_setting',
    'the public key cannot be read: accepted is an Ed25519 public key as PEM or base64',
  );
}

/** Whether a text has the form of an Ed25519 signature in base64. */
export function isSignature(text: string): boolean {
  return SIGNATURE.test(text);
}

/**
 * Whether `signature` is that of an image. Signed is the SHA-256 digest of the file, as its 32 bytes: Ed25519 wants
 * all of what it checks in memory at once, and a file may be larger than that.
 * @param sha256 in hex
 * @param signature base64
 */
export function isSignedBy(key: KeyObject, sha256: string, signature: string): boolean {
  return (
    isSignature(signature) && verify(null, Buffer.from(sha256, 'hex'), key, Buffer.from(signature, 'base64'))
  );
}

/** The same in base64 of the URL's alphabet or with its `+` become a space: as a query may carry it. */
export function plainBase64(text: string): string {
  const plain = text.replace(/[ -]/g, '+').replaceAll('_', '/').replace(/=+$/, '');
  return plain.padEnd(Math.ceil(plain.length / 4) * 4, '=');
}
