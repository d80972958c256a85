import assert from 'node:assert/strict';
import { Drawing } from '../../client/drawing.js';
import { fakeClock } from '../support/fake-clock.js';

describe('drawing of a page', () => {
  const drawn = (visible = true) => {
    const clock = fakeClock();
    const shown: number[] = [];
    const began = clock.now();
    const drawing = new Drawing(
      clock,
      () => visible,
      () => shown.push(clock.now() - began),
    );
    return { clock, drawing, shown };
  };

  it('is done at once, and then once in 100 ms however much happens', () => {
    const { clock, drawing, shown } = drawn();
    for (let ms = 0; ms < 300; ms += 10) {
      drawing.draw();
      clock.advance(10);
    }
    assert.deepEqual(shown, [0, 100, 200, 300]);
  });

  it('is done at once for a press, though something was drawn just before', () => {
    const { clock, drawing, shown } = drawn();
    drawing.draw();
    clock.advance(30);
    drawing.now();
    assert.deepEqual(shown, [0, 30]);
    drawing.draw();
    clock.advance(99);
    assert.deepEqual(shown, [0, 30], 'a message waits as after any drawing');
    clock.advance(1);
    assert.deepEqual(shown, [0, 30, 130]);
    clock.advance(1000);
    assert.deepEqual(shown, [0, 30, 130]);
  });

  it('may be asked for by what it shows', () => {
    const clock = fakeClock();
    let shown = 0;
    const drawing: Drawing = new Drawing(
      clock,
      () => true,
      () => {
        shown += 1;
        if (shown === 1) drawing.now();
      },
    );
    drawing.draw();
    assert.equal(shown, 2);
    drawing.close();
    clock.advance(10_000);
    assert.equal(shown, 2);
  });

  it('goes on each second while somebody can see the page', () => {
    const seen = drawn();
    seen.drawing.tick();
    seen.clock.advance(3000);
    assert.equal(seen.shown.length, 3);
    const hidden = drawn(false);
    hidden.drawing.tick();
    hidden.clock.advance(3000);
    assert.equal(hidden.shown.length, 0);
  });
});
