import assert from 'node:assert/strict';
import fc from 'fast-check';
import { idSource, newId, textKey } from '../../lib/store/ids.js';

describe('ids of the store', () => {
  it('sort in the order they are made, also while the clock stands or steps back', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(10), { minLength: 2, maxLength: 500 }), (offsets) => {
        const start = Date.UTC(2026, 0, 1);
        let now = start;
        const next = idSource(() => now);
        const ids = offsets.map((offset) => {
          now = start + offset;
          return next();
        });
        assert.deepEqual([...ids].sort(), ids);
        assert.equal(new Set(ids).size, ids.length);
      }),
    );
  });

  it('are UUIDs of version 7 that carry their time', () => {
    const at = Date.UTC(2036, 4, 5);
    const id = idSource(() => at)();
    assert.match(id, /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    assert.equal(Number.parseInt(id.replaceAll('-', '').slice(0, 12), 16), at);
    assert.ok(Math.abs(Number.parseInt(newId().replaceAll('-', '').slice(0, 12), 16) - Date.now()) < 60_000);
  });

  it('the key of a long text is as long as that of a short one, and another for another text', () => {
    assert.equal(textKey('a'.repeat(65_535)).length, 64);
    assert.notEqual(textKey('/stores/A'), textKey('/stores/a'));
  });
});
