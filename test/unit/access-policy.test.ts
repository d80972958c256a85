import assert from 'node:assert/strict';
import fc from 'fast-check';
import { createPolicy, mayChange, mayRead, type Resource } from '../../lib/access/policy.js';
import type { MqttPrincipal, UserPrincipal } from '../../lib/access/principal.js';
import { filterCovers } from '../../lib/access/topics.js';
import { filterMatches } from '../../lib/core/topic.js';

const PRINCIPALS = {
  machine: { role: 'machine', username: 'm', company: 'C', machine: 'M' },
  controller: { role: 'controller', username: 'k', storeId: 'S', controllerId: 'K' },
  device: { role: 'device', username: 'd', device: 'D' },
  service: { role: 'service', username: 's' },
} as const satisfies Record<string, MqttPrincipal>;

const PUBLISH = {
  machine: ['company/C/machine/M/telemetry', 'company/C/machine/M/status'],
  controller: [
    '/stores/S/controllers/K/metrics',
    '/stores/S/controllers/K/ack',
    '/stores/S/controllers/K/action',
  ],
  device: [
    'devices/D/ack',
    'devices/D/data/sensors',
    'devices/D/data/heartbeat',
    'devices/D/data/startup',
    'devices/D/threshold',
  ],
};
const SUBSCRIBE = {
  machine: ['company/C/machine/M/command'],
  controller: ['/stores/S/controllers/K/action'],
  device: ['devices/D/commands'],
};
type Role = keyof typeof PUBLISH;
const ROLES = Object.keys(PUBLISH) as Role[];
const OF_ALL = [...new Set([...Object.values(PUBLISH).flat(), ...Object.values(SUBSCRIBE).flat()])];

