import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type CryptoKey, exportJWK, generateKeyPair, type JWTPayload, SignJWT } from 'jose';
import type { UserPrincipal } from '../../lib/access/principal.js';
import { Tickets } from '../../lib/access/tickets.js';
import { Tokens, type UserLookup } from '../../lib/access/token.js';
import { type FakeClock, fakeClock } from '../support/fake-clock.js';

const SECRET = 'a secret of thirty-two characters';
const KEY = new TextEncoder().encode(SECRET);
const ann: UserPrincipal = {
  role: 'user',
  userId: 7,
  username: 'ann',
  admin: false,
  companies: [],
  stores: [],
};

/** Users that a test can revoke. */
function lookup(): UserLookup & { users: Map<number, UserPrincipal> } {
  const users = new Map([[ann.userId, ann]]);
  return { users, user: async (userId) => users.get(userId) };
}

const decode = (token: string) =>
  token
    .split('.')
    .slice(0, 2)
    .map((part) => JSON.parse(Buffer.from(part, 'base64url').toString()));
const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');

describe('tokens', () => {
  let clock: FakeClock;
  let users: ReturnType<typeof lookup>;
  let tokens: Tokens;

  beforeEach(() => {
    clock = fakeClock();
    users = lookup();
    tokens = new Tokens(users, { secret: SECRET }, clock);
  });

  const now = () => Math.floor(clock.now() / 1000);
  const signed = (claims: JWTPayload, algorithm = 'HS256', key: Uint8Array | CryptoKey = KEY, kid?: string) =>
    new SignJWT({ user_id: 7, token_type: 'access', exp: now() + 60, ...claims })
      .setProtectedHeader({ alg: algorithm, ...(kid === undefined ? {} : { kid }) })
      .sign(key);
  const refused = (token: string, message?: RegExp) =>
    assert.rejects(
      tokens.verifyAccess(token),
      { code: 'invalid_token', ...(message ? { message } : {}) },
      token,
    );

  it('have the claims that SimpleJWT writes', async () => {
    const { token, expiresAt } = await tokens.issueAccess(7);
    const [header, claims] = decode(token);
    assert.deepEqual(header, { alg: 'HS256', typ: 'JWT' });
    assert.match(claims.jti, /^[0-9a-f]{32}$/);
    assert.deepEqual(
      { ...claims, jti: '' },
      { token_type: 'access', user_id: 7, iat: now(), exp: now() + 3_600, jti: '' },
    );
    assert.equal(expiresAt, (now() + 3_600) * 1000);
    const [, refresh] = decode((await tokens.issueRefresh(7)).token);
    assert.deepEqual([refresh.token_type, refresh.exp], ['refresh', now() + 86_400]);
    assert.notEqual(refresh.jti, claims.jti);
  });

  it('stand for the user as the store has them now', async () => {
    const { token } = await tokens.issueAccess(7);
    assert.deepEqual(await tokens.verifyAccess(token), ann);
    users.users.set(7, { ...ann, admin: true });
    assert.equal((await tokens.verifyAccess(token)).admin, true);
  });

  it('are accepted from Django, which writes the id as text too', async () => {
    assert.deepEqual(await tokens.verifyAccess(await signed({ user_id: '7' })), ann);
  });

  it('of a revoked user are refused at once', async () => {
    const { token } = await tokens.issueAccess(7);
    users.users.delete(7);
    await refused(token, /not active/);
  });

  it('are refused once expired', async () => {
    const { token } = await tokens.issueAccess(7, 60);
    clock.advance(59_000);
    await tokens.verifyAccess(token);
    clock.advance(1_000);
    await refused(token, /expired/);
  });

  it('are refused before their time', async () => {
    const token = await signed({ nbf: now() + 10 });
    await refused(token, /nbf/);
    clock.advance(10_000);
    await tokens.verifyAccess(token);
  });

  it('without signature (alg none) are refused', async () => {
    const claims = encode({ user_id: 7, token_type: 'access', exp: now() + 60 });
    for (const algorithm of ['none', 'None', 'NONE', '']) {
      await refused(`${encode({ alg: algorithm })}.${claims}.`);
    }
    const [header, body] = (await tokens.issueAccess(7)).token.split('.');
    await refused(`${header}.${body}.`);
    await refused(`${header}.${body}`);
  });

  it('of an unexpected algorithm are refused, also with the right secret', async () => {
    await refused(await signed({}, 'HS512', new TextEncoder().encode(SECRET.repeat(2))), /algorithm/);
    const { privateKey } = await generateKeyPair('RS256');
    await refused(await signed({}, 'RS256', privateKey), /algorithm/);
    const [, body, signature] = (await tokens.issueAccess(7)).token.split('.');
    await refused(`${encode({ alg: 'HS384' })}.${body}.${signature}`, /algorithm/);
  });

  it('with a wrong signature or other claims under it are refused', async () => {
    await refused(await signed({}, 'HS256', new TextEncoder().encode(`${SECRET}!`)), /signature/);
    const [header, , signature] = (await tokens.issueAccess(7)).token.split('.');
    await refused(
      `${header}.${encode({ user_id: 8, token_type: 'access', exp: now() + 60 })}.${signature}`,
      /signature/,
    );
  });

  it('are refused where the other type is wanted', async () => {
    const [access, refresh] = [await tokens.issueAccess(7), await tokens.issueRefresh(7)];
    await refused(refresh.token, /token_type/);
    await assert.rejects(tokens.verifyRefresh(access.token), { code: 'invalid_token' });
    assert.deepEqual(await tokens.verifyRefresh(refresh.token), ann);
  });

  it('are refused without expiry, user or type, and with a user that is no id', async () => {
    for (const claims of [
      ...[{ exp: undefined }, { user_id: undefined }, { token_type: undefined }, { token_type: 'sliding' }],
      ...[{ user_id: '7 ' }, { user_id: 7.5 }, { user_id: null }, { user_id: [7] }, { user_id: 8 }],
    ]) {
      await refused(await signed(claims as JWTPayload));
    }
  });

  it('are refused where they are no tokens at all', async () => {
    for (const text of ['', 'x', 'x.y.z', '..', `${encode({ alg: 'HS256' })}.${encode([])}.x`])
      await refused(text);
  });

  it('want a secret of 32 bytes or more, and a URL for keys', () => {
    assert.throws(() => new Tokens(users, { secret: 'short' }), { code: 'invalid_setting' });
    for (const jwksUrl of ['', 'keys', 'file:///etc/keys', 'javascript:1']) {
      assert.throws(() => new Tokens(users, { jwksUrl }), { code: 'invalid_setting' }, jwksUrl);
    }
  });

  describe('signed by another service', () => {
    let server: Server;
    let jwksUrl: string;
    let rsa: { publicKey: CryptoKey; privateKey: CryptoKey };
    let elliptic: { publicKey: CryptoKey; privateKey: CryptoKey };
    let status = 200;

    before(async () => {
      rsa = await generateKeyPair('RS256', { extractable: true });
      elliptic = await generateKeyPair('ES256', { extractable: true });
      const keys = [
        { ...(await exportJWK(rsa.publicKey)), kid: 'r', alg: 'RS256', use: 'sig' },
        { ...(await exportJWK(elliptic.publicKey)), kid: 'e', alg: 'ES256', use: 'sig' },
      ];
      server = createServer((_request, response) => {
        response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify({ keys }));
      }).listen(0, '127.0.0.1');
      await once(server, 'listening');
      jwksUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}/keys`;
    });
    after(() => server.close());
    beforeEach(() => {
      status = 200;
      tokens = new Tokens(users, { jwksUrl }, clock);
    });

    it('are accepted with RS256 and ES256 and its published keys', async () => {
      assert.deepEqual(await tokens.verifyAccess(await signed({}, 'RS256', rsa.privateKey, 'r')), ann);
      assert.deepEqual(await tokens.verifyAccess(await signed({}, 'ES256', elliptic.privateKey, 'e')), ann);
    });

    it('are refused with HS256, even where the published key is the secret', async () => {
      await refused(await signed({}), /algorithm/);
      const spki = new TextEncoder().encode(JSON.stringify(await exportJWK(rsa.publicKey)));
      await refused(await signed({}, 'HS256', spki, 'r'), /algorithm/);
    });

    it('are refused with a key that is not published, or under the name of another', async () => {
      const { privateKey } = await generateKeyPair('RS256');
      await refused(await signed({}, 'RS256', privateKey, 'r'), /signature/);
      await refused(await signed({}, 'RS256', privateKey, 'x'), /key/);
    });

    it('are no one’s fault while the keys cannot be fetched', async () => {
      status = 500;
      const token = await signed({}, 'RS256', rsa.privateKey, 'r');
      await assert.rejects(tokens.verifyAccess(token), { code: 'token_keys_unavailable' });
    });

    it('are not issued here', async () => {
      assert.equal(tokens.issues, false);
      await assert.rejects(tokens.issueAccess(7), { code: 'not_found' });
    });
  });
});

describe('tickets', () => {
  const bench = () => {
    const clock = fakeClock();
    const users = lookup();
    return { clock, users, tickets: new Tickets(users, clock) };
  };

  it('open one WebSocket, once', async () => {
    const { tickets } = bench();
    const { ticket } = tickets.issue(ann);
    assert.deepEqual(await tickets.redeem(ticket), ann);
    await assert.rejects(tickets.redeem(ticket), { code: 'invalid_token' });
    assert.equal(tickets.size, 0);
  });

  it('are good for 60 s', async () => {
    const { tickets, clock } = bench();
    const [first, second] = [tickets.issue(ann), tickets.issue(ann)];
    assert.equal(first.expiresAt, clock.now() + 60_000);
    clock.advance(59_999);
    await tickets.redeem(first.ticket);
    clock.advance(1);
    await assert.rejects(tickets.redeem(second.ticket), { code: 'invalid_token' });
  });

  it('of a user that was revoked since are refused', async () => {
    const { tickets, users } = bench();
    const { ticket } = tickets.issue(ann);
    users.users.delete(ann.userId);
    await assert.rejects(tickets.redeem(ticket), { code: 'invalid_token' });
  });

  it('cannot be made up', async () => {
    const { tickets } = bench();
    const { ticket } = tickets.issue(ann);
    for (const other of ['', '.', '7', '7.', `8${ticket.slice(1)}`, ticket.slice(0, -1), `${ticket}x`]) {
      await assert.rejects(tickets.redeem(other), { code: 'invalid_token' }, other);
    }
    assert.deepEqual(await tickets.redeem(ticket), ann);
  });

  it('take bounded memory, and one user takes no place of another', async () => {
    const { tickets, users, clock } = bench();
    const bob = { ...ann, userId: 8, username: 'bob' };
    users.users.set(8, bob);
    const mine = tickets.issue(bob);
    for (let number = 0; number < 1_000; number += 1) tickets.issue(ann);
    assert.equal(tickets.size, 51);
    assert.deepEqual(await tickets.redeem(mine.ticket), bob);
    clock.advance(60_000);
    tickets.issue(bob);
    assert.equal(tickets.size, 1);
  });
});
