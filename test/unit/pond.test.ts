import assert from 'node:assert/strict';
import fc from 'fast-check';
import { checkedPond, feedOrder, type Pond, waterOrder } from '../../lib/command/pond.js';
import { formatControlled } from '../../lib/command/pond-format.js';
import { FieldloomError } from '../../lib/core/errors.js';

const pond: Pond = {
  pondId: 1,
  name: 'Test Pond',
  ownerId: 1,
  device: 'AA:BB:CC:DD:EE:FF',
  position: 1,
  feedLimitG: 500,
  thresholds: {},
};
const NOW = Date.UTC(2025, 7, 30, 1);
const amountOf = (amount: unknown) => feedOrder(pond, { amount }, NOW).parameters['feed_amount'];
const refusal = (act: () => unknown) => {
  try {
    act();
  } catch (error) {
    assert.ok(error instanceof FieldloomError);
    return { code: error.code, message: error.message };
  }
  return undefined;
};

describe('a feed command', () => {
  it('has the parameters of the document, with the time it was asked', () => {
    assert.deepEqual(feedOrder(pond, { amount: 100 }, NOW), {
      action: 'FEED',
      commandType: 'FEED',
      parameters: { feed_amount: 100 },
      commandParameters: { action: 'feed', amount: 100, timestamp: '2025-08-30T01:00:00Z' },
    });
  });

  it('is 100 g where nothing is said', () => {
    assert.deepEqual(feedOrder(pond, undefined, NOW), feedOrder(pond, { amount: 100 }, NOW));
    assert.deepEqual(feedOrder(pond, {}, NOW), feedOrder(pond, { amount: 100 }, NOW));
  });

  it('takes a text that is a number', () => {
    for (const [text, amount] of [
      ['50', 50],
      [' 50\n', 50],
      ['+5', 5],
      ['.5', 0.5],
      ['5.', 5],
      ['1e2', 100],
    ] as const) {
      assert.equal(amountOf(text), amount, JSON.stringify(text));
    }
  });

  it('takes every number above 0 up to the limit of the pond, and no other', () => {
    fc.assert(
      fc.property(fc.double(), (amount) => {
        if (amount > 0 && amount <= pond.feedLimitG) assert.equal(amountOf(amount), amount);
        else assert.equal(refusal(() => amountOf(amount))?.code, 'invalid_input');
      }),
    );
    assert.equal(amountOf(500), 500);
  });

  it('says what is wrong, in the words of the document where it has some', () => {
    for (const amount of [0, -0, -1, '0', '-1e400']) {
      assert.equal(refusal(() => amountOf(amount))?.message, 'Amount must be positive');
    }
    assert.equal(
      refusal(() => amountOf(501))?.message,
      'Amount is 501 g: at most 500 g are accepted for this pond',
    );
    for (const amount of [true, false, null, [], {}, '', ' ', 'abc', 'nan', 'inf', '1e400', '0x10', '1_0']) {
      const { code, message } = refusal(() => amountOf(amount)) ?? {};
      assert.equal(code, 'invalid_input');
      assert.match(message ?? '', /^Amount is .*: accepted is a finite number of grams above 0$/);
    }
    assert.ok((refusal(() => amountOf('x'.repeat(2 ** 20)))?.message.length ?? 0) < 200);
  });

  it('wants an object', () => {
    for (const body of [null, [], 'x', 7, true]) {
      assert.equal(refusal(() => feedOrder(pond, body, NOW))?.code, 'unprocessable');
    }
  });
});

describe('a water command', () => {
  it('opens and closes the valve, for a time or until further notice', () => {
    assert.deepEqual(waterOrder({ action: 'open', duration_s: '60' }, NOW), {
      action: 'WATER',
      commandType: 'WATER_VALVE',
      parameters: { action: 'open', duration_s: 60 },
      commandParameters: { action: 'open', duration_s: 60, timestamp: '2025-08-30T01:00:00Z' },
    });
    assert.deepEqual(waterOrder({ action: 'close' }, NOW).parameters, { action: 'close' });
  });

  it('lasts above 0 and up to a day', () => {
    assert.equal(waterOrder({ action: 'open', duration_s: 86_400 }, NOW).parameters['duration_s'], 86_400);
    for (const duration_s of [0, -1, 86_400.1, Number.POSITIVE_INFINITY, 'soon', null, [], true]) {
      assert.match(
        refusal(() => waterOrder({ action: 'open', duration_s }, NOW))?.message ?? '',
        /^Duration_s is .*: accepted is a number of seconds above 0, at most 86400$/,
      );
    }
  });

  it('knows two actions', () => {
    for (const action of [undefined, null, 'OPEN', 'drain', 1, ['open'], { open: true }]) {
      assert.match(
        refusal(() => waterOrder({ action }, NOW))?.message ?? '',
        /accepted is "open" or "close"/,
      );
    }
  });
});

describe('a pond', () => {
  it('is refused with the name of the field, what was found and what is accepted', () => {
    for (const [values, pattern] of [
      [{ name: ' ' }, /^--name is " ": accepted is text/],
      [{ name: 'a\nb' }, /^--name/],
      [{ name: 'x'.repeat(129) }, /^--name/],
      [{ device: 'a/b' }, /^--device is "a\/b": accepted is text without/],
      [{ device: '' }, /^--device/],
      [{ position: 0 }, /^--position is 0: accepted is a whole number from 1$/],
      [{ position: 1.5 }, /^--position/],
      [{ feedLimitG: 0 }, /^--feed_limit is 0/],
      [{ thresholds: { temperature: { min: 30, max: 18 } } }, /^--threshold is "temperature=30:18"/],
      [{ thresholds: { temperature: {} } }, /^--threshold is "temperature=:"/],
      [{ thresholds: { 'a b': { min: 1 } } }, /^--threshold/],
    ] as [Partial<Pond>, RegExp][]) {
      const found = refusal(() => checkedPond({ ...pond, ...values }, (field) => `--${field}`));
      assert.equal(found?.code, 'invalid_input');
      assert.match(found?.message ?? '', pattern);
    }
    const thresholds = { ph: { max: 8.5 }, temperature: { min: 18, max: 30 } };
    assert.doesNotThrow(() => checkedPond({ ...pond, thresholds }));
  });
});

describe('the answer to a command', () => {
  const execution = {
    executionId: 4,
    pondId: 1,
    executionType: 'FEED',
    action: 'FEED',
    priority: 'MANUAL_COMMAND',
    status: 'EXECUTING' as const,
    userId: 1,
    parameters: { feed_amount: 100 },
    createdAt: NOW,
    completedAt: null,
  };

  it('is that of the document, field for field and in its order', () => {
    assert.equal(
      JSON.stringify(formatControlled(pond, execution)),
      '{"success":true,"data":{"execution_id":4,"message":"Feed command executed successfully for Test Pond","feed_amount":100}}',
    );
  });
});
