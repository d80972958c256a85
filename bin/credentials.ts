import { createCipheriv, createDecipheriv, createHash, randomBytes } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';

/** Credentials by node id and field. */
export type Credentials = Record<string, Record<string, string>>;

const ALGORITHM = 'aes-256-ctr';
const keyOf = (secret: string) => createHash('sha256').update(secret).digest();

/** As Node-RED encrypts its `flows_cred.json`: a hex IV of 16 bytes, then base64. */
function encrypt(credentials: Credentials, secret: string): { $: string } {
  const iv = randomBytes(16);
  const cipher = createCipheriv(ALGORITHM, keyOf(secret), iv);
  const text = cipher.update(JSON.stringify(credentials), 'utf8', 'base64') + cipher.final('base64');
  return { $: iv.toString('hex') + text };
}

function decrypt(stored: { $: string }, secret: string): Credentials {
  const decipher = createDecipheriv(ALGORITHM, keyOf(secret), Buffer.from(stored.$.slice(0, 32), 'hex'));
  return JSON.parse(decipher.update(stored.$.slice(32), 'base64', 'utf8') + decipher.final('utf8'));
}

/**
 * Adds credentials to a Node-RED credentials file where a node has none; what a person has set in the editor stays.
 * @throws Error where the file was written with another secret
 */
export async function addCredentials(file: string, secret: string, added: Credentials): Promise<void> {
  const stored = await readFile(file, 'utf8').catch(() => undefined);
  const present = stored === undefined ? {} : decrypt(JSON.parse(stored), secret);
  const missing = Object.entries(added).filter(([id]) => present[id] === undefined);
  if (missing.length === 0) return;
  const all = { ...Object.fromEntries(missing), ...present };
  await writeFile(file, `${JSON.stringify(encrypt(all, secret), null, 4)}\n`, { mode: 0o600 });
}
