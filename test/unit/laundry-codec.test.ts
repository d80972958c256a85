import assert from 'node:assert/strict';
import { setImmediate } from 'node:timers/promises';
import { constants, deflateSync, gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { idsOfTopic } from '../../lib/core/envelope.js';
import { format, metricsTopic, type Parsed, parse } from '../../lib/laundry/codec.js';
import { report, SEED_TIME, stateMessage } from '../support/laundry.js';
import { CONTROLLER_ID, METRICS_TOPIC, SEED_MESSAGE, STORE_ID } from '../support/seed.js';

const parameters = { store_id: STORE_ID, controller_id: CONTROLLER_ID };
const read = (payload: Buffer | string, now = SEED_TIME) =>
  Promise.resolve(parse(parameters, Buffer.from(payload as string), now));
const withFields = (change: (message: ReturnType<typeof JSON.parse>) => void) => {
  const message = JSON.parse(SEED_MESSAGE);
  change(message);
  return JSON.stringify(message);
};

function refusalOf({ message, refusals }: Parsed) {
  assert.equal(message, undefined);
  assert.equal(refusals.length, 1);
  return { code: refusals[0]?.code, pointer: refusals[0]?.pointer };
}

describe('reading a machine state message', () => {
  it('gives the document’s sample in the words of the domain, at once', () => {
    const parsed = parse(parameters, Buffer.from(SEED_MESSAGE), SEED_TIME);
    assert.ok(!(parsed instanceof Promise));
    assert.deepEqual(parsed.refusals, []);
    const { original, ...message } = parsed.message ?? assert.fail();
    assert.deepEqual(original, JSON.parse(SEED_MESSAGE));
    assert.deepEqual(message, {
      storeId: STORE_ID,
      controllerId: CONTROLLER_ID,
      version: '1.0.0',
      correlationId: '550e8400-e29b-41d4-a716-446655440004',
      timestamp: SEED_TIME,
      machines: [
        report(1, 'busy', SEED_TIME - 90_000, 'washer'),
        report(2, 'idle', Date.UTC(2024, 0, 15, 8, 45, 15)),
      ],
    });
  });

  it('unpacks gzip and deflate, told by their first bytes', async () => {
    const plain = await read(SEED_MESSAGE);
    assert.deepEqual(await read(gzipSync(SEED_MESSAGE)), plain);
    for (const level of [0, 1, 6, 9]) {
      assert.deepEqual(await read(deflateSync(SEED_MESSAGE, { level })), plain, `level ${level}`);
    }
  });

  it('keeps the good machines beside bad ones, each of which is named', async () => {
    const payload = withFields((message) => {
      message.payload.machines.push({ ...message.payload.machines[0], relay_id: 3, status: 'on fire' }, 7, {
        ...message.payload.machines[0],
        relay_id: 4,
      });
    });
    const { message, refusals } = await read(payload);
    assert.deepEqual(
      message?.machines.map(({ relayId }) => relayId),
      [1, 2, 4],
    );
    assert.deepEqual(
      refusals.map(({ code, pointer }) => [code, pointer]),
      [
        ['schema_mismatch', '/payload/machines/2/status'],
        ['schema_mismatch', '/payload/machines/3'],
      ],
    );
    assert.equal(refusals[0]?.message, '/payload/machines/2/status must be one of ["idle","busy"]');
    assert.equal(refusals[1]?.message, '/payload/machines/3 must be object');
  });

  it('compares ids without regard to case and keeps them in lower case', async () => {
    const upper = { store_id: STORE_ID.toUpperCase(), controller_id: CONTROLLER_ID };
    const { message } = await parse(upper, Buffer.from(SEED_MESSAGE), SEED_TIME);
    assert.equal(message?.storeId, STORE_ID);
  });

  it('accepts a timestamp up to 24 h ahead and refuses it past that', async () => {
    const day = 24 * 60 * 60 * 1000;
    assert.deepEqual((await read(SEED_MESSAGE, SEED_TIME - day)).refusals, []);
    assert.deepEqual(refusalOf(await read(SEED_MESSAGE, SEED_TIME - day - 1)), {
      code: 'timestamp_in_future',
      pointer: '/timestamp',
    });
  });

  it('knows the topic with and without a prefix, and its ids as UUIDs', () => {
    assert.deepEqual(metricsTopic().match(METRICS_TOPIC), parameters);
    assert.equal(metricsTopic().match(METRICS_TOPIC.slice(1)), undefined);
    for (const prefix of ['lms', 'lms/']) {
      assert.equal(metricsTopic(prefix).filter, 'lms/stores/+/controllers/+/metrics');
      assert.deepEqual(metricsTopic(prefix).match(`lms${METRICS_TOPIC}`), parameters);
    }
    assert.throws(() => idsOfTopic({ store_id: 'store-1', controller_id: CONTROLLER_ID }), {
      code: 'invalid_topic',
    });
  });

  it('comes back as it was written', () => {
    const machine = fc.record({
      relayId: fc.integer({ min: 0, max: 2 ** 31 - 1 }),
      status: fc.constantFrom('idle' as const, 'busy' as const),
      machineType: fc.constantFrom('washer' as const, 'dryer' as const, null),
      lastUpdated: fc.integer({ min: 0, max: SEED_TIME }),
    });
    fc.assert(
      fc.property(fc.array(machine), fc.integer({ min: -720, max: 720 }), (machines, offset) => {
        const payload = Buffer.from(format(stateMessage(machines), offset));
        const { message, refusals } = parse(parameters, payload, SEED_TIME) as Parsed;
        assert.deepEqual(refusals, []);
        assert.deepEqual(
          message?.machines,
          machines.map((machine) => ({ ...machine })),
        );
      }),
      { numRuns: 500 },
    );
  });

  it('never throws, whatever the bytes', async () => {
    await fc.assert(
      fc.asyncProperty(fc.oneof(fc.uint8Array(), fc.json().map(Buffer.from)), async (bytes) => {
        const { message, refusals } = await read(Buffer.from(bytes));
        assert.ok(message !== undefined || refusals.length === 1);
      }),
      { numRuns: 500 },
    );
  });
});

describe('bad input', () => {
  const bytes = (size: number) => Buffer.alloc(size, ' ');
  const cases: [string, Buffer | string, string, string | undefined][] = [
    ['what is not JSON', 'hello', 'invalid_json', undefined],
    ['nothing', '', 'invalid_json', undefined],
    ['half a message', SEED_MESSAGE.slice(0, 200), 'invalid_json', undefined],
    ['a JSON text that is no object', '42', 'schema_mismatch', ''],
    ['a list', '[]', 'schema_mismatch', ''],
    ['10 MB', bytes(10_000_000), 'payload_too_large', undefined],
    ['one byte too many', bytes(256 * 1024 + 1), 'payload_too_large', undefined],
    ['2,000 levels of nesting', '['.repeat(2000) + ']'.repeat(2000), 'nesting_too_deep', undefined],
    [
      'nesting in a field nobody knows',
      withFields((message) => {
        message.extra = JSON.parse(`${'{"a":'.repeat(70)}1${'}'.repeat(70)}`);
      }),
      'nesting_too_deep',
      undefined,
    ],
    ['invalid UTF-8', Buffer.from([0x7b, 0x22, 0xff, 0xfe, 0x22, 0x7d]), 'invalid_utf8', undefined],
    ['damaged gzip', gzipSync(SEED_MESSAGE).fill(0, 20, 40), 'decompression_failed', undefined],
    ['gzip that ends early', gzipSync(SEED_MESSAGE).subarray(0, 60), 'decompression_failed', undefined],
    ['gzip of what is not JSON', gzipSync('hello'), 'invalid_json', undefined],
    ['more than 1 MiB unpacked', gzipSync(bytes(1024 * 1024 + 1)), 'payload_too_large', undefined],
    [
      'another version',
      withFields((message) => (message.version = '2.1.0')),
      'unsupported_version',
      '/version',
    ],
    ['version 10', withFields((message) => (message.version = '10.0')), 'unsupported_version', '/version'],
    [
      'more machines than a controller has',
      withFields((message) => {
        message.payload.machines = Array(1001).fill(message.payload.machines[0]);
      }),
      'schema_mismatch',
      '/payload/machines',
    ],
  ];
  for (const [name, payload, code, pointer] of cases) {
    it(`${name} is refused as ${code}`, async () => {
      assert.deepEqual(refusalOf(await read(payload)), { code, pointer });
    });
  }

  it('a gigabyte packed into a megabyte is refused without being read', async () => {
    const bomb = gzipSync(Buffer.alloc(200 * 1024 * 1024), { level: constants.Z_BEST_COMPRESSION });
    assert.ok(bomb.length < 256 * 1024);
    const before = process.memoryUsage();
    const parsed = await Promise.all(Array.from({ length: 50 }, () => read(bomb)));
    for (const each of parsed) assert.equal(refusalOf(each).code, 'payload_too_large');
    await setImmediate();
    const grown = process.memoryUsage().rss - before.rss;
    assert.ok(grown < 100 * 1024 * 1024, `${Math.round(grown / 1024 / 1024)} MiB for 50 bombs of 200 MiB`);
  });
});
