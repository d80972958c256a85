import assert from 'node:assert/strict';
import fc from 'fast-check';
import { heard, LIVENESS, patience, type Rhythm, rhythmOf } from '../../lib/core/liveness.js';

const SECOND = 1000;
const first = rhythmOf(LIVENESS.intervalMs);

/** Messages at these seconds; a letter e behind it: it was an event that sent it. */
function listen(times: readonly string[], rhythm: Rhythm = first) {
  let next = rhythm;
  for (const time of times) {
    const at = Number.parseFloat(time) * SECOND;
    next = heard(next, at, at, !time.endsWith('e'), LIVENESS);
  }
  return next;
}
const every = (seconds: number, count: number, from = 0) =>
  Array.from({ length: count }, (_, index) => String(from + index * seconds));

describe('the interval of a controller', () => {
  it('is 30 s at first, and 3 of them may pass in silence', () => {
    assert.equal(patience(first, LIVENESS), 90 * SECOND);
    assert.equal(listen(['0']).intervalMs, 30 * SECOND);
  });

  it('is learnt from its own rhythm, shorter or longer', () => {
    assert.equal(listen(every(5, 6)).intervalMs, 5 * SECOND);
    assert.equal(listen(every(60, 3)).intervalMs, 60 * SECOND);
    assert.equal(listen(every(300, 6)).intervalMs, 300 * SECOND);
  });

  it('is not mistaken where events send messages in between, with a clock of their own', () => {
    const busy = ['0', '30', '34e', '41e', '60', '61e', '62e', '90', '120', '133e', '150', '180', '210'];
    assert.equal(listen(busy).intervalMs, 30 * SECOND);
  });

  it('is not mistaken where an event puts off the next periodic message', () => {
    const busy = ['0', '30', '40e', '70', '100', '105e', '106e', '136', '166', '196', '226'];
    assert.equal(listen(busy).intervalMs, 30 * SECOND);
  });

  it('does not shrink in an hour full of events', () => {
    const events = Array.from({ length: 200 }, (_, index) => `${index * 2}e`);
    assert.equal(listen(events).intervalMs, 30 * SECOND);
  });

  it('is not stretched by one outage', () => {
    const rhythm = listen([...every(30, 5), ...every(30, 5, 36_000)]);
    assert.equal(rhythm.intervalMs, 30 * SECOND);
  });

  it('says nothing where a message is only repeated', () => {
    const rhythm = listen(every(30, 3));
    const repeated = heard(rhythm, 61 * SECOND, 60 * SECOND, true, LIVENESS);
    assert.equal(repeated, rhythm);
  });

  it('follows a controller that slows down step by step without calling it offline', () => {
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 120 }), fc.integer({ min: 2, max: 6 }), (seconds, stays) => {
        let rhythm = rhythmOf(seconds * SECOND);
        let at = 0;
        // The adaptive interval of a reporter: doubles up to four times, and returns.
        for (const factor of [1, 2, 4, 2, 1]) {
          for (let message = 0; message < stays; message += 1) {
            assert.ok(factor * seconds * SECOND < patience(rhythm, LIVENESS));
            at += factor * seconds * SECOND;
            rhythm = heard(rhythm, at, at, true, LIVENESS);
          }
        }
      }),
      { numRuns: 500 },
    );
  });

  it('with jitter of a fifth never calls a controller offline that speaks', () => {
    fc.assert(
      fc.property(fc.array(fc.double({ min: 0.8, max: 1.2, noNaN: true }), { maxLength: 50 }), (gaps) => {
        let rhythm = first;
        let at = 0;
        for (const gap of gaps) {
          assert.ok(gap * 30 * SECOND < patience(rhythm, LIVENESS));
          at += gap * 30 * SECOND;
          rhythm = heard(rhythm, at, at, true, LIVENESS);
        }
      }),
      { numRuns: 500 },
    );
  });
});