describe('the policy of topics', () => {
  const policy = createPolicy();

  for (const role of ROLES) {
    it(`lets a ${role} publish to exactly its own topics`, () => {
      for (const topic of OF_ALL) {
        assert.equal(policy.mayPublish(PRINCIPALS[role], topic), PUBLISH[role].includes(topic), topic);
      }
    });

    it(`lets a ${role} subscribe to exactly its own topics`, () => {
      for (const topic of OF_ALL) {
        const own = SUBSCRIBE[role].includes(topic) || (role === 'machine' && topic.startsWith('company/C/'));
        assert.equal(policy.maySubscribe(PRINCIPALS[role], topic), own, topic);
      }
    });
  }

  it('lets a machine subscribe to its own subtree and to nothing wider', () => {
    const may = (filter: string) => policy.maySubscribe(PRINCIPALS.machine, filter);
    for (const filter of ['company/C/machine/M/#', 'company/C/machine/M/+']) assert.ok(may(filter), filter);
    for (const filter of [
      ...['#', '+/#', 'company/#', 'company/C/#', 'company/C/machine/#', 'company/C/machine/+/command'],
      ...['company/+/machine/M/command', 'company/+/machine/M/#', '+/C/machine/M/#', 'company/C/+/M/command'],
      ...[
        'company/C/machine/M#',
        '/company/C/machine/M/#',
        'company/C/machine/M2/#',
        'company/C/machine/m/#',
      ],
      ...['$share/g/company/C/machine/M/#', '$SYS/#', '', 'company/C/machine/M/#/x'],
    ]) {
      assert.ok(!may(filter), filter);
    }
  });

  it('refuses a controller every wildcard, also within its own subtree', () => {
    for (const filter of [
      ...['/stores/S/controllers/K/#', '/stores/S/controllers/K/+', '/stores/S/controllers/+/action'],
      ...['/stores/+/controllers/K/action', '/#', '#', 'stores/S/controllers/K/action', '/stores/S/#'],
    ]) {
      assert.ok(!policy.maySubscribe(PRINCIPALS.controller, filter), filter);
    }
  });

  it('lets a service publish and subscribe to all topics of the protocols', () => {
    for (const topic of OF_ALL) {
      assert.ok(policy.mayPublish(PRINCIPALS.service, topic), topic);
      assert.ok(policy.maySubscribe(PRINCIPALS.service, topic), topic);
    }
    for (const filter of [
      ...['/stores/+/controllers/+/metrics', '/stores/S/controllers/+/action', 'devices/+/data/sensors'],
      ...['company/+/machine/+/telemetry', 'company/C/machine/+/status', 'devices/+/commands'],
    ]) {
      assert.ok(policy.maySubscribe(PRINCIPALS.service, filter), filter);
    }
  });

  it('keeps a service to the topics of the protocols', () => {
    for (const filter of [
      ...['#', '+', '+/#', '/#', '/stores/#', '/stores/+/controllers/+/#', '/stores/+/controllers/+/+'],
      ...[
        'devices/+/+',
        'devices/#',
        'devices/+/data/+',
        'company/+/machine/+/#',
        '$SYS/#',
        '$SYS/broker/uptime',
      ],
      ...['$share/g/#', '$share/g/devices/+/ack', 'other/topic', ''],
    ]) {
      assert.ok(!policy.maySubscribe(PRINCIPALS.service, filter), filter);
    }
    for (const topic of [
      ...['other', 'devices/D', 'devices//ack', 'devices/D/ack/x', '/devices/D/ack', '$SYS/broker/uptime'],
      ...['devices/+/ack', 'devices/#', 'stores/S/controllers/K/metrics', 'devices/a\u0000b/ack', ''],
    ]) {
      assert.ok(!policy.mayPublish(PRINCIPALS.service, topic), topic);
    }
  });

  it('puts a prefix before all topics, literally, and leaves no topic without it', () => {
    const prefixed = createPolicy(['lms/']);
    assert.ok(prefixed.mayPublish(PRINCIPALS.device, 'lms/devices/D/ack'));
    assert.ok(prefixed.mayPublish(PRINCIPALS.service, 'lms/devices/D/ack'));
    assert.ok(prefixed.maySubscribe(PRINCIPALS.machine, 'lms/company/C/machine/M/#'));
    assert.ok(prefixed.maySubscribe(PRINCIPALS.service, 'lms//stores/+/controllers/+/metrics'));
    assert.ok(!prefixed.mayPublish(PRINCIPALS.device, 'devices/D/ack'));
    assert.ok(!prefixed.maySubscribe(PRINCIPALS.service, '+/devices/+/ack'));
    const both = createPolicy(['', 'lms/']);
    assert.ok(both.mayPublish(PRINCIPALS.device, 'lms/devices/D/ack'));
    assert.ok(both.mayPublish(PRINCIPALS.device, 'devices/D/ack'));
  });

  it('refuses a prefix that could widen a topic', () => {
    for (const prefix of ['+/', '#', 'a/#/', '$SYS/', '\n']) {
      assert.throws(() => createPolicy([prefix]), { code: 'invalid_setting' }, JSON.stringify(prefix));
    }
  });

  const id = fc.oneof(
    fc.constantFrom(
      'A',
      'B',
      'a',
      '+',
      '#',
      '',
      '/',
      'A/machine/B',
      'A/#',
      '..',
      '$SYS',
      ' A',
      'A ',
      'A\u0000',
    ),
    fc.string({ maxLength: 8, unit: 'grapheme' }),
  );
  const identity = fc.oneof(
    fc.record({ role: fc.constant('machine' as const), username: id, company: id, machine: id }),
    fc.record({ role: fc.constant('controller' as const), username: id, storeId: id, controllerId: id }),
    fc.record({ role: fc.constant('device' as const), username: id, device: id }),
  );
  const topicsOf = (principal: MqttPrincipal): string[] => {
    switch (principal.role) {
      case 'machine':
        return ['telemetry', 'status', 'command'].map(
          (last) => `company/${principal.company}/machine/${principal.machine}/${last}`,
        );
      case 'controller':
        return ['metrics', 'ack', 'action'].map(
          (last) => `/stores/${principal.storeId}/controllers/${principal.controllerId}/${last}`,
        );
      case 'device':
        return ['ack', 'commands', 'threshold', 'data/sensors'].map(
          (last) => `devices/${principal.device}/${last}`,
        );
      case 'service':
        return [];
    }
  };

  it('never lets one login near the topics of another, whatever the ids are', () => {
    fc.assert(
      fc.property(identity, identity, (mine, theirs) => {
        const own = new Set(topicsOf(mine));
        for (const topic of topicsOf(theirs)) {
          if (own.has(topic)) continue;
          assert.ok(!policy.mayPublish(mine, topic), topic);
          assert.ok(!policy.maySubscribe(mine, topic), topic);
        }
      }),
      { numRuns: 2_000 },
    );
  });

  it('never grants a filter that sees a topic of another login', () => {
    const filter = fc
      .tuple(identity, fc.array(fc.constantFrom('keep', '+'), { minLength: 5, maxLength: 6 }), fc.nat(6))
      .map(([principal, marks, cut]) => {
        const levels = (topicsOf(principal)[0] ?? '')
          .split('/')
          .map((level, at) => (marks[at] === '+' ? '+' : level));
        return [...levels.slice(0, cut), '#'].join('/');
      });
    fc.assert(
      fc.property(identity, identity, filter, (mine, theirs, wanted) => {
        if (!policy.maySubscribe(mine, wanted)) return;
        const own = new Set(topicsOf(mine));
        for (const topic of topicsOf(theirs))
          assert.ok(own.has(topic) || !filterMatches(wanted, topic), wanted);
      }),
      { numRuns: 2_000 },
    );
  });

  it('gives an id that could widen a topic no rights at all', () => {
    for (const bad of ['+', '#', 'A/B', '', 'A\n']) {
      const device: MqttPrincipal = { role: 'device', username: 'x', device: bad };
      assert.ok(!policy.mayPublish(device, `devices/${bad}/ack`), JSON.stringify(bad));
      assert.ok(!policy.maySubscribe(device, `devices/${bad}/commands`), JSON.stringify(bad));
    }
  });
});

