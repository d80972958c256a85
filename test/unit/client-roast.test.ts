import assert from 'node:assert/strict';
import {
  RoastConnection,
  type RoastConnectionState,
  type RoastMessage,
  type RoastSocket,
} from '../../client/roast-connection.js';
import type { Clock } from '../../lib/core/clock.js';
import { randomFrom } from '../support/random.js';
import { command, FakeWatcher, type MachineBench, machineBench, settled } from '../support/roast-machine.js';

/** A network between a client and a machine that can be cut. */
class Network {
  online = true;
  attempts: number[] = [];
  #cut: (() => void)[] = [];
  #returned = () => {};
  constructor(readonly bench: MachineBench) {}

  readonly connectivity = {
    listen: ({ returned }: { returned(): void }) => {
      this.#returned = returned;
      return () => {};
    },
  };

  /** The page is seen again, or the network is back. */
  returned(): void {
    this.#returned();
  }

  cut(): void {
    this.online = false;
    for (const cut of this.#cut.splice(0)) cut();
  }

  connect = (url: string): RoastSocket => {
    const { bench } = this;
    const { machine } = bench;
    this.attempts.push(bench.clock.now());
    const listeners: Record<string, ((event: never) => void)[]> = {};
    const emit = (type: string, event: object = {}) => {
      for (const listener of listeners[type] ?? []) listener(event as never);
    };
    const watcher = new FakeWatcher();
    let over = false;
    const end = (code: number) => {
      if (over) return;
      over = true;
      emit('close', { code });
      // The gateway learns of it later.
      if (watcher.client !== undefined) {
        const { client } = watcher;
        bench.clock.setTimer(() => machine.leave(client), 3_000);
      }
    };
    queueMicrotask(() => {
      if (over) return;
      if (!this.online) return end(1006);
      this.#cut.push(() => end(1006));
      watcher.onText = (text) => {
        if (!over) emit('message', { data: text });
      };
      const id = new URL(url).searchParams.get('client_id') ?? 'nobody';
      watcher.client = machine.join(watcher, id);
      emit('open');
    });
    return {
      addEventListener(type: string, listener: (event: never) => void) {
        const known = listeners[type] ?? [];
        listeners[type] = [...known, listener];
      },
      send(text: string) {
        if (!over && watcher.client !== undefined) machine.hear(watcher.client, Buffer.from(text));
      },
      close: () => end(1000),
    } as RoastSocket;
  };
}

function follow(network: Network, clock: Clock, seed = 1) {
  const messages: RoastMessage[] = [];
  const states: RoastConnectionState[] = [];
  const random = randomFrom(seed);
  const connection = new RoastConnection({
    url: 'ws://gateway/ws/live/m1',
    clock,
    connect: network.connect,
    connectivity: network.connectivity,
    clientId: 'client-one',
    random: random.uniform,
    onMessage: (message) => messages.push(message),
    onState: (state) => states.push(state),
  });
  const series = () => {
    const began = messages.findIndex(({ type, state }) => type === 'state' && state === 'recording');
    return messages
      .slice(began)
      .filter(({ type }) => type === 'temperature')
      .map(({ timestamp_ms, bt }) => [timestamp_ms, bt]);
  };
  return { connection, messages, states, series };
}

async function recording(bench: MachineBench): Promise<void> {
  assert.equal(bench.machine.act('start_monitoring'), undefined);
  await bench.read(150);
  assert.equal(bench.machine.act('start_recording'), undefined);
  await settled();
}

const recorded = (bench: MachineBench) =>
  (bench.machine.recording?.points ?? []).map(({ timeMs, bt }) => [timeMs, bt]);

describe('the client of a roasting machine', () => {
  it('has exactly what was recorded after 200 cuts of 1 to 59 s at random moments', async function () {
    this.timeout(120_000);
    const bench = await machineBench();
    const network = new Network(bench);
    const { connection, messages, series } = follow(network, bench.clock);
    await settled();
    await recording(bench);
    const random = randomFrom(42);
    let bt = 100;
    const go = async (ms: number) => {
      for (let left = ms; left > 0; ) {
        const step = Math.min(left, 300 + Math.floor(random.uniform() * 900));
        left -= step;
        bt = 100 + ((bt - 100 + random.uniform() * 0.2) % 80);
        await bench.read(Math.round(bt * 100) / 100, 200, step);
      }
    };
    for (let cut = 0; cut < 200; cut += 1) {
      await go(500 + Math.floor(random.uniform() * 4_000));
      network.cut();
      if (cut % 10 === 0) assert.equal(bench.machine.command({ type: 'mark', event: 'FCs' }), undefined);
      await go(1_000 + Math.floor(random.uniform() * 58_000));
      network.online = true;
      network.returned();
      await settled();
    }
    await go(3_000);
    assert.deepEqual(series(), recorded(bench));
    assert.ok(!messages.some(({ type }) => type === 'gap'));
    const events = messages.filter(({ type }) => type === 'event').map(({ number }) => number);
    assert.deepEqual(
      events,
      bench.machine.events.map(({ number }) => number),
      'each event once',
    );
    connection.close();
  });

  it('misses nothing but what a gap names, where nothing tells it that the network is back', async function () {
    this.timeout(120_000);
    const bench = await machineBench();
    const network = new Network(bench);
    const { connection, messages, series } = follow(network, bench.clock, 11);
    await settled();
    await recording(bench);
    const random = randomFrom(43);
    const go = async (ms: number) => {
      for (let left = ms; left > 0; ) {
        const step = Math.min(left, 400 + Math.floor(random.uniform() * 900));
        left -= step;
        await bench.read(150, 200, step);
      }
    };
    for (let cut = 0; cut < 60; cut += 1) {
      await go(500 + Math.floor(random.uniform() * 4_000));
      network.cut();
      await go(1_000 + Math.floor(random.uniform() * 58_000));
      network.online = true;
      // The next attempt is at most 30 s and its jitter away.
      await go(40_000);
    }
    const gaps = messages
      .filter(({ type }) => type === 'gap')
      .map(({ from_timestamp_ms: from, to_timestamp_ms: to }) => [from as number, to as number] as const);
    const named = (timeMs: number) => gaps.some(([from, to]) => timeMs > from && timeMs < to);
    assert.ok(gaps.length > 0 && gaps.length < 60);
    assert.deepEqual(
      series(),
      recorded(bench).filter(([timeMs]) => !named(timeMs as number)),
    );
    connection.close();
  });

  it('gets the buffer and a gap after 120 s', async () => {
    const bench = await machineBench();
    const network = new Network(bench);
    const { connection, messages, series } = follow(network, bench.clock);
    await settled();
    await recording(bench);
    for (let reading = 0; reading < 5; reading += 1) await bench.read(150 + reading);
    network.cut();
    for (let reading = 0; reading < 120; reading += 1) await bench.read(160 + reading / 10);
    network.online = true;
    network.returned();
    await settled();
    const gap = messages.find(({ type }) => type === 'gap');
    assert.deepEqual(
      [gap?.['from_timestamp_ms'], gap?.['to_timestamp_ms'], gap?.['reason']],
      [5_000, 65_000, 'buffer'],
    );
    const all = recorded(bench);
    assert.deepEqual(series(), [...all.slice(0, 5), ...all.slice(-61)], 'the last minute, and nothing twice');
    connection.close();
  });

  it('comes back after 1, 2, 4 … 30 s with a jitter of 30 %, without end', async () => {
    const bench = await machineBench();
    const network = new Network(bench);
    network.online = false;
    const { connection } = follow(network, bench.clock, 7);
    for (let second = 0; second < 3_000; second += 1) {
      bench.clock.advance(100);
      await settled();
    }
    const waits = network.attempts.slice(1).map((at, index) => at - (network.attempts[index] as number));
    [1, 2, 4, 8, 16, 30, 30, 30].forEach((seconds, index) => {
      const wait = waits[index] as number;
      assert.ok(wait >= seconds * 700 && wait <= seconds * 1300 + 100, `wait ${index} is ${wait} ms`);
    });
    assert.ok(new Set(waits).size > 3, 'they differ');
    connection.close();
  });

  it('keeps its lock over a reconnect, and begins anew with another session', async () => {
    const bench = await machineBench();
    const network = new Network(bench);
    const { connection, messages } = follow(network, bench.clock);
    await settled();
    connection.send(command('start_monitoring'));
    await settled();
    await bench.read(150);
    network.cut();
    await bench.read(151, 200, 9_000);
    network.online = true;
    network.returned();
    await settled();
    const other = bench.watch('somebody-else');
    await bench.say(other, command('reset'));
    assert.equal(other.of('error')[0]?.code, 'SESSION_LOCKED');
    assert.equal(messages.filter(({ type }) => type === 'state').at(-1)?.['lock'], 'yours');
    connection.send(command('start_recording'));
    await settled();
    await bench.read(152);
    assert.deepEqual(
      messages.filter(({ type }) => type === 'temperature').map(({ bt }) => bt),
      [150, 151, 152],
    );
    connection.close();
  });

  it('asks again when the page is seen again, and passes nothing on twice', async () => {
    const bench = await machineBench();
    const network = new Network(bench);
    const { connection, series } = follow(network, bench.clock);
    await settled();
    await recording(bench);
    for (let reading = 0; reading < 5; reading += 1) {
      await bench.read(150 + reading);
      network.returned();
      await settled();
    }
    assert.deepEqual(series(), recorded(bench));
    assert.equal(network.attempts.length, 1, 'on the same connection');
    connection.close();
  });

  it('stops where the gateway says no, until it is told to go on', async () => {
    const bench = await machineBench();
    const network = new Network(bench);
    const { connection, states } = follow(network, bench.clock);
    await settled();
    connection.close();
    const refused: RoastConnectionState[] = [];
    const other = new RoastConnection({
      url: 'ws://gateway/ws/live/none',
      clock: bench.clock,
      connect: () => {
        throw new Error('not reached');
      },
      ticket: () => Promise.reject(Object.assign(new Error('no'), { status: 401 })),
      onMessage: () => {},
      onState: (state) => refused.push(state),
    });
    await settled();
    bench.clock.advance(120_000);
    await settled();
    assert.deepEqual(refused.at(-1), { kind: 'refused', reason: 'unauthenticated' });
    assert.equal(states.at(-1)?.kind, 'live');
    other.close();
  });
});
