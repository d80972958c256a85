import assert from 'node:assert/strict';
import type { Access } from '../../lib/access/access.js';
import { FieldloomError } from '../../lib/core/errors.js';
import type { Store } from '../../lib/store/store.js';
import { AccessBench, STORE } from '../support/access.js';
import { type FakeClock, fakeClock } from '../support/fake-clock.js';

describe('users', function () {
  this.timeout(30_000);
  let bench: AccessBench;
  let clock: FakeClock;
  let access: Access;
  let store: Store;

  beforeEach(async () => {
    bench = await AccessBench.create();
    clock = fakeClock();
    ({ access, store } = await bench.open({ clock }));
  });
  afterEach(() => bench.remove());

  it('log in with their password and have the scopes they were given', async () => {
    const ann = await access.addUser('ann', 'a long password', { stores: [STORE, STORE], companies: ['1'] });
    assert.deepEqual(ann, {
      role: 'user',
      userId: 1,
      username: 'ann',
      admin: false,
      stores: [STORE],
      companies: ['1'],
    });
    assert.deepEqual(await access.verifyUser('ann', 'a long password', '10.0.0.1'), ann);
    assert.deepEqual(await access.user(1), ann);
    assert.deepEqual(await access.userByName('ann'), ann);
    const row = await store.db.selectFrom('access_user').selectAll().executeTakeFirstOrThrow();
    assert.ok(!JSON.stringify(row).includes('a long password'));
  });

  it('are refused alike for a wrong password and an unknown name', async () => {
    await access.addUser('ann', 'right');
    const messages = new Set<string>();
    for (const [name, password] of [
      ['ann', 'wrong'],
      ['ann', ''],
      ['bob', 'right'],
      ['ANN', 'right'],
    ] as const) {
      await assert.rejects(access.verifyUser(name, password, '10.0.0.1'), (error: FieldloomError) => {
        assert.equal(error.code, 'unauthenticated');
        messages.add(error.message);
        return true;
      });
    }
    assert.equal(messages.size, 1);
  });

  it('have names of letters and digits, unique, and a password', async () => {
    await access.addUser('Jürgen@shop.example', 'x');
    await assert.rejects(access.addUser('Jürgen@shop.example', 'y'), { code: 'conflict' });
    for (const [name, password, pointer] of [
      ['', 'x', '/name'],
      ['a b', 'x', '/name'],
      ['#1', 'x', '/name'],
      ['a\n', 'x', '/name'],
      ['x'.repeat(65), 'x', '/name'],
      ['ann', '', '/password'],
      ['ann', 'x'.repeat(1025), '/password'],
    ] as const) {
      await assert.rejects(access.addUser(name, password), { code: 'invalid_input', pointer });
    }
    await assert.rejects(access.addUser('ann', 'x', { stores: [''] }), { pointer: '/stores' });
    assert.deepEqual(
      (await access.listUsers()).map(({ username }) => username),
      ['Jürgen@shop.example'],
    );
  });

  it('are gone once revoked; who takes the name later is another', async () => {
    await access.addUser('ann', 'old', { admin: true, stores: [STORE] });
    await access.revokeUser('ann');
    assert.equal(await access.user(1), undefined);
    await assert.rejects(access.verifyUser('ann', 'old', '10.0.0.1'), { code: 'unauthenticated' });
    await assert.rejects(access.revokeUser('ann'), { code: 'not_found' });
    const next = await access.addUser('ann', 'new');
    assert.deepEqual([next.userId, next.admin, next.stores], [2, false, []]);
    assert.equal(await access.user(1), undefined);
    assert.deepEqual(await access.user(2), next);
  });

  it('get other rights, which others are told of', async () => {
    const other = await bench.open({ clock });
    await access.addUser('ann', 'x', { admin: true, stores: [STORE] });
    const told = new Promise<number>((resolve) => access.onUserChanged(resolve));
    await other.access.setUserRights('ann', { admin: false, stores: [], companies: ['1'] });
    clock.advance(2_000);
    assert.equal(await told, 1);
    const { admin, stores, companies } = (await access.user(1)) ?? {};
    assert.deepEqual([admin, stores, companies], [false, [], ['1']]);
  });

  it('revoked by another process are told of', async () => {
    const other = await bench.open({ clock });
    await access.addUser('ann', 'x');
    const told = new Promise<number>((resolve) => access.onUserChanged(resolve));
    await other.access.revokeUser('ann');
    clock.advance(2_000);
    assert.equal(await told, 1);
  });

  const guess = async (name: string, password: string, address: string) => {
    try {
      await access.verifyUser(name, password, address);
      return 'ok';
    } catch (error) {
      assert.ok(error instanceof FieldloomError);
      return error.code;
    }
  };

  it('cannot be guessed: ten failures from one address, also all at once, and it is refused for a minute', async () => {
    await access.addUser('ann', 'right');
    const burst = Array.from({ length: 15 }, (_, number) => guess(`user${number}`, 'x', '192.0.2.1'));
    const codes = await Promise.all(burst);
    assert.deepEqual(codes.filter((code) => code === 'unauthenticated').length, 10);
    assert.deepEqual(codes.slice(10), Array(5).fill('too_many_attempts'));
    assert.equal(await guess('ann', 'right', '192.0.2.1'), 'too_many_attempts');
    assert.equal(await guess('ann', 'right', '192.0.2.2'), 'ok');
    clock.advance(60_000);
    assert.equal(await guess('ann', 'right', '192.0.2.1'), 'ok');
  });

  it('cannot be guessed from many addresses either', async () => {
    await access.addUser('ann', 'right');
    const burst = Array.from({ length: 10 }, (_, number) => guess('ann', 'x', `192.0.2.${number}`));
    await Promise.all(burst);
    await assert.rejects(access.verifyUser('ann', 'right', '192.0.2.99'), {
      code: 'too_many_attempts',
      details: { retry_after_s: 60 },
    });
  });
});
