import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connectAsync } from 'mqtt';
import { type CommandDispatcher, createDispatcher, type DispatcherLink } from '../lib/command/dispatcher.js';
import type { CommandRequest } from '../lib/command/ports.js';
import { createProfile } from '../lib/command/profile.js';
import { systemClock } from '../lib/core/clock.js';
import { silentLog } from '../lib/core/log.js';
import { connect } from '../lib/mqtt/connection.js';
import { commandStore } from '../lib/store/command.js';
import { newId } from '../lib/store/ids.js';
import { openStore } from '../lib/store/open.js';
import type { Store } from '../lib/store/store.js';
import { startMosquitto } from '../test/support/mosquitto.js';
import { measureCommandsRest } from './commands-rest.js';
import { Child } from './harness/processes.js';
import { printTable } from './harness/table.js';

export interface CommandsOptions {
  /** Commands of one measured run. */
  commands: number;
}

interface Figure {
  name: string;
  value: string;
  reach: string;
}

/** What is measured, in this order. */
const FIGURES: readonly ((options: CommandsOptions) => Promise<Figure[]>)[] = [
  roundTrips,
  costByInFlight,
  timeouts,
  rest,
];

/** What a dispatcher costs and how well it keeps time: commands through a real store and, for rates, a real broker. */
export async function benchCommands(options: CommandsOptions): Promise<void> {
  const rows: string[][] = [];
  for (const measure of FIGURES) {
    for (const { name, value, reach } of await measure(options)) rows.push([name, value, reach]);
  }
  printTable(['figure', 'here', 'reach'], rows);
}

const DEVICES = 1_000;
const ROUNDS = 3;
/** Round trips under way at once. */
const WINDOW = 500;

const feed = (device: number): CommandRequest => ({
  id: newId(),
  device: `device-${device % DEVICES}`,
  commandType: 'FEED',
  parameters: { amount: 100 },
  values: { pond_position: 1 },
});

/** The promise of the protocol's document, over REST. */
async function rest(): Promise<Figure[]> {
  const rows = await measureCommandsRest({ rate: 200, seconds: 20 });
  return rows.map(([name = '', value = '', reach = '']) => ({ name, value, reach }));
}

async function withStore<T>(use: (store: Store) => Promise<T>): Promise<T> {
  const directory = await mkdtemp(join(tmpdir(), 'fieldloom-bench-'));
  const store = await openStore(`sqlite:${join(directory, 'bench.db')}`);
  try {
    return await use(store);
  } finally {
    await store.close();
    await rm(directory, { recursive: true, force: true });
  }
}

/** What many alike have cost together. */
interface Cost {
  /** A second. */
  rate: number;
  /** Processor time of one, µs: all threads of this process. */
  cpu: number;
}

/** Keeps `window` tasks under way until `total` have ended. */
async function flood(total: number, window: number, task: (index: number) => Promise<void>): Promise<Cost> {
  const began = performance.now();
  const used = process.cpuUsage();
  let next = 0;
  const lane = async () => {
    while (next < total) {
      next += 1;
      await task(next - 1);
    }
  };
  await Promise.all(Array.from({ length: Math.min(window, total) }, lane));
  const { user, system } = process.cpuUsage(used);
  return { rate: total / ((performance.now() - began) / 1000), cpu: (user + system) / total };
}

// ——— round trips through a broker ———

/** The peer that does least: MQTT.js publishes with QoS 2 and waits for the broker's word and the echo. */
async function bareRoundTrips(url: string, commands: number): Promise<Cost> {
  const client = await connectAsync(url, { clientId: 'bare', clean: true });
  const waiting = new Map<string, () => void>();
  client.on('message', (_, payload) => {
    const { command_id } = JSON.parse(payload.toString()) as { command_id: string };
    waiting.get(command_id)?.();
    waiting.delete(command_id);
  });
  await client.subscribeAsync('devices/+/ack', { qos: 1 });
  const profile = createProfile({ profile: 'pond' });
  const cost = await flood(commands, WINDOW, async (index) => {
    const request = feed(index);
    const id = request.id as string;
    const { topic, payload } = profile.prepare(request, id, Date.now());
    const echoed = new Promise<void>((resolve) => waiting.set(id, resolve));
    await Promise.all([client.publishAsync(topic, payload, { qos: 2 }), echoed]);
  });
  await client.endAsync();
  return cost;
}

