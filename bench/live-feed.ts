import { setTimeout as delay } from 'node:timers/promises';
import { connectAsync, type IClientOptions, type MqttClient } from 'mqtt';
import { Gateway } from '../test/support/gateway.js';
import { metric } from './fleet.js';
import type { LiveClientsAnswer } from './harness/live-clients-process.js';
import { percentile } from './harness/percentile.js';
import { Child } from './harness/processes.js';
import { printTable } from './harness/table.js';

export interface LiveFeedOptions {
  clients: number;
  machines: number;
  seconds: number;
}

const COMPANY = '1';
/** The machine of the client that stops reading sends so many messages a second of this size: a socket holds megabytes. */
const BUSY_RATE = 50;
const PADDING = 'x'.repeat(15_000);
/** Each reads and stands still once; the middle round counts, since others may use the machine too. */
const ROUNDS = 5;
/** What another's standing still may add to the 99th percentile of those who read. */
const REACH = 0.2;

/** Telemetry with the moment at which it leaves. */
function publish(client: MqttClient, machine: string, padding = ''): void {
  const sent = performance.timeOrigin + performance.now();
  const payload = JSON.stringify({ battery: 12.5, extra: { sent, ...(padding && { padding }) } });
  client.publish(`company/${COMPANY}/machine/${machine}/telemetry`, payload, { qos: 1 });
}

/** Every machine once a second, evenly spread; `busy` more often, and more. @returns what ends it */
function send(client: MqttClient, machines: readonly string[], busy?: string): () => void {
  let at = 0;
  const each = setInterval(() => {
    publish(client, machines[at % machines.length] as string);
    at += 1;
  }, 1000 / machines.length);
  const more = busy && setInterval(() => publish(client, busy, PADDING), 1000 / BUSY_RATE);
  return () => {
    clearInterval(each);
    clearInterval(more);
  };
}

/** The middle one of the rounds. */
const middle = (rounds: readonly number[][], share: number) =>
  percentile(
    rounds.map((delays) => percentile(delays, share)),
    0.5,
  );

const namesOf = (count: number) => Array.from({ length: count }, (_, index) => `machine-${index}`);

async function cpuOf(gateway: Gateway): Promise<number> {
  return metric(gateway, 'process_cpu_seconds_total');
}

/** What a delivery costs, with few clients and with many: each gets a message a second. */
async function cost(
  gateway: Gateway,
  service: IClientOptions,
  options: LiveFeedOptions,
): Promise<string[][]> {
  const rows: string[][] = [];
  for (const share of [0, 0.1, 0.5, 1]) {
    const clients = Math.round(options.clients * share);
    const machines = namesOf(options.machines);
    const publisher = await connectAsync(gateway.mqttUrl, service);
    for (const machine of machines) publish(publisher, machine);
    const watchers =
      clients === 0
        ? undefined
        : await Child.start('live-clients-process.js', {
            ...{ url: gateway.url.replace('http', 'ws'), company: COMPANY, machines, clients },
          });
    const stop = send(publisher, machines);
    await delay(2_000);
    await watchers?.ask('delays');
    const before = await cpuOf(gateway);
    const begun = performance.now();
    await delay(options.seconds * 1000);
    const { delays } = (await watchers?.ask<LiveClientsAnswer>('delays')) ?? { delays: [] };
    const used = ((await cpuOf(gateway)) - before) / ((performance.now() - begun) / 1000);
    stop();
    await watchers?.stop();
    await publisher.endAsync();
    rows.push([
      String(clients),
      (used * 100).toFixed(1),
      delays.length === 0 ? '' : percentile(delays, 0.5).toFixed(1),
      delays.length === 0 ? '' : percentile(delays, 0.99).toFixed(1),
    ]);
  }
  return rows;
}

/** Many clients, of which one stops reading again and again while its machine sends much. */
async function oneStandsStill(gateway: Gateway, service: IClientOptions, options: LiveFeedOptions) {
  const machines = namesOf(options.machines);
  const publisher = await connectAsync(gateway.mqttUrl, service);
  for (const machine of machines) publish(publisher, machine);
  const watchers = await Child.start('live-clients-process.js', {
    ...{ url: gateway.url.replace('http', 'ws'), company: COMPANY, machines, clients: options.clients },
  });
  const stop = send(publisher, machines, machines[0]);
  const found: Record<'pause' | 'resume', number[][]> = { pause: [], resume: [] };
  const memory: number[] = [];
  await delay(5_000);
  let last: LiveClientsAnswer = await watchers.ask('delays');
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const phase of ['resume', 'pause'] as const) {
      await watchers.ask(phase);
      // Until what the socket itself holds is full, or has been read.
      await delay(5_000);
      await watchers.ask('delays');
      await delay(options.seconds * 1000);
      last = await watchers.ask<LiveClientsAnswer>('delays');
      found[phase].push(last.delays);
      memory.push((await metric(gateway, 'process_resident_memory_bytes')) / 2 ** 20);
    }
  }
  await watchers.ask('resume');
  await delay(2_000);
  last = await watchers.ask('delays');
  stop();
  await watchers.stop();
  await publisher.endAsync();
  return { found, memory, last };
}

/** Live feeds with many clients: what one costs, and what becomes of the others when one stops reading. */
export async function benchLiveFeed(options: LiveFeedOptions): Promise<void> {
  const gateway = await Gateway.create();
  try {
    await gateway.start();
    const service = (await gateway.command('access', 'add', '--role', 'service')) as IClientOptions;
    console.log(`${options.machines} machines, a message a second of each\n`);
    printTable(
      ['clients', 'CPU % of a core', 'delay p50 ms', 'p99 ms'],
      await cost(gateway, service, options),
    );

    const { found, memory, last } = await oneStandsStill(gateway, service, options);
    const [reading, paused] = [middle(found.resume, 0.99), middle(found.pause, 0.99)];
    console.log(`${options.clients} clients, one machine sends ${BUSY_RATE} messages of 15 kB a second\n`);
    printTable(
      ['those who read', 'delay p50 ms', 'p99 ms'],
      [
        ['all read', middle(found.resume, 0.5).toFixed(1), reading.toFixed(1)],
        ['one stands still', middle(found.pause, 0.5).toFixed(1), paused.toFixed(1)],
        [
          'p99 changes by',
          '',
          `${((paused / reading - 1) * 100).toFixed(0)} % (reach: under ${REACH * 100} %)`,
        ],
      ],
    );
    console.log(
      `memory of the gateway, MiB, phase by phase: ${memory.map((value) => value.toFixed(0)).join(', ')}\n` +
        `the one that stood still missed ${last.dropped} messages and was told so; ${last.open} are connected`,
    );
  } finally {
    await gateway.remove();
  }
}