describe('covering of topic filters', () => {
  const level = fc.constantFrom('a', 'b', '', '+', '$x');
  const filter = fc
    .tuple(fc.array(level, { minLength: 1, maxLength: 3 }), fc.boolean())
    .map(([levels, open]) => [...levels, ...(open ? ['#'] : [])].join('/'))
    .filter((text) => text !== '');
  // Every topic of up to four levels over the same alphabet, and one letter that no filter names.
  const LETTERS = ['a', 'b', '', '$x', 'z'];
  const TOPICS = [1, 2, 3, 4].flatMap((length) =>
    Array.from({ length: length - 1 }).reduce<string[]>(
      (topics) => topics.flatMap((topic) => LETTERS.map((letter) => `${topic}/${letter}`)),
      LETTERS,
    ),
  );

  it('says yes exactly where no topic is seen by the inner filter alone', () => {
    fc.assert(
      fc.property(fc.oneof(filter, fc.constant('#')), fc.oneof(filter, fc.constant('#')), (outer, inner) => {
        const escaped = TOPICS.find((topic) => filterMatches(inner, topic) && !filterMatches(outer, topic));
        assert.equal(filterCovers(outer, inner), escaped === undefined, `${outer} ${inner} ${escaped}`);
      }),
      { numRuns: 1_500 },
    );
  });

  it('says no where one of the two is no filter', () => {
    assert.ok(!filterCovers('#', 'a/#/b'));
    assert.ok(!filterCovers('a#', 'a'));
    assert.ok(!filterCovers('#', ''));
  });
});

describe('the policy of resources', () => {
  const member: UserPrincipal = {
    role: 'user',
    userId: 1,
    username: 'ann',
    admin: false,
    stores: ['S'],
    companies: ['C'],
  };
  const RESOURCES: [Resource, boolean][] = [
    [{ kind: 'store', storeId: 'S' }, true],
    [{ kind: 'store', storeId: 'T' }, false],
    [{ kind: 'store', storeId: 'C' }, false],
    [{ kind: 'company', company: 'C' }, true],
    [{ kind: 'company', company: 'S' }, false],
    [{ kind: 'pond', ownerId: 1 }, true],
    [{ kind: 'pond', ownerId: 2 }, false],
    [{ kind: 'dead-letters' }, false],
    [{ kind: 'logins' }, false],
  ];

  it('lets a user read and change what belongs to their stores, companies and ponds alone', () => {
    for (const [resource, allowed] of RESOURCES) {
      assert.equal(mayRead(member, resource), allowed, JSON.stringify(resource));
      assert.equal(mayChange(member, resource), allowed, JSON.stringify(resource));
    }
  });

  it('lets an administrator read and change everything', () => {
    for (const [resource] of RESOURCES) {
      assert.ok(mayRead({ ...member, admin: true, stores: [] }, resource));
      assert.ok(mayChange({ ...member, admin: true, stores: [] }, resource));
    }
  });
});
