import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { Access } from '../../lib/access/access.js';
import { secret } from '../../lib/access/secrets.js';
import { Tokens } from '../../lib/access/token.js';
import { openStore } from '../../lib/store/open.js';
import { CONTROLLER, connect, STORE } from '../support/access.js';
import { runScript } from '../support/run-script.js';

const COMMAND = join(__dirname, '../../bin/fieldloom.js');
const CONTROLLER_OPTIONS = ['--role', 'controller', '--store', STORE, '--controller', CONTROLLER];

describe('the fieldloom command', function () {
  this.timeout(60_000);
  let directory: string;
  let environment: Record<string, string>;

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'fieldloom-cli-'));
    environment = { FIELDLOOM_DIR: join(directory, 'data') };
  });
  afterEach(() => rm(directory, { recursive: true, force: true }));

  const command = (...words: string[]) => runScript(COMMAND, words, environment);
  const json = async (...words: string[]) => {
    const { code, out, problem } = await runScript(COMMAND, ['--json', ...words], environment);
    assert.deepEqual([code, problem], [0, ''], words.join(' '));
    return JSON.parse(out);
  };
  const addUser = (name: string, ...words: string[]) =>
    runScript(COMMAND, ['user', 'add', name, '--password-stdin', ...words], environment, 'a long password\n');
  /** What a gateway has open while the command runs. */
  const withGateway = async <T>(use: (access: Access) => Promise<T>): Promise<T> => {
    const store = await openStore(`sqlite:${join(directory, 'data', 'fieldloom.db')}`);
    const access = await Access.open(store);
    try {
      return await use(access);
    } finally {
      access.close();
      await store.close();
    }
  };

  it('makes a login that a gateway lets in, on a database that was not there', async () => {
    const login = await json('access', 'add', ...CONTROLLER_OPTIONS);
    assert.deepEqual(Object.keys(login), ['username', 'password']);
    await withGateway(async (access) => {
      const { username } = login;
      assert.deepEqual(await access.authenticate(connect(username, login.password)), {
        role: 'controller',
        username,
        storeId: STORE,
        controllerId: CONTROLLER,
      });
    });
  });

  it('makes logins of every role, and lists them with their ids', async () => {
    await json('access', 'add', ...CONTROLLER_OPTIONS);
    await json('access', 'add', '--role', 'machine', '--company', '1', '--machine', 'A');
    await json('access', 'add', '--role', 'device', '--device', 'D');
    await json('access', 'add', '--role', 'service');
    const listed = (await json('access', 'list')).map(
      ({ username, created_at, changed_at, ...rest }: Record<string, string>) => rest,
    );
    assert.deepEqual(listed, [
      { role: 'service' },
      { role: 'device', device_id: 'D' },
      { role: 'machine', company_id: '1', machine_id: 'A' },
      { role: 'controller', store_id: STORE, controller_id: CONTROLLER },
    ]);
    const { out } = await command('access', 'list');
    assert.match(out, /^USERNAME +ROLE +FOR +CREATED\nservice-/);
  });

  it('exports logins for Mosquitto, and names those that have to be rotated first', async () => {
    const old = await json('access', 'add', '--role', 'device', '--device', 'old');
    const login = await json('access', 'add', '--role', 'device', '--device', 'D');
    const database = new DatabaseSync(join(directory, 'data', 'fieldloom.db'));
    database.prepare('update access_client set mosquitto_hash = null where username = ?').run(old.username);
    database.close();
    const { passwords, acl, ...rest } = await json('access', 'export', '--format', 'mosquitto');
    assert.deepEqual(rest, { logins: 1, rotate: [old.username] });
    assert.match(
      await readFile(passwords, 'utf8'),
      new RegExp(`^${login.username}:\\$7\\$101\\$[^$\n]+\\$[^$\n]+\n$`),
    );
    assert.match(await readFile(acl, 'utf8'), /^topic read devices\/D\/commands$/m);
    assert.ok(!(await readFile(acl, 'utf8')).includes('devices/old'));
    for (const file of [passwords, acl]) assert.equal((await stat(file)).mode & 0o777, 0o600);

    await json('access', 'rotate', old.username);
    await json('access', 'revoke', login.username);
    const elsewhere = join(directory, 'elsewhere');
    const again = await command(
      ...['access', 'export', '--format', 'mosquitto', '--directory', elsewhere, '--prefix', 'lms/'],
    );
    assert.equal(again.code, 0);
    assert.match(again.out, /^1 logins for Mosquitto:/);
    assert.match(await readFile(join(elsewhere, 'acl'), 'utf8'), /^topic read lms\/devices\/old\/commands$/m);
    assert.deepEqual(await readdir(elsewhere), ['acl', 'passwords']);
    for (const words of [[], ['--format', 'emqx'], ['--format', 'mosquitto', '--prefix', '#']]) {
      const { code, problem } = await command('access', 'export', ...words);
      assert.equal(code, 2, words.join(' '));
      assert.match(problem, /accepted is/);
    }
  });

  it('takes --json before and after the command', async () => {
    for (const words of [
      ['--json', 'access', 'list'],
      ['access', 'list', '--json'],
    ]) {
      assert.deepEqual(JSON.parse((await command(...words)).out), []);
    }
  });

  it('shows a password once, and no secret ever again', async () => {
    const shown = await command('access', 'add', ...CONTROLLER_OPTIONS);
    const username = /username: (\S+)/.exec(shown.out)?.[1] as string;
    const first = /password: (\S+)/.exec(shown.out)?.[1] as string;
    const second = (await json('access', 'rotate', username)).password as string;
    await addUser('ann');
    const token = (await command('user', 'token', 'ann')).out.trim();
    const key = await secret(join(directory, 'data'), 'jwt-secret');
    const later = [
      await command('access', 'list'),
      await command('access', 'list', '--json'),
      await command('access', 'add', ...CONTROLLER_OPTIONS),
      await command('user', 'list', '--json'),
      await command('access', 'revoke', username),
    ].map(({ out, problem }) => out + problem);
    const database = (await readFile(join(directory, 'data', 'fieldloom.db'))).toString('latin1');
    for (const text of [first, second, token, key, 'a long password']) {
      for (const output of [...later, database]) assert.ok(!output.includes(text));
    }
  });

  it('refuses a second login for the same controller, and names the first', async () => {
    const { username } = await json('access', 'add', ...CONTROLLER_OPTIONS);
    const { code, out, problem } = await command('access', 'add', ...CONTROLLER_OPTIONS);
    assert.deepEqual([code, out], [1, '']);
    assert.ok(problem.includes(username) && problem.includes('rotate'), problem);
  });

  it('reaches a running gateway within 5 s with a revocation and a rotation', async () => {
    const login = await json('access', 'add', ...CONTROLLER_OPTIONS);
    const service = await json('access', 'add', '--role', 'service');
    await withGateway(async (access) => {
      for (const [what, { username, password }] of [
        ['rotate', login],
        ['revoke', service],
      ] as const) {
        assert.ok(await access.authenticate(connect(username, password)));
        const told = new Promise<string>((resolve, reject) => {
          const deadline = setTimeout(() => reject(new Error('not told')), 20_000);
          const off = access.onRevoked((name) => {
            clearTimeout(deadline);
            off();
            resolve(name);
          });
        });
        await json('access', what, username);
        const since = Date.now();
        assert.equal(await told, username);
        assert.ok(Date.now() - since < 5_000, `${Date.now() - since} ms`);
        assert.equal(await access.authenticate(connect(username, password)), undefined);
      }
    });
  });

  it('makes users, whose token a gateway takes until they are revoked', async () => {
    const made = await addUser(
      'ann',
      '--admin',
      '--store',
      STORE,
      '--company',
      '1',
      '--company',
      '2',
      '--json',
    );
    assert.deepEqual(JSON.parse(made.out), {
      user_id: 1,
      name: 'ann',
      admin: true,
      stores: [STORE],
      companies: ['1', '2'],
    });
    assert.deepEqual(await json('user', 'list'), [JSON.parse(made.out)]);
    const { out } = await command('user', 'token', 'ann', '--ttl', '15m');
    const token = out.trim();
    await withGateway(async (access) => {
      assert.equal((await access.verifyUser('ann', 'a long password', '10.0.0.1')).username, 'ann');
      const tokens = new Tokens(access, { secret: await secret(join(directory, 'data'), 'jwt-secret') });
      assert.equal((await tokens.verifyAccess(token)).username, 'ann');
      await json('user', 'revoke', 'ann');
      await assert.rejects(tokens.verifyAccess(token), { code: 'invalid_token' });
    });
    const claims = JSON.parse(Buffer.from(token.split('.')[1] as string, 'base64url').toString());
    assert.equal(claims.exp - claims.iat, 900);
    assert.equal((await command('user', 'token', 'ann')).code, 1);
  });

  it('keeps secrets and database for their owner', async () => {
    await addUser('ann');
    await json('user', 'token', 'ann');
    await json('backup', join(directory, 'copy.db'));
    for (const file of ['data/jwt-secret', 'data/fieldloom.db', 'copy.db']) {
      assert.equal((await stat(join(directory, file))).mode & 0o077, 0, file);
    }
  });

  it('uses the database that DATABASE_URL names', async () => {
    environment['DATABASE_URL'] = `sqlite:${join(directory, 'elsewhere.db')}`;
    await json('access', 'add', '--role', 'service');
    assert.ok((await readdir(directory)).includes('elsewhere.db'));
    assert.equal((await json('access', 'list')).length, 1);
  });

  it('says bad use in one line with option, value and what is accepted, and exits with 2', async () => {
    for (const [words, pattern] of [
      [
        ['access', 'add'],
        /^fieldloom: --role is missing: accepted is machine, controller, device, service\n$/,
      ],
      [
        ['access', 'add', '--role', 'root'],
        /--role is "root": accepted is machine, controller, device, service/,
      ],
      [
        ['access', 'add', '--role', 'controller', '--store', STORE],
        /--controller is missing: accepted is a UUID/,
      ],
      [
        ['access', 'add', '--role', 'controller', '--store', '7', '--controller', CONTROLLER],
        /--store is "7": .* UUID/,
      ],
      [
        ['access', 'add', '--role', 'machine', '--company', '+', '--machine', 'A'],
        /--company is "\+": accepted/,
      ],
      [
        ['access', 'add', '--role', 'device', '--device', 'a/b'],
        /--device is "a\/b": accepted is text without/,
      ],
      [['access', 'add', '--role', 'service', '--store', STORE], /--store does not belong to role service/],
      [
        ['access', 'add', '--role', 'device', '--device', 'D', '--company', '1'],
        /--company .* accepted is --device/,
      ],
      [['access', 'add', '--role'], /'--role <role>' argument missing/],
      [['access', 'add', '--rolle', 'x'], /unknown option '--rolle'/],
      [['access', 'rotate'], /missing required argument 'username'/],
      [['acess'], /unknown command 'acess'.*access/],
      [['user', 'add', 'ann'], /--password-stdin is missing/],
      [['user', 'add', 'a b', '--password-stdin'], /name is "a b": accepted is/],
      [['user', 'add', 'ann', '--password-stdin', '--store', 'S'], /'--store <uuid>' argument 'S' .* UUID/],
      [['user', 'token', 'ann', '--ttl', 'soon'], /'--ttl <time>' argument 'soon' .* Accepted is .* 1h/],
      [['user', 'token', 'ann', '--ttl', '0s'], /argument '0s'/],
      [['pond', 'add'], /--owner is missing/],
      [['pond', 'add', '--owner', 'ann', '--name', 'P', '--device', 'D'], /--position is missing/],
      [['pond', 'add', '--position', '1.5'], /'--position <number>' argument '1.5' .* whole number/],
      [
        ['pond', 'add', '--owner', 'a', '--name', 'P', '--device', '+', '--position', '1'],
        /--device is "\+": accepted is text without/,
      ],
      [
        ['pond', 'add', '--owner', 'a', '--name', 'P', '--device', 'D', '--position', '0'],
        /--position is 0: accepted is a whole number from 1/,
      ],
      [['pond', 'add', '--threshold', 'ph'], /argument 'ph' .* NAME=MIN:MAX/],
      [
        [
          ...['pond', 'add', '--owner', 'a', '--name', 'P', '--device', 'D', '--position', '1'],
          ...['--threshold', 'ph=9:6'],
        ],
        /--threshold is "ph=9:6": accepted is/,
      ],
      [['pond', 'remove', 'x'], /value 'x' .* 'id'.* whole number/],
    ] as [string[], RegExp][]) {
      const { code, out, problem } = await runScript(COMMAND, words, environment, 'x');
      assert.deepEqual([code, out], [2, ''], `${words.join(' ')}: ${problem}`);
      assert.match(problem, pattern);
      assert.equal(problem.trim().split('\n').length, 1, problem);
    }
    const empty = await runScript(COMMAND, ['user', 'add', 'ann', '--password-stdin'], environment, '\n');
    assert.deepEqual(
      [empty.code, empty.problem],
      [2, 'fieldloom: password is empty: accepted is at least one character\n'],
    );
  });

  it('says a bad DATABASE_URL without its password', async () => {
    for (const url of ['oracle://u:hunter2@host/db', 'mysql://u:hunter2@host', 'hunter2']) {
      const { code, problem } = await runScript(COMMAND, ['access', 'list'], {
        ...environment,
        DATABASE_URL: url,
      });
      assert.equal(code, 2, problem);
      assert.match(problem, /DATABASE_URL/);
      if (url.includes('@')) assert.ok(!problem.includes('hunter2'), problem);
    }
  });

  it('exits with 1 for what is not there', async () => {
    for (const words of [
      ['access', 'revoke', 'nobody'],
      ['access', 'rotate', 'nobody'],
      ['user', 'revoke', 'nobody'],
      ['user', 'token', 'nobody'],
      ['pond', 'remove', '7'],
      ['pond', 'add', '--owner', 'nobody', '--name', 'P', '--device', 'D', '--position', '1'],
      ['backup', join(directory, 'copy.db')],
      ['restore', join(directory, 'none.db')],
    ]) {
      const data = join(directory, words.join('-').replaceAll('/', '_'));
      const { code, out, problem } = await runScript(COMMAND, words, { FIELDLOOM_DIR: data });
      assert.deepEqual([code, out], [1, ''], words.join(' '));
      assert.match(problem, /^fieldloom: there is no /);
    }
  });

  it('shows help for whoever asks, and for a command that is none', async () => {
    const { code, out } = await command('--help');
    assert.equal(code, 0);
    for (const word of ['access', 'user', 'pond', 'backup', 'restore', 'FIELDLOOM_DIR'])
      assert.ok(out.includes(word));
    const bare = await command('access');
    assert.deepEqual([bare.code, bare.out], [2, '']);
    assert.match(bare.problem, /rotate/);
  });

  it('makes ponds, lists them with their owners, and removes them', async () => {
    await addUser('ann');
    const add = (position: number, ...words: string[]) =>
      json('pond', 'add', '--owner', 'ann', '--device', 'D', '--position', String(position), ...words);
    assert.deepEqual(await add(1, '--name', 'First pond'), { pond_id: 1 });
    assert.deepEqual(
      await add(
        ...([2, '--name', 'Second', '--feed-limit', '500'] as const),
        ...['--threshold', 'temperature=18:30.5', '--threshold', 'ph=:8'],
      ),
      { pond_id: 2 },
    );
    const first = {
      pond_id: 1,
      name: 'First pond',
      owner: 'ann',
      device_id: 'D',
      position: 1,
      feed_limit_g: 10_000,
      thresholds: {},
    };
    const second = {
      pond_id: 2,
      name: 'Second',
      owner: 'ann',
      device_id: 'D',
      position: 2,
      feed_limit_g: 500,
      thresholds: { temperature: { min: 18, max: 30.5 }, ph: { max: 8 } },
    };
    assert.deepEqual(await json('pond', 'list'), [first, second]);
    assert.match(
      (await command('pond', 'list')).out,
      /^POND +NAME +OWNER +DEVICE +POSITION +FEED LIMIT\n1 +First/,
    );
    assert.deepEqual(await json('pond', 'remove', '1'), { pond_id: 1, removed: true });
    assert.deepEqual(await add(1, '--name', 'Third'), { pond_id: 3 }, 'an id is never given again');
    await json('user', 'revoke', 'ann');
    assert.deepEqual(
      (await json('pond', 'list')).map(({ owner }: { owner: string | null }) => owner),
      [null, null],
    );
  });

  it('gives a place of a device to one pond', async () => {
    await addUser('ann');
    const words = ['pond', 'add', '--owner', 'ann', '--device', 'D', '--position', '1', '--name', 'P'];
    await json(...words);
    const { code, out, problem } = await command(...words);
    assert.deepEqual([code, out], [1, '']);
    assert.match(problem, /device D has pond 1 \(P\) at position 1 already/);
  });

  describe('backup and restore', () => {
    it('put a database back while a gateway has it open, and keep what was there', async () => {
      const { username, password } = await json('access', 'add', ...CONTROLLER_OPTIONS);
      const copy = join(directory, 'copy.db');
      await withGateway(async (access) => {
        await json('backup', copy);
        await json('access', 'revoke', username);
        await json('access', 'add', '--role', 'service');
        assert.equal(await access.authenticate(connect(username, password)), undefined);
        const { previous } = await json('restore', copy);
        assert.ok(await access.authenticate(connect(username, password)));
        assert.deepEqual(
          (await access.listClients()).map(({ principal }) => principal.role),
          ['controller'],
        );
        await access.addClient({ role: 'service' });
        await json('restore', previous);
        assert.deepEqual(
          (await access.listClients()).map(({ principal }) => principal.role),
          ['service'],
        );
      });
      assert.deepEqual(
        (await readdir(join(directory, 'data'))).filter((name) => name.startsWith('.restore')),
        [],
      );
    });

    it('fill a database that was not there', async () => {
      await json('access', 'add', '--role', 'service');
      const copy = join(directory, 'copy.db');
      await json('backup', copy);
      environment['FIELDLOOM_DIR'] = join(directory, 'fresh');
      assert.equal((await json('restore', copy)).previous, null);
      assert.equal((await json('access', 'list')).length, 1);
    });

    it('leave the database alone where the file is no backup', async () => {
      await json('access', 'add', '--role', 'service');
      const text = join(directory, 'text.db');
      await writeFile(text, 'no database, but long enough to look like one '.repeat(100));
      const foreign = join(directory, 'foreign.db');
      const database = new DatabaseSync(foreign);
      database.exec('create table other (x)');
      database.close();
      const cut = join(directory, 'cut.db');
      await json('backup', cut);
      const whole = await readFile(cut);
      await writeFile(cut, whole.subarray(0, whole.length / 2));
      for (const file of [text, foreign, cut]) {
        const { code, problem } = await command('restore', file);
        assert.equal(code, 2, problem);
        assert.match(problem, /is no backup of a Fieldloom database/);
      }
      assert.equal((await json('access', 'list')).length, 1);
      const into = await command('backup', join(directory, 'data', 'fieldloom.db'));
      assert.equal(into.code, 2);
    });
  });
});
