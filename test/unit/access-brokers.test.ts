import assert from 'node:assert/strict';
import { pbkdf2Sync } from 'node:crypto';
import fc from 'fast-check';
import type { Access } from '../../lib/access/access.js';
import type { Question } from '../../lib/access/broker-http.js';
import { emqxRoutes } from '../../lib/access/emqx.js';
import { mosquittoFiles } from '../../lib/access/mosquitto.js';
import { createPolicy } from '../../lib/access/policy.js';
import type { MqttPrincipal } from '../../lib/access/principal.js';
import { rabbitMqRoutes, topicOfRoutingKey } from '../../lib/access/rabbitmq.js';
import { filterMatches, isTopicLevel } from '../../lib/core/topic.js';
import type { Answer, Route } from '../../lib/web/route.js';
import { AccessBench } from '../support/access.js';
import { fakeClock } from '../support/fake-clock.js';

const policy = createPolicy();

/** Asks the endpoints of both brokers, past the secret. */
function doors(access: Pick<Access, 'authenticate' | 'principalOf'>) {
  const questions: (Question & { allowed: boolean })[] = [];
  const options = {
    access: () => access,
    policy,
    admission: () => {},
    answered: (question: Question, allowed: boolean) => questions.push({ ...question, allowed }),
  };
  const routes: Route[] = [...emqxRoutes(options), ...rabbitMqRoutes({ ...options, vhost: '/' })];
  async function ask(path: string, body: unknown): Promise<Answer> {
    const route = routes.find((candidate) => candidate.path === path);
    assert.ok(route, path);
    assert.equal(route.method, 'POST');
    const request = { method: 'POST', path, parameters: {}, query: new URLSearchParams(), headers: {} };
    return route.handle({ ...request, body, principal: undefined, address: '10.9.9.9' });
  }
  return {
    questions,
    ask,
    emqx: async (path: '/mqtt/auth' | '/mqtt/acl', body: unknown) =>
      ((await ask(path, body)).body as { result: string }).result,
    rabbit: async (path: string, form: string) =>
      String((await ask(`/mqtt/rabbitmq/${path}`, Object.fromEntries(new URLSearchParams(form)))).body),
  };
}

