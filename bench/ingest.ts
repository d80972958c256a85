import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connectAsync } from 'mqtt';
import { startMosquitto } from '../test/support/mosquitto.js';
import { freePort, listening } from '../test/support/ports.js';
import { benchDatabase, type Database } from './harness/databases.js';
import {
  bareBrokerFlow,
  embeddedBrokerFlow,
  filterOf,
  gatewayFlow,
  type MeasuredFlow,
  nodeNameOf,
  nodeRedOwnFlow,
  PUBLISHERS,
} from './harness/flows.js';
import { type Load, makeLoad, type Protocol } from './harness/messages.js';
import { Child, type ProcessStatistics } from './harness/processes.js';
import { type RowCounter, rowCounter } from './harness/rows.js';
import { printTable } from './harness/table.js';

const MEMBERS = 1000;

export interface IngestOptions {
  /** Messages of one run. */
  messages: number;
  protocol: Protocol;
  /** Ours stores there; the peer always in SQLite. */
  database: Database;
  /** One alone; else both. */
  broker?: 'mosquitto' | 'embedded';
  /** Only candidates whose name holds this. */
  only?: string;
}

interface Result {
  name: string;
  /** Messages a second, committed where the candidate commits. */
  rate: number;
  /** Processor time of the candidate for a message, microseconds: it says more where others use the machine too. */
  cpuUs: number;
  delayMs: number;
  memory: number;
}

/** Asks again and again until `count` has reached `target`; gives the ms from the first message to the last. */
async function timeUntil(target: number, count: () => Promise<number>): Promise<number> {
  let begun: number | undefined;
  let already = 0;
  const deadline = performance.now() + 300_000;
  for (;;) {
    const asked = performance.now();
    const value = await count();
    const now = performance.now();
    if (begun === undefined && value > 0) {
      begun = now;
      already = value;
    }
    if (value >= target && begun !== undefined)
      return ((now - begun) * target) / Math.max(1, target - already);
    if (now > deadline) throw new Error(`only ${value} of ${target} messages arrived in 300 s`);
    // Counting is work for the database too.
    await new Promise((resolve) => setTimeout(resolve, Math.max(25, 5 * (now - asked))));
  }
}

const bareFlow = (protocol: Protocol, clientId: string): MeasuredFlow => ({
  clientId,
  script: 'bare-process.js',
  settings: ({ broker }) => ({ url: broker, clientId, filter: filterOf(protocol) }),
  counts: true,
});

/** Lets the broker keep `messages` for the session `clientId`, so that the publisher costs nothing while we measure. */
async function fillQueue(url: string, clientId: string, load: Load, messages: number): Promise<void> {
  const session = await connectAsync(url, { clientId, clean: false });
  await session.subscribeAsync(filterOf(load.protocol), { qos: 1 });
  await session.endAsync();
  const publisher = await Child.start('publisher-process.js', {
    url,
    load,
    from: 0,
    to: messages,
    connections: 10,
    window: 100,
  });
  await publisher.ask('finished');
  await publisher.stop();
}

/** A candidate of a run with its process, its places, and what counts the messages that it has taken. */
interface Started {
  child: Child;
  logins: Awaited<ReturnType<NonNullable<MeasuredFlow['prepare']>>>;
  /** Messages, as rows where it makes some. */
  taken(): Promise<number>;
}

/** Lets a candidate do its work in a folder and a database of its own. */
async function inPlaces<T>(
  { database: kind }: IngestOptions,
  flow: MeasuredFlow,
  broker: string,
  work: (started: Started) => Promise<T>,
): Promise<T> {
  const directory = await mkdtemp(join(tmpdir(), 'fieldloom-bench-'));
  const database = await benchDatabase(kind);
  const places = { directory, broker, database: database.url };
  let counter: RowCounter | undefined;
  try {
    const logins = await flow.prepare?.(places);
    const child = await Child.start(flow.script, flow.settings(places));
    const { rows } = flow;
    if (rows !== undefined) counter = rowCounter(rows.database(places), rows.table);
    const count = counter?.count ?? (async () => (await child.ask<ProcessStatistics>('statistics')).count);
    const done = await work({ child, logins, taken: count });
    await child.stop();
    return done;
  } finally {
    await counter?.close();
    await database.drop();
    await rm(directory, { recursive: true, force: true });
  }
}

async function drain(name: string, url: string, options: IngestOptions, flow: MeasuredFlow): Promise<Result> {
  await fillQueue(url, flow.clientId, makeLoad(options.protocol, MEMBERS), options.messages);
  return inPlaces(options, flow, url, async ({ child, taken }) => {
    const before = await child.ask<ProcessStatistics>('statistics');
    let ms = await timeUntil(options.messages, taken);
    // A process that counts knows better than we who ask it from time to time.
    if (!flow.rows) ({ ms } = await child.ask<{ ms: number }>('span'));
    return result(name, options.messages, ms, before, await child.ask<ProcessStatistics>('statistics'));
  });
}

/**
 * Publishers and candidate at once, all on these cores, as it is in a plant.
 * @param broker of another process; undefined: the candidate brings its own
 */
