import assert from 'node:assert/strict';
import fc from 'fast-check';
import { hasCode } from '../../lib/core/errors.js';
import { parseJson } from '../../lib/core/json.js';

const refuses = (bytes: Buffer, code: Parameters<typeof hasCode>[1]) =>
  assert.throws(
    () => parseJson(bytes),
    (error) => hasCode(error, code),
  );

describe('parsing a message from outside', () => {
  it('takes all JSON within the limits', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 20 }), (value) => {
        assert.deepEqual(parseJson(Buffer.from(JSON.stringify(value))), JSON.parse(JSON.stringify(value)));
      }),
    );
  });

  it('refuses what is not JSON, and says where', () => {
    refuses(Buffer.from('{"a":'), 'invalid_json');
    refuses(Buffer.alloc(0), 'invalid_json');
  });

  it('refuses bytes that are not UTF-8 instead of replacing them', () => {
    refuses(Buffer.from([0x22, 0xc3, 0x28, 0x22]), 'invalid_utf8');
    // Half of a surrogate pair, and a character longer than it need be.
    refuses(Buffer.from([0x22, 0xed, 0xa0, 0x80, 0x22]), 'invalid_utf8');
    refuses(Buffer.from([0x22, 0xc0, 0xaf, 0x22]), 'invalid_utf8');
    refuses(Buffer.concat([Buffer.from('"\ufffd'), Buffer.from([0xff, 0x22])]), 'invalid_utf8');
  });

  it('takes the character by which others replace such bytes', () => {
    assert.equal(parseJson(Buffer.from('"\ufffd"')), '\ufffd');
  });

  it('refuses 2,000 levels before building them', () => {
    refuses(Buffer.from('['.repeat(2000) + ']'.repeat(2000)), 'nesting_too_deep');
    refuses(Buffer.from('{"a":'.repeat(2000)), 'nesting_too_deep');
  });

  it('takes 64 levels and refuses one more, and any number of brackets side by side', () => {
    const nested = (levels: number) => Buffer.from('['.repeat(levels) + ']'.repeat(levels));
    parseJson(nested(64));
    refuses(nested(65), 'nesting_too_deep');
    const sideBySide = `[${Array(1000).fill('{"a":[]}').join(',')}]`;
    assert.equal((parseJson(Buffer.from(sideBySide)) as unknown[]).length, 1000);
  });

  it('does not count brackets in strings', () => {
    const text = `${'['.repeat(500)}\\"${'{'.repeat(500)}`;
    assert.deepEqual(parseJson(Buffer.from(`["${text}"]`)), [text.replace('\\"', '"')]);
  });

  it('takes 256 KiB and refuses one byte more', () => {
    const limit = 256 * 1024;
    assert.equal((parseJson(Buffer.from(`"${'a'.repeat(limit - 2)}"`)) as string).length, limit - 2);
    refuses(Buffer.from(`"${'a'.repeat(limit - 1)}"`), 'payload_too_large');
  });
});
