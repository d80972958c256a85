import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { connectAsync, type MqttClient } from 'mqtt';
import { WebSocket } from 'ws';
import { eventually } from '../support/gateway.js';
import { describedAddresses, describedBelow } from '../support/openapi.js';
import { type Login, rolloutOf, TwoTenants, type Values } from '../support/tenants.js';

/**
 * Whose a path is:
 * - `open`: nothing of anybody's is behind it, or it proves itself who may (a password, a signed link).
 * - `broker`: a broker's, behind a secret of its own.
 * - `admin`: an administrator's alone; whoever else asks is refused before anything is looked up.
 * - `everyone`: what no company has for itself; any user of the gateway may.
 * - `list`: each sees their own in it.
 * - `seed`: the document of the protocol tells "not yours" from "not there".
 * - a list of parameters: the thing they name belongs to a company. Whoever is of another is told the same of what is
 *   there and of what is not.
 */
type Owner = 'open' | 'broker' | 'admin' | 'everyone' | 'list' | 'parts' | 'seed' | readonly string[];

const ROLLOUT = ['rollout_id'];
const DEPLOYMENT = ['deployment_id'];
const STORE = ['store_id'];
const MACHINE = ['company_id', 'machine_id'];
const ROASTER = ['machine_id'];
const PROFILE = ['profile_id'];

const OWNERS: Readonly<Record<string, Owner>> = {
  'get /health': 'open',
  'get /metrics': 'open',
  'post /api/token/': 'open',
  'post /api/token/refresh/': 'open',
  'post /api/ws-ticket': 'open',
  'get /firmware/images/{id}/file': 'open',
  'get /stores': 'list',
  'get /overview': 'parts',
  'get /stores/{store_id}/machines': STORE,
  'get /stores/{store_id}/machines/history': STORE,
  'get /stores/{store_id}/controllers/history': STORE,
  'get /stores/{store_id}/machines/statistics': STORE,
  'get /dead-letters': 'admin',
  'get /dead-letters/{id}': 'admin',
  'post /dead-letters/{id}/replay': 'admin',
  'get /access/clients': 'admin',
  'post /access/clients': 'admin',
  'delete /access/clients/{username}': 'admin',
  'post /access/clients/{username}/rotate': 'admin',
  'post /mqtt/auth': 'broker',
  'post /mqtt/acl': 'broker',
  'post /mqtt/rabbitmq/user': 'broker',
  'post /mqtt/rabbitmq/vhost': 'broker',
  'post /mqtt/rabbitmq/resource': 'broker',
  'post /mqtt/rabbitmq/topic': 'broker',
  'get /automation/ponds/': 'list',
  'get /automation/ponds/{pond_id}/': 'seed',
  'post /automation/ponds/{pond_id}/control/feed/': 'seed',
  'post /automation/ponds/{pond_id}/control/water/': 'seed',
  'get /automation/ponds/{pond_id}/executions/': 'seed',
  'get /automation/ponds/{pond_id}/readings/': 'seed',
  'get /automation/ponds/{pond_id}/alerts/': 'seed',
  'post /automation/alerts/{alert_id}/acknowledge/': 'seed',
  'get /automation/executions/{execution_id}/': 'seed',
  'post /automation/executions/{execution_id}/cancel/': 'seed',
  'post /firmware/rollouts': STORE,
  'get /firmware/rollouts': 'list',
  'get /firmware/rollouts/{id}': ROLLOUT,
  'post /firmware/rollouts/{id}/start': ROLLOUT,
  'post /firmware/rollouts/{id}/pause': ROLLOUT,
  'post /firmware/rollouts/{id}/resume': ROLLOUT,
  'post /firmware/rollouts/{id}/approve': ROLLOUT,
  'post /firmware/rollouts/{id}/cancel': ROLLOUT,
  'post /firmware/rollouts/{id}/retry': ROLLOUT,
  'get /firmware/rollouts/{id}/deployments': ROLLOUT,
  'get /firmware/deployments/{id}': DEPLOYMENT,
  'post /firmware/deployments/{id}/cancel': DEPLOYMENT,
  'post /firmware/deployments/{id}/force': DEPLOYMENT,
  'get /firmware/images': 'everyone',
  'post /firmware/images': 'admin',
  'get /firmware/images/{id}': 'everyone',
  'delete /firmware/images/{id}': 'admin',
  'get /companies': 'list',
  'get /companies/{company_id}/commands': ['company_id'],
  'get /companies/{company_id}/machines': ['company_id'],
  'get /companies/{company_id}/machines/{machine_id}/status': MACHINE,
  'get /companies/{company_id}/machines/{machine_id}/status/history': MACHINE,
  'get /companies/{company_id}/machines/{machine_id}/telemetry': MACHINE,
  'get /companies/{company_id}/machines/{machine_id}/commands/{command_id}': [...MACHINE, 'command_id'],
  'post /companies/{company_id}/machines/{machine_id}/command': MACHINE,
  'get /api/machines': 'list',
  'post /api/machines': 'admin',
  'get /api/machines/{id}': ROASTER,
  'put /api/machines/{id}': ROASTER,
  'delete /api/machines/{id}': ROASTER,
  'post /api/machines/{id}/connect': ROASTER,
  'post /api/machines/{id}/disconnect': ROASTER,
  'get /api/machines/{id}/session': ROASTER,
  'get /api/profiles': 'list',
  'post /api/profiles': ROASTER,
  'get /api/profiles/{id}': PROFILE,
  'delete /api/profiles/{id}': PROFILE,
  'get /api/profiles/{id}/export': PROFILE,
};

