import assert from 'node:assert/strict';
import { parseStatus, parseTelemetry, readTopic, solarTopics } from '../../lib/solar/codec.js';
import { STATUS, TELEMETRY } from '../support/solar.js';

const NOW = Date.UTC(2025, 5, 2, 12);
const DAY = 86_400_000;
const read = (message: object | string) =>
  parseTelemetry(
    Buffer.from(typeof message === 'string' ? message : JSON.stringify(message)),
    NOW,
    NOW,
    NOW - 90 * DAY,
  );
const extra = (message: object) => JSON.parse(read(message).row.extra ?? 'null');

describe('a telemetry message', () => {
  it('of the seed is a row as it stands', () => {
    const { row, identified } = read(TELEMETRY);
    assert.deepEqual(
      { ...row },
      {
        machine: 0,
        at: NOW,
        id: 0,
        receivedAt: NOW,
        battery: 13.5,
        solarV: 21.2,
        solarA: 4.5,
        water: 80,
        extra: '{"temp":32.5,"vibration":0.01}',
      },
    );
    assert.equal(identified, false);
  });

  it('has the time that it says, in any of the ways machines write it', () => {
    for (const timestamp of ['2025-06-02T13:59:00+02:00', 1748865540, 1748865540000]) {
      const { row, digest } = read({ timestamp, battery: 1 });
      assert.equal(row.at, NOW - 60_000);
      assert.equal(digest, null, 'the time is in the key of the row');
    }
  });

  it('is known again by what it says, not by its spelling', () => {
    const id = (message: object | string) => read(message).row.id;
    const said = { timestamp: '2025-06-02T11:59:00Z', battery: 12.5 };
    assert.equal(id(said), id(`  {"battery": 12.50, "timestamp": "2025-06-02T13:59:00+02:00"}`));
    assert.notEqual(id(said), id({ ...said, battery: 12.6 }));
    assert.notEqual(id(said), id({ ...said, message_id: 7 }));
    assert.ok(id(said) < 0);
  });

  it('whose clock is wrong counts at its receipt, and is known again all the same', () => {
    for (const timestamp of [NOW + 6 * 60_000, 1, '2019-01-01T00:00:00Z']) {
      const { row, identified, digest } = read({ timestamp, battery: 1 });
      assert.deepEqual([row.at, identified], [NOW, true]);
      assert.match(digest ?? '', /^[0-9a-f]{64}$/);
    }
    assert.equal(read({ timestamp: NOW + 4 * 60_000, battery: 1 }).row.at, NOW + 4 * 60_000);
    assert.throws(() => read({ timestamp: NOW + DAY + 1, battery: 1 }), { code: 'timestamp_in_future' });
  });

  it('keeps fields that the seed does not name with extra, each by its name', () => {
    assert.deepEqual(extra({ battery: 1, wind: 3 }), { wind: 3 });
    assert.deepEqual(extra({ wind: 3, extra: { temp: 4 } }), { temp: 4, wind: 3 });
    assert.deepEqual(extra({ temp: 3, extra: { temp: 4 } }), { temp: 4, '/temp': 3 });
    assert.deepEqual(extra({ wind: 3, extra: [1] }), { extra: [1], wind: 3 });
    assert.deepEqual(
      extra(JSON.parse('{"battery":1,"__proto__":{"a":1}}')),
      JSON.parse('{"__proto__":{"a":1}}'),
    );
    assert.equal(read({ battery: 1, extra: null }).row.extra, null);
    assert.equal(extra({ extra: 5 }), 5);
  });

  it('may have 16 KiB of extra, in bytes, and no number in it that is not finite', () => {
    const text = (bytes: number) => ({ extra: 'ä'.repeat(bytes / 2 - 1) });
    read(text(16 * 1024));
    assert.throws(() => read(text(16 * 1024 + 2)), { code: 'schema_mismatch', pointer: '/extra' });
    assert.throws(() => read('{"wind":{"a/b":[0,-1e999]}}'), { pointer: '/wind/a~1b/1' });
    assert.throws(() => read('{"wind":1,"extra":{"temp":1e999}}'), { pointer: '/extra/temp' });
  });

  it('is refused where it is too large, too deep, no UTF-8 or no JSON', () => {
    assert.throws(() => read(`{"extra":"${'x'.repeat(256 * 1024)}"}`), { code: 'payload_too_large' });
    assert.throws(() => read(`{"extra":${'['.repeat(70)}${']'.repeat(70)}}`), { code: 'nesting_too_deep' });
    assert.throws(() => parseTelemetry(Buffer.from([0x7b, 0xff]), NOW, NOW, 0), { code: 'invalid_utf8' });
    assert.throws(() => read('{"battery":NaN}'), { code: 'invalid_json' });
  });
});

describe('a status message', () => {
  it('of the seed says status, energy, water and area', () => {
    assert.deepEqual(parseStatus(Buffer.from(STATUS), NOW), {
      status: 'Running',
      energy: 150.5,
      water: 25,
      area: 450,
      others: null,
    });
  });

  it('keeps what else it says', () => {
    const { others } = parseStatus(Buffer.from('{"status":"Idle","fw":"2"}'), NOW);
    assert.equal(others, '{"fw":"2"}');
    assert.throws(() => parseStatus(Buffer.from('{"status":"Idle","fw":1e999}'), NOW), { pointer: '/fw' });
    const late = '{"status":"Idle","timestamp":"2099-01-01T00:00:00Z"}';
    assert.throws(() => parseStatus(Buffer.from(late), NOW), { code: 'timestamp_in_future' });
  });
});

describe('the topics of solar machines', () => {
  it('name company and machine, behind any prefix', () => {
    const ids = { companyId: '1', machineId: 'A' };
    assert.deepEqual(readTopic(solarTopics(), 'company/1/machine/A/telemetry'), {
      kind: 'telemetry',
      ...ids,
    });
    assert.deepEqual(readTopic(solarTopics('lms/'), 'lms/company/1/machine/A/status'), {
      kind: 'status',
      ...ids,
    });
    assert.equal(solarTopics('lms').telemetry.filter, 'lms/company/+/machine/+/telemetry');
  });

  it('refuse others, and ids that no store keeps', () => {
    for (const topic of [
      'company/1/machine/A/command',
      '/company/1/machine/A/telemetry',
      'company//machine/A/telemetry',
      `company/1/machine/${'x'.repeat(256)}/telemetry`,
      'company/1/machine/\u0001/telemetry',
    ]) {
      assert.throws(() => readTopic(solarTopics(), topic), { code: 'invalid_topic' }, topic);
    }
  });
});
