import assert from 'node:assert/strict';
import { ERROR_CODES, FieldloomError, hasCode } from '../../lib/core/errors.js';

describe('error codes', () => {
  it('are unique and written in lower case with underscores', () => {
    assert.equal(new Set(ERROR_CODES).size, ERROR_CODES.length);
    for (const code of ERROR_CODES) assert.match(code, /^[a-z]+(_[a-z0-9]+)*$/);
  });

  it('keep every code that was ever published, because users branch on them', () => {
    const published = [
      'invalid_setting',
      'missing_setting',
      'invalid_input',
      'not_found',
      'method_not_allowed',
      'conflict',
      'payload_too_large',
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
      'not_connected',
      'device_refused',
      'link_closed',
      'publish_refused',
      'queue_full',
      'broker_unavailable',
      'store_unavailable',
      'store_conflict',
      'store_rejected',
      'store_closed',
      'backup_failed',
      'migration_failed',
      'unauthenticated',
      'forbidden',
      'too_many_attempts',
      'invalid_token',
      'unsupported_media_type',
      'unprocessable',
      'range_not_satisfiable',
      'too_many_downloads',
      'internal',
    ];
    for (const code of published) assert.ok((ERROR_CODES as readonly string[]).includes(code), code);
  });

  it('tell an error of ours from any other', () => {
    assert.ok(hasCode(new FieldloomError('conflict', 'taken'), 'conflict'));
    assert.ok(!hasCode(new FieldloomError('conflict', 'taken'), 'not_found'));
    assert.ok(!hasCode(Object.assign(new Error('taken'), { code: 'conflict' }), 'conflict'));
  });
});