function ourRoundTrips(url: string, commands: number): Promise<Cost> {
  return withStore(async (store) => {
    const link = connect({ url, clientId: 'ours', persistentSession: false, maxInFlight: 1_000 });
    const dispatcher = createDispatcher({
      name: 'bench',
      profile: createProfile({ profile: 'pond' }),
      store: commandStore(store),
      link,
      clock: systemClock,
      log: silentLog,
      settings: { inFlight: WINDOW },
    });
    await link.subscribe(dispatcher.filter as string, { qos: 1 }, dispatcher.handle);
    const ended = completions(dispatcher);
    const cost = await flood(commands, WINDOW, async (index) => {
      const request = feed(index);
      const completed = ended(request.id as string);
      await dispatcher.submit(request);
      await completed;
    });
    await dispatcher.close();
    await link.close();
    return cost;
  });
}

/** @returns what fulfils when the command with this id has ended */
function completions(dispatcher: CommandDispatcher): (id: string) => Promise<void> {
  const waiting = new Map<string, () => void>();
  dispatcher.listen({
    changed({ id, phase }) {
      if (phase !== 'ended') return;
      waiting.get(id)?.();
      waiting.delete(id);
    },
  });
  return (id) => new Promise((resolve) => waiting.set(id, resolve));
}

async function roundTrips({ commands }: CommandsOptions): Promise<Figure[]> {
  const broker = await startMosquitto();
  if (broker === undefined) throw new Error('round trips are measured through Mosquitto: install it');
  const devices = await Child.start('echo-process.js', { url: broker.url });
  try {
    const warmUp = Math.ceil(commands / 10);
    await bareRoundTrips(broker.url, warmUp);
    await ourRoundTrips(broker.url, warmUp);
    const rounds: { bare: Cost; ours: Cost; ratio: number }[] = [];
    // In turns, and each ratio of neighbours in time: what else the machine does falls on both.
    for (let round = 0; round < ROUNDS; round += 1) {
      const bare = await bareRoundTrips(broker.url, commands);
      const ours = await ourRoundTrips(broker.url, commands);
      rounds.push({ bare, ours, ratio: ours.rate / bare.rate });
    }
    rounds.sort((a, b) => a.ratio - b.ratio);
    const { bare, ours, ratio } = rounds[ROUNDS >> 1] as (typeof rounds)[0];
    return [
      {
        name: `bare MQTT.js, QoS 2 and echo, ${WINDOW} at once: round trips a second`,
        value: bare.rate.toFixed(0),
        reach: '',
      },
      { name: 'commands stored, sent, acknowledged a second', value: ours.rate.toFixed(0), reach: '' },
      { name: 'ratio', value: ratio.toFixed(2), reach: 'at least 0.3' },
      { name: 'processor time of a bare round trip, µs', value: bare.cpu.toFixed(0), reach: '' },
      { name: 'processor time of a command, µs', value: ours.cpu.toFixed(0), reach: '' },
    ];
  } finally {
    await devices.stop();
    await broker.stop();
  }
}

// ——— cost by how many are in flight ———

/** A broker that has everything at once, and devices that answer when they are told to. */
function quickLink(): DispatcherLink {
  return { state: 'connected', onState: () => () => {}, publish: async () => {} };
}

const IN_FLIGHT = [100, 1_000, 10_000];
/** Commands that end and begin at once, however many are in flight: the store's batches are then alike. */
const AT_ONCE = 50;

