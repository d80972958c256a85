import assert from 'node:assert/strict';
import type { NodeAPI } from 'node-red';
import { defineNode } from '../../nodes/runtime/define-node.js';
import { loadFlow, startRuntime, stopRuntime, unloadFlow } from '../support/flow.js';
import { cleanUp, temporaryFolder } from '../support/store.js';

describe('what a node sends', () => {
  const got: unknown[] = [];

  const nodes = (RED: NodeAPI) => {
    defineNode(RED, 'test-speaker', ({ send }) => {
      send({ payload: 'as it is made' });
      return {
        start: async () => send({ payload: 'as it starts' }),
        input: () => send({ payload: 'asked' }),
      };
    });
    defineNode(RED, 'test-listener', () => ({ input: ({ payload }) => void got.push(payload) }));
  };
  // The listener is made after the speaker.
  const flow = [
    { id: 's', type: 'test-speaker', wires: [['l']] },
    { id: 'l', type: 'test-listener', wires: [] },
  ];

  before(async () => startRuntime(await temporaryFolder()));
  after(async () => {
    await stopRuntime();
    await cleanUp();
  });
  afterEach(async () => {
    await unloadFlow();
    got.length = 0;
  });

  it('reaches a node that is made after it, in its order', async () => {
    const { node } = await loadFlow([nodes], flow);
    node('s').receive({});
    for (let turn = 0; turn < 20; turn += 1) await new Promise(setImmediate);
    assert.deepEqual(got, ['as it is made', 'as it starts', 'asked']);
  });
});