/** Live feeds, as above. */
const FEEDS: Readonly<Record<string, Owner>> = {
  '/realtime/stores/{store_id}': STORE,
  '/realtime/ponds/{pond_id}': 'seed',
  '/realtime/firmware/{rollout_id}': ROLLOUT,
  '/realtime/{machine_id}': ['machine_id'],
  '/realtime/companies/{company_id}': ['company_id'],
  '/ws/live/{machine_id}': ROASTER,
};

/** Which thing `{id}` is, by what the path begins with. */
const IDS: readonly (readonly [string, string])[] = [
  ['/firmware/rollouts', 'rollout_id'],
  ['/firmware/deployments', 'deployment_id'],
  ['/firmware/images', 'image_id'],
  ['/dead-letters', 'letter_id'],
  ['/api/machines', 'machine_id'],
  ['/api/profiles', 'profile_id'],
];

/** Names of a path's parameters, as `Values` has them. */
const parametersOf = (path: string) =>
  [...path.matchAll(/\{(\w+)\}/g)].map(([, name = '']) =>
    name === 'id' ? (IDS.find(([root]) => path.startsWith(root))?.[1] ?? '') : name,
  );

function filled(path: string, values: Values): string {
  const names = parametersOf(path);
  return path.replaceAll(/\{\w+\}/g, () => {
    const name = names.shift() ?? '';
    const value = values[name];
    assert.ok(value, `a value of ${name} for ${path}`);
    return encodeURIComponent(value);
  });
}

/** The same values, but one of them names nothing. */
const without = (values: Values, name: string): Values => ({
  ...values,
  [name]: name.endsWith('machine_id') || name === 'company_id' ? `no-${randomUUID()}` : randomUUID(),
});

/** What they publish; the gateway sends nothing like it. */
const OF_THE_OTHER = '{}';
const PAIRS = 15;
/** Between the quickest answers, since what else runs here makes others slower: a difference that could be told. */
const TELLING_MS = 8;

