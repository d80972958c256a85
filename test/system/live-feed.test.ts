import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { connectAsync, type IClientOptions, type MqttClient } from 'mqtt';
import { WebSocket } from 'ws';
import { eventually, Gateway } from '../support/gateway.js';

interface Message {
  type: string;
  seq: number;
  data: { battery?: number; dropped?: number };
}

/** A client of a machine's live feed that may stop reading its socket. */
class Follower {
  readonly messages: Message[] = [];
  closed: number | undefined;

  private constructor(readonly socket: WebSocket) {
    socket.on('message', (data) => this.messages.push(JSON.parse(data.toString())));
    socket.on('close', (code) => {
      this.closed = code;
    });
    socket.on('error', () => {});
  }

  static async open(gateway: Gateway, machine: string): Promise<Follower> {
    const url = `${gateway.url.replace('http', 'ws')}/realtime/${machine}?company=1`;
    const follower = new Follower(new WebSocket(url));
    await once(follower.socket, 'message');
    return follower;
  }

  get raw(): Socket {
    return (this.socket as unknown as { _socket: Socket })._socket;
  }

  /** Numbers of the telemetry that it got, in their order. */
  get numbers(): (number | undefined)[] {
    return this.messages.filter(({ type }) => type === 'telemetry').map(({ data }) => data.battery);
  }

  async until(number: number): Promise<void> {
    await eventually(
      async () => this.numbers.at(-1) === number || undefined,
      `number ${number} of telemetry instead of ${this.numbers.at(-1)}`,
      60_000,
    );
  }
}

const MACHINES = 10;
const FOLLOWERS = 100;
/** What is sent to a follower that stands still: much more than sockets hold, and than the gateway may keep for it. */
const MESSAGES = 6_000;
const PADDING = 'x'.repeat(15_000);
const MAY_GROW_MIB = 48;

describe('the live feed of a machine with a follower that stands still', function () {
  this.timeout(180_000);
  let gateway: Gateway;
  let publisher: MqttClient;
  const followers: Follower[] = [];

  before(async () => {
    gateway = await Gateway.create();
    await gateway.start();
    const service = (await gateway.command('access', 'add', '--role', 'service')) as IClientOptions;
    publisher = await connectAsync(gateway.mqttUrl, service);
  });
  after(async () => {
    for (const { socket } of followers) socket.terminate();
    await publisher?.endAsync(true);
    await gateway?.remove();
  });

  const publish = (machine: number, number: number, padding = '') =>
    publisher.publishAsync(
      `company/1/machine/m${machine}/telemetry`,
      JSON.stringify({ battery: number, extra: { padding } }),
      { qos: 1 },
    );
  /** MiB that are in use: the least of many looks, with work in between that makes the gateway collect its garbage. */
  const memory = async () => {
    let least = Infinity;
    for (let look = 0; look < 20; look += 1) {
      await Promise.all(
        Array.from({ length: 50 }, (_, index) => publish(MACHINES, look * 50 + index, PADDING)),
      );
      const text = await (await fetch(`${gateway.url}/metrics`)).text();
      const bytes = (name: string) => Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(text)?.[1]);
      const used = bytes('nodejs_heap_size_used_bytes') + bytes('nodejs_external_memory_bytes');
      least = Math.min(least, used / 2 ** 20);
    }
    return least;
  };

  it('gives all others everything in order, keeps little for that one, and tells it what it has missed', async () => {
    for (let machine = 0; machine < MACHINES; machine += 1) await publish(machine, 0);
    while (followers.length < FOLLOWERS) {
      followers.push(await Follower.open(gateway, `m${followers.length % MACHINES}`));
    }
    const [still, ...others] = followers as [Follower, ...Follower[]];
    const same = others.filter((_, index) => (index + 1) % MACHINES === 0);
    const elsewhere = others.filter((follower) => !same.includes(follower));
    // One beside it is enough: all others of the machine would get as much again.
    for (const { socket } of same.slice(1)) socket.terminate();
    const [beside] = same as [Follower];

    // The gateway has all that it ever needs for this load, before its memory is looked at.
    for (let number = 1; number <= MESSAGES / 4; number += 100) {
      await Promise.all(Array.from({ length: 100 }, (_, index) => publish(0, number + index, PADDING)));
    }
    await beside.until(MESSAGES / 4);
    await still.until(MESSAGES / 4);
    const before = await memory();
    still.raw.pause();
    for (let number = MESSAGES / 4 + 1; number <= MESSAGES; number += 100) {
      await Promise.all(Array.from({ length: 100 }, (_, index) => publish(0, number + index, PADDING)));
      if (number % 1000 === 1)
        for (let machine = 1; machine < MACHINES; machine += 1) await publish(machine, number);
    }
    await beside.until(MESSAGES);
    const grown = (await memory()) - before;
    assert.ok(grown < MAY_GROW_MIB, `the gateway has taken ${grown.toFixed(0)} MiB more`);
    assert.deepEqual(
      beside.numbers,
      Array.from({ length: MESSAGES }, (_, index) => index + 1),
    );
    const last = MESSAGES - 999;
    for (const follower of elsewhere) {
      await follower.until(last);
      assert.deepEqual(
        follower.numbers,
        beside.numbers.filter((number = 0) => number % 1000 === 1 && number > MESSAGES / 4),
      );
      assert.ok(follower.messages.every(({ type }) => type !== 'gap'));
    }

    still.raw.resume();
    await still.until(MESSAGES);
    assert.equal(still.closed, undefined);
    const gaps = still.messages.filter(({ type }) => type === 'gap');
    const dropped = gaps.reduce((sum, { data }) => sum + (data.dropped ?? 0), 0);
    assert.ok(dropped > 0);
    assert.equal(still.numbers.length + dropped, MESSAGES);
    assert.equal(still.messages.at(-1)?.seq, beside.messages.at(-1)?.seq);
  });
});
