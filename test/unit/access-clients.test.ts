import assert from 'node:assert/strict';
import type { Access } from '../../lib/access/access.js';
import { type ClientIdentity, clientIdentity, newUsername } from '../../lib/access/client.js';
import { hashPassword } from '../../lib/access/password.js';
import { isTopicLevel } from '../../lib/core/topic.js';
import type { Store } from '../../lib/store/store.js';
import { AccessBench, CONTROLLER, connect, STORE } from '../support/access.js';
import { type FakeClock, fakeClock } from '../support/fake-clock.js';

const controller: ClientIdentity = { role: 'controller', storeId: STORE, controllerId: CONTROLLER };

/** The next call of an `on…` listener; it has to come within a deadline. */
function nextCall<T>(on: (listener: (value: T) => void) => () => void): Promise<T> {
  return new Promise((resolve, reject) => {
    const timeout = setTimeout(() => reject(new Error('nothing came within 10 s')), 10_000);
    const off = on((value) => {
      clearTimeout(timeout);
      off();
      resolve(value);
    });
  });
}

describe('MQTT logins', () => {
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

  const authenticated = (username?: string, password?: string, address?: string) =>
    access.authenticate(connect(username, password, address));

  it('let in who they were made for, each role with its ids', async () => {
    const identities: ClientIdentity[] = [
      controller,
      { role: 'machine', company: 'Sonne & Söhne', machine: 'A' },
      { role: 'device', device: 'D' },
      { role: 'service' },
    ];
    for (const identity of identities) {
      const { username, password } = await access.addClient(identity);
      assert.deepEqual(await authenticated(username, password), { ...identity, username });
    }
    assert.equal(access.counts.accepted, 4);
  });

  it('are refused with a wrong password, an unknown name, no name and no password', async () => {
    const { username, password } = await access.addClient(controller);
    for (const [name, word] of [
      [username, 'wrong'],
      [username, ''],
      [username, undefined],
      [undefined, password],
      [undefined, undefined],
      ['', ''],
      ['nobody', password],
      [username.toUpperCase(), password],
      [`${username} `, password],
    ]) {
      assert.equal(await authenticated(name, word), undefined, `${name}`);
    }
    assert.equal(access.counts.refused, 9);
  });

  it('have readable names that differ', () => {
    assert.match(newUsername(controller), /^controller-6ba7b810-[a-z2-9]{6}$/);
    assert.match(newUsername({ role: 'device', device: 'Pond Ü/1' }), /^device-pond-1-[a-z2-9]{6}$/);
    assert.match(newUsername({ role: 'device', device: 'Ü' }), /^device-[a-z2-9]{6}$/);
    assert.match(newUsername({ role: 'service' }), /^service-[a-z2-9]{6}$/);
    assert.notEqual(newUsername({ role: 'service' }), newUsername({ role: 'service' }));
  });

  it('keep of a password its hashes alone', async () => {
    const { username, password } = await access.addClient(controller);
    const row = await store.db.selectFrom('access_client').selectAll().executeTakeFirstOrThrow();
    assert.equal(row.username, username);
    assert.ok(!JSON.stringify(row).includes(password));
    assert.ok(!JSON.stringify(await access.listClients()).includes(row.hash));
  });

  it('are one for each controller, machine and device; the refusal names it', async () => {
    for (const identity of [controller, { role: 'device', device: 'D' }] as const) {
      const { username } = await access.addClient(identity);
      await assert.rejects(
        access.addClient(identity),
        (error: Error & { code: string; details: unknown }) => {
          assert.equal(error.code, 'conflict');
          assert.deepEqual(error.details, { username });
          assert.ok(error.message.includes(username));
          return true;
        },
      );
      await access.revokeClient(username);
      assert.notEqual((await access.addClient(identity)).username, username);
    }
  });

  it('are one for each controller also where two processes make it at once', async () => {
    const other = await bench.open({ clock });
    const results = await Promise.allSettled([
      access.addClient(controller),
      other.access.addClient(controller),
      access.addClient(controller),
      other.access.addClient(controller),
    ]);
    assert.equal(results.filter(({ status }) => status === 'fulfilled').length, 1);
    assert.equal((await access.listClients()).length, 1);
  });

  it('are listed newest first, page by page, without the revoked', async () => {
    const names: string[] = [];
    for (let device = 0; device < 5; device += 1) {
      names.unshift((await access.addClient({ role: 'device', device: `D${device}` })).username);
    }
    const usernames = (clients: Awaited<ReturnType<Access['listClients']>>) =>
      clients.map(({ principal }) => principal.username);
    assert.deepEqual(usernames(await access.listClients()), names);
    const first = await access.listClients({ limit: 2 });
    assert.deepEqual(usernames(first), names.slice(0, 2));
    const before = first[1]?.createdAt as number;
    assert.deepEqual(usernames(await access.listClients({ limit: 2, before })), names.slice(2, 4));
    await access.revokeClient(names[0] as string);
    assert.deepEqual(usernames(await access.listClients()), names.slice(1));
  });

  it('take the new password alone after a rotation', async () => {
    const old = await access.addClient(controller);
    assert.ok(await authenticated(old.username, old.password));
    const revoked = nextCall<string>((listener) => access.onRevoked(listener));
    const login = await access.rotateClient(old.username);
    assert.equal(login.username, old.username);
    assert.equal(await revoked, old.username);
    assert.equal(await authenticated(old.username, old.password), undefined);
    assert.ok(await authenticated(login.username, login.password));
  });

  it('are of no use after a revocation', async () => {
    const { username, password } = await access.addClient(controller);
    assert.ok(await authenticated(username, password));
    const revoked = nextCall<string>((listener) => access.onRevoked(listener));
    await access.revokeClient(username);
    assert.equal(await revoked, username);
    assert.equal(await authenticated(username, password), undefined);
    for (const change of [() => access.revokeClient(username), () => access.rotateClient(username)]) {
      await assert.rejects(change, { code: 'not_found' });
    }
    await assert.rejects(access.rotateClient('nobody'), { code: 'not_found' });
  });

  it('revoked by another process are told within 5 s, once; new ones are not', async () => {
    const other = await bench.open();
    const { username, password } = await other.access.addClient(controller);
    assert.ok(await authenticated(username, password));
    const told: string[] = [];
    access.onRevoked((name) => told.push(name));
    const revoked = nextCall<string>((listener) => access.onRevoked(listener));
    await other.access.revokeClient(username);
    await other.access.addClient(controller);
    clock.advance(5_000);
    assert.equal(await revoked, username);
    await access.revokeClient((await access.addClient({ role: 'service' })).username);
    assert.deepEqual(
      told.filter((name) => name === username),
      [username],
    );
    assert.equal(told.length, 2);
  });

  it('revoked by a process whose clock is an hour behind are told all the same', async () => {
    const late = await bench.open({ clock: fakeClock(clock.now() - 3_600_000) });
    const { username } = await access.addClient(controller);
    const revoked = nextCall<string>((listener) => access.onRevoked(listener));
    await late.access.revokeClient(username);
    clock.advance(2_000);
    assert.equal(await revoked, username);
  });

  it('rotated by another process end the old session before the new one is let in', async () => {
    const other = await bench.open();
    const { username } = await access.addClient(controller);
    const events: string[] = [];
    access.onRevoked(() => events.push('told'));
    const login = await other.access.rotateClient(username);
    await authenticated(login.username, login.password).then(() => events.push('let in'));
    const later = await access.addClient({ role: 'service' });
    await access.revokeClient(later.username);
    assert.deepEqual(events, ['told', 'let in', 'told']);
  });

  it('revoked while their password is being checked are not let in', async () => {
    const { username, password } = await access.addClient(controller);
    const slow = await hashPassword(password, 2 ** 15);
    await store.db.updateTable('access_client').set(slow).execute();
    const told = nextCall<string>((listener) => access.onRevoked(listener));
    const attempt = authenticated(username, password);
    await access.revokeClient(username);
    assert.equal(await told, username);
    assert.equal(await attempt, undefined);
  });

  it('of a database that was restored are told to begin anew', async () => {
    const { username, password } = await access.addClient(controller);
    assert.ok(await authenticated(username, password));
    await store.db.updateTable('setting').set({ value: '1' }).where('name', '=', 'access.revision').execute();
    const told = nextCall<string>((listener) => access.onRevoked(listener));
    clock.advance(2_000);
    assert.equal(await told, username);
  });

  it('are refused for a minute after ten failures from one address, and from that address alone', async () => {
    const { username, password } = await access.addClient(controller);
    for (let attempt = 0; attempt < 10; attempt += 1) {
      assert.equal(await authenticated(username, 'guess', '192.0.2.1'), undefined);
    }
    assert.equal(await authenticated(username, password, '192.0.2.1'), undefined);
    assert.equal(await authenticated(username, password, '::ffff:192.0.2.1'), undefined);
    assert.equal(access.counts.limited, 2);
    assert.ok(await authenticated(username, password, '192.0.2.2'));
    clock.advance(60_000);
    assert.ok(await authenticated(username, password, '192.0.2.1'));
  });

  it('are not held back by clients at the same address that send none', async () => {
    const { username, password } = await access.addClient(controller);
    for (let attempt = 0; attempt < 20; attempt += 1) {
      assert.equal(await authenticated(undefined, undefined), undefined);
      assert.equal(await authenticated(username, undefined), undefined);
    }
    assert.ok(await authenticated(username, password));
    assert.equal(access.counts.refused, 40);
  });

  it('that come back in a storm cost no scrypt each', async () => {
    const { username, password } = await access.addClient(controller);
    // Each check of this hash takes a tenth of a second: 500 of them would take most of a minute.
    await store.db
      .updateTable('access_client')
      .set(await hashPassword(password, 2 ** 15))
      .execute();
    assert.ok(await authenticated(username, password));
    const start = Date.now();
    const storm = await Promise.all(Array.from({ length: 500 }, () => authenticated(username, password)));
    assert.ok(storm.every((principal) => principal?.username === username));
    assert.ok(Date.now() - start < 5_000, `${Date.now() - start} ms`);
  });

  it('are looked after no more once closed', async () => {
    access.close();
    assert.equal(clock.timers, 0);
  });

  it('survive a listener that throws', async () => {
    const { username } = await access.addClient(controller);
    access.onRevoked(() => {
      throw new Error('listener');
    });
    const told = nextCall<string>((listener) => access.onRevoked(listener));
    await access.revokeClient(username);
    assert.equal(await told, username);
  });
});

