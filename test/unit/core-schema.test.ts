import assert from 'node:assert/strict';
import { compileSchema, compileUserSchema } from '../../lib/core/schema.js';

const check = compileSchema<{ status: string; level?: number }>({
  type: 'object',
  required: ['status'],
  properties: {
    status: { enum: ['idle', 'busy'] },
    level: { type: 'number' },
    'a/b': { type: 'object', required: ['c~d'], properties: { 'c~d': {} } },
  },
});

describe('a validator', () => {
  it('keeps fields that it does not know', () => {
    assert.deepEqual(check({ status: 'idle', more: 1 }), { valid: true, value: { status: 'idle', more: 1 } });
  });

  it('names the field and what is accepted', () => {
    assert.deepEqual(check({ status: 'broken' }), {
      valid: false,
      pointer: '/status',
      message: '/status must be one of ["idle","busy"]',
    });
    assert.deepEqual(check({ status: 'idle', level: 'x' }), {
      valid: false,
      pointer: '/level',
      message: '/level must be number',
    });
  });

  it('points at a missing field, escaped as RFC 6901 says', () => {
    assert.deepEqual(check({}), { valid: false, pointer: '/status', message: '/status is missing' });
    const result = check({ status: 'idle', 'a/b': {} });
    assert.equal(!result.valid && result.pointer, '/a~1b/c~0d');
  });
});

describe('a validator of a user’s schema', () => {
  it('takes any way of writing one, and two of one name', () => {
    for (let count = 0; count < 2; count += 1) {
      const loose = compileUserSchema({
        $id: 'valve',
        required: ['percent'],
        note: 'ours',
        format: 'percent',
      });
      assert.equal(loose({ percent: 5 }).valid, true);
      assert.deepEqual(loose({}), { valid: false, pointer: '/percent', message: '/percent is missing' });
    }
    assert.throws(() => compileUserSchema({ type: 'thing' }));
  });
});