/** @returns processor time of a command, µs, this process' threads together */
function costWith(inFlight: number, commands: number): Promise<number> {
  return withStore(async (store) => {
    const dispatcher = createDispatcher({
      name: 'bench',
      profile: createProfile({ profile: 'pond' }),
      store: commandStore(store),
      link: quickLink(),
      clock: systemClock,
      log: silentLog,
      settings: { ackTimeoutMs: 3_600_000 },
    });
    await dispatcher.start();
    const open: { id: string; device: string }[] = [];
    const begin = async (device: string) => {
      const { id } = await dispatcher.submit({ ...feed(0), device });
      open.push({ id, device });
    };
    const exchange = async () => {
      const { id, device } = open.shift() as { id: string; device: string };
      const payload = Buffer.from(JSON.stringify({ command_id: id, success: true, message: 'done' }));
      await dispatcher.handle({ topic: `devices/${device}/ack`, payload, receivedAt: Date.now() });
      await begin(device);
    };
    await flood(inFlight, AT_ONCE, (index) => begin(`device-${index}`));
    await flood(Math.ceil(commands / 4), AT_ONCE, exchange);
    const { cpu } = await flood(commands, AT_ONCE, exchange);
    await dispatcher.close();
    return cpu;
  });
}

async function costByInFlight({ commands }: CommandsOptions): Promise<Figure[]> {
  await costWith(AT_ONCE, commands);
  const least = new Map<number, number>();
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const inFlight of IN_FLIGHT) {
      const cost = await costWith(inFlight, commands);
      least.set(inFlight, Math.min(cost, least.get(inFlight) ?? Infinity));
    }
  }
  const costs = IN_FLIGHT.map((inFlight) => least.get(inFlight) as number);
  const spread = Math.max(...costs) / Math.min(...costs) - 1;
  return [
    ...IN_FLIGHT.map((inFlight, index) => ({
      name: `processor time of a command with ${inFlight} in flight, µs`,
      value: (costs[index] as number).toFixed(0),
      reach: '',
    })),
    { name: 'dearest over cheapest', value: `+${(spread * 100).toFixed(0)} %`, reach: 'at most +20 %' },
  ];
}

// ——— timeouts with ten thousand in flight ———

const SILENT = 10_000;

function timeouts(): Promise<Figure[]> {
  return withStore(async (store) => {
    const dispatcher = createDispatcher({
      name: 'bench',
      profile: createProfile({ profile: 'pond' }),
      store: commandStore(store),
      link: quickLink(),
      clock: systemClock,
      log: silentLog,
    });
    await dispatcher.start();
    const late: number[] = [];
    const resent: number[] = [];
    await new Promise<void>((resolve, reject) => {
      const unanswered = new Map<string, number>();
      dispatcher.listen({
        changed({ id, sentAt, wakeAt }, { event, at }) {
          if (event === 'unanswered' && !unanswered.has(id)) {
            late.push(at - (sentAt as number) - 10_000);
            unanswered.set(id, wakeAt as number);
          } else if (event === 'resent') {
            const due = unanswered.get(id);
            if (due === undefined) return;
            resent.push(at - due);
            if (resent.length === SILENT) resolve();
          }
        },
      });
      flood(SILENT, AT_ONCE, async () => {
        await dispatcher.submit({ ...feed(0), device: randomUUID() });
      }).catch(reject);
    });
    await dispatcher.close();
    const ms = (values: number[]) => {
      const sorted = values.sort((a, b) => a - b);
      const at = (share: number) => sorted[Math.ceil(share * sorted.length) - 1] as number;
      return `${sorted[0]} … ${at(0.99)} (p99) … ${sorted.at(-1)}`;
    };
    return [
      { name: `10 s timeout with ${SILENT} in flight, ms late`, value: ms(late), reach: '0 … 500' },
      { name: 'first resend after its backoff, ms late', value: ms(resent), reach: '' },
    ];
  });
}