describe('a user and a machine of one company, after everything of another', function () {
  this.timeout(180_000);
  let tenants: TwoTenants;
  let real: Values;

  before(async () => {
    tenants = await TwoTenants.start();
    real = tenants.owner.values;
  });
  after(() => tenants?.remove());

  const bodyOf = (key: string, values: Values) => {
    if (!key.startsWith('post') && !key.startsWith('put')) return undefined;
    if (key === 'post /firmware/rollouts') {
      return rolloutOf(
        real['image_id'] as string,
        values['store_id'] as string,
        values['controller_id'] as string,
      );
    }
    if (key === 'post /api/profiles') return { machine_id: values['machine_id'], name: 'a roast' };
    return key.endsWith('/command') ? { command: 'stop' } : {};
  };

  async function ask(key: string, values: Values, as: string | undefined) {
    const [method = '', path = ''] = key.split(' ');
    const body = bodyOf(key, values);
    const begun = performance.now();
    const answer = await fetch(tenants.gateway.url + filled(path, values), {
      method: method.toUpperCase(),
      headers: {
        ...(as !== undefined && { authorization: `Bearer ${as}` }),
        ...(body !== undefined && { 'content-type': 'application/json' }),
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    const text = await answer.text();
    return { status: answer.status, text, ms: performance.now() - begun };
  }

  /** An answer may repeat what was asked for. */
  const wordsOf = (text: string, values: Values) =>
    Object.entries(values)
      .filter(([, value]) => value.length > 2)
      .reduce((words, [name, value]) => words.replaceAll(value, `<${name}>`), text);

  for (const [path, method] of describedBelow('/')) {
    const key = `${method} ${path}`;
    it(`is refused, or sees nothing of the other: ${key}`, async () => {
      const owner = OWNERS[key];
      assert.ok(owner, `${key} is new: say in OWNERS whose it is`);
      const eve = tenants.other.token;
      if (owner === 'open' || owner === 'everyone') return;
      if (owner === 'broker') {
        assert.equal((await ask(key, real, eve)).status, 401);
        return;
      }
      if (owner === 'list' || owner === 'parts') {
        const { status, text } = await ask(key, real, eve);
        assert.equal(status, 200);
        const own = tenants.other.values;
        for (const [name, value] of Object.entries(real)) {
          if (value === own[name] || value.length < 4) continue;
          assert.ok(!text.includes(value), `${name} of the other company: ${text}`);
        }
        assert.ok(!text.includes(`Pond of ${tenants.owner.name}`), text);
        if (owner === 'parts') return;
        assert.notEqual(JSON.parse(text).items.length, 0);
        const all = (await ask(key, real, tenants.root)).text;
        assert.ok(JSON.parse(all).items.length > JSON.parse(text).items.length, 'there is more in the list');
        return;
      }
      assert.equal((await ask(key, real, undefined)).status, 401);
      const refused = await ask(key, real, eve);
      if (owner === 'seed') {
        assert.deepEqual(
          [refused.status, JSON.parse(refused.text)],
          [403, { success: false, error: 'Access denied' }],
        );
        return;
      }
      assert.ok([403, 404].includes(refused.status), refused.text);
      const names = owner === 'admin' ? parametersOf(path) : owner;
      for (const name of names) {
        const nothing = without(real, name);
        const times: [number[], number[]] = [[], []];
        for (let pair = 0; pair < PAIRS; pair += 1) {
          const [there, not] = [await ask(key, real, eve), await ask(key, nothing, eve)];
          assert.equal(not.status, there.status, name);
          assert.equal(wordsOf(not.text, nothing), wordsOf(there.text, real), name);
          times[0].push(there.ms);
          times[1].push(not.ms);
        }
        const [there, not] = times.map((all) => Math.min(...all)) as [number, number];
        assert.ok(
          Math.abs(there - not) < TELLING_MS,
          `${name}: ${there} ms where it is, ${not} ms where not`,
        );
      }
      if (method === 'delete') return;
      // Whoever it belongs to is let in: the refusal was for who asked.
      const mine = await ask(key, real, owner === 'admin' ? tenants.root : tenants.owner.token);
      assert.ok(![401, 403, 404].includes(mine.status), `${mine.status} ${mine.text}`);
    });
  }

  it('finds no path in the table above that is not there any more', () => {
    const keys = describedBelow('/').map(([path, method]) => `${method} ${path}`);
    assert.deepEqual(
      Object.keys(OWNERS).filter((key) => !keys.includes(key)),
      [],
    );
  });

  async function closeCode(path: string, as: string | undefined): Promise<number> {
    const headers = as === undefined ? {} : { authorization: `Bearer ${as}` };
    const socket = new WebSocket(tenants.gateway.url.replace('http', 'ws') + path, { headers });
    try {
      return await new Promise((resolve) => {
        socket.on('error', () => {});
        socket.on('unexpected-response', (_request, { statusCode }) => resolve(statusCode as number));
        socket.on('message', (data) => {
          if (JSON.parse(data.toString()).type !== 'error') resolve(200);
        });
        socket.on('close', resolve);
      });
    } finally {
      socket.terminate();
    }
  }

  for (const address of describedAddresses('live')) {
    it(`is refused by the live feed ${address}`, async () => {
      const owner = FEEDS[address];
      assert.ok(owner, `${address} is new: say in FEEDS whose it is`);
      assert.equal(await closeCode(filled(address, real), undefined), 401);
      if (owner === 'everyone') return;
      const eve = tenants.other.token;
      const refused = await closeCode(filled(address, real), eve);
      assert.ok(refused === 4403 || refused === 4404, String(refused));
      for (const name of typeof owner === 'string' ? [] : owner) {
        assert.equal(await closeCode(filled(address, without(real, name)), eve), refused, name);
      }
      assert.equal(await closeCode(filled(address, real), tenants.owner.token), 200);
    });
  }

  it('roasts with what an administrator has set up, and changes no driver', async () => {
    const { gateway, root, owner } = tenants;
    const put = async (as: string, body: object) => {
      const answer = await fetch(`${gateway.url}/api/machines/${real['machine_id']}`, {
        method: 'PUT',
        headers: { authorization: `Bearer ${as}`, 'content-type': 'application/json' },
        body: JSON.stringify({ name: 'Drum', driver: 'simulator', ...body }),
      });
      return [answer.status, ((await answer.json()) as { error?: { code: string } }).error?.code];
    };
    const alarm = { id: 'hot', when: { source: 'bt', above: 220 } };
    assert.deepEqual(await put(owner.token, { config: { alarms: [alarm] } }), [200, undefined]);
    assert.deepEqual(await put(owner.token, { driver: 'flow' }), [403, 'forbidden']);
    assert.deepEqual(await put(root, { driver: 'flow' }), [200, undefined]);
    assert.deepEqual(await put(root, { company_id: 'another' }), [400, 'invalid_input']);
  });

  it('reaches no topic of the other: nothing it publishes arrives, nothing is granted, there or not', async () => {
    const { gateway } = tenants;
    const service = (await gateway.command('access', 'add', '--role', 'service')) as Login;
    const open: MqttClient[] = [];
    const connected = async (login: Login) => {
      const client = await connectAsync(gateway.mqttUrl, { ...login, reconnectPeriod: 0 });
      open.push(client);
      return client;
    };
    try {
      const listener = await connected(service);
      const heard: string[] = [];
      // The gateway itself goes on sending to the owner's devices: only what these logins publish has these bytes.
      listener.on('message', (topic, payload) => {
        if (payload.toString() === OF_THE_OTHER) heard.push(topic);
      });
      const addresses = describedAddresses('mqtt');
      const filters = [...new Set(addresses.map((address) => address.replaceAll(/\{\w+\}/g, '+')))];
      await listener.subscribeAsync(filters, { qos: 1 });
      const unknown = Object.fromEntries(Object.keys(real).map((name) => [name, randomUUID()]));
      const own = tenants.other.values;
      // Also where but one id is the other's.
      const mixed = Object.keys(real).map((name): Values => ({ ...own, [name]: real[name] as string }));
      for (const login of Object.values(tenants.other.logins)) {
        const again = async () => {
          const made = await connected(login);
          return { client: made, ended: new Promise<void>((resolve) => made.once('close', () => resolve())) };
        };
        let { client, ended } = await again();
        for (const address of addresses) {
          const topics = new Set([real, unknown, ...mixed].map((values) => filled(address, values)));
          topics.delete(filled(address, own));
          for (const topic of topics) {
            const granted = await new Promise((resolve) => {
              client.subscribe(topic, { qos: 1 }, (_error, _grants, suback) => resolve(suback?.granted?.[0]));
            });
            assert.equal(granted, 128, topic);
          }
        }
        for (const address of addresses) {
          await Promise.race([client.publishAsync(filled(address, real), OF_THE_OTHER, { qos: 1 }), ended]);
          // After ten refused publishes in a minute each further one ends the connection.
          if (!client.connected) ({ client, ended } = await again());
        }
      }
      // What is allowed arrives, and last: so nothing else is still on its way.
      const last = filled('devices/{device_id}/data/heartbeat', own);
      await (await connected(tenants.other.logins.device)).publishAsync(last, OF_THE_OTHER, { qos: 1 });
      await eventually(async () => heard.includes(last) || undefined, 'the message that is allowed');
      assert.deepEqual(heard, [last]);
    } finally {
      for (const client of open) await client.endAsync(true);
    }
  });
});
