import assert from 'node:assert/strict';
import { isOwnAddress, isSafeHost } from '../../lib/web/host.js';

describe('a Host header', () => {
  const origins = ['https://gateway.example:8443', 'not a url'];
  for (const [host, safe] of [
    ['127.0.0.1:1880', true],
    ['192.168.1.20', true],
    ['[::1]:1880', true],
    ['localhost:1880', true],
    ['LOCALHOST', true],
    ['shop.localhost', true],
    ['gateway.example:8443', true],
    ['gateway.example', false],
    ['evil.example:1880', false],
    ['127.0.0.1.evil.example', false],
    ['notlocalhost', false],
    ['', false],
    ['a b', false],
    [undefined, false],
  ] as const) {
    it(`${JSON.stringify(host)} ${safe ? 'is' : 'may not be'} ours`, () => {
      assert.equal(isSafeHost(host, origins), safe);
    });
  }
});

describe('the address of a socket', () => {
  for (const [address, own] of [
    ['127.0.0.1', true],
    ['127.8.0.1', true],
    ['::1', true],
    ['::ffff:127.0.0.1', true],
    ['192.168.1.20', false],
    ['::ffff:192.168.1.20', false],
    ['1127.0.0.1', false],
    ['fe80::1', false],
    ['', false],
    [undefined, false],
  ] as const) {
    it(`${JSON.stringify(address)} is ${own ? 'this computer' : 'another'}`, () => {
      assert.equal(isOwnAddress(address), own);
    });
  }
});
