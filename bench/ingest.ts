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
import { percentile } from './harness/percentile.js';
import { Child, type ProcessStatistics } from './harness/processes.js';
import { type RowCounter, rowCounter } from './harness/rows.js';
import { printTable } from './harness/table.js';

const MEMBERS = 1000;

export interface IngestOptions {
  /** Messages of one run. */
  messages: number;
  /** So often each candidate is measured, in turns. */
  rounds: number;
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

/** One measurement of each candidate, by name. */
type Round = Map<string, Result>;

async function measureRound(options: IngestOptions, mosquittoUrl: string | undefined): Promise<Round> {
  const { protocol } = options;
  const ours = nodeNameOf(protocol);
  const round: Round = new Map();
  const wanted = (name: string) =>
    (options.only === undefined || name.includes(options.only)) &&
    (options.broker === undefined || name.toLowerCase().startsWith(options.broker));
  const measure = async (name: string, run: (name: string) => Promise<Result>) => {
    if (wanted(name)) round.set(name, await run(name));
  };
  if (mosquittoUrl !== undefined) {
    const url = mosquittoUrl;
    const from = (flow: MeasuredFlow) => (name: string) => drain(name, url, options, flow);
    const liveOn = (flow: MeasuredFlow) => (name: string) => live(name, options, flow, url);
    await measure(`Mosquitto: ${ours}`, from(gatewayFlow(protocol, 'ours')));
    await measure(`Mosquitto: ${PEER}`, from(nodeRedOwnFlow(protocol, 'peer')));
    await measure(`Mosquitto: ${BARE}`, from(bareFlow(protocol, 'bare')));
    await measure(`Mosquitto, live: ${ours}`, liveOn(gatewayFlow(protocol, 'live-ours')));
    await measure(`Mosquitto, live: ${BARE}`, liveOn(bareFlow(protocol, 'live-bare')));
  }
  const embedded = (behind: 'ours' | 'peer' | 'drop') => (name: string) =>
    live(name, options, embeddedBrokerFlow(protocol, behind));
  await measure(`embedded: ${ours}`, embedded('ours'));
  await measure(`embedded: ${PEER}`, embedded('peer'));
  await measure(`embedded: ${DROPPING}`, embedded('drop'));
  await measure(`embedded: ${AEDES}`, (name) => live(name, options, bareBrokerFlow));
  return round;
}

const PEER = 'mqtt in, json, function, sqlite';
const BARE = 'bare MQTT.js, dropping';
const DROPPING = 'broker taking and dropping';
const AEDES = 'bare aedes, taking and dropping';

/** Ours against a peer: what stands in the table, the two candidates, and the ratio to reach (ingest.md "Speed to reach"). */
const RATIOS = (ours: string) =>
  [
    [`ours against ${PEER} (Mosquitto)`, `Mosquitto: ${ours}`, `Mosquitto: ${PEER}`, '4'],
    [
      'ours against bare MQTT.js, with the publishers on the same cores (Mosquitto)',
      `Mosquitto, live: ${ours}`,
      `Mosquitto, live: ${BARE}`,
      '0.6',
    ],
    [
      'ours against bare MQTT.js, from a full queue (Mosquitto)',
      `Mosquitto: ${ours}`,
      `Mosquitto: ${BARE}`,
      '',
    ],
    [`ours against ${PEER} (embedded)`, `embedded: ${ours}`, `embedded: ${PEER}`, '6'],
    ['ours against taking and dropping (embedded)', `embedded: ${ours}`, `embedded: ${DROPPING}`, '0.6'],
    [`ours against ${AEDES}`, `embedded: ${ours}`, `embedded: ${AEDES}`, ''],
  ] as const;

const median = (values: readonly number[]) => percentile(values, 0.5);

function printCandidates(rounds: readonly Round[]): void {
  const rows = [...(rounds[0] as Round).keys()].map((name) => {
    const figure = (of: (result: Result) => number) =>
      median(rounds.map((round) => of(round.get(name) as Result)));
    return [
      name,
      figure(({ rate }) => rate).toFixed(0),
      figure(({ cpuUs }) => cpuUs).toFixed(1),
      figure(({ delayMs }) => delayMs).toFixed(1),
      (figure(({ memory }) => memory) / 2 ** 20).toFixed(0),
    ];
  });
  printTable(['candidate', 'messages/s', 'CPU µs a message', 'loop delay p99 ms', 'memory MiB'], rows);
}

/** Each round has its own ratio: a machine that others slow down slows both of it. */
function printRatios(rounds: readonly Round[], ours: string): void {
  const rows = RATIOS(ours).map(([what, own, peer, reach]) => {
    const ratios = rounds.flatMap((round) => {
      const [a, b] = [round.get(own), round.get(peer)];
      return a === undefined || b === undefined ? [] : [a.rate / b.rate];
    });
    if (ratios.length === 0) return [what, reach, 'not measured', ''];
    const span = `${Math.min(...ratios).toFixed(2)} to ${Math.max(...ratios).toFixed(2)}`;
    return [what, reach, median(ratios).toFixed(2), span];
  });
  printTable(['ratio', 'reach', 'reached', 'in the rounds'], rows);
}

/** The figures of the ingest path against its peers, all in this run, on this machine: the medians of its rounds. */
export async function benchIngest(options: IngestOptions): Promise<void> {
  const mosquitto = options.broker === 'embedded' ? undefined : await startMosquitto();
  if (mosquitto === undefined && options.broker !== 'embedded') {
    console.log('Mosquitto is not installed: only the embedded broker is measured.');
  }
  const rounds: Round[] = [];
  while (rounds.length < options.rounds) rounds.push(await measureRound(options, mosquitto?.url));
  await mosquitto?.stop();
  printCandidates(rounds);
  printRatios(rounds, nodeNameOf(options.protocol));
}