describe('the endpoints for other brokers', function () {
  this.timeout(30_000);
  let bench: AccessBench;
  let access: Access;
  const clock = fakeClock();
  let open: ReturnType<typeof doors>;
  let machine: { username: string; password: string };
  let service: { username: string; password: string };

  beforeEach(async () => {
    bench = await AccessBench.create();
    ({ access } = await bench.open({ clock }));
    machine = await access.addClient({ role: 'machine', company: '1', machine: 'A' });
    service = await access.addClient({ role: 'service' });
    open = doors(access);
  });
  afterEach(() => bench.remove());

  const login = (more: object = {}) => ({
    username: machine.username,
    password: machine.password,
    clientid: machine.username,
    peerhost: '10.0.0.7',
    ...more,
  });

  describe('of EMQX', () => {
    it('answer its documented requests with its documented answers', async () => {
      const allow = { status: 200, body: { result: 'allow', is_superuser: false } };
      const deny = { status: 200, body: { result: 'deny', is_superuser: false } };
      assert.deepEqual(await open.ask('/mqtt/auth', login()), allow);
      assert.deepEqual(await open.ask('/mqtt/auth', login({ password: 'wrong' })), deny);
      const acl = (topic: string, action: string, username = machine.username) =>
        open.ask('/mqtt/acl', { username, clientid: username, peerhost: '10.0.0.7', topic, action });
      assert.deepEqual(await acl('company/1/machine/A/telemetry', 'publish'), allow);
      assert.deepEqual(await acl('company/2/machine/A/telemetry', 'publish'), deny);
      assert.deepEqual(await acl('company/1/machine/A/#', 'subscribe'), allow);
      assert.deepEqual(await acl('company/1/machine/#', 'subscribe'), deny);
      assert.deepEqual(await acl('company/1/machine/A/telemetry', 'publish', 'nobody'), deny);
      assert.deepEqual(
        open.questions.map(({ kind, address, allowed }) => [kind, address, allowed]),
        [
          ['login', '10.0.0.7', true],
          ['login', '10.0.0.7', false],
          ['publish', '10.0.0.7', true],
          ['publish', '10.0.0.7', false],
          ['subscribe', '10.0.0.7', true],
          ['subscribe', '10.0.0.7', false],
          ['publish', '10.0.0.7', false],
        ],
      );
    });

    it('refuse who has no name, no password, another password, or is revoked', async () => {
      for (const more of [
        { username: null, password: null },
        { username: '' },
        { password: '' },
        { username: undefined },
        { username: 'nobody', clientid: 'nobody' },
        { username: `${machine.username}\0`, clientid: `${machine.username}\0` },
        { password: service.password },
      ]) {
        assert.equal(await open.emqx('/mqtt/auth', login(more)), 'deny', JSON.stringify(more));
      }
      await access.revokeClient(machine.username);
      assert.equal(await open.emqx('/mqtt/auth', login()), 'deny');
      const acl = { username: machine.username, topic: 'company/1/machine/A/telemetry', action: 'publish' };
      assert.equal(await open.emqx('/mqtt/acl', acl), 'deny');
    });

    it('bind the client id of a machine to its user name, and let a service have any that is nobody else’s', async () => {
      for (const clientid of ['', 'other', `${machine.username}-2`, service.username]) {
        assert.equal(await open.emqx('/mqtt/auth', login({ clientid })), 'deny', clientid);
      }
      for (const [clientid, result] of [
        [service.username, 'allow'],
        ['worker-1', 'allow'],
        [machine.username, 'deny'],
      ] as const) {
        assert.equal(await open.emqx('/mqtt/auth', login({ ...service, clientid })), result, clientid);
      }
    });

    it('count failures by the address of the client, not by that of the broker', async () => {
      for (let failure = 0; failure < 10; failure += 1) {
        await open.emqx('/mqtt/auth', login({ password: 'wrong', peerhost: '10.0.0.66' }));
      }
      assert.equal(await open.emqx('/mqtt/auth', login({ peerhost: '10.0.0.66' })), 'deny');
      assert.equal(await open.emqx('/mqtt/auth', login({ peerhost: '10.0.0.7' })), 'allow');
      clock.advance(60_001);
      assert.equal(await open.emqx('/mqtt/auth', login({ peerhost: '10.0.0.66' })), 'allow');
    });

    it('name the field that a body template forgot, and never its value', async () => {
      for (const [path, body, pointer] of [
        ['/mqtt/auth', [], ''],
        ['/mqtt/auth', undefined, ''],
        ['/mqtt/auth', { username: 'x', password: 'hidden' }, '/clientid'],
        ['/mqtt/auth', login({ password: { $ne: 'hidden' } }), '/password'],
        ['/mqtt/acl', { username: 'x', action: 'publish' }, '/topic'],
        ['/mqtt/acl', { username: 'x', action: 'all', topic: 'a' }, '/action'],
      ] as const) {
        await assert.rejects(open.ask(path, body), (error: Error & { code: string; pointer: string }) => {
          assert.deepEqual([error.code, error.pointer], ['invalid_input', pointer]);
          assert.doesNotMatch(error.message, /hidden/);
          return true;
        });
      }
    });
  });

  describe('of RabbitMQ', () => {
    const context = () =>
      `variable_map.client_id=${machine.username}&variable_map.username=${machine.username}&variable_map.vhost=%2F`;

    it('answer its requests, as version 3.10 sends them, in plain text', async () => {
      const { username, password } = machine;
      const name = `username=${username}&vhost=%2F`;
      assert.deepEqual(
        await open.ask('/mqtt/rabbitmq/user', { username, password, vhost: '/', client_id: username }),
        {
          status: 200,
          headers: { 'Content-Type': 'text/plain; charset=utf-8' },
          body: Buffer.from('allow'),
        },
      );
      for (const [path, form, expected] of [
        ['user', `username=${username}&password=wrong&vhost=%2F&client_id=${username}`, 'deny'],
        ['user', `username=${username}&password=${password}&vhost=%2F&client_id=x`, 'deny'],
        ['user', `username=${username}&password=${password}`, 'deny'],
        ['vhost', `${name}&ip=127.0.0.1&tags=&client_id=${username}`, 'allow'],
        ['vhost', `username=${username}&vhost=other&ip=127.0.0.1`, 'deny'],
        ['vhost', `username=nobody&vhost=%2F&ip=127.0.0.1`, 'deny'],
        [
          'resource',
          `${name}&resource=queue&name=mqtt-subscription-${username}qos1&permission=configure`,
          'allow',
        ],
        [
          'resource',
          `${name}&resource=queue&name=mqtt-subscription-${username}qos0&permission=read`,
          'allow',
        ],
        ['resource', `${name}&resource=queue&name=mqtt-will-${username}&permission=write`, 'allow'],
        [
          'resource',
          `${name}&resource=queue&name=mqtt-subscription-${service.username}qos1&permission=read`,
          'deny',
        ],
        ['resource', `${name}&resource=queue&name=work&permission=read`, 'deny'],
        ['resource', `${name}&resource=exchange&name=amq.topic&permission=write`, 'allow'],
        ['resource', `${name}&resource=exchange&name=amq.topic&permission=configure`, 'deny'],
        ['resource', `${name}&resource=exchange&name=&permission=write`, 'deny'],
        ['resource', `${name}&resource=other&name=amq.topic&permission=write`, 'deny'],
      ] as const) {
        assert.equal(await open.rabbit(path, form), expected, `${path} ${form}`);
      }
    });

    it('answer for routing keys what the policy says of the topics that they stand for', async () => {
      const name = `username=${machine.username}&vhost=%2F&resource=topic&name=amq.topic&tags=`;
      for (const [permission, key, expected] of [
        ['write', 'company.1.machine.A.telemetry', 'allow'],
        ['write', 'company.2.machine.A.telemetry', 'deny'],
        ['write', 'company.1.machine.*.telemetry', 'deny'],
        ['write', '.company.1.machine.A.telemetry', 'deny'],
        ['read', 'company.1.machine.A.%23', 'allow'],
        ['read', 'company.1.machine.A.%2A', 'allow'],
        ['read', 'company.%2A.machine.A.command', 'deny'],
        ['read', '%23', 'deny'],
        ['configure', 'company.1.machine.A.telemetry', 'deny'],
      ] as const) {
        const form = `${name}&permission=${permission}&routing_key=${key}&${context()}`;
        assert.equal(await open.rabbit('topic', form), expected, `${permission} ${key}`);
      }
      const elsewhere = `username=${machine.username}&vhost=%2F&name=amq.direct&permission=write`;
      assert.equal(
        await open.rabbit('topic', `${elsewhere}&routing_key=company.1.machine.A.telemetry`),
        'deny',
      );
    });

    it('give an id with a dot or a star no topics, since RabbitMQ would deliver them as others', async () => {
      for (const id of ['A.B', '*', 'A*']) {
        const { username } = await access.addClient({ role: 'device', device: id });
        const form = new URLSearchParams({
          ...{ username, vhost: '/', name: 'amq.topic', permission: 'write' },
          routing_key: `devices.${id}.ack`,
        });
        assert.equal(await open.rabbit('topic', form.toString()), 'deny', id);
        form.set('permission', 'read');
        form.set('routing_key', `devices.${id}.commands`);
        assert.equal(await open.rabbit('topic', form.toString()), 'deny', id);
      }
    });
  });

  it('export logins with hashes that are of their passwords', async () => {
    const rotated = await access.rotateClient(machine.username);
    const { passwords, unhashed } = mosquittoFiles(await access.mosquittoLogins(), policy);
    assert.deepEqual(unhashed, []);
    const hashes = new Map(
      passwords
        .trim()
        .split('\n')
        .map((line) => line.split(':') as [string, string]),
    );
    for (const { username, password } of [rotated, service]) {
      const [, kind, iterations, salt = '', hash] = (hashes.get(username) ?? '').split('$');
      assert.deepEqual([kind, iterations], ['7', '101']);
      const derived = pbkdf2Sync(password, Buffer.from(salt, 'base64'), 101, 64, 'sha512');
      assert.equal(derived.toString('base64'), hash);
    }
    assert.ok(!passwords.includes(rotated.password));
  });
});

