import assert from 'node:assert/strict';
import {
  hashPassword,
  newSecret,
  SECRET_COST,
  USER_COST,
  VerifiedPasswords,
  verifyPassword,
} from '../../lib/access/password.js';

describe('passwords', () => {
  it('are 24 random bytes where we make them, each another', () => {
    const made = new Set(Array.from({ length: 100 }, newSecret));
    assert.equal(made.size, 100);
    for (const password of made) assert.equal(Buffer.from(password, 'base64url').length, 24);
  });

  it('are stored with a salt of their own and their cost, never as they are', async () => {
    const [one, two] = [await hashPassword('same', SECRET_COST), await hashPassword('same', SECRET_COST)];
    assert.notEqual(one.salt, two.salt);
    assert.notEqual(one.hash, two.hash);
    assert.equal(one.cost, SECRET_COST);
    assert.equal(Buffer.from(one.hash, 'base64').length, 32);
    assert.ok(!JSON.stringify(one).includes('same'));
  });

  it('are told from every other', async () => {
    const stored = await hashPassword('right', SECRET_COST);
    assert.equal(await verifyPassword('right', stored, SECRET_COST), true);
    assert.equal(await verifyPassword(Buffer.from('right'), stored, SECRET_COST), true);
    for (const wrong of ['', 'Right', 'right ', 'righ', stored.hash]) {
      assert.equal(await verifyPassword(wrong, stored, SECRET_COST), false, wrong);
    }
  });

  it('of an earlier cost are still checked with that cost', async () => {
    const stored = await hashPassword('right', 2 ** 8);
    assert.equal(await verifyPassword('right', stored, SECRET_COST), true);
  });

  it('of an unknown user are wrong, after the time of a wrong password', async () => {
    const stored = await hashPassword('right', USER_COST);
    const timeOf = async (known: boolean) => {
      const times: number[] = [];
      for (let round = 0; round < 5; round += 1) {
        const start = process.hrtime.bigint();
        assert.equal(await verifyPassword('wrong', known ? stored : undefined, USER_COST), false);
        times.push(Number(process.hrtime.bigint() - start));
      }
      return Math.min(...times);
    };
    const ratio = (await timeOf(false)) / (await timeOf(true));
    assert.ok(ratio > 0.6 && ratio < 1.7, `unknown takes ${ratio} times as long as wrong`);
  });
});

describe('the memory of right passwords', () => {
  it('knows a password that was right, and no other', async () => {
    const memory = new VerifiedPasswords();
    const stored = await hashPassword('right', SECRET_COST);
    assert.ok(!memory.matches('ann', 'right', stored));
    memory.remember('ann', 'right', stored);
    assert.ok(memory.matches('ann', 'right', stored));
    assert.ok(!memory.matches('ann', 'wrong', stored));
    assert.ok(!memory.matches('bob', 'right', stored));
  });

  it('does not take the old password once another is stored', async () => {
    const memory = new VerifiedPasswords();
    memory.remember('ann', 'old', await hashPassword('old', SECRET_COST));
    assert.ok(!memory.matches('ann', 'old', await hashPassword('new', SECRET_COST)));
  });

  it('forgets when told, and the oldest when full', async () => {
    const memory = new VerifiedPasswords(2);
    const stored = await hashPassword('right', SECRET_COST);
    for (const name of ['a', 'b', 'c']) memory.remember(name, 'right', stored);
    assert.deepEqual(memory.usernames(), ['b', 'c']);
    memory.forget('c');
    assert.ok(!memory.matches('c', 'right', stored));
    assert.equal(memory.size, 1);
  });
});
