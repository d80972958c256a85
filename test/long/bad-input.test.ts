import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { createGzip, deflateSync, gzipSync } from 'node:zlib';
import { connectAsync, type IClientOptions, type MqttClient } from 'mqtt';
import { Gateway } from '../support/gateway.js';

interface DeadLetter {
  code: string;
  pointer?: string;
  topic: string;
  payload_base64: string;
}

/** A gzip of so many zero bytes, made piece by piece. */
async function gzipOfZeros(bytes: number): Promise<Buffer> {
  const gzip = createGzip({ level: 9 });
  const piece = Buffer.alloc(2 ** 20);
  const parts: Buffer[] = [];
  gzip.on('data', (part: Buffer) => parts.push(part));
  const end = new Promise((resolve) => gzip.once('end', resolve));
  for (let written = 0; written < bytes; written += piece.length) {
    if (!gzip.write(piece)) await new Promise((resolve) => gzip.once('drain', resolve));
  }
  gzip.end();
  await end;
  return Buffer.concat(parts);
}

describe('bad input to a running gateway', function () {
  this.timeout(120_000);
  let gateway: Gateway;
  let client: MqttClient;
  const store = randomUUID();
  const controller = randomUUID();
  const topic = `/stores/${store}/controllers/${controller}/metrics`;

  const machine = (values: object = {}) => ({
    machine_type: 'washer',
    relay_id: 1,
    status: 'idle',
    last_updated: '2024-01-15T15:00:00+07:00',
    ...values,
  });
  const envelope = (values: object = {}, machines: object[] = [machine()]) => ({
    version: '1.0.0',
    event_type: 'machine_state',
    timestamp: '2024-01-15T16:00:00+07:00',
    correlation_id: randomUUID(),
    controller_id: controller,
    store_id: store,
    payload: { machines },
    ...values,
  });
  const letters = () => gateway.list<DeadLetter>('/dead-letters?protocol=laundry');

  const login = async (storeId: string, controllerId: string) =>
    (await gateway.command(
      ...['access', 'add', '--role', 'controller', '--store', storeId, '--controller', controllerId],
    )) as IClientOptions;

  before(async () => {
    gateway = await Gateway.create();
    await gateway.start();
    client = await connectAsync(gateway.mqttUrl, await login(store, controller));
  });
  after(async () => {
    await client?.endAsync(true);
    await gateway?.remove();
  });

  const cases: [
    what: string,
    payload: () => Buffer | string | Promise<Buffer>,
    code: string,
    pointer?: string,
  ][] = [
    ['text that is not JSON', () => 'hello', 'invalid_json'],
    ['an empty payload', () => '', 'invalid_json'],
    [
      'a payload of 10 MB',
      () => JSON.stringify(envelope({ note: 'x'.repeat(10_000_000) })),
      'payload_too_large',
    ],
    ['a gzip bomb of 1 GB', () => gzipOfZeros(2 ** 30), 'payload_too_large'],
    ['a gzip bomb in few bytes', () => gzipOfZeros(2 ** 27), 'payload_too_large'],
    ['a broken gzip', () => gzipSync('{}').subarray(0, 15), 'decompression_failed'],
    ['2,000 levels', () => `${'['.repeat(2000)}${']'.repeat(2000)}`, 'nesting_too_deep'],
    ['bytes that are not UTF-8', () => Buffer.from([0x7b, 0xff, 0xfe, 0x7d]), 'invalid_utf8'],
    ['an array for a message', () => '[]', 'schema_mismatch', ''],
    [
      'a wrong type',
      () => JSON.stringify(envelope({ correlation_id: 7 })),
      'schema_mismatch',
      '/correlation_id',
    ],
    ['no machines', () => JSON.stringify(envelope({ payload: {} })), 'schema_mismatch', '/payload/machines'],
    [
      'another major version',
      () => JSON.stringify(envelope({ version: '2.0.0' })),
      'unsupported_version',
      '/version',
    ],
    [
      'another event',
      () => JSON.stringify(envelope({ event_type: 'x' })),
      'unexpected_event_type',
      '/event_type',
    ],
    ['another store', () => JSON.stringify(envelope({ store_id: randomUUID() })), 'id_mismatch', '/store_id'],
    [
      'another controller',
      () => JSON.stringify(envelope({ controller_id: randomUUID() })),
      'id_mismatch',
      '/controller_id',
    ],
    [
      'a time in the far future',
      () => JSON.stringify(envelope({ timestamp: '2999-01-01T00:00:00Z' })),
      'timestamp_in_future',
      '/timestamp',
    ],
  ];

  for (const [what, payload, code, pointer] of cases) {
    it(`keeps ${what} as a dead letter: ${code}`, async () => {
      const bytes = Buffer.from(await payload());
      const before = (await letters()).length;
      await client.publishAsync(topic, bytes, { qos: 1 });
      const now = await letters();
      assert.equal(now.length, before + 1);
      assert.equal(now[0]?.code, code);
      assert.equal(now[0]?.topic, topic);
      if (pointer !== undefined) assert.equal(now[0]?.pointer ?? '', pointer);
      assert.ok(
        Buffer.from(now[0]?.payload_base64 as string, 'base64').equals(bytes),
        'the raw bytes are kept',
      );
    });
  }

  it('keeps the bad machines of a message apart and takes the good ones', async () => {
    const before = (await letters()).length;
    const message = envelope({}, [
      machine({ relay_id: 11, status: 'busy' }),
      machine({ relay_id: 12, status: 'broken' }),
      machine({ relay_id: 'x' }),
      machine({ relay_id: 13, last_updated: 'yesterday' }),
      machine({ relay_id: 14 }),
    ]);
    await client.publishAsync(topic, deflateSync(JSON.stringify(message)), { qos: 1 });
    const refused = (await letters()).slice(0, -before || undefined);
    assert.deepEqual(refused.map((letter) => letter.pointer).sort(), [
      '/payload/machines/1/status',
      '/payload/machines/2/relay_id',
      '/payload/machines/3/last_updated',
    ]);
    const { controllers } = await gateway.get<{ controllers: { machines: { relay_id: number }[] }[] }>(
      `/stores/${store}/machines`,
    );
    const relays = controllers[0]?.machines.map(({ relay_id }) => relay_id);
    assert.deepEqual(relays, [11, 14]);
  });

  it('keeps the latency of the others while one client floods it with 1,000 bad messages a second', async () => {
    const good = randomUUID();
    const goodClient = await connectAsync(gateway.mqttUrl, await login(store, good));
    const roundTrips = async (count: number) => {
      const times: number[] = [];
      for (let index = 0; index < count; index += 1) {
        const message = envelope({ controller_id: good }, [
          machine({
            status: index % 2 ? 'idle' : 'busy',
            last_updated: new Date(Date.now() - 60_000 + index).toISOString(),
          }),
        ]);
        const begun = performance.now();
        await goodClient.publishAsync(
          `/stores/${store}/controllers/${good}/metrics`,
          JSON.stringify(message),
          {
            qos: 1,
          },
        );
        times.push(performance.now() - begun);
      }
      times.sort((a, b) => a - b);
      return times[Math.floor(times.length / 2)] as number;
    };
    try {
      await roundTrips(100); // warm
      const alone = await roundTrips(300);
      let flooding = true;
      let refused = 0;
      const flood = (async () => {
        const begun = performance.now();
        while (flooding) {
          const due = Math.min((performance.now() - begun) * 1, refused + 50);
          const batch = [];
          for (; refused < due; refused += 1)
            batch.push(client.publishAsync(topic, `bad ${refused}`, { qos: 1 }));
          await Promise.all(batch);
          await new Promise((resolve) => setImmediate(resolve));
        }
      })();
      const during = await roundTrips(300);
      flooding = false;
      await flood;
      assert.ok(refused > 100, `${refused} bad messages`);
      // Medians of one run on one machine; the flood itself takes processor time from the publisher in this process.
      assert.ok(
        during < alone * 3 + 5,
        `${during.toFixed(2)} ms during the flood, ${alone.toFixed(2)} ms alone`,
      );
    } finally {
      await goodClient.endAsync(true);
    }
  });
});
