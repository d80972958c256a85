import assert from 'node:assert/strict';
import fc from 'fast-check';
import { createDeadlines } from '../../lib/core/deadlines.js';
import { fakeClock } from '../support/fake-clock.js';

describe('deadlines', () => {
  it('fall due in their order with one timer, each once, at the last time set', () => {
    const clock = fakeClock(0);
    const due: string[] = [];
    const deadlines = createDeadlines<string>(clock, (key) => due.push(`${key} at ${clock.now()}`));
    deadlines.set('b', 200);
    deadlines.set('a', 100);
    deadlines.set('c', 50);
    deadlines.set('c', 300);
    deadlines.set('d', 150);
    deadlines.set('d', null);
    assert.equal(clock.timers, 1);
    clock.advance(1000);
    assert.deepEqual(due, ['a at 100', 'b at 200', 'c at 300']);
    assert.deepEqual([deadlines.size, clock.timers], [0, 0]);
  });

  it('may be set again by whom they call', () => {
    const clock = fakeClock(0);
    let times = 0;
    const deadlines = createDeadlines<string>(clock, (key) => {
      times += 1;
      if (times < 3) deadlines.set(key, clock.now() + 10);
    });
    deadlines.set('a', 10);
    clock.advance(100);
    assert.equal(times, 3);
  });

  it('call nobody after they are stopped', () => {
    const clock = fakeClock(0);
    const deadlines = createDeadlines<string>(clock, () => assert.fail('stopped'));
    deadlines.set('a', 10);
    deadlines.stop();
    deadlines.set('b', 10);
    clock.advance(100);
    assert.equal(clock.timers, 0);
  });

  it('are called as a plain list of them would be, in any order of setting and removing', () => {
    const change = fc.tuple(
      fc.integer({ min: 0, max: 9 }),
      fc.option(fc.integer({ min: 1, max: 100 }), { nil: null }),
    );
    fc.assert(
      fc.property(fc.array(change, { maxLength: 60 }), (changes) => {
        const clock = fakeClock(0);
        const due: [number, number][] = [];
        const deadlines = createDeadlines<number>(clock, (key) => due.push([clock.now(), key]));
        const expected = new Map<number, number>();
        for (const [key, at] of changes) {
          deadlines.set(key, at);
          if (at === null) expected.delete(key);
          else expected.set(key, at);
        }
        clock.advance(1000);
        const sorted = (list: [number, number][]) => list.sort((a, b) => a[0] - b[0] || a[1] - b[1]);
        assert.deepEqual(sorted(due), sorted([...expected].map(([key, at]) => [at, key])));
      }),
    );
  });
});
