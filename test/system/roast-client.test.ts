import assert from 'node:assert/strict';
import { WebSocket } from 'ws';
import { RoastConnection, type RoastMessage, type RoastSocket } from '../../client/roast-connection.js';
import { systemClock } from '../../lib/core/clock.js';
import { Gateway } from '../support/gateway.js';
import { randomFrom } from '../support/random.js';
import { askRoast, installRoastFlow, RoastSocket as PlainSocket } from '../support/roast-gateway.js';
import { TcpProxy } from '../support/tcp-proxy.js';

const CUTS = 6;
const CONTROLS = 200;

describe('a roast over a network that fails', function () {
  this.timeout(90_000);
  let gateway: Gateway;
  let proxy: TcpProxy;
  const ask = (method: string, path: string, body?: unknown) => askRoast(gateway, method, path, body);

  before(async () => {
    gateway = await Gateway.create();
    await installRoastFlow(gateway);
    await gateway.start();
    proxy = new TcpProxy(gateway.url);
    await proxy.open();
    await ask('POST', '/api/machines', {
      ...{ id: 'm1', name: 'Drum', driver: 'simulator', sampling_interval_ms: 100 },
    });
    await ask('POST', '/api/machines/m1/connect');
  });
  after(async () => {
    await proxy.close();
    await gateway.remove();
  });

  it('is at its client reading by reading as it was recorded, after it was cut off again and again', async () => {
    const messages: RoastMessage[] = [];
    const waiting = new Set<() => void>();
    /** Fulfils with the first message from now on that is wanted. */
    const next = (wanted: (message: RoastMessage) => boolean) =>
      new Promise<RoastMessage>((resolve) => {
        const from = messages.length;
        const look = () => {
          const found = messages.slice(from).find(wanted);
          if (found === undefined) return;
          waiting.delete(look);
          resolve(found);
        };
        waiting.add(look);
      });
    const reading = () => next(({ type }) => type === 'temperature');
    let returned = () => {};
    const connection = new RoastConnection({
      url: `${proxy.url.replace('http', 'ws').replace(/\/$/, '')}/ws/live/m1`,
      clock: systemClock,
      connect: (url) => new WebSocket(url) as unknown as RoastSocket,
      connectivity: {
        listen(listener) {
          returned = () => listener.returned();
          return () => {};
        },
      },
      clientId: 'client-one',
      onMessage(message) {
        messages.push(message);
        for (const look of waiting) look();
      },
      onState: () => {},
    });
    await next(({ type }) => type === 'state');
    connection.send({ type: 'command', action: 'start_monitoring' });
    await reading();
    const recording = next(({ state }) => state === 'recording');
    connection.send({ type: 'command', action: 'start_recording' });
    const began = messages.indexOf(await recording);
    // Another one sees how long the first one is away.
    const observer = await PlainSocket.open(gateway.url, 'm1');
    const random = randomFrom(7);
    for (let cut = 0; cut < CUTS; cut += 1) {
      for (let readings = 1 + random.uniform() * 5; readings > 0; readings -= 1) await reading();
      await proxy.close();
      for (let missed = 2 + random.uniform() * 18; missed > 0; missed -= 1) {
        await observer.until(({ type }) => type === 'temperature');
      }
      await proxy.open();
      const back = reading();
      returned();
      await back;
    }
    await observer.end();
    const finished = next(({ state }) => state === 'finished');
    connection.send({ type: 'command', action: 'stop_recording' });
    const last = messages.indexOf(await finished);
    connection.close();
    const { temperatures } = (await ask('GET', '/api/machines/m1/session')).body;
    assert.ok(temperatures.length > 2 * CUTS);
    const got = messages.slice(began, last).filter(({ type }) => type === 'temperature');
    assert.deepEqual(
      got.map(({ timestamp_ms, bt, et }) => ({ timestamp_ms, bt, et })),
      temperatures.map(({ timestamp_ms, bt, et }: Record<string, unknown>) => ({ timestamp_ms, bt, et })),
    );
    assert.ok(!messages.some(({ type }) => type === 'gap'));
  });

  it('has each control acknowledged, 99 of 100 within 200 ms', async () => {
    await ask('POST', '/api/machines', {
      ...{ id: 'm2', name: 'Drum', driver: 'simulator', sampling_interval_ms: 100 },
    });
    await ask('POST', '/api/machines/m2/connect');
    const client = await PlainSocket.open(gateway.url, 'm2');
    client.say({ type: 'command', action: 'start_monitoring' });
    await client.until(({ state }) => state === 'monitoring');
    const tookMs: number[] = [];
    for (let control = 0; control < CONTROLS; control += 1) {
      const value = control / CONTROLS;
      const sentMs = performance.now();
      client.say({ type: 'control', channel: 'burner', value });
      const ack = await client.until(({ type }) => type === 'control_ack');
      tookMs.push(performance.now() - sentMs);
      assert.deepEqual([ack['applied'], ack['value']], [true, value]);
    }
    await client.end();
    const slowest = tookMs.toSorted((a, b) => a - b)[Math.floor(CONTROLS * 0.99)] as number;
    assert.ok(slowest < 200, `99th percentile ${slowest.toFixed(0)} ms`);
  });
});
