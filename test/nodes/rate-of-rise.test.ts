import assert from 'node:assert/strict';
import rateNode from '../../nodes/rate-of-rise/rate-of-rise.js';
import { errorsOf, loadFlow, startRuntime, stopRuntime, unloadFlow } from '../support/flow.js';
import { cleanUp, temporaryFolder } from '../support/store.js';

interface Rate {
  temperature: number;
  ror: number | null;
  timestamp_ms: number;
}

describe('the rate of rise node', () => {
  before(async () => startRuntime(await temporaryFolder()));
  afterEach(() => unloadFlow());
  after(async () => {
    await stopRuntime();
    await cleanUp();
  });

  const load = (settings: object = {}) =>
    loadFlow(
      [rateNode],
      [
        { id: 'n', type: 'fieldloom-rate-of-rise', wires: [['out']], ...settings } as never,
        { id: 'out', type: 'helper' },
      ],
    );
  /** One reading a second, as messages. */
  const readings = (count: number, of: (second: number) => unknown, start = 1_700_000_000_000) =>
    Array.from({ length: count }, (_, second) => ({ payload: of(second), timestamp: start + second * 1000 }));

  it('sends the filtered temperature, its rate a minute and its time, with the message’s other properties', async () => {
    const flow = await load();
    for (const message of readings(40, (second) => 100 + second / 5))
      await flow.send('n', { ...message, topic: 'bt' });
    const first = await flow.message('out');
    assert.deepEqual(first.payload, { temperature: 100.2, ror: null, timestamp_ms: 1_700_000_001_000 });
    assert.equal(first.topic, 'bt');
    const last = await flow.message('out', 38);
    assert.ok(Math.abs(((last.payload as Rate).ror as number) - 12) < 1e-6);
  });

  it('reads a property of an object, text that is a number, Fahrenheit, with low lag', async () => {
    const flow = await load({ property: 'bt', unit: 'F', mode: 'low_lag', window: '20' });
    for (const message of readings(20, (second) => ({ bt: String(392 + second * 0.3) })))
      await flow.send('n', message);
    const { temperature, ror } = (await flow.message('out', 18)).payload as Rate;
    assert.ok(Math.abs(temperature - (392 + 18 * 0.3)) < 1e-9);
    assert.ok(Math.abs((ror as number) - 18) < 1e-6);
  });

  it('sends nothing for a missing reading, and goes on', async () => {
    const flow = await load();
    for (const missing of [null, -1, Number.NaN, 700]) await flow.send('n', { payload: missing });
    for (const message of readings(4, () => 150)) await flow.send('n', message);
    await flow.message('out', 2);
    assert.equal(flow.received('out').length, 2);
  });

  it('forgets all readings when it is told to', async () => {
    const flow = await load();
    for (const message of readings(30, (second) => 100 + second)) await flow.send('n', message);
    await flow.send('n', { reset: true });
    for (const message of readings(30, (second) => 200 - second, 1_600_000_000_000))
      await flow.send('n', message);
    const last = (await flow.message('out', 56)).payload as Rate;
    assert.ok(Math.abs((last.ror as number) + 60) < 1e-6);
  });

  it('refuses what is no temperature or no time, and says what is accepted', async () => {
    const flow = await load();
    await assert.rejects(flow.send('n', { payload: 'warm' }), { code: 'invalid_input', message: /"warm"/ });
    await assert.rejects(flow.send('n', { payload: { bt: 1 } }), { code: 'invalid_input' });
    await assert.rejects(flow.send('n', { payload: 1, timestamp: 'now' }), {
      code: 'invalid_input',
      message: /msg.timestamp/,
    });
    await unloadFlow();
    const other = await load({ property: 'et' });
    await assert.rejects(other.send('n', { payload: { bt: 1 } }), { message: /has no et/ });
  });

  it('says in the editor’s log what setting it cannot take', async () => {
    await load({ window: '5' });
    assert.match(errorsOf('n').join(), /window is 5 s: accepted is 10 to 60/);
  });
});
