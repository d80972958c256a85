import assert from 'node:assert/strict';
import fc from 'fast-check';
import { minutesOfLastHour } from '../../lib/core/last-hour.js';
import { busyCurve } from '../../lib/laundry/busy-curve.js';

const NOW = Date.UTC(2025, 7, 30, 9, 0, 30);
const MINUTES = minutesOfLastHour(NOW);
const MINUTE = 60_000;
const at = (ago: number) => (MINUTES.at(-1) as number) - ago * MINUTE;

describe('busy machines in the last hour', () => {
  it('are told for sixty whole minutes and the running one', () => {
    assert.equal(MINUTES.length, 61);
    assert.deepEqual([MINUTES[0], MINUTES[60]], [Date.UTC(2025, 7, 30, 8), Date.UTC(2025, 7, 30, 9)]);
  });

  it('are counted back from now', () => {
    const curve = busyCurve(
      MINUTES,
      [
        { minute: at(10), more: 2, lost: 0 },
        { minute: at(3), more: -1, lost: 0 },
      ],
      4,
    );
    assert.deepEqual(curve.slice(-12, -9), [3, 5, 5]);
    assert.deepEqual(curve.slice(-5), [5, 4, 4, 4, 4]);
  });

  it('were there until the last word of a controller that is offline', () => {
    const curve = busyCurve(MINUTES, [{ minute: at(5), more: 0, lost: 3 }], 1);
    assert.deepEqual([curve.at(-7), curve.at(-6), curve.at(-1)], [4, 1, 1]);
  });

  it('count a change of a clock that runs ahead as one of now', () => {
    const curve = busyCurve(MINUTES, [{ minute: at(-3), more: 1, lost: 0 }], 1);
    assert.deepEqual([curve.at(-2), curve.at(-1)], [0, 1]);
  });

  it('are what a count minute by minute gives', () => {
    const minute = fc.record({ more: fc.integer({ min: 0, max: 5 }), lost: fc.integer({ min: 0, max: 5 }) });
    fc.assert(
      fc.property(
        fc.integer({ min: 1000, max: 2000 }),
        fc.array(minute, { minLength: 61, maxLength: 61 }),
        (start, hour) => {
          let busy = start;
          const expected = hour.map(({ more, lost }) => {
            busy += more - lost;
            return busy;
          });
          const happened = hour.map((each, index) => ({ ...each, minute: MINUTES[index] as number }));
          assert.deepEqual(busyCurve(MINUTES, happened, busy), expected);
        },
      ),
    );
  });
});
