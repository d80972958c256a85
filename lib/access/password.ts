import { createHmac, pbkdf2, randomBytes, scrypt, timingSafeEqual } from 'node:crypto';

/** As stored: salt and hash in base64, cost is scrypt's N. */
export interface PasswordHash {
  salt: string;
  hash: string;
  cost: number;
}

/**
 * scrypt's N for the password of a person. With r = 8 and p = 3 OWASP counts it as strong as N = 2^17 with p = 1,
 * at a quarter of the memory (32 MiB), which a small gateway can spare.
 */
export const USER_COST = 2 ** 15;
/**
 * scrypt's N for a secret of ours. 192 random bits cannot be guessed however fast guessing is, so stretching gains
 * nothing, and after a restart thousands of machines come back at once.
 */
export const SECRET_COST = 2 ** 6;

const BLOCK_SIZE = 8;
const PARALLELISM = 3;
const KEY_BYTES = 32;
const SALT_BYTES = 16;
const SECRET_BYTES = 24;

/** A password for a machine: 24 random bytes in base64url. */
export function newSecret(): string {
  return randomBytes(SECRET_BYTES).toString('base64url');
}

function derive(password: string | Buffer, salt: Buffer, cost: number): Promise<Buffer> {
  const options = {
    N: cost,
    r: BLOCK_SIZE,
    p: PARALLELISM,
    maxmem: 256 * BLOCK_SIZE * (cost + PARALLELISM),
  };
  return new Promise((resolve, reject) => {
    scrypt(password, salt, KEY_BYTES, options, (error, key) => (error ? reject(error) : resolve(key)));
  });
}

/** @param cost USER_COST or SECRET_COST */
export async function hashPassword(password: string | Buffer, cost: number): Promise<PasswordHash> {
  const salt = randomBytes(SALT_BYTES);
  const hash = await derive(password, salt, cost);
  return { salt: salt.toString('base64'), hash: hash.toString('base64'), cost };
}

/**
 * Whether `password` is the one that was stored.
 * @param stored undefined for an unknown or revoked user: the answer is false, after the work of a wrong password
 * @param cost what such a login would have cost, for that case
 */
export async function verifyPassword(
  password: string | Buffer,
  stored: PasswordHash | undefined,
  cost: number,
): Promise<boolean> {
  const salt = stored === undefined ? Buffer.alloc(SALT_BYTES) : Buffer.from(stored.salt, 'base64');
  const wanted = stored === undefined ? Buffer.alloc(KEY_BYTES) : Buffer.from(stored.hash, 'base64');
  const found = await derive(password, salt, stored?.cost ?? cost);
  return stored !== undefined && wanted.length === found.length && timingSafeEqual(wanted, found);
}

/** As `mosquitto_passwd` of Mosquitto 2 does it, whose format fixes the sizes. */
const MOSQUITTO = { iterations: 101, saltBytes: 12, keyBytes: 64 } as const;

/**
 * A secret of ours as a password file of Mosquitto has it, `$7$iterations$salt$hash` (PBKDF2 with SHA-512). The few
 * iterations are enough for 192 random bits, as `SECRET_COST` is.
 */
export function mosquittoHash(password: string): Promise<string> {
  const { iterations, saltBytes, keyBytes } = MOSQUITTO;
  const salt = randomBytes(saltBytes);
  return new Promise((resolve, reject) => {
    pbkdf2(password, salt, iterations, keyBytes, 'sha512', (error, key) => {
      if (error) reject(error);
      else resolve(`$7$${iterations}$${salt.toString('base64')}$${key.toString('base64')}`);
    });
  });
}

/**
 * Remembers which passwords were right, so that ten thousand machines that reconnect cost no scrypt. Holds digests
 * under a key of this process alone: they are worth nothing outside of it. A digest covers the stored hash too, so a
 * changed password is never taken for the old one.
 */
export class VerifiedPasswords {
  readonly #key = randomBytes(32);
  readonly #digests = new Map<string, Buffer>();

  /** @param atMost logins to remember; past it the oldest is forgotten */
  constructor(private readonly atMost: number = 50_000) {}

  get size(): number {
    return this.#digests.size;
  }

  remember(username: string, password: string | Buffer, stored: PasswordHash): void {
    this.#digests.delete(username);
    if (this.#digests.size >= this.atMost) {
      this.#digests.delete(this.#digests.keys().next().value as string);
    }
    this.#digests.set(username, this.#digest(password, stored));
  }

  /** True only where this very password was right for what is stored. False says nothing. */
  matches(username: string, password: string | Buffer, stored: PasswordHash): boolean {
    const known = this.#digests.get(username);
    return known !== undefined && timingSafeEqual(known, this.#digest(password, stored));
  }

  usernames(): string[] {
    return [...this.#digests.keys()];
  }

  forget(username: string): void {
    this.#digests.delete(username);
  }

  #digest(password: string | Buffer, stored: PasswordHash): Buffer {
    return createHmac('sha256', this.#key)
      .update(`${stored.cost}:${stored.salt}:${stored.hash}:`)
      .update(password)
      .digest();
  }
}