describe('the doors of all brokers', () => {
  const id = fc.oneof(
    fc.constantFrom(
      'A',
      'B',
      'a',
      'A.B',
      'A*',
      '*',
      '+',
      '#',
      '',
      ' A',
      'A B',
      '%c',
      '%u',
      '$SYS',
      'A\n',
      'Ä',
    ),
    fc.string({ maxLength: 6, unit: 'grapheme' }),
  );
  const principal: fc.Arbitrary<MqttPrincipal> = fc.oneof(
    fc.record({
      role: fc.constant('machine' as const),
      username: fc.constant('me'),
      company: id,
      machine: id,
    }),
    fc.record({
      role: fc.constant('controller' as const),
      username: fc.constant('me'),
      storeId: id,
      controllerId: id,
    }),
    fc.record({ role: fc.constant('device' as const), username: fc.constant('me'), device: id }),
    fc.record({ role: fc.constant('service' as const), username: fc.constant('me') }),
  );
  const topicsOf = (of: MqttPrincipal): string[] => {
    switch (of.role) {
      case 'machine':
        return ['telemetry', 'status', 'command', '#', '+'].map(
          (last) => `company/${of.company}/machine/${of.machine}/${last}`,
        );
      case 'controller':
        return ['metrics', 'ack', 'action', '#'].map(
          (last) => `/stores/${of.storeId}/controllers/${of.controllerId}/${last}`,
        );
      case 'device':
        return ['ack', 'commands', 'threshold', 'data/sensors', 'data/+'].map(
          (last) => `devices/${of.device}/${last}`,
        );
      case 'service':
        return ['devices/+/ack', 'company/+/machine/+/telemetry', '#', '/stores/+/controllers/+/action'];
    }
  };
  /** A topic of somebody's, as it is, with dots for slashes, or with a level changed. */
  const topic = fc
    .tuple(principal, fc.nat(), fc.constantFrom('as is', 'dots', 'plus', 'star', 'cut'), fc.nat(5))
    .map(([of, which, how, at]) => {
      const all = topicsOf(of);
      const chosen = all[which % all.length] as string;
      const levels = chosen.split('/');
      switch (how) {
        case 'dots':
          return levels.join('.');
        case 'plus':
          return levels.with(at % levels.length, '+').join('/');
        case 'star':
          return levels.with(at % levels.length, '*').join('/');
        case 'cut':
          return [...levels.slice(0, at), '#'].join('/');
        default:
          return chosen;
      }
    });
  const asked = fc.oneof(
    fc.tuple(principal, topic),
    principal.chain((of) => fc.tuple(fc.constant(of), fc.constantFrom(...topicsOf(of)))),
  );
  const door = (of: MqttPrincipal) =>
    doors({ authenticate: async () => of, principalOf: async (name) => (name === 'me' ? of : undefined) });

  it('agree: EMQX allows exactly what the policy allows', async () => {
    await fc.assert(
      fc.asyncProperty(asked, async ([of, wanted]) => {
        const { emqx } = door(of);
        const may = (action: string) => emqx('/mqtt/acl', { username: 'me', topic: wanted, action });
        assert.equal((await may('publish')) === 'allow', policy.mayPublish(of, wanted));
        assert.equal((await may('subscribe')) === 'allow', policy.maySubscribe(of, wanted));
      }),
      { numRuns: 2_000 },
    );
  });

  it('agree: RabbitMQ allows exactly what the policy allows of the topic that it will deliver', async () => {
    await fc.assert(
      fc.asyncProperty(asked, async ([of, wanted]) => {
        const { ask } = door(of);
        // What the MQTT plugin makes of a topic, and what it makes of that for the receiver.
        const key = wanted.replaceAll('/', '.').replaceAll('+', '*');
        const delivered = key.replaceAll('*', '+').replaceAll('.', '/');
        assert.equal(topicOfRoutingKey(key), delivered);
        const may = async (permission: string) => {
          const body = { username: 'me', vhost: '/', name: 'amq.topic', permission, routing_key: key };
          return String((await ask('/mqtt/rabbitmq/topic', body)).body) === 'allow';
        };
        assert.equal(await may('write'), policy.mayPublish(of, delivered));
        assert.equal(await may('read'), policy.maySubscribe(of, delivered));
        // Where nothing is lost on the way, that is the topic itself.
        if (!/[.*]/.test(wanted)) assert.equal(delivered, wanted);
      }),
      { numRuns: 2_000 },
    );
  });

  it('agree: Mosquitto lets through exactly what the policy allows', () => {
    fc.assert(
      fc.property(asked, ([of, wanted]) => {
        // Topics of messages; Mosquitto grants every subscription and looks at what it delivers.
        fc.pre(!/[+#]/.test(wanted));
        // A service's + is a level that is not empty, which an ACL file cannot say.
        const levels = wanted.replace(/^\//, '').split('/');
        fc.pre(of.role !== 'service' || levels.every(isTopicLevel));
        let acl: string;
        try {
          ({ acl } = mosquittoFiles([{ principal: of, hash: '$7$' }], policy));
        } catch {
          return;
        }
        const [user, ...lines] = acl.trimEnd().split('\n');
        assert.equal(user, 'user me');
        const may = (access: string) =>
          lines.some(
            (line) =>
              line.startsWith(`topic ${access} `) && filterMatches(line.slice(7 + access.length), wanted),
          );
        assert.equal(may('write'), policy.mayPublish(of, wanted), wanted);
        assert.equal(may('read'), policy.maySubscribe(of, wanted), wanted);
      }),
      { numRuns: 2_000 },
    );
  });

  it('name the logins that Mosquitto cannot be told of yet, and refuse a topic that it would read otherwise', () => {
    const device: MqttPrincipal = { role: 'device', username: 'device-1', device: 'D' };
    const files = mosquittoFiles(
      [
        { principal: device, hash: undefined },
        { principal: { ...device, username: 'device-2' }, hash: '$7$101$c2FsdA==$aGFzaA==' },
      ],
      createPolicy(['lms/']),
    );
    assert.deepEqual(files.unhashed, ['device-1']);
    assert.equal(files.passwords, 'device-2:$7$101$c2FsdA==$aGFzaA==\n');
    assert.equal(
      files.acl,
      [
        'user device-2',
        ...['ack', 'data/sensors', 'data/heartbeat', 'data/startup', 'threshold'].map(
          (last) => `topic write lms/devices/D/${last}`,
        ),
        'topic read lms/devices/D/commands',
        '\n',
      ].join('\n'),
    );
    assert.throws(() => mosquittoFiles([{ principal: device, hash: '$7$' }], createPolicy([' x/'])), {
      code: 'invalid_input',
    });
  });
});
