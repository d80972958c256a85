import assert from 'node:assert/strict';
import { FieldloomError, hasCode } from '../../lib/core/errors.js';
import { pondProblem } from '../../lib/web/pond-problem.js';
import { idempotencyKey, preferredWait } from '../../lib/web/preferences.js';

describe('a refusal of the pond API', () => {
  it('is 500 for whatever fails on this side, with nothing of the inside', () => {
    for (const [code, words] of [
      ['not_connected', 'MQTT client not connected'],
      ['link_closed', 'MQTT client not connected'],
      ['store_unavailable', 'Database not available'],
      ['store_closed', 'Database not available'],
      ['internal', 'the gateway failed to answer; its log says why'],
      ['missing_setting', 'the gateway failed to answer; its log says why'],
    ] as const) {
      const { status, body } = pondProblem(new FieldloomError(code, 'secret host db1'));
      assert.deepEqual([status, body], [500, { success: false, error: words }], code);
    }
    assert.equal(pondProblem(new Error('secret')).status, 500);
  });

  it('keeps its status and its reason where the request is wrong', () => {
    for (const [code, status] of [
      ['invalid_input', 400],
      ['not_found', 404],
      ['conflict', 409],
      ['payload_too_large', 413],
      ['unsupported_media_type', 415],
      ['unprocessable', 422],
    ] as const) {
      const answer = pondProblem(new FieldloomError(code, 'the reason'));
      assert.deepEqual([answer.status, answer.body], [status, { success: false, error: 'the reason' }]);
    }
    assert.deepEqual(pondProblem(new FieldloomError('forbidden', 'x')).body, {
      success: false,
      error: 'Access denied',
    });
  });
});

describe('Prefer', () => {
  it('is read for wait, among others, and bounded', () => {
    for (const [header, seconds] of [
      ['wait=15', 15],
      ['Wait = "15"', 15],
      ['respond-async, wait=10', 10],
      ['wait=10, wait=20', 10],
      ['wait=0', 0],
      ['wait=61', 60],
      ['wait', undefined],
      ['wait=-1', undefined],
      ['wait=1.5', undefined],
      ['await=5', undefined],
      ['', undefined],
    ] as const) {
      assert.equal(preferredWait({ prefer: header }), seconds, header);
    }
    assert.equal(preferredWait({}), undefined);
  });
});

describe('Idempotency-Key', () => {
  it('is 1 to 255 visible characters', () => {
    assert.equal(idempotencyKey({}), undefined);
    for (const key of ['a', 'x'.repeat(255), '550e8400-e29b-41d4-a716-446655440000', '"quoted"']) {
      assert.equal(idempotencyKey({ 'idempotency-key': key }), key);
    }
    for (const key of ['', ' ', 'a b', 'x'.repeat(256), 'é', '\u0007']) {
      assert.throws(
        () => idempotencyKey({ 'idempotency-key': key }),
        (error) => hasCode(error, 'unprocessable'),
        key,
      );
    }
  });
});
