import assert from 'node:assert/strict';
import fc from 'fast-check';
import { backoffDelay } from '../../lib/core/backoff.js';

describe('backoff', () => {
  it('doubles up to its longest delay', () => {
    const options = { firstMs: 1000, maxMs: 30_000, jitter: 0 };
    assert.deepEqual(
      [0, 1, 2, 3, 4, 5, 6, 100_000].map((attempt) => backoffDelay(attempt, options)),
      [1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000],
    );
  });

  it('stays within its jitter', () => {
    fc.assert(
      fc.property(fc.nat(40), fc.double({ min: 0, max: 1, noNaN: true }), (attempt, random) => {
        const plain = backoffDelay(attempt, { firstMs: 100, maxMs: 5000, jitter: 0 });
        const delay = backoffDelay(attempt, { firstMs: 100, maxMs: 5000, jitter: 0.3 }, () => random);
        assert.ok(delay >= plain * 0.7 - 1e-6 && delay <= plain * 1.3 + 1e-6);
      }),
    );
  });
});