async function live(
  name: string,
  options: IngestOptions,
  flow: MeasuredFlow,
  broker?: string,
): Promise<Result> {
  const url = broker ?? `mqtt://127.0.0.1:${await freePort()}`;
  return inPlaces(options, flow, url, async ({ child, logins, taken }) => {
    await listening(Number(new URL(url).port));
    const load = makeLoad(options.protocol, MEMBERS);
    const publish = async (from: number, to: number) => {
      const shared = { url, ...(logins && { logins }), load, connections: PUBLISHERS, window: 40 };
      const publisher = await Child.start('publisher-process.js', { ...shared, from, to });
      const { ms } = await publisher.ask<{ ms: number }>('finished');
      await publisher.stop();
      return ms;
    };
    // What neither stores nor counts is measured by the acknowledgements alone.
    const counts = flow.rows !== undefined || flow.counts === true;
    // A round through all controllers warms up, again until the candidate has subscribed.
    let next = 0;
    do {
      await publish(next, next + MEMBERS);
      next += MEMBERS;
      await new Promise((resolve) => setTimeout(resolve, 500));
    } while (counts && (await taken()) === 0);
    const before = await taken();
    const first = await child.ask<ProcessStatistics>('statistics');
    const begun = performance.now();
    const published = await publish(next, next + options.messages);
    if (counts) await timeUntil(before + options.messages, taken);
    // Acknowledged is not yet stored, for a candidate that acknowledges first.
    const stored = performance.now() - begun;
    const statistics = await child.ask<ProcessStatistics>('statistics');
    const ms = flow.acknowledgesFirst || broker ? stored : published;
    return result(name, options.messages, ms, first, statistics);
  });
}

function result(
  name: string,
  messages: number,
  ms: number,
  before: ProcessStatistics,
  { delayMs, memory, cpuTotalMs }: ProcessStatistics,
): Result {
  const rate = (messages / ms) * 1000;
  const cpuUs = ((cpuTotalMs - before.cpuTotalMs) / messages) * 1000;
  console.log(`${name}: ${rate.toFixed(0)} messages a second, ${cpuUs.toFixed(1)} µs of processor time each`);
  return { name, rate, cpuUs, delayMs, memory };
}

/** The figures of the ingest path against its peers, all in this run, on this machine. */
export async function benchIngest(options: IngestOptions): Promise<void> {
  const { protocol } = options;
  const ours = nodeNameOf(protocol);
  const mosquitto = options.broker === 'embedded' ? undefined : await startMosquitto();
  const results: Result[] = [];
  const wanted = (name: string) =>
    (options.only === undefined || name.includes(options.only)) &&
    (options.broker === undefined || name.toLowerCase().startsWith(options.broker));
  const measure = async (name: string, run: (name: string) => Promise<Result>) => {
    if (wanted(name)) results.push(await run(name));
  };
  const bare = 'bare MQTT.js, dropping';
  const peer = 'mqtt in, json, function, sqlite';
  if (mosquitto) {
    const { url } = mosquitto;
    const from = (flow: MeasuredFlow) => (name: string) => drain(name, url, options, flow);
    const liveOn = (flow: MeasuredFlow) => (name: string) => live(name, options, flow, url);
    await measure(`Mosquitto: ${ours}`, from(gatewayFlow(protocol, 'ours')));
    await measure(`Mosquitto: ${peer}`, from(nodeRedOwnFlow(protocol, 'peer')));
    await measure(`Mosquitto: ${bare}`, from(bareFlow(protocol, 'bare')));
    await measure(`Mosquitto, live: ${ours}`, liveOn(gatewayFlow(protocol, 'live-ours')));
    await measure(`Mosquitto, live: ${bare}`, liveOn(bareFlow(protocol, 'live-bare')));
    await mosquitto.stop();
  } else if (options.broker !== 'embedded') {
    console.log('Mosquitto is not installed: only the embedded broker is measured.');
  }
  const embedded = (behind: 'ours' | 'peer' | 'drop') => (name: string) =>
    live(name, options, embeddedBrokerFlow(protocol, behind));
  await measure(`embedded: ${ours}`, embedded('ours'));
  await measure(`embedded: ${peer}`, embedded('peer'));
  await measure('embedded: broker taking and dropping', embedded('drop'));
  await measure('embedded: bare aedes, taking and dropping', (name) => live(name, options, bareBrokerFlow));
  const named = (name: string) => results.find((result) => result.name === name);
  const ratio = (own: string, peer: string) => {
    const [a, b] = [named(own), named(peer)];
    return a === undefined || b === undefined ? 'not measured' : (a.rate / b.rate).toFixed(2);
  };

  printTable(
    ['candidate', 'messages/s', 'CPU µs a message', 'loop delay p99 ms', 'memory MiB'],
    results.map(({ name, rate, cpuUs, delayMs, memory }) => [
      name,
      rate.toFixed(0),
      cpuUs.toFixed(1),
      delayMs.toFixed(1),
      (memory / 2 ** 20).toFixed(0),
    ]),
  );
  printTable(
    ['ratio', 'reach', 'reached'],
    [
      [
        'ours against mqtt in, json, function, sqlite (Mosquitto)',
        '4',
        ratio(`Mosquitto: ${ours}`, 'Mosquitto: mqtt in, json, function, sqlite'),
      ],
      [
        'ours against bare MQTT.js, with the publishers on the same cores (Mosquitto)',
        '0.6',
        ratio(`Mosquitto, live: ${ours}`, 'Mosquitto, live: bare MQTT.js, dropping'),
      ],
      [
        'ours against bare MQTT.js, from a full queue (Mosquitto)',
        '',
        ratio(`Mosquitto: ${ours}`, 'Mosquitto: bare MQTT.js, dropping'),
      ],
      [
        'ours against mqtt in, json, function, sqlite (embedded)',
        '6',
        ratio(`embedded: ${ours}`, 'embedded: mqtt in, json, function, sqlite'),
      ],
      [
        'ours against taking and dropping (embedded)',
        '0.6',
        ratio(`embedded: ${ours}`, 'embedded: broker taking and dropping'),
      ],
      [
        'ours against bare aedes, taking and dropping',
        '',
        ratio(`embedded: ${ours}`, 'embedded: bare aedes, taking and dropping'),
      ],
    ],
  );
}
