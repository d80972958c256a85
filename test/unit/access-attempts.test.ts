import assert from 'node:assert/strict';
import { addressKey, FailedAttempts, LOGIN_LIMITS } from '../../lib/access/attempts.js';
import { fakeClock } from '../support/fake-clock.js';

describe('failed attempts', () => {
  const fail = (attempts: FailedAttempts, key: string, times: number) => {
    for (let time = 0; time < times; time += 1) attempts.failed(key);
  };

  it('are borne nine times a minute; the tenth means a minute of refusal', () => {
    const clock = fakeClock();
    const attempts = new FailedAttempts(clock);
    fail(attempts, 'a', 9);
    assert.equal(attempts.refusedForMs('a'), 0);
    attempts.failed('a');
    assert.equal(attempts.refusedForMs('a'), 60_000);
    assert.equal(attempts.refusedForMs('b'), 0);
    clock.advance(59_999);
    assert.equal(attempts.refusedForMs('a'), 1);
    clock.advance(1);
    assert.equal(attempts.refusedForMs('a'), 0);
  });

  it('begin anew after a refusal', () => {
    const clock = fakeClock();
    const attempts = new FailedAttempts(clock);
    fail(attempts, 'a', 10);
    clock.advance(60_000);
    fail(attempts, 'a', 9);
    assert.equal(attempts.refusedForMs('a'), 0);
  });

  it('count for a minute, not longer', () => {
    const clock = fakeClock();
    const attempts = new FailedAttempts(clock);
    for (let time = 0; time < 100; time += 1) {
      attempts.failed('a');
      clock.advance(7_000);
    }
    assert.equal(attempts.refusedForMs('a'), 0);
  });

  it('take bounded memory, however many addresses there are', () => {
    const attempts = new FailedAttempts(fakeClock(), { ...LOGIN_LIMITS, keys: 100 });
    for (let key = 0; key < 1_000; key += 1) fail(attempts, String(key), 3);
    assert.equal(attempts.size, 100);
  });
});

describe('the key of an address', () => {
  it('is an IPv4 address itself, also where IPv6 wraps it', () => {
    assert.equal(addressKey('192.0.2.7'), '192.0.2.7');
    assert.equal(addressKey('::ffff:192.0.2.7'), '192.0.2.7');
  });

  it('is the /64 of an IPv6 address, however it is written', () => {
    assert.equal(addressKey('2001:db8:1:2:3:4:5:6'), '2001:db8:1:2');
    assert.equal(addressKey('2001:0DB8:1:2::1'), '2001:db8:1:2');
    assert.equal(addressKey('2001:db8::1'), '2001:db8:0:0');
    assert.equal(addressKey('fe80::1%eth0'), 'fe80:0:0:0');
    assert.equal(addressKey('::1'), '0:0:0:0');
    assert.notEqual(addressKey('2001:db8:1:3::1'), addressKey('2001:db8:1:2::1'));
  });
});
