import assert from 'node:assert/strict';
import type { NodeAPI } from 'node-red';
import { defineNode } from '../../nodes/runtime/define-node.js';
import { type Followed, follow } from '../../nodes/runtime/follow.js';
import { loadFlow, startRuntime, stopRuntime, unloadFlow } from '../support/flow.js';
import { cleanUp, temporaryFolder } from '../support/store.js';

interface Provided {
  value: string;
}

describe('a node that follows another', () => {
  const seen: string[] = [];
  let followed: Followed<Provided>;
  let provideLater: (() => void) | undefined;

  const nodes = (RED: NodeAPI) => {
    defineNode<{ value: string; late: boolean }>(RED, 'test-provider', ({ config, provide }) => {
      const offer = () => provide({ value: config.value });
      if (config.late) provideLater = offer;
      else offer();
      return {};
    });
    defineNode<{ other: string }>(RED, 'test-follower', ({ config }) => {
      followed = follow<Provided>(RED, config.other, ({ value }) => {
        seen.push(`+${value}`);
        return () => seen.push(`-${value}`);
      });
      return { close: () => followed.close() };
    });
  };
  const follower = { id: 'f', type: 'test-follower', other: 'p' };
  const provider = (value: string, late = false) => ({ id: 'p', type: 'test-provider', value, late });

  before(async () => startRuntime(await temporaryFolder()));
  after(async () => {
    await stopRuntime();
    await cleanUp();
  });
  afterEach(async () => {
    await unloadFlow();
    seen.length = 0;
  });

  it('finds it whether it is made before or after, and lets go when it closes itself', async () => {
    for (const flow of [
      [follower, provider('a')],
      [provider('a'), follower],
    ]) {
      await loadFlow([nodes], flow);
      assert.equal(followed.current()?.value, 'a');
      assert.deepEqual(seen, ['+a'], 'without being asked, and once');
      await unloadFlow();
      assert.deepEqual(seen.splice(0), ['+a', '-a']);
    }
  });

  it('finds what is offered later', async () => {
    await loadFlow([nodes], [follower, provider('late', true)]);
    assert.equal(followed.current(), undefined);
    provideLater?.();
    assert.deepEqual(seen, ['+late']);
  });

  it('has nothing where no node is named, or there is none', async () => {
    for (const other of ['', 'nobody']) {
      await loadFlow([nodes], [{ ...follower, other } as typeof follower, provider('a')]);
      assert.equal(followed.current(), undefined);
      await unloadFlow();
    }
    assert.deepEqual(seen, []);
  });
});
