import { createHmac, timingSafeEqual } from 'node:crypto';
import { FieldloomError } from '../core/errors.js';

/** Nothing else that the same secret may ever sign begins with this. */
const PURPOSE = 'firmware image file';

const macOf = (secret: string, imageId: string, expires: string) =>
  createHmac('sha256', secret).update(`${PURPOSE}\n${imageId}\n${expires}`).digest();

const forbidden = (text: string) => new FieldloomError('forbidden', text);

/**
 * The query that opens the file of one image for a time: `expires` (epoch seconds) and `signature` (HMAC-SHA-256 of
 * both, base64url).
 * @param expiresAt epoch ms, rounded up to a second
 */
export function signQuery(secret: string, imageId: string, expiresAt: number): string {
  const expires = String(Math.ceil(expiresAt / 1000));
  return `expires=${expires}&signature=${macOf(secret, imageId, expires).toString('base64url')}`;
}

/**
 * @param now epoch ms
 * @throws FieldloomError forbidden where the query is missing, forged, of another image, or has expired
 */
export function checkQuery(secret: string, imageId: string, query: URLSearchParams, now: number): void {
  const [expires = '', ...moreTimes] = query.getAll('expires');
  const [signature = '', ...moreSignatures] = query.getAll('signature');
  const wanted = macOf(secret, imageId, expires);
  const given = Buffer.from(signature, 'base64url');
  const genuine =
    /^\d{1,12}$/.test(expires) &&
    moreTimes.length + moreSignatures.length === 0 &&
    given.length === wanted.length &&
    timingSafeEqual(given, wanted);
  if (!genuine)
    throw forbidden('this link is not one of ours: accepted is the file_url of an image, unchanged');
  if (Number(expires) * 1000 <= now) {
    throw forbidden(`this link has expired at ${new Date(Number(expires) * 1000).toISOString()}`);
  }
}