describe('whom a login is for', () => {
  const refused = (fields: Record<string, unknown>, pattern: RegExp, pointer: string) =>
    assert.throws(() => clientIdentity(fields), { code: 'invalid_input', message: pattern, pointer });

  it('has the ids of its role, in its own words', () => {
    assert.deepEqual(
      clientIdentity({ role: 'controller', store_id: STORE, controller_id: CONTROLLER }),
      controller,
    );
    assert.deepEqual(clientIdentity({ role: 'machine', company_id: '1', machine_id: 'A' }), {
      role: 'machine',
      company: '1',
      machine: 'A',
    });
    assert.deepEqual(clientIdentity({ role: 'service' }), { role: 'service' });
  });

  it('names what is missing, foreign or wrong, and what is accepted', () => {
    refused({}, /^role is missing: accepted is machine, controller, device, service$/, '/role');
    refused({ role: 'root' }, /^role is "root": accepted/, '/role');
    refused({ role: 'device' }, /^device_id is missing/, '/device_id');
    refused({ role: 'device', device_id: 7 }, /^device_id is 7/, '/device_id');
    refused(
      { role: 'controller', store_id: STORE },
      /^controller_id is missing: accepted is a UUID$/,
      '/controller_id',
    );
    refused(
      { role: 'controller', store_id: 'S', controller_id: CONTROLLER },
      /^store_id is "S"/,
      '/store_id',
    );
    refused(
      { role: 'device', device_id: 'D', store_id: STORE },
      /^store_id does not belong to role device/,
      '/store_id',
    );
    refused({ role: 'service', company_id: '1' }, /accepted is no id$/, '/company_id');
  });

  it('cannot be an id that would widen a topic', () => {
    for (const id of [
      '',
      '+',
      '#',
      'a/b',
      'a+',
      'a#',
      'a\nb',
      'a\u0000',
      'a\u007f',
      '\ud800',
      'x'.repeat(256),
    ]) {
      refused({ role: 'device', device_id: id }, /^device_id is/, '/device_id');
      refused({ role: 'machine', company_id: id, machine_id: 'A' }, /^company_id is/, '/company_id');
    }
    assert.ok(isTopicLevel('x'.repeat(255)));
    assert.deepEqual(clientIdentity({ role: 'device', device_id: 'x'.repeat(255) }).role, 'device');
  });
});
