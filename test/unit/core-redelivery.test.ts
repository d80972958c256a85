import assert from 'node:assert/strict';
import type { DeadLetter } from '../../lib/core/dead-letter.js';
import { createRedelivery } from '../../lib/core/redelivery.js';

const letter = (text: string): DeadLetter => ({
  protocol: 'laundry',
  topic: 'a/b',
  code: 'invalid_json',
  message: 'payload is not JSON',
  payload: Buffer.from(text),
  receivedAt: 1000,
});

describe('a refused message on a resumed connection', () => {
  it('is a repetition while dead letters of the same bytes are left from before', async () => {
    const isRepeated = createRedelivery({ countEarlier: async () => 2 });
    const answers = await Promise.all([1, 2, 3].map(() => isRepeated(letter('x'), 5000)));
    assert.deepEqual(answers, [true, true, false]);
  });

  it('may be repeated again on the next connection', async () => {
    const isRepeated = createRedelivery({ countEarlier: async () => 1 });
    assert.equal(await isRepeated(letter('x'), 5000), true);
    assert.equal(await isRepeated(letter('x'), 5000), false);
    assert.equal(await isRepeated(letter('x'), 6000), true);
  });

  it('is new where its bytes, its topic or its pointer are', async () => {
    const kept = letter('x');
    const isRepeated = createRedelivery({
      countEarlier: async ({ payload, topic, pointer }) =>
        payload.equals(kept.payload) && topic === kept.topic && pointer === kept.pointer ? 1 : 0,
    });
    assert.equal(await isRepeated(letter('y'), 5000), false);
    assert.equal(await isRepeated({ ...kept, topic: 'a/c' }, 5000), false);
    assert.equal(await isRepeated({ ...kept, pointer: '/x' }, 5000), false);
    assert.equal(await isRepeated(kept, 5000), true);
  });
});
