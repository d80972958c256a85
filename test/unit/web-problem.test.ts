import assert from 'node:assert/strict';
import { ERROR_CODES, FieldloomError } from '../../lib/core/errors.js';
import { problem, STATUS_OF } from '../../lib/web/problem.js';

describe('the HTTP status of an error', () => {
  it('is there for every code', () => {
    assert.deepEqual(Object.keys(STATUS_OF).sort(), [...ERROR_CODES].sort());
  });

  it('stays what clients know', () => {
    const byStatus: Record<number, string[]> = {};
    for (const code of ERROR_CODES) {
      const status = STATUS_OF[code];
      byStatus[status] = [...(byStatus[status] ?? []), code];
    }
    assert.deepEqual(byStatus, {
      400: [
        'invalid_input',
        'decompression_failed',
        'invalid_utf8',
        'invalid_json',
        'nesting_too_deep',
        'schema_mismatch',
        'unsupported_version',
        'unexpected_event_type',
        'invalid_topic',
        'id_mismatch',
        'timestamp_in_future',
        'invalid_profile',
        'invalid_topic_parameter',
        'invalid_topic_filter',
        'shared_subscription_unsupported',
      ],
      401: ['unauthenticated', 'invalid_token'],
      403: ['forbidden'],
      404: ['not_found'],
      405: ['method_not_allowed'],
      409: ['conflict', 'store_conflict'],
      413: ['payload_too_large'],
      415: ['unsupported_media_type'],
      422: ['unprocessable'],
      416: ['range_not_satisfiable'],
      429: ['too_many_attempts'],
      500: [
        'invalid_setting',
        'missing_setting',
        'store_rejected',
        'backup_failed',
        'migration_failed',
        'internal',
      ],
      502: ['device_refused', 'publish_refused', 'subscribe_refused'],
      503: [
        'not_connected',
        'link_closed',
        'queue_full',
        'broker_unavailable',
        'store_unavailable',
        'store_closed',
        'token_keys_unavailable',
        'too_many_downloads',
      ],
    });
  });
});

describe('the answer to a request that failed', () => {
  it('has code, message, pointer and details', () => {
    const error = new FieldloomError('conflict', 'taken', { pointer: '/name', details: { username: 'a' } });
    assert.deepEqual(problem(error), {
      status: 409,
      headers: {},
      body: { error: { code: 'conflict', message: 'taken', details: { pointer: '/name', username: 'a' } } },
    });
    assert.deepEqual(problem(new FieldloomError('not_found', 'gone')).body, {
      error: { code: 'not_found', message: 'gone' },
    });
  });

  it('says nothing of the inside where the fault is ours', () => {
    for (const thrown of [
      new Error('connect postgres://u:secret@host'),
      new FieldloomError('internal', 'secret', { details: { secret: 1 } }),
      new FieldloomError('store_rejected', 'insert into secret'),
      'secret',
      undefined,
    ]) {
      const { status, body } = problem(thrown);
      assert.equal(status, 500);
      assert.ok(!JSON.stringify(body).includes('secret'));
    }
  });

  it('says how to log in, and when to come back', () => {
    assert.deepEqual(problem(new FieldloomError('invalid_token', 'no')).headers, {
      'WWW-Authenticate': 'Bearer',
    });
    const late = new FieldloomError('too_many_attempts', 'no', { details: { retry_after_s: 0.2 } });
    assert.deepEqual(problem(late).headers, { 'Retry-After': '1' });
  });
});
