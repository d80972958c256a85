import assert from 'node:assert/strict';
import fc from 'fast-check';
import { formatInstant, parseInstant } from '../../lib/core/instant.js';

describe('an instant as ISO 8601 text', () => {
  it('is read with its offset', () => {
    const instant = Date.UTC(2024, 0, 15, 9, 0, 0);
    for (const text of [
      '2024-01-15T16:00:00+07:00',
      '2024-01-15T16:00:00+0700',
      '2024-01-15T16:00:00+07',
      '2024-01-15T09:00:00Z',
      '2024-01-15t09:00:00z',
      '2024-01-15T05:30:00-03:30',
      '2024-01-15T09:00:00.000Z',
    ]) {
      assert.equal(parseInstant(text), instant, text);
    }
    assert.equal(parseInstant('2024-01-15T09:00:00.25Z'), instant + 250);
    assert.equal(parseInstant('2024-01-15T09:00:00.123456789Z'), instant + 123);
  });

  it('is refused where two programs could read it differently, or where there is no such day or time', () => {
    for (const text of [
      '2024-01-15T16:00:00',
      '2024-01-15',
      '2024-1-5T16:00:00Z',
      '2024-01-15 16:00:00Z',
      '2024-13-15T16:00:00Z',
      '2024-00-15T16:00:00Z',
      '2024-02-30T16:00:00Z',
      '2023-02-29T16:00:00Z',
      '2024-01-15T24:00:00Z',
      '2024-01-15T16:60:00Z',
      '2024-01-15T16:00:61Z',
      '2024-01-15T16:00:00+25:00',
      '2024-01-15T16:00:00+07:60',
      'Mon, 15 Jan 2024 16:00:00 GMT',
      '1705309200',
      '',
    ]) {
      assert.equal(parseInstant(text), undefined, text);
    }
  });

  it('takes 29 February in leap years, and a leap second as the next minute', () => {
    assert.equal(parseInstant('2024-02-29T00:00:00Z'), Date.UTC(2024, 1, 29));
    assert.equal(parseInstant('2016-12-31T23:59:60Z'), Date.UTC(2017, 0, 1));
  });

  it('comes back as it was from any offset', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: Date.UTC(2200, 0, 1) }),
        fc.integer({ min: -14 * 60, max: 14 * 60 }),
        (instant, offset) => {
          assert.equal(parseInstant(formatInstant(instant, offset)), instant);
        },
      ),
      { numRuns: 500 },
    );
  });

  it('is written without milliseconds where there are none, with the offset asked for', () => {
    const instant = Date.UTC(2024, 0, 15, 9, 0, 0);
    assert.equal(formatInstant(instant), '2024-01-15T09:00:00Z');
    assert.equal(formatInstant(instant, 420), '2024-01-15T16:00:00+07:00');
    assert.equal(formatInstant(instant + 5, -210), '2024-01-15T05:30:00.005-03:30');
  });
});
