import assert from 'node:assert/strict';
import fc from 'fast-check';
import { type PondApi, pondApi } from '../support/pond-api.js';
import { cleanUp } from '../support/store.js';

const PATHS = [
  '/automation/ponds/1/control/feed/',
  '/automation/ponds/1/control/water/',
  '/automation/executions/1/cancel/',
  '/automation/alerts/x/acknowledge/',
];
const DOCUMENTED = [200, 400, 404, 409, 413, 415, 422];

/** JSON as no schema wants it: wrong types in the fields that are read, and anything at all around them. */
const value = fc.oneof(
  fc.jsonValue(),
  fc.double(),
  fc.constantFrom<unknown>(
    -0,
    0,
    1e308,
    5e-324,
    '1e400',
    ' 50 ',
    '5e1',
    '+5',
    '.',
    '0x10',
    '५',
    '\u0000',
    'open',
  ),
);
const json = fc
  .record({ amount: value, action: value, duration_s: value, __proto__: value }, { requiredKeys: [] })
  .map((body) => JSON.stringify(body));
const odd = fc.constantFrom(
  '{"amount":1e309}',
  '{"amount":-1e309}',
  '{"amount":NaN}',
  '{"amount":Infinity}',
  '{"amount":01}',
  '{"amount":5,"amount":"x"}',
  '{"__proto__":{"amount":5}}',
  '{"amount":"\\ud800"}',
  `{"amount":"${'x'.repeat(2 ** 20 - 20)}"}`,
  `{"amount":"${'9'.repeat(100_000)}"}`,
  `{"amount":${'9'.repeat(100_000)}}`,
  `"${'x'.repeat(2 ** 20)}"`,
  `{"amount":${'['.repeat(5_000)}${']'.repeat(5_000)}}`,
  `{"amount":${'{"a":'.repeat(60)}1${'}'.repeat(60)}}`,
  '[]',
  'null',
  '',
  ' ',
  '\ufeff{}',
);
const body = fc.oneof(
  json,
  odd,
  fc.json(),
  fc.string(),
  fc.uint8Array({ maxLength: 64 }).map((bytes) => Buffer.from(bytes)),
  json.map((text) => Buffer.concat([Buffer.from(text), Buffer.from([0xc3, 0x28])])),
);
const type = fc.constantFrom(
  'application/json',
  'application/json',
  'application/json; charset=latin1',
  'text/plain',
  'multipart/form-data',
  ';',
);
const visible = fc.string({
  unit: fc.integer({ min: 0x20, max: 0x7e }).map((code) => String.fromCharCode(code)),
});

describe('the pond API under fire', function () {
  this.timeout(60_000);
  let api: PondApi;
  before(async () => {
    api = await pondApi();
  });
  after(cleanUp);

  it('never answers 500, and every refusal in the form of the document', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...PATHS),
        body,
        type,
        fc.option(visible, { nil: undefined }),
        fc.option(visible, { nil: undefined }),
        async (path, sent, contentType, key, prefer) => {
          const answer = await api.ask('POST', path, {
            as: 'ann',
            body: sent,
            headers: {
              'content-type': contentType,
              ...(key !== undefined && { 'idempotency-key': key }),
              ...(prefer !== undefined && !/wait/i.test(prefer) && { prefer }),
            },
          });
          assert.ok(DOCUMENTED.includes(answer.status), `${answer.status}`);
          if (answer.status === 200) return;
          const { success, error, ...rest } = answer.body as Record<string, unknown>;
          assert.equal(success, false);
          assert.ok(typeof error === 'string' && error !== '' && error.length < 500, String(error));
          assert.deepEqual(rest, {});
        },
      ),
      { numRuns: 400 },
    );
    assert.deepEqual(api.errors, []);
  });

  it('takes any path and any query without a failure', async () => {
    const part = fc.oneof(
      fc.string(),
      fc.constantFrom('1', '01', '-1', '1.0', '%', '%00', '..', '9'.repeat(30)),
    );
    await fc.assert(
      fc.asyncProperty(
        part,
        part,
        fc.string(),
        fc.constantFrom('GET', 'POST', 'PUT'),
        async (id, last, query, method) => {
          const path = `/automation/ponds/${encodeURIComponent(id)}/${encodeURIComponent(last)}/?limit=${encodeURIComponent(query)}`;
          const { status } = await api.ask(method, path, { as: 'ann' }).catch(() => ({ status: 404 }));
          assert.ok([200, 400, 404, 405].includes(status), `${status}`);
        },
      ),
      { numRuns: 200 },
    );
    assert.deepEqual(api.errors, []);
  });

  it('sends no command that it has not checked', () => {
    for (const { commandType, parameters } of api.dispatcher.submitted) {
      if (commandType === 'FEED') {
        const amount = parameters['amount'];
        assert.ok(typeof amount === 'number' && amount > 0 && amount <= 10_000, String(amount));
      } else {
        assert.ok(parameters['action'] === 'open' || parameters['action'] === 'close');
        const seconds = parameters['duration_s'] ?? 1;
        assert.ok(typeof seconds === 'number' && seconds > 0 && seconds <= 86_400, String(seconds));
      }
    }
    assert.ok(api.dispatcher.submitted.length > 0);
  });
});
