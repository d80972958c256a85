import assert from 'node:assert/strict';
import { setImmediate } from 'node:timers/promises';
import { createSequence } from '../../lib/core/sequence.js';

describe('a sequence', () => {
  function work() {
    const log: string[] = [];
    const ends = new Map<string, (error?: Error) => void>();
    const task = (name: string) => () => {
      log.push(name);
      return new Promise<string>((resolve, reject) => {
        ends.set(name, (error) => (error === undefined ? resolve(name) : reject(error)));
      });
    };
    return { log, task, end: (name: string, error?: Error) => ends.get(name)?.(error) };
  }

  it('runs what belongs together one after another, the rest side by side', async () => {
    const { log, task, end } = work();
    const sequence = createSequence();
    const first = sequence.run('a', task('a1'));
    const second = sequence.run('a', task('a2'));
    void sequence.run('b', task('b1'));
    assert.deepEqual(log, ['a1', 'b1']);
    end('a1');
    assert.equal(await first, 'a1');
    await setImmediate();
    assert.deepEqual(log, ['a1', 'b1', 'a2']);
    end('a2');
    assert.equal(await second, 'a2');
  });

  it('goes on behind one that fails, and hands its error to whom it belongs', async () => {
    const { task, end } = work();
    const sequence = createSequence();
    const first = sequence.run('a', task('a1'));
    const second = sequence.run('a', task('a2'));
    const failed = assert.rejects(first, /no/);
    end('a1', new Error('no'));
    await failed;
    await setImmediate();
    end('a2');
    assert.equal(await second, 'a2');
  });

  it('is idle when all that was begun has ended, what came meanwhile too', async () => {
    const { task, end } = work();
    const sequence = createSequence();
    await sequence.idle();
    void sequence.run('a', task('a1'));
    let idle = false;
    const ended = sequence.idle().then(() => {
      idle = true;
    });
    void sequence.run('a', task('a2'));
    end('a1');
    await setImmediate();
    assert.equal(idle, false);
    end('a2');
    await ended;
  });
});
