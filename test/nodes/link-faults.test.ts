import assert from 'node:assert/strict';
import { decideFate, NO_FAULTS, seededRandom } from '../../lib/core/link-faults.js';
import faultsNode from '../../nodes/link-faults/link-faults.js';
import { errorsOf, loadFlow, startRuntime, stopRuntime, unloadFlow } from '../support/flow.js';
import { cleanUp, temporaryFolder } from '../support/store.js';

describe('the link faults node', () => {
  beforeEach(async () => startRuntime(await temporaryFolder()));
  afterEach(async () => {
    await stopRuntime();
    await cleanUp();
  });

  const load = (settings: object) =>
    loadFlow(
      [faultsNode],
      [
        { id: 'n', type: 'fieldloom-link-faults', wires: [['arrived'], ['dropped']], ...settings } as never,
        { id: 'arrived', type: 'helper' },
        { id: 'dropped', type: 'helper' },
      ],
    );
  async function sendAll({ send }: Awaited<ReturnType<typeof load>>, count: number) {
    for (let index = 0; index < count; index += 1) await send('n', { payload: index });
  }

  it('without settings hands on every message in order', async () => {
    const flow = await load({});
    await sendAll(flow, 20);
    await flow.message('arrived', 20);
    assert.deepEqual(
      flow.received('arrived').map(({ payload }) => payload),
      Array.from({ length: 20 }, (_, index) => index),
    );
  });

  it('drops out of its second output what its seed says, after each deploy the same', async () => {
    const random = seededRandom(7);
    const fates = Array.from({ length: 40 }, () =>
      decideFate({ ...NO_FAULTS, drop: 0.5, repeat: 0.5 }, random),
    );
    const lost = fates.flatMap(({ dropped }, index) => (dropped ? [index] : []));
    const arriving = fates.flatMap(({ delaysMs }, index) => delaysMs.map(() => index));
    for (let run = 0; run < 2; run += 1) {
      const flow = await load({ drop: '50', repeat: '50', seed: '7' });
      await sendAll(flow, 40);
      await flow.message('dropped', lost.length);
      await flow.message('arrived', arriving.length);
      const payloads = (id: string) => flow.received(id).map(({ payload }) => payload);
      assert.deepEqual(payloads('dropped'), lost);
      assert.deepEqual(payloads('arrived'), arriving);
      await unloadFlow();
    }
  });

  it('gives each copy of a repeated message a life of its own', async () => {
    const flow = await load({ repeat: '100' });
    await flow.send('n', { payload: { changed: false } });
    const [first, second] = [await flow.message('arrived', 1), await flow.message('arrived', 2)];
    (first.payload as { changed: boolean }).changed = true;
    assert.deepEqual(second.payload, { changed: false });
  });

  it('delays by the time that is set', async () => {
    const flow = await load({ delay: '100', minDelay: '20', maxDelay: '20' });
    const begun = performance.now();
    await flow.send('n', { payload: 1 });
    await flow.message('arrived');
    assert.ok(performance.now() - begun >= 15);
  });

  for (const [settings, expected] of [
    [{ drop: '101' }, /drop is 101: accepted is a number from 0 to 100/],
    [{ repeat: 'often' }, /repeat is often/],
    [{ minDelay: '100', maxDelay: '50' }, /maximum delay is 50: accepted is a number from 100/],
    [{ seed: '-1' }, /seed is -1/],
  ] as const) {
    it(`names the setting where it is ${JSON.stringify(settings)}`, async () => {
      await load(settings);
      assert.equal(errorsOf('n').length, 1);
      assert.match(errorsOf('n')[0] ?? '', expected);
    });
  }
});
