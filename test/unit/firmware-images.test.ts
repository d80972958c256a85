import assert from 'node:assert/strict';
import { createHash, generateKeyPairSync, sign } from 'node:crypto';
import { createDownloads } from '../../lib/firmware/downloads.js';
import { isSignedBy, plainBase64, readPublicKey } from '../../lib/firmware/signature.js';
import { checkQuery, signQuery } from '../../lib/firmware/signed-url.js';
import { fakeClock } from '../support/fake-clock.js';

const SECRET = 'a secret of 32 characters, or so…';
const NOW = Date.UTC(2024, 0, 15);

describe('a signed link', () => {
  const check = (query: string, { secret = SECRET, imageId = 'one', now = NOW } = {}) =>
    checkQuery(secret, imageId, new URLSearchParams(query), now);
  const forbidden = { code: 'forbidden' };

  it('is good until it expires, to the second', () => {
    const query = signQuery(SECRET, 'one', NOW + 1500);
    check(query);
    check(query, { now: NOW + 1999 });
    assert.throws(() => check(query, { now: NOW + 2000 }), {
      ...forbidden,
      message: /expired at 2024-01-15/,
    });
  });

  it('is good for one image and one secret', () => {
    const query = signQuery(SECRET, 'one', NOW + 1000);
    assert.throws(() => check(query, { imageId: 'two' }), forbidden);
    assert.throws(() => check(query, { secret: 'another secret of 32 characters.' }), forbidden);
  });

  it('can be changed nowhere', () => {
    const query = signQuery(SECRET, 'one', NOW + 1000);
    const parameters = new URLSearchParams(query);
    const signature = parameters.get('signature') as string;
    const expires = parameters.get('expires') as string;
    const changed = [
      '',
      `expires=${expires}`,
      `signature=${signature}`,
      `expires=${Number(expires) + 1}&signature=${signature}`,
      `expires=0${expires}&signature=${signature}`,
      `expires=1e12&signature=${signature}`,
      `expires=${expires}&signature=${signature.slice(0, -2)}`,
      `expires=${expires}&signature=`,
      `${query}&expires=99999999999`,
      `${query}&signature=${signature}`,
    ];
    for (const one of changed) assert.throws(() => check(one), forbidden, one);
    for (let index = 0; index < signature.length - 1; index += 1) {
      const other = signature[index] === 'A' ? 'B' : 'A';
      const forged = signature.slice(0, index) + other + signature.slice(index + 1);
      assert.throws(() => check(`expires=${expires}&signature=${forged}`), forbidden);
    }
  });
});

describe('a public key', () => {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  const sha256 = createHash('sha256').update('image').digest('hex');
  const signature = sign(null, Buffer.from(sha256, 'hex'), privateKey).toString('base64');
  const der = publicKey.export({ format: 'der', type: 'spki' });
  const pem = publicKey.export({ format: 'pem', type: 'spki' }).toString();

  for (const [form, text] of [
    ['PEM', pem],
    ['PEM in one line', pem.replaceAll('\n', ' ')],
    ['base64 of its DER form', der.toString('base64')],
    ['base64 of its 32 bytes', der.subarray(12).toString('base64')],
  ] as const) {
    it(`is read from ${form}, and accepts what its other half has signed`, () => {
      const key = readPublicKey(text);
      assert.ok(isSignedBy(key, sha256, signature));
      assert.ok(
        !isSignedBy(
          key,
          sha256.replace(/./, (first) => (first === '0' ? '1' : '0')),
          signature,
        ),
      );
      assert.ok(
        !isSignedBy(
          key,
          sha256,
          signature.replace(/^./, (first) => (first === 'A' ? 'B' : 'A')),
        ),
      );
      assert.ok(!isSignedBy(key, sha256, 'short'));
    });
  }

  it('of another kind, or none, is refused', () => {
    const other = generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey;
    for (const text of ['', 'x', other.export({ format: 'pem', type: 'spki' }).toString()]) {
      assert.throws(() => readPublicKey(text), { code: 'invalid_setting' });
    }
  });

  it('finds a signature again that a query has changed', () => {
    for (const bytes of [Buffer.alloc(64, 0xfb), Buffer.alloc(64, 0xff), Buffer.alloc(64)]) {
      const plain = bytes.toString('base64');
      for (const form of [plain, plain.replaceAll('+', ' '), bytes.toString('base64url')]) {
        assert.equal(plainBase64(form), plain);
      }
    }
  });
});

describe('downloads', () => {
  it('share one speed, piece by piece, in the order in which they ask', async () => {
    const clock = fakeClock();
    const downloads = createDownloads({ bytesPerSecond: 1000, maxDownloads: 10 }, clock);
    const [first, second] = [downloads.enter(), downloads.enter()];
    const order: string[] = [];
    const asked = [
      first.pace(500).then(() => order.push('first')),
      second.pace(500).then(() => order.push('second')),
      first.pace(500).then(() => order.push('first again')),
    ];
    await new Promise(setImmediate);
    assert.deepEqual(order, ['first']);
    clock.advance(500);
    await asked[1];
    assert.deepEqual(order, ['first', 'second']);
    clock.advance(499);
    await new Promise(setImmediate);
    assert.equal(order.length, 2);
    clock.advance(1);
    await asked[2];
  });

  it('make up for nothing after a pause', async () => {
    const clock = fakeClock();
    const place = createDownloads({ bytesPerSecond: 1000, maxDownloads: 1 }, clock).enter();
    clock.advance(60_000);
    await place.pace(1000);
    let sent = false;
    place.pace(1).then(() => {
      sent = true;
    });
    clock.advance(999);
    await new Promise(setImmediate);
    assert.equal(sent, false);
    clock.advance(1);
    await new Promise(setImmediate);
    assert.equal(sent, true);
  });

  it('beyond the last place are told when to come again; a place is left once', () => {
    const downloads = createDownloads({ maxDownloads: 1 }, fakeClock(), () => 0.5);
    const place = downloads.enter();
    assert.throws(() => downloads.enter(), { code: 'too_many_downloads', details: { retry_after_s: 18 } });
    place.leave();
    place.leave();
    assert.equal(downloads.active, 0);
    downloads.enter();
    assert.equal(downloads.active, 1);
  });
});
