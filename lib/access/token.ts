import { randomUUID } from 'node:crypto';
import { createRemoteJWKSet, errors, type JWTPayload, type JWTVerifyGetKey, jwtVerify, SignJWT } from 'jose';
import { type Clock, systemClock } from '../core/clock.js';
import { asError, FieldloomError } from '../core/errors.js';
import type { UserPrincipal } from './principal.js';

/** One hour: a user is looked up at each use of a token, so a revocation does not have to wait for its end. */
export const ACCESS_SECONDS = 3_600;
export const REFRESH_SECONDS = 86_400;

/** Who signs tokens: this gateway with a secret of its own, or another service that publishes its keys. */
export type TokenSigner = { secret: string } | { jwksUrl: string };

/** The part of `Access` that tokens need. */
export interface UserLookup {
  /** Undefined for an unknown or revoked user. */
  user(userId: number): Promise<UserPrincipal | undefined>;
}

type TokenType = 'access' | 'refresh';

export interface IssuedToken {
  token: string;
  /** Epoch milliseconds UTC. */
  expiresAt: number;
}

/** A signature by our own secret is never accepted where keys are published, nor the other way round. */
const OWN_ALGORITHMS = ['HS256'];
const PUBLISHED_ALGORITHMS = ['RS256', 'ES256'];

const invalid = (reason: string, cause?: unknown) =>
  new FieldloomError('invalid_token', `the token is not accepted: ${reason}`, { cause });

/** JSON Web Tokens with the claims that Django's SimpleJWT writes: user_id, token_type, exp, iat, jti. */
export class Tokens {
  readonly #users: UserLookup;
  readonly #clock: Clock;
  readonly #algorithms: string[];
  readonly #keys: JWTVerifyGetKey;
  readonly #secret: Uint8Array | undefined;

  /**
   * @param signer a secret has 32 bytes or more
   * @throws FieldloomError invalid_setting
   */
  constructor(users: UserLookup, signer: TokenSigner, clock: Clock = systemClock) {
    this.#users = users;
    this.#clock = clock;
    if ('secret' in signer) {
      const secret = new TextEncoder().encode(signer.secret);
      if (secret.length < 32) {
        throw new FieldloomError(
          'invalid_setting',
          'the secret of tokens is too short: accepted are 32 bytes or more',
        );
      }
      this.#secret = secret;
      this.#algorithms = OWN_ALGORITHMS;
      this.#keys = async () => secret;
    } else {
      if (!URL.canParse(signer.jwksUrl) || !/^https?:$/.test(new URL(signer.jwksUrl).protocol)) {
        throw new FieldloomError(
          'invalid_setting',
          `jwksUrl is ${JSON.stringify(signer.jwksUrl)}: accepted is an http or https URL`,
          { details: { name: 'jwksUrl' } },
        );
      }
      this.#algorithms = PUBLISHED_ALGORITHMS;
      this.#keys = publishedKeys(signer.jwksUrl);
    }
  }

  /** False where another service signs: then nobody logs in here. */
  get issues(): boolean {
    return this.#secret !== undefined;
  }

  /** @throws FieldloomError not_found where another service signs */
  issueAccess(userId: number, seconds: number = ACCESS_SECONDS): Promise<IssuedToken> {
    return this.#issue('access', userId, seconds);
  }

  /** @throws FieldloomError not_found where another service signs */
  issueRefresh(userId: number, seconds: number = REFRESH_SECONDS): Promise<IssuedToken> {
    return this.#issue('refresh', userId, seconds);
  }

  /** The user of an access token. @throws FieldloomError invalid_token, token_keys_unavailable */
  verifyAccess(token: string): Promise<UserPrincipal> {
    return this.#verify('access', token);
  }

  /** The user of a refresh token. @throws FieldloomError invalid_token, token_keys_unavailable */
  verifyRefresh(token: string): Promise<UserPrincipal> {
    return this.#verify('refresh', token);
  }

  async #issue(type: TokenType, userId: number, seconds: number): Promise<IssuedToken> {
    if (this.#secret === undefined) {
      throw new FieldloomError('not_found', 'tokens are not issued here but by the service that signs them');
    }
    const issuedAt = Math.floor(this.#clock.now() / 1000);
    const token = await new SignJWT({ token_type: type, user_id: userId })
      .setProtectedHeader({ alg: 'HS256', typ: 'JWT' })
      .setIssuedAt(issuedAt)
      .setExpirationTime(issuedAt + seconds)
      .setJti(randomUUID().replaceAll('-', ''))
      .sign(this.#secret);
    return { token, expiresAt: (issuedAt + seconds) * 1000 };
  }

  async #verify(type: TokenType, token: string): Promise<UserPrincipal> {
    const claims = await this.#claims(token);
    if (claims['token_type'] !== type) throw invalid(`token_type is not ${type}`);
    const user = await this.#users.user(userIdOf(claims));
    if (user === undefined) throw invalid('its user is not active');
    return user;
  }

  async #claims(token: string): Promise<JWTPayload> {
    try {
      const { payload } = await jwtVerify(token, this.#keys, {
        algorithms: this.#algorithms,
        requiredClaims: ['exp', 'user_id', 'token_type'],
        currentDate: new Date(this.#clock.now()),
      });
      return payload;
    } catch (error) {
      throw refusal(error);
    }
  }
}

/** Newer versions of SimpleJWT write the id as text. */
function userIdOf(claims: JWTPayload): number {
  const id = claims['user_id'];
  const number = typeof id === 'string' && /^[0-9]{1,15}$/.test(id) ? Number(id) : id;
  if (typeof number !== 'number' || !Number.isSafeInteger(number))
    throw invalid('user_id is not the id of a user');
  return number;
}

/** Keys of a JWKS URL, kept and fetched anew by jose; a failure to fetch them is not the fault of a token. */
function publishedKeys(url: string): JWTVerifyGetKey {
  const keys = createRemoteJWKSet(new URL(url), { timeoutDuration: 5_000 });
  return async (header, token) => {
    try {
      return await keys(header, token);
    } catch (error) {
      if (error instanceof errors.JWKSNoMatchingKey || error instanceof errors.JWKSMultipleMatchingKeys)
        throw error;
      if (error instanceof errors.JOSENotSupported) throw error;
      throw new FieldloomError(
        'token_keys_unavailable',
        `cannot fetch the keys that tokens are checked with from ${new URL(url).host}: ${asError(error).message}`,
        { cause: error },
      );
    }
  };
}

function refusal(error: unknown): FieldloomError {
  if (error instanceof FieldloomError) return error;
  if (error instanceof errors.JWTExpired) return invalid('it has expired', error);
  if (error instanceof errors.JWTClaimValidationFailed)
    return invalid(`its ${error.claim} is wrong or missing`, error);
  if (error instanceof errors.JOSEAlgNotAllowed) return invalid('its algorithm is another', error);
  if (error instanceof errors.JWSSignatureVerificationFailed) return invalid('its signature is wrong', error);
  if (error instanceof errors.JWKSNoMatchingKey) return invalid('nobody knows its key', error);
  return invalid('it is no signed JSON Web Token', error);
}
