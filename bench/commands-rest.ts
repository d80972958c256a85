import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { connectAsync } from 'mqtt';
import { Access } from '../lib/access/access.js';
import { openStore } from '../lib/store/open.js';
import { ponds } from '../lib/store/pond.js';
import { Gateway } from '../test/support/gateway.js';
import { installPondFlow } from '../test/support/pond-flow.js';
import { metric } from './fleet.js';
import { percentile } from './harness/percentile.js';

/** Devices that the requests are spread over: a device has one command in flight at a time. */
const DEVICES = 400;
const WARM_UP_S = 5;
/** What the protocol's document promises, ms. */
const PUBLISH_REACH_MS = 50;
const ANSWER_REACH_MS = 100;

export interface CommandsRestOptions {
  /** Requests a second. */
  rate: number;
  seconds: number;
}

interface Sample {
  /** From the request to the command's arrival at a subscriber: the broker's own way is part of it. */
  publishMs: number[];
  /** From the request to the whole answer. */
  answerMs: number[];
  refused: number;
}

const deviceOf = (index: number) => `bench-${index}`;

/** An owner with a pond on each device, and a login that stands for all devices. */
async function prepare(gateway: Gateway) {
  const store = await openStore(`sqlite:${join(gateway.directory, 'fieldloom.db')}`);
  const access = await Access.open(store);
  const { userId } = await access.addUser('bench', randomUUID());
  const login = await access.addClient({ role: 'service' });
  const repository = ponds(store);
  const pondIds: number[] = [];
  for (let index = 0; index < DEVICES; index += 1) {
    const device = deviceOf(index);
    const rest = { name: device, ownerId: userId, position: 1, feedLimitG: 10_000, thresholds: {} };
    pondIds.push((await repository.add({ ...rest, device })).pondId);
  }
  access.close();
  await store.close();
  return { login, pondIds };
}

/**
 * Feed requests at a steady rate to a gateway of its own with its embedded broker, and devices that answer at once.
 * @returns rows of a table: what, here, what is to be reached
 */
export async function measureCommandsRest({ rate, seconds }: CommandsRestOptions): Promise<string[][]> {
  const gateway = await Gateway.create();
  try {
    await installPondFlow(gateway);
    const { login, pondIds } = await prepare(gateway);
    await gateway.start();
    const { token } = (await gateway.command('user', 'token', 'bench')) as { token: string };
    const devices = await connectAsync(gateway.mqttUrl, { ...login, clientId: 'bench-devices' });
    const asked = new Map<string, number>();
    let sample: Sample = { publishMs: [], answerMs: [], refused: 0 };
    devices.on('message', (topic, payload) => {
      const arrived = performance.now();
      const device = topic.split('/')[1] as string;
      const since = asked.get(device);
      if (since !== undefined) sample.publishMs.push(arrived - since);
      const { command_id } = JSON.parse(payload.toString());
      const answer = { command_id, success: true, message: 'done', timestamp: new Date().toISOString() };
      devices.publish(`devices/${device}/ack`, JSON.stringify(answer), { qos: 1 });
    });
    await devices.subscribeAsync('devices/+/commands', { qos: 2 });

    const ask = async (index: number) => {
      const to = sample;
      const begun = performance.now();
      asked.set(deviceOf(index), begun);
      const answer = await fetch(`${gateway.url}/automation/ponds/${pondIds[index]}/control/feed/`, {
        method: 'POST',
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
        body: '{"amount":100}',
      });
      await answer.arrayBuffer();
      if (answer.status === 200) to.answerMs.push(performance.now() - begun);
      else to.refused += 1;
    };
    /** Sends what is due each millisecond: a slow answer does not slow the next request. */
    const run = async (forSeconds: number) => {
      const total = rate * forSeconds;
      const underWay: Promise<void>[] = [];
      const begun = performance.now();
      while (underWay.length < total) {
        const due = Math.min(total, ((performance.now() - begun) / 1000) * rate);
        while (underWay.length < due) underWay.push(ask(underWay.length % DEVICES));
        await delay(1);
      }
      await Promise.all(underWay);
    };
    await run(WARM_UP_S);
    sample = { publishMs: [], answerMs: [], refused: 0 };
    const cpuBefore = await metric(gateway, 'process_cpu_seconds_total');
    await run(seconds);
    await delay(500);
    const cpuMs = ((await metric(gateway, 'process_cpu_seconds_total')) - cpuBefore) * 1000;
    await devices.endAsync();
    const row = (what: string, values: number[], reach: number) => [
      `${what}, ${rate} requests a second, 99th percentile`,
      `${percentile(values, 0.99).toFixed(1)} ms (median ${percentile(values, 0.5).toFixed(1)} ms)`,
      `${reach} ms`,
    ];
    return [
      row('REST to publish', sample.publishMs, PUBLISH_REACH_MS),
      row('REST answer', sample.answerMs, ANSWER_REACH_MS),
      ['requests that were not answered 200', String(sample.refused), '0'],
      ['processor time of the gateway for each, mean', `${(cpuMs / (rate * seconds)).toFixed(2)} ms`, ''],
    ];
  } finally {
    await gateway.end('SIGTERM');
    await gateway.remove();
  }
}
