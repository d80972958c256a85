// `npm run soak`: the complete system with its simulations, under load, for as long as it is told. Prints each minute
// what the gateway holds, and ends with 1 where something grows that should not.
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Command } from 'commander';
import { Access } from '../lib/access/access.js';
import { secret } from '../lib/access/secrets.js';
import { Tokens } from '../lib/access/token.js';
import { openStore } from '../lib/store/open.js';
import { ponds } from '../lib/store/pond.js';
import { freePort } from '../test/support/ports.js';
import { SoakLoad } from './harness/soak-load.js';
import type { Weight } from './harness/soak-process.js';
import { printTable } from './harness/table.js';

const MIB = 2 ** 20;
/** Live objects may be so much more at the end than after the first third, for caches that fill up. */
const HEAP_SHARE = 0.15;
const HEAP_BYTES = 12 * MIB;
/** Connections and timers of the moment. */
const PLAY = 20;
const SAMPLE_MS = 60_000;
/** Work of the moment, nothing held open. */
const PASSING = ['FSReqCallback', 'FSReqPromise', 'Immediate', 'TickObject'];

interface Sample extends Weight {
  /** Bytes of the database's file and of its write-ahead log. */
  database: number;
  log: number;
}

const open = ({ resources }: Weight) =>
  Object.entries(resources)
    .filter(([kind]) => !PASSING.includes(kind))
    .reduce((sum, [, count]) => sum + count, 0);

const sizeOf = (file: string): Promise<number> =>
  stat(file).then(
    ({ size }) => size,
    () => 0,
  );

/** What has grown, in words. */
function growth(samples: readonly Sample[]): string[] {
  // What was reached after a third is what the rest is held against: caches and tables are filled by then.
  const begin = samples[Math.floor(samples.length / 3)] as Sample;
  const end = samples.at(-1) as Sample;
  const least = Math.min(...samples.slice(-3).map(({ heap }) => heap));
  const grown: string[] = [];
  if (least > begin.heap * (1 + HEAP_SHARE) && least > begin.heap + HEAP_BYTES) {
    grown.push(`live objects from ${(begin.heap / MIB).toFixed(1)} to ${(least / MIB).toFixed(1)} MiB`);
  }
  if (open(end) > open(begin) + PLAY) {
    grown.push(`open resources from ${JSON.stringify(begin.resources)} to ${JSON.stringify(end.resources)}`);
  }
  if (end.listeners > begin.listeners) {
    grown.push(`listeners and routes from ${begin.listeners} to ${end.listeners}`);
  }
  return grown;
}

async function ask<T>(child: ChildProcess, question: string): Promise<T> {
  const answer = once(child, 'message');
  child.send(question);
  return ((await answer) as [T])[0];
}

async function soak(minutes: number): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'fieldloom-soak-'));
  const [port, mqttPort] = [await freePort(), await freePort()];
  const child = fork(join(__dirname, 'harness/soak-process.js'), {
    execArgv: ['--expose-gc'],
    // Each command is a line of information; warnings and errors are seen.
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    env: {
      ...{ PATH: process.env['PATH'], PORT: String(port), MQTT_PORT: String(mqttPort) },
      ...{ FIELDLOOM_DIR: directory, SIMULATE: '1' },
    },
  });
  process.once('exit', () => child.kill('SIGKILL'));
  const [ready] = await once(child, 'message');
  if (ready !== true) throw new Error('the system is not ready');

  const file = join(directory, 'fieldloom.db');
  const store = await openStore(`sqlite:${file}`, { busyMs: 10_000 });
  const access = await Access.open(store);
  const user = await access.addUser('soak', 'a soak password', { admin: true });
  const { token } = await new Tokens(access, { secret: await secret(directory, 'jwt-secret') }).issueAccess(
    user.userId,
    24 * 3600,
  );
  const [pond] = (await ponds(store).page()).items;
  const load = new SoakLoad(
    {
      url: `http://127.0.0.1:${port}`,
      mqttUrl: `mqtt://127.0.0.1:${mqttPort}`,
      token,
      pondId: pond?.pondId ?? 0,
    },
    access,
  );
  await load.start();
  const samples: Sample[] = [];
  const rows: string[][] = [];
  for (let minute = 0; minute <= minutes; minute += 1) {
    if (minute > 0) await delay(SAMPLE_MS);
    const weight = await ask<Weight>(child, 'weigh');
    const sample = { ...weight, database: await sizeOf(file), log: await sizeOf(`${file}-wal`) };
    samples.push(sample);
    const { p50, p99, max } = weight.delayMs;
    const mib = (bytes: number) => (bytes / MIB).toFixed(1);
    rows.push([
      ...[String(minute), mib(weight.heap), mib(weight.external), mib(weight.resident)],
      ...[String(open(weight)), String(weight.resources['Timeout'] ?? 0), String(weight.listeners)],
      ...[mib(sample.database), mib(sample.log), p50.toFixed(1), p99.toFixed(1), max.toFixed(0)],
    ]);
    console.log(`minute ${minute} of ${minutes}: ${rows.at(-1)?.slice(1).join('  ')}`);
  }
  await load.stop();
  access.close();
  await store.close();
  console.log('\nWhat the gateway held, after a garbage collection:\n');
  printTable(
    [
      ...['minute', 'heap MiB', 'external', 'resident', 'open', 'timers', 'listeners'],
      ...['database MiB', 'log', 'delay p50 ms', 'p99', 'max'],
    ],
    rows,
  );
  console.log(
    Object.entries(load.counts)
      .map(([kind, count]) => `${count} ${kind}`)
      .join(', '),
  );
  const exit = once(child, 'exit');
  child.send('stop');
  await exit;
  await rm(directory, { recursive: true, force: true });
  const grown = growth(samples);
  console.log(grown.length === 0 ? '\nNothing grew.' : `\nGrew: ${grown.join('; ')}`);
  if (grown.length > 0) process.exitCode = 1;
}

new Command('soak')
  .description('the complete system under load: memory, handles, timers, database, event loop')
  .option('--minutes <n>', 'how long', '30')
  .action(({ minutes }: { minutes: string }) => {
    const number = Number(minutes);
    if (!(number >= 3)) throw new Error(`--minutes ${minutes}: accepted is 3 or more`);
    return soak(number);
  })
  .parseAsync()
  .catch((error: unknown) => {
    console.error(error);
    process.exit(1);
  });
